/** At most so many files at a time; the one that adds work waits while all slots are taken. */

export class TransferSlots {
  readonly #running = new Set<Promise<void>>();
  readonly #count: number;

  constructor(count: number) {
    this.#count = Math.max(1, count);
  }

  /** Starts `work`, which never rejects, as soon as a slot is free; settles when it has started. */
  async run(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#count) await Promise.race(this.#running);
    const running = work().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** All that was started is over. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
