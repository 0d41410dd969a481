/**
 * How many bytes of requests to keep in flight: about twice what the path holds (bandwidth times the shortest round
 * trip), found by growing while that grows the rate. Too few starves a long path; too many only fill queues and caches.
 */

/** Below this no path is worth measuring. */
const LEAST_REQUESTS = 4;
/** For reading: enough that asking for several at a time leaves the server something to do. */
export const FETCH_REQUESTS = 16;
/** For a stream: what was asked for is kept when its reader rests. */
export const STREAM_REQUESTS = 12;
/** Requests for reading that leave together: a write of ours and a waking of the server for each is felt. */
const TOGETHER = 4;
/**
 * For writing: no more than keeps a server nearby busy. With half of it 1 GiB takes a quarter longer, since somebody always
 * waits for somebody; with more it is no faster.
 */
export const STORE_BYTES = 10 * 255 * 1024;
/** Answers that come sooner are of a server nearby, which has enough to do with this much whatever it can hold. */
const NEAR_MS = 4;
const ENOUGH_BYTES = 1024 * 1024;
const START_BYTES = 1024 * 1024;
const MOST_BYTES = 32 * 1024 * 1024;
/** One server may be asked this often at once (sftp(1): 64; shorter requests need more for the same bytes). */
const MOST_REQUESTS = 1024;
const SHORTEST_EPOCH_MS = 10;

export class TransferWindow {
  readonly #request: number;
  readonly #least: number;
  readonly #most: number;
  #limit: number;
  #inFlight = 0;
  #shortest = Number.POSITIVE_INFINITY;
  #epochStart = 0;
  #epochBytes = 0;

  /** `request`: bytes one request asks for. The window is of `least` to `most` bytes. */
  constructor(request: number, least: number = LEAST_REQUESTS * request, most: number = MOST_BYTES) {
    this.#request = request;
    this.#most = Math.max(Math.min(most, MOST_REQUESTS * request), request);
    this.#least = Math.min(least, this.#most);
    this.#limit = Math.min(Math.max(START_BYTES, this.#least), this.#most);
  }

  get open(): boolean {
    return this.#inFlight < this.#limit;
  }

  /** `TOGETHER` requests fit. */
  get roomy(): boolean {
    return this.#inFlight === 0 || this.#inFlight + TOGETHER * this.#request <= this.#limit;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get limit(): number {
    return this.#limit;
  }

  /** The shortest round trip seen, in milliseconds. */
  get shortest(): number {
    return this.#shortest;
  }

  sent(bytes: number, now: number): void {
    if (this.#inFlight === 0) {
      this.#epochStart = now;
      this.#epochBytes = 0;
    }
    this.#inFlight += bytes;
  }

  answered(bytes: number, sentAt: number, now: number): void {
    this.#inFlight -= bytes;
    const trip = now - sentAt;
    this.#shortest = Math.min(this.#shortest, trip);
    this.#epochBytes += bytes;
    const elapsed = now - this.#epochStart;
    if (elapsed < Math.max(SHORTEST_EPOCH_MS, trip)) return;
    const held = (this.#epochBytes / elapsed) * this.#shortest;
    const isEnough = this.#shortest < NEAR_MS && this.#least >= ENOUGH_BYTES;
    const wanted = isEnough ? this.#least : Math.max(2 * held + LEAST_REQUESTS * this.#request, this.#least);
    // Down slowly: one slow epoch is mostly the other side's disk.
    const next = wanted > this.#limit ? Math.min(wanted, this.#limit * 2) : Math.max(wanted, this.#limit * 0.9);
    this.#limit = Math.min(next, this.#most);
    this.#epochStart = now;
    this.#epochBytes = 0;
  }
}
