/**
 * Whether to write a block of a file oneself or through the thread pool. To the page cache it takes as long as deciphering
 * the block did, and the trip through the pool half of that again: hand-over, waking, and bytes in another core's cache.
 * A disk that makes us wait is left to the pool, and tried again when waiting for it was a small part of the time.
 */

/** Longer than a block takes that only goes to the page cache (milliseconds). */
const SLOW_MS = 5;
/** Waiting is at most this part of the time. */
const PART = 1 / 50;

export class Patience {
  #tiredUntil = 0;

  /** All times in milliseconds of `performance.now`. */
  canWait(now: number): boolean {
    return now >= this.#tiredUntil;
  }

  waited(since: number, now: number): void {
    const time = now - since;
    if (time > SLOW_MS) this.#tiredUntil = now + time / PART;
  }
}
