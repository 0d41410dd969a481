/**
 * Local files and directories to a server without SFTP. Where the server has a shell, a file arrives as a part and gets
 * its name when it is complete; where it has none, `scp` writes into the target, as it does for scp(1).
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SshError } from '../../protocol/index.ts';
import { hasWildcard } from '../sftp/glob.ts';
import { localEntries } from '../sftp/local-directory.ts';
import { local, lookLocal } from '../sftp/local-file.ts';
import { baseName, joinRemote, toLocal } from '../sftp/safe-names.ts';
import type { SharedFile } from '../sftp/shared-file.ts';
import { SharedFiles } from '../sftp/shared-files.ts';
import { partOf } from '../sftp/transfer.ts';
import { Tally, type TreeOptions, type TreeResult } from '../sftp/tree.ts';
import type { CommandOpener } from './session.ts';
import { RemoteShell } from './shell.ts';
import { ScpSource } from './source.ts';

export interface ScpUploadOptions
  extends Pick<
    TreeOptions,
    'signal' | 'preserve' | 'rate' | 'links' | 'sources' | 'onProgress' | 'onAction' | 'onFailure'
  > {
  /** Several things go to the destination, or it was said to be a directory. */
  readonly mustBeDirectory: boolean;
}

/** What is sent to one place of one server. */
export class ScpUpload {
  readonly #connection: CommandOpener;
  readonly #shell: RemoteShell | undefined;
  readonly #destination: string;
  readonly #isDirectory: boolean;
  readonly #options: ScpUploadOptions;
  readonly #files: SharedFiles;
  /** The server's scp, and the directory it writes in. */
  #source: { readonly inside: string; readonly source: ScpSource } | undefined;

  private constructor(
    connection: CommandOpener,
    shell: RemoteShell | undefined,
    destination: string,
    isDirectory: boolean,
    options: ScpUploadOptions,
  ) {
    this.#connection = connection;
    this.#shell = shell;
    this.#destination = destination;
    this.#isDirectory = isDirectory;
    this.#options = options;
    this.#files = options.sources ?? new SharedFiles();
  }

  static async start(connection: CommandOpener, destination: string, options: ScpUploadOptions): Promise<ScpUpload> {
    const path = destination === '' ? '.' : destination;
    const detail = { path };
    const shell = await RemoteShell.start(connection, options.signal);
    const kind = shell && (await shell.kind(path));
    const isDirectory = kind === 'directory';
    if (hasWildcard(path) && kind !== 'directory' && kind !== 'other') {
      throw new SshError('unsupported', `${path}: wildcards for a destination need SFTP`, { detail });
    }
    if (shell && !isDirectory && options.mustBeDirectory) {
      throw new SshError('file', `${path}: no such directory`, { detail });
    }
    return new ScpUpload(connection, shell, path, isDirectory, options);
  }

  get quietSince(): number | undefined {
    return this.#source?.source.quietSince ?? this.#shell?.quietSince;
  }

  /** Where `name` goes. */
  target(name: string): string {
    const inside = this.#shell ? this.#isDirectory : this.#options.mustBeDirectory;
    return inside && name !== '' ? joinRemote(this.#destination, name) : this.#destination;
  }

  /** The local file `path`, to `target(name)`; gives its size. */
  file(path: string, name: string): Promise<number> {
    const to = this.target(name);
    return this.#files.use(path, async (file) => {
      const [directory, base] = this.#shell ? split(to) : [this.#destination, name];
      await this.#send(await this.#in(directory), file, directory, base, to);
      return file.size;
    });
  }

  /** The content of the local directory `path` into the directory `target(name)`, which is made when missing. */
  async tree(path: string, name: string): Promise<TreeResult> {
    const to = this.target(name);
    const tally = new Tally(this.#options);
    const root = await local(path, stat(toLocal(path)));
    const plain = /^\.{0,2}$/.test(baseName(to));
    const [directory, base] = this.#shell ? (plain ? [to, ''] : split(to)) : [this.#destination, name || baseName(to)];
    const source = await this.#in(directory);
    if (base === '') {
      tally.directories++;
      await this.#content(source, path, to, 0, tally);
    } else {
      await this.#directory(source, path, to, base, root, 0, tally);
    }
    return tally.result();
  }

  async end(): Promise<void> {
    await this.#source?.source.end();
    await this.#shell?.end();
    if (!this.#options.sources) this.#files.close();
  }

  /** The server's scp at work in `inside`. */
  async #in(inside: string): Promise<ScpSource> {
    if (this.#source?.inside === inside) return this.#source.source;
    await this.#source?.source.end();
    const { signal, preserve, rate, mustBeDirectory } = this.#options;
    const source = await ScpSource.start(this.#connection, inside, {
      signal,
      rate,
      preserve: preserve === true,
      intoDirectory: this.#shell !== undefined || mustBeDirectory,
    });
    this.#source = { inside, source };
    return source;
  }

  async #send(source: ScpSource, file: SharedFile, directory: string, base: string, to: string): Promise<void> {
    const { onProgress, preserve } = this.#options;
    const part = this.#shell ? partOf(base, false, undefined, undefined) : base;
    let done = 0;
    const onSent = (bytes: number): void => {
      done += bytes;
      onProgress?.({ path: to, done, total: file.size });
    };
    if (!this.#shell) return source.file(file, part, to, onSent);
    const at = joinRemote(directory, part);
    try {
      await source.file(file, part, to, onSent);
      await this.#shell.place(at, to, preserve === true);
    } catch (error) {
      await this.#shell.remove(at).catch(() => {});
      throw named(error, part, base);
    }
  }

  async #directory(
    source: ScpSource,
    from: string,
    to: string,
    name: string,
    found: { readonly mode: number; readonly atimeMs: number; readonly mtimeMs: number },
    depth: number,
    tally: Tally,
  ): Promise<void> {
    const times = { atime: found.atimeMs / 1000, mtime: found.mtimeMs / 1000 };
    await source.enter(name, found.mode, times, to);
    tally.directories++;
    await this.#content(source, from, to, depth, tally);
    await tally.attempt(to, () => source.leave(to));
  }

  async #content(source: ScpSource, from: string, to: string, depth: number, tally: Tally): Promise<void> {
    const { links } = this.#options;
    await tally.attempt(from, async () => {
      for (const [name] of localEntries(from)) {
        const path = join(from, name);
        const target = joinRemote(to, name);
        await tally.attempt(path, async () => {
          tally.entry(depth);
          let found = lookLocal(path);
          if (found?.isSymbolicLink() && links === 'follow') found = await local(path, stat(toLocal(path)));
          if (found?.isDirectory()) {
            await this.#directory(source, path, target, name, found, depth + 1, tally);
          } else if (found?.isFile()) {
            const { size } = found;
            await this.#files.use(path, (file) => this.#send(source, file, to, name, target));
            tally.copied({ from: path, to: target, size });
          } else {
            tally.skipped++;
          }
        });
        if (tally.fatal) return;
      }
    });
  }
}

/** The directory a path is in, and its name there. */
function split(path: string): [directory: string, base: string] {
  const base = baseName(path);
  const directory = path.slice(0, path.replace(/\/+$/, '').length - base.length);
  return [directory === '' ? '.' : directory, base];
}

/** What is wrong with the part is said of the file: the part's name means nothing to people. */
function named(error: unknown, part: string, base: string): unknown {
  if (!(error instanceof SshError) || error.code !== 'scp') return error;
  return new SshError('scp', error.message.replaceAll(part, base), { by: 'peer', cause: error, detail: error.detail });
}
