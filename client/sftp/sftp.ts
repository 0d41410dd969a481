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
import { type Answer, aborted, SftpLink, throwIfAborted } from './link.ts';
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

  async open(
    path: string,
    mode: SftpOpenMode = 'r',
    options: SftpCallOptions & { readonly permissions?: number } = {},
  ): Promise<RemoteFile> {
    const attrs = options.permissions === undefined ? {} : { permissions: options.permissions & 0o7777 };
    const handle = await this.#handle(() => this.link.client.open(path, modes[mode], attrs), options);
    return new RemoteFile(this, path, handle);
  }

  async stat(path: string, options: SftpCallOptions = {}): Promise<FileStat> {
    return toStat((await this.ask(() => this.link.client.stat(path), 'attrs', options)).attrs);
  }

  async lstat(path: string, options: SftpCallOptions = {}): Promise<FileStat> {
    return toStat((await this.ask(() => this.link.client.lstat(path), 'attrs', options)).attrs);
  }

  async setStat(path: string, change: StatChange, options: SftpCallOptions = {}): Promise<void> {
    await this.ask(() => this.link.client.setstat(path, toAttrs(change)), 'done', options);
  }

  /** As `setStat`, but of a symbolic link itself (lsetstat@openssh.com). */
  async setLinkStat(path: string, change: StatChange, options: SftpCallOptions = {}): Promise<void> {
    await this.ask(() => this.link.client.extended('lsetstat', { path, attrs: toAttrs(change) }), 'done', options);
  }

  /** Entries as they come, without `.` and `..`; the names are whatever the server sent. */
  async *readdir(path: string, options: SftpCallOptions = {}): AsyncGenerator<DirectoryEntry, void, undefined> {
    const handle = await this.#handle(() => this.link.client.opendir(path), options);
    yield* readDirectory(this, path, handle, options);
  }

  async mkdir(path: string, options: SftpCallOptions & { readonly permissions?: number } = {}): Promise<void> {
    const attrs = options.permissions === undefined ? {} : { permissions: options.permissions & 0o7777 };
    await this.ask(() => this.link.client.mkdir(path, attrs), 'done', options);
  }

  async rmdir(path: string, options: SftpCallOptions = {}): Promise<void> {
    await this.ask(() => this.link.client.rmdir(path), 'done', options);
  }

  async remove(path: string, options: SftpCallOptions = {}): Promise<void> {
    await this.ask(() => this.link.client.remove(path), 'done', options);
  }

  /** Replaces `to` where the server can (posix-rename@openssh.com); otherwise an existing `to` is an error. */
  async rename(from: string, to: string, options: SftpCallOptions = {}): Promise<void> {
    const { client } = this.link;
    const posix = client.supports('posixRename');
    const paths = { oldPath: from, newPath: to };
    await this.ask(() => (posix ? client.extended('posixRename', paths) : client.rename(from, to)), 'done', options);
  }

  async readlink(path: string, options: SftpCallOptions = {}): Promise<string> {
    return this.#name(() => this.link.client.readlink(path), options);
  }

  /** `link` becomes a symbolic link that says `target`. */
  async symlink(target: string, link: string, options: SftpCallOptions = {}): Promise<void> {
    await this.ask(() => this.link.client.symlink(target, link), 'done', options);
  }

  async hardlink(existing: string, path: string, options: SftpCallOptions = {}): Promise<void> {
    const paths = { oldPath: existing, newPath: path };
    await this.ask(() => this.link.client.extended('hardlink', paths), 'done', options);
  }

  async realpath(path: string, options: SftpCallOptions = {}): Promise<string> {
    return this.#name(() => this.link.client.realpath(path), options);
  }

  /** `~` and `~user` in front are replaced (expand-path@openssh.com). */
  async expandPath(path: string, options: SftpCallOptions = {}): Promise<string> {
    return this.#name(() => this.link.client.extended('expandPath', { path }), options);
  }

  async homeDirectory(user: string, options: SftpCallOptions = {}): Promise<string> {
    return this.#name(() => this.link.client.extended('homeDirectory', { user }), options);
  }

  async statvfs(path: string, options: SftpCallOptions = {}): Promise<VolumeStatus> {
    return this.extended('statvfs', { path }, options);
  }

  /** Names of users and groups, '' for those the server does not know. */
  async namesById(
    uids: readonly number[],
    gids: readonly number[],
    options: SftpCallOptions = {},
  ): Promise<ExtensionReply<'usersGroupsById'>> {
    return this.extended('usersGroupsById', { uids, gids }, options);
  }

  /** Copies inside the server (copy-data); `length` 0 is up to the end. */
  async copyData(
    from: RemoteFile,
    fromOffset: number,
    length: number,
    to: RemoteFile,
    toOffset: number,
    options: SftpCallOptions = {},
  ): Promise<void> {
    const values = {
      from: from.handle,
      fromOffset: BigInt(fromOffset),
      length: BigInt(length),
      to: to.handle,
      toOffset: BigInt(toOffset),
    };
    await this.ask(() => this.link.client.extended('copyData', values), 'done', options);
  }

  /**
   * Makes a request and waits for an answer of `kind`; for the parts of this folder. An answer that comes after the
   * abort goes to `late`.
   */
  ask<K extends Answer['kind']>(
    request: () => number,
    kind: K | readonly K[],
    { signal }: SftpCallOptions,
    late?: (answer: Answer) => void,
  ): Promise<KindOf<K>> {
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
        else if (answer.kind === kind || kind.includes(answer.kind as K)) resolve(answer as KindOf<K>);
        else reject(answer.kind === 'failed' ? answer.error : endOfFile());
      });
    });
  }

  async #handle(request: () => number, options: SftpCallOptions): Promise<Uint8Array> {
    const tooLate = (answer: Answer): void => {
      if (answer.kind === 'handle' && !this.link.ended) this.link.ask(this.link.client.close(answer.handle), () => {});
    };
    return (await this.ask(request, 'handle', options, tooLate)).handle;
  }

  async #name(request: () => number, options: SftpCallOptions): Promise<string> {
    const { names } = await this.ask(request, 'names', options);
    if (names.length !== 1) throw new SshError('sftp', `one name expected, ${names.length} came`, { by: 'peer' });
    return names[0]!.name;
  }

  /** An extension that is answered by more than a status; for the parts of this folder. */
  async extended<K extends AnsweredExtension>(
    extension: K,
    values: ExtensionRequest<K>,
    options: SftpCallOptions,
  ): Promise<ExtensionReply<K>> {
    const answer = await this.ask(() => this.link.client.extended(extension, values), 'extended', options);
    return answer.values as ExtensionReply<K>;
  }
}

const endOfFile = (): SshError => new SshError('sftp', 'end of file', { by: 'peer', detail: { status: 1, text: '' } });
