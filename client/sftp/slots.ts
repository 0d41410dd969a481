/**
 * At most so many files at a time, and of their content at most so much: many small ones keep the server busy, many large
 * ones only fill memory. The one that adds work waits while all slots are taken.
 */

import { DISTANCE_MS } from './transfer.ts';

/** Content on its way for each slot. */
const BYTES_PER_SLOT = 128 * 1024;
/** A server nearby has enough to do with these: more only cost memory, and the collector the time to keep them. */
const NEARBY = 64;

export class TransferSlots {
  readonly #bytes: number;
  #count: number;
  #isMeasured = false;
  #running = 0;
  #taken = 0;
  #waiting: (() => void)[] = [];
  #forRoom: (() => void)[] = [];

  constructor(count: number) {
    this.#count = Math.max(1, count);
    this.#bytes = this.#count * BYTES_PER_SLOT;
  }

  /** How long a request took (milliseconds). The first counts: later ones wait behind the content of files. */
  measured(roundTrip: number): void {
    if (!this.#isMeasured && roundTrip < DISTANCE_MS) this.#count = Math.min(this.#count, NEARBY);
    this.#isMeasured = true;
  }

  /** Starts `work`, which never rejects, as soon as a slot is free; settles when it has started. */
  async run(work: () => Promise<void>): Promise<void> {
    while (this.#running >= this.#count) await this.#change();
    this.#running++;
    void work().finally(() => {
      this.#running--;
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** For work in a slot, once its size is known: moves the content when there is room for it. */
  async move<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    // Two of the largest fit, so that a crowd of small ones does not keep one waiting to the end.
    const room = Math.min(bytes, this.#bytes / 2);
    while (this.#taken + room > this.#bytes) await new Promise<void>((resolve) => void this.#forRoom.push(resolve));
    this.#taken += room;
    try {
      return await work();
    } finally {
      this.#taken -= room;
      if (this.#forRoom.length > 0) for (const wake of this.#forRoom.splice(0)) wake();
    }
  }

  /** All that was started is over. */
  async idle(): Promise<void> {
    while (this.#running > 0) await this.#change();
  }

  /** Settles when some work is over. */
  #change(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
