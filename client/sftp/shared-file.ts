/**
 * A local file that is sent, to one server or to many at once: each block is read once for all who want it about the
 * same time. Who falls far behind reads again, so that memory stays bounded by `keep` and by what is in flight.
 */

import { constants, type Stats } from 'node:fs';
import { SshError } from '../../protocol/index.ts';
import { BLOCK_BYTES, giveBlock, takeBlock } from './blocks.ts';
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
  loaded: Promise<Uint8Array>;
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

  private constructor(path: string, file: LocalFile, stat: Stats, keep: number) {
    this.path = path;
    this.#file = file;
    this.size = stat.size;
    this.mode = stat.mode & 0o7777;
    this.atime = Math.floor(stat.atimeMs / 1000);
    this.mtime = Math.floor(stat.mtimeMs / 1000);
    this.#keep = keep;
  }

  static async open(path: string, options: SharedFileOptions = {}): Promise<SharedFile> {
    // A FIFO without a writer would hang the open.
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
    const file = new LocalFile(path, flags);
    try {
      const stat = file.stat();
      if (!stat.isFile()) throw new SshError('file', `${path} is no regular file`, { detail: { path } });
      return new SharedFile(path, file, stat, options.keep ?? 0);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Opens it for `work` alone. */
  static async use<T>(path: string, work: (file: SharedFile) => Promise<T>): Promise<T> {
    const file = await SharedFile.open(path);
    try {
      return await work(file);
    } finally {
      await file.close();
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

  async block(index: number): Promise<SharedBlock> {
    const entry = this.#blocks.get(index) ?? this.#load(index);
    // Behind the others: used last.
    this.#blocks.delete(index);
    this.#blocks.set(index, entry);
    entry.users++;
    try {
      const bytes = await entry.loaded;
      return { index, bytes, release: () => this.#release(entry) };
    } catch (error) {
      if (this.#blocks.get(index) === entry) this.#blocks.delete(index);
      throw error;
    }
  }

  /** Only when no receiver is at work any more. */
  async close(): Promise<void> {
    for (const entry of this.#blocks.values()) if (entry.users === 0) giveBlock(entry.memory);
    this.#blocks.clear();
    await this.#file.close();
  }

  #load(index: number): Entry {
    const at = index * BLOCK_BYTES;
    const length = this.blockLength(index);
    const memory = takeBlock(length);
    this.#reads++;
    const loaded = new Promise<Uint8Array>((resolve, reject) => {
      readAll(this.#file.fd, memory.subarray(0, length), at, (error, got) => {
        if (error) reject(fileError(error, this.path));
        else if (got < length) reject(fileError(new Error('the file became shorter while it was sent'), this.path));
        else resolve(memory.subarray(0, length));
      });
    });
    return { index, memory, users: 0, loaded };
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
