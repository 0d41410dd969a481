/**
 * At most so many files at a time, and of their content at most so much: many small ones keep the server busy, many large
 * ones only fill memory. The one that adds work waits while all slots are taken.
 */

/** Content on its way for each slot, and in all. */
const BYTES_PER_SLOT = 128 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;

export class TransferSlots {
  readonly #bytes: number;
  readonly #count: number;
  #running = 0;
  #taken = 0;
  #waiting: (() => void)[] = [];
  #forRoom: (() => void)[] = [];

  constructor(count: number) {
    this.#count = Math.max(1, count);
    this.#bytes = Math.min(this.#count * BYTES_PER_SLOT, MOST_BYTES);
  }

  /** Takes a slot, at once or as soon as one is free: then there is something to wait for. */
  take(): Promise<void> | undefined {
    if (this.#running >= this.#count) return this.#takeLater();
    this.#running++;
    return undefined;
  }

  /** Gives a slot back. */
  give(): void {
    this.#running--;
    if (this.#waiting.length > 0) for (const wake of this.#waiting.splice(0)) wake();
  }

  /** For a file in a slot, once its size is known: makes room for its content, at once or later. */
  takeRoom(bytes: number): Promise<void> | undefined {
    const room = this.#room(bytes);
    if (this.#taken + room > this.#bytes) return this.#takeRoomLater(room);
    this.#taken += room;
    return undefined;
  }

  giveRoom(bytes: number): void {
    this.#taken -= this.#room(bytes);
    if (this.#forRoom.length > 0) for (const wake of this.#forRoom.splice(0)) wake();
  }

  /** All that was started is over. */
  async idle(): Promise<void> {
    while (this.#running > 0) await this.#change();
  }

  /** Two of the largest fit, so that a crowd of small ones does not keep one waiting to the end. */
  #room(bytes: number): number {
    return Math.min(bytes, this.#bytes / 2);
  }

  async #takeLater(): Promise<void> {
    while (this.#running >= this.#count) await this.#change();
    this.#running++;
  }

  async #takeRoomLater(room: number): Promise<void> {
    while (this.#taken + room > this.#bytes) await new Promise<void>((resolve) => void this.#forRoom.push(resolve));
    this.#taken += room;
  }

  /** Settles when some work is over. */
  #change(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
