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

interface Entry {
  readonly path: string;
  readonly file: Promise<SharedFile>;
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

  /** Runs `work` with the file of `path`, and keeps it open that long. */
  async use<T>(path: string, work: (file: SharedFile) => Promise<T>): Promise<T> {
    const entry = this.#entries.get(path) ?? this.#open(path);
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    if (entry.users++ === 0) this.#idle--;
    try {
      return await work(await entry.file);
    } catch (error) {
      // What could not be read is not kept: the next one tries anew.
      if (this.#entries.get(path) === entry && entry.users === 1) this.#entries.delete(path);
      throw error;
    } finally {
      if (--entry.users === 0) await this.#tidy(entry);
    }
  }

  /** When nothing is sent any more. */
  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map(closeEntry));
  }

  #open(path: string): Entry {
    const file = SharedFile.open(path, { keep: this.#keep });
    file.catch(() => {});
    const entry = { path, file, users: 0 };
    this.#entries.set(path, entry);
    this.#idle++;
    return entry;
  }

  /** Nobody uses `entry` any more. */
  async #tidy(entry: Entry): Promise<void> {
    if (this.#entries.get(entry.path) !== entry) return closeEntry(entry);
    this.#idle++;
    const over: Entry[] = [];
    for (const each of this.#entries.values()) {
      if (this.#idle <= this.#mostIdle) break;
      if (each.users > 0) continue;
      this.#entries.delete(each.path);
      this.#idle--;
      over.push(each);
    }
    await Promise.all(over.map(closeEntry));
  }
}

const closeEntry = async ({ file }: Entry): Promise<void> =>
  file.then(
    (opened) => opened.close(),
    () => {},
  );
