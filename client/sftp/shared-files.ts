/**
 * Local files open for many receivers, by path: each is opened once for all who send it about the same time, and small
 * ones stay for those who come later, so that a file is read once however many hosts it goes to. Memory and
 * descriptors are bounded.
 */

import { BLOCK_BYTES } from './blocks.ts';
import { SharedFile } from './shared-file.ts';

/** Files that stay open though nobody sends them now, and blocks of one that stay in memory. */
const MOST_IDLE = 64;
const KEPT_BYTES = 24 * 1024 * 1024;
const MOST_KEPT = Math.floor(KEPT_BYTES / BLOCK_BYTES);

export interface TakenFile {
  readonly file: SharedFile;
}

interface Entry extends TakenFile {
  users: number;
}

export class SharedFiles {
  /** By path, the one used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  readonly #keep: number;
  readonly #mostIdle: number;
  #idle = 0;

  /** `files` is how many are expected to be sent: the fewer, the more of each stays in memory for other receivers. */
  constructor(files = MOST_IDLE, receivers = Number.POSITIVE_INFINITY) {
    const share = Math.floor(MOST_KEPT / Math.max(1, Math.min(files, MOST_IDLE)));
    this.#keep = receivers > 1 ? Math.max(1, share) : 0;
    this.#mostIdle = receivers > 1 ? MOST_IDLE : 0;
  }

  /** The file of `path`, kept open until it is given back; throws when it cannot be opened. */
  take(path: string): TakenFile {
    const entry = this.#entries.get(path) ?? this.#open(path);
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    if (entry.users++ === 0) this.#idle--;
    return entry;
  }

  /** Once for each `take`. */
  give(taken: TakenFile): void {
    const entry = taken as Entry;
    const { path, isBroken } = entry.file;
    entry.users--;
    const isKept = this.#entries.get(path) === entry;
    // What could not be read is not kept: the next one tries anew.
    if (isKept && isBroken) this.#entries.delete(path);
    if (entry.users > 0) return;
    if (!isKept || isBroken) return entry.file.close();
    this.#idle++;
    this.#tidy();
  }

  /** Runs `work` with the file of `path`, and keeps it open that long. */
  async use<T>(path: string, work: (file: SharedFile) => Promise<T>): Promise<T> {
    const taken = this.take(path);
    try {
      return await work(taken.file);
    } finally {
      this.give(taken);
    }
  }

  /** When nothing is sent any more. */
  close(): void {
    for (const { file } of this.#entries.values()) file.close();
    this.#entries.clear();
  }

  #open(path: string): Entry {
    const entry = { file: SharedFile.open(path, { keep: this.#keep }), users: 0 };
    this.#idle++;
    return entry;
  }

  #tidy(): void {
    for (const each of this.#entries.values()) {
      if (this.#idle <= this.#mostIdle) return;
      if (each.users > 0) continue;
      this.#entries.delete(each.file.path);
      this.#idle--;
      each.file.close();
    }
  }
}
