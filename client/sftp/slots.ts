/** At most so many files at a time; the one that adds work waits while all slots are taken. */

export class TransferSlots {
  #running = 0;
  #waiting: (() => void)[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = Math.max(1, count);
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

  /** All that was started is over. */
  async idle(): Promise<void> {
    while (this.#running > 0) await this.#change();
  }

  /** Settles when some work is over. */
  #change(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
