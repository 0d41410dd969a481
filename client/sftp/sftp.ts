/**
 * SFTP with promises: one method an operation, each abortable. Aborting forgets the answer, it does not undo what the
 * server does; handles that arrive too late are closed. Names are strings that survive bytes which are not UTF-8.
 */

import {
  type AnsweredExtension,
  type ExtensionName,
  type ExtensionReply,
  type ExtensionRequest,
  openFlags,
  type SftpClientOptions,
  type SftpLimits,
  SshError,
  type VolumeStatus,
} from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { type DirectoryEntry, readDirectory } from './directory.ts';
import { type Answer, aborted, nothing, SftpLink, throwIfAborted } from './link.ts';
import { RemoteFile } from './remote-file.ts';
import { type FileStat, type StatChange, toAttrs, toStat } from './stat.ts';
import type { SftpTransport } from './transport.ts';

export interface SftpCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** As `fopen` and node:fs name them. */
const modes = {
  r: openFlags.read,
  'r+': openFlags.read | openFlags.write,
  w: openFlags.write | openFlags.create | openFlags.truncate,
  wx: openFlags.write | openFlags.create | openFlags.exclusive,
  'w+': openFlags.read | openFlags.write | openFlags.create | openFlags.truncate,
  'wx+': openFlags.read | openFlags.write | openFlags.create | openFlags.exclusive,
  a: openFlags.write | openFlags.create | openFlags.append,
  ax: openFlags.write | openFlags.create | openFlags.append | openFlags.exclusive,
  'a+': openFlags.read | openFlags.write | openFlags.create | openFlags.append,
  /** Write what is there or not, without cutting it. */
  update: openFlags.write | openFlags.create,
} as const;

export type SftpOpenMode = keyof typeof modes;

type KindOf<K extends Answer['kind']> = Extract<Answer, { kind: K }>;

export class Sftp {
  /** For the parts of this folder: the session underneath. */
  readonly link: SftpLink;
  #limits: Promise<void> | undefined;

  private constructor(link: SftpLink) {
    this.link = link;
  }

  /** Starts SFTP on a channel whose subsystem is running. */
  static async start(transport: SftpTransport, options: SftpClientOptions & SftpCallOptions = {}): Promise<Sftp> {
    const { signal } = options;
    throwIfAborted(signal);
    const link = new SftpLink(transport, options);
    const abort = (): void => link.end(aborted(signal!));
    onAbort(signal, abort);
    try {
      await link.start();
    } finally {
      offAbort(signal, abort);
    }
    const sftp = new Sftp(link);
    // Asked for ahead of need; what needs the answer waits in `limits`.
    if (link.client.supports('limits')) {
      sftp.#limits = sftp.extended('limits', {}, {}).then(
        () => undefined,
        () => undefined,
      );
    }
    return sftp;
  }

  /** The server's limits, or those every server keeps. */
  async limits(): Promise<SftpLimits> {
    await this.#limits;
    return this.link.client.limits;
  }

  supports(extension: ExtensionName): boolean {
    return this.link.client.supports(extension);
  }

  /** Extensions the server lists, with their data. */
  get extensions(): ReadonlyMap<string, string> {
    return this.link.client.extensions;
  }

  /** Ends the session; what is not answered yet fails with `closed`. */
  close(): void {
    this.link.end(new SshError('closed', 'the SFTP session is closed'));
  }

  open(
    path: string,
    mode: SftpOpenMode = 'r',
    options: SftpCallOptions & { readonly permissions?: number } = {},
  ): Promise<RemoteFile> {
    const attrs = options.permissions === undefined ? {} : { permissions: options.permissions & 0o7777 };
    const request = (): number => this.link.client.open(path, modes[mode], attrs);
    return this.#handle(request, options, (handle) => new RemoteFile(this, path, handle));
  }

  stat(path: string, options: SftpCallOptions = {}): Promise<FileStat> {
    return this.ask(
      () => this.link.client.stat(path),
      'attrs',
      options,
      ({ attrs }) => toStat(attrs),
    );
  }

  lstat(path: string, options: SftpCallOptions = {}): Promise<FileStat> {
    return this.ask(
      () => this.link.client.lstat(path),
      'attrs',
      options,
      ({ attrs }) => toStat(attrs),
    );
  }

  setStat(path: string, change: StatChange, options: SftpCallOptions = {}): Promise<void> {
    return this.ask(() => this.link.client.setstat(path, toAttrs(change)), 'done', options, nothing);
  }

  /** As `setStat`, but of a symbolic link itself (lsetstat@openssh.com). */
  setLinkStat(path: string, change: StatChange, options: SftpCallOptions = {}): Promise<void> {
    const request = (): number => this.link.client.extended('lsetstat', { path, attrs: toAttrs(change) });
    return this.ask(request, 'done', options, nothing);
  }

  /** Entries as they come, without `.` and `..`; the names are whatever the server sent. */
  async *readdir(path: string, options: SftpCallOptions = {}): AsyncGenerator<DirectoryEntry, void, undefined> {
    for await (const entries of this.readdirInBatches(path, options)) yield* entries;
  }

  /** As `readdir`, but as many at a time as the server sent. */
  async *readdirInBatches(
    path: string,
    options: SftpCallOptions = {},
  ): AsyncGenerator<readonly DirectoryEntry[], void, undefined> {
    const handle = await this.#handle(
      () => this.link.client.opendir(path),
      options,
      (opened) => opened,
    );
    yield* readDirectory(this, path, handle, options);
  }

  mkdir(path: string, options: SftpCallOptions & { readonly permissions?: number } = {}): Promise<void> {
    const attrs = options.permissions === undefined ? {} : { permissions: options.permissions & 0o7777 };
    return this.ask(() => this.link.client.mkdir(path, attrs), 'done', options, nothing);
  }

  rmdir(path: string, options: SftpCallOptions = {}): Promise<void> {
    return this.ask(() => this.link.client.rmdir(path), 'done', options, nothing);
  }

  remove(path: string, options: SftpCallOptions = {}): Promise<void> {
    return this.ask(() => this.link.client.remove(path), 'done', options, nothing);
  }

  /** Replaces `to` where the server can (posix-rename@openssh.com); otherwise an existing `to` is an error. */
  rename(from: string, to: string, options: SftpCallOptions = {}): Promise<void> {
    const { client } = this.link;
    const request = (): number =>
      client.supports('posixRename')
        ? client.extended('posixRename', { oldPath: from, newPath: to })
        : client.rename(from, to);
    return this.ask(request, 'done', options, nothing);
  }

  readlink(path: string, options: SftpCallOptions = {}): Promise<string> {
    return this.ask(() => this.link.client.readlink(path), 'names', options, onlyName);
  }

  /** `link` becomes a symbolic link that says `target`. */
  symlink(target: string, link: string, options: SftpCallOptions = {}): Promise<void> {
    return this.ask(() => this.link.client.symlink(target, link), 'done', options, nothing);
  }

  hardlink(existing: string, path: string, options: SftpCallOptions = {}): Promise<void> {
    const paths = { oldPath: existing, newPath: path };
    return this.ask(() => this.link.client.extended('hardlink', paths), 'done', options, nothing);
  }

  realpath(path: string, options: SftpCallOptions = {}): Promise<string> {
    return this.ask(() => this.link.client.realpath(path), 'names', options, onlyName);
  }

  /** `~` and `~user` in front are replaced (expand-path@openssh.com). */
  expandPath(path: string, options: SftpCallOptions = {}): Promise<string> {
    return this.ask(() => this.link.client.extended('expandPath', { path }), 'names', options, onlyName);
  }

  homeDirectory(user: string, options: SftpCallOptions = {}): Promise<string> {
    return this.ask(() => this.link.client.extended('homeDirectory', { user }), 'names', options, onlyName);
  }

  statvfs(path: string, options: SftpCallOptions = {}): Promise<VolumeStatus> {
    return this.extended('statvfs', { path }, options);
  }

  /** Names of users and groups, '' for those the server does not know. */
  namesById(
    uids: readonly number[],
    gids: readonly number[],
    options: SftpCallOptions = {},
  ): Promise<ExtensionReply<'usersGroupsById'>> {
    return this.extended('usersGroupsById', { uids, gids }, options);
  }

  /** Copies inside the server (copy-data); `length` 0 is up to the end. */
  copyData(
    from: RemoteFile,
    fromOffset: number,
    length: number,
    to: RemoteFile,
    toOffset: number,
    options: SftpCallOptions = {},
  ): Promise<void> {
    const request = (): number =>
      this.link.client.extended('copyData', {
        from: from.handle,
        fromOffset: BigInt(fromOffset),
        length: BigInt(length),
        to: to.handle,
        toOffset: BigInt(toOffset),
      });
    return this.ask(request, 'done', options, nothing);
  }

  /**
   * Makes a request and gives what `take` makes of an answer of `kind`; for the parts of this folder. An answer that comes
   * after the abort goes to `late`. One promise and no async function on the way: small files are mostly these.
   */
  ask<K extends Answer['kind'], T>(
    request: () => number,
    kind: K | readonly K[],
    { signal }: SftpCallOptions,
    take: (answer: KindOf<K>) => T,
    late?: (answer: Answer) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      throwIfAborted(signal);
      let forgotten = false;
      const abort = (): void => {
        forgotten = true;
        reject(aborted(signal!));
      };
      const id = request();
      onAbort(signal, abort);
      this.link.ask(id, (answer) => {
        offAbort(signal, abort);
        if (forgotten) late?.(answer);
        else if (answer.kind === kind || kind.includes(answer.kind as K)) {
          try {
            resolve(take(answer as KindOf<K>));
          } catch (error) {
            reject(error);
          }
        } else reject(answer.kind === 'failed' ? answer.error : endOfFile());
      });
    });
  }

  #handle<T>(request: () => number, options: SftpCallOptions, take: (handle: Uint8Array) => T): Promise<T> {
    const tooLate = (answer: Answer): void => {
      if (answer.kind === 'handle' && !this.link.ended) this.link.ask(this.link.client.close(answer.handle), () => {});
    };
    return this.ask(request, 'handle', options, ({ handle }) => take(handle), tooLate);
  }

  /** An extension that is answered by more than a status; for the parts of this folder. */
  extended<K extends AnsweredExtension>(
    extension: K,
    values: ExtensionRequest<K>,
    options: SftpCallOptions,
  ): Promise<ExtensionReply<K>> {
    const request = (): number => this.link.client.extended(extension, values);
    return this.ask(request, 'extended', options, (answer) => answer.values as ExtensionReply<K>);
  }
}

function onlyName({ names }: KindOf<'names'>): string {
  if (names.length !== 1) throw new SshError('sftp', `one name expected, ${names.length} came`, { by: 'peer' });
  return names[0]!.name;
}

const endOfFile = (): SshError => new SshError('sftp', 'end of file', { by: 'peer', detail: { status: 1, text: '' } });
