/**
 * A local file that is sent, to one server or to many at once: each block is read once for all who want it about the
 * same time. Who falls far behind reads again, so that memory stays bounded by `keep` and by what is in flight.
 */

import { constants, type Stats } from 'node:fs';
import { SshError } from '../../protocol/index.ts';
import { AT_ONCE_BYTES, BLOCK_BYTES, giveBlock, takeBlock } from './blocks.ts';
import { fileError, LocalFile, readAll } from './local-file.ts';

export interface SharedBlock {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** Once by everyone who took it. */
  release(): void;
}

interface Entry {
  readonly index: number;
  readonly memory: Uint8Array;
  users: number;
  /** Little content is there at once. */
  loaded: Uint8Array | Promise<Uint8Array>;
}

export interface SharedFileOptions {
  /** Blocks (`BLOCK_BYTES`) that stay for the next receiver though nobody uses them now. */
  readonly keep?: number;
}

export class SharedFile {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly atime: number;
  readonly mtime: number;
  readonly #file: LocalFile;
  readonly #keep: number;
  /** By index, the one used longest ago first. */
  readonly #blocks = new Map<number, Entry>();
  #reads = 0;
  #isBroken = false;

  private constructor(path: string, file: LocalFile, stat: Stats, keep: number) {
    this.path = path;
    this.#file = file;
    this.size = stat.size;
    this.mode = stat.mode & 0o7777;
    this.atime = Math.floor(stat.atimeMs / 1000);
    this.mtime = Math.floor(stat.mtimeMs / 1000);
    this.#keep = keep;
  }

  static open(path: string, options: SharedFileOptions = {}): SharedFile {
    // A FIFO without a writer would hang the open.
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
    const file = new LocalFile(path, flags);
    try {
      const stat = file.stat();
      if (!stat.isFile()) throw new SshError('file', `${path} is no regular file`, { detail: { path } });
      return new SharedFile(path, file, stat, options.keep ?? 0);
    } catch (error) {
      file.closeNow();
      throw error;
    }
  }

  get blocks(): number {
    return Math.ceil(this.size / BLOCK_BYTES);
  }

  blockLength(index: number): number {
    return Math.min(BLOCK_BYTES, this.size - index * BLOCK_BYTES);
  }

  /** How often the file was read: one a block when all receivers keep together. */
  get reads(): number {
    return this.#reads;
  }

  /** A part could not be read: for who comes next it had better be opened anew. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** At once when it is little, or there already. */
  block(index: number): SharedBlock | Promise<SharedBlock> {
    const entry = this.#blocks.get(index) ?? this.#load(index);
    // Behind the others: used last.
    this.#blocks.delete(index);
    this.#blocks.set(index, entry);
    entry.users++;
    const give = (bytes: Uint8Array): SharedBlock => ({ index, bytes, release: () => this.#release(entry) });
    return entry.loaded instanceof Uint8Array ? give(entry.loaded) : entry.loaded.then(give);
  }

  /** Only when no receiver is at work any more. */
  close(): void {
    for (const entry of this.#blocks.values()) if (entry.users === 0) giveBlock(entry.memory);
    this.#blocks.clear();
    this.#file.closeNow();
  }

  #load(index: number): Entry {
    const length = this.blockLength(index);
    const memory = takeBlock(length);
    this.#reads++;
    const into = memory.length === length ? memory : memory.subarray(0, length);
    const at = index * BLOCK_BYTES;
    if (length > AT_ONCE_BYTES) return { index, memory, users: 0, loaded: this.#readLater(index, into, at) };
    let problem: SshError | undefined;
    readAll(this.#file.fd, into, at, (error, got) => {
      problem = this.#problem(error, got, length);
    });
    if (problem) throw problem;
    return { index, memory, users: 0, loaded: into };
  }

  #readLater(index: number, into: Uint8Array, at: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      readAll(this.#file.fd, into, at, (error, got) => {
        const problem = this.#problem(error, got, into.length);
        if (!problem) return resolve(into);
        this.#blocks.delete(index);
        reject(problem);
      });
    });
  }

  #problem(error: unknown, got: number, length: number): SshError | undefined {
    if (!error && got === length) return undefined;
    this.#isBroken = true;
    return fileError(error ?? new Error('the file became shorter while it was sent'), this.path);
  }

  #release(entry: Entry): void {
    entry.users--;
    let idle = 0;
    for (const each of this.#blocks.values()) if (each.users === 0) idle++;
    for (const each of this.#blocks.values()) {
      if (idle <= this.#keep) return;
      if (each.users > 0) continue;
      this.#blocks.delete(each.index);
      giveBlock(each.memory);
      idle--;
    }
  }
}
