/** A limit in bytes a second, for one transfer or shared by many: who finds it used up comes back when it is told to. */

/** The longest a request may fill the limit by itself. */
const REQUESTS_A_SECOND = 8;
const LEAST_REQUEST = 4096;

export class RateLimit {
  readonly #perMs: number;
  #freeAt = 0;

  constructor(bytesPerSecond: number) {
    this.#perMs = bytesPerSecond / 1000;
  }

  /** No request is to be larger, lest a slow limit turns into rare bursts. */
  get request(): number {
    return Math.max(LEAST_REQUEST, Math.floor((this.#perMs * 1000) / REQUESTS_A_SECOND));
  }

  /** Milliseconds until more may be asked for; 0 is now. */
  wait(now: number): number {
    return Math.max(0, this.#freeAt - now);
  }

  took(bytes: number, now: number): void {
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / this.#perMs;
  }
}

/** One transfer's turn at a limit: `open`, or `again` is called when it may be. */
export class RateTurn {
  readonly #limit: RateLimit | undefined;
  readonly #again: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(limit: RateLimit | undefined, again: () => void) {
    this.#limit = limit;
    this.#again = again;
  }

  get open(): boolean {
    if (this.#limit === undefined) return true;
    const wait = this.#limit.wait(performance.now());
    if (wait <= 0) return true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#again();
    }, wait);
    return false;
  }

  took(bytes: number): void {
    this.#limit?.took(bytes, performance.now());
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
