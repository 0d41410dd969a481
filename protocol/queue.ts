/**
 * First in, first out. What was taken is not held any longer, also when the queue never runs empty: a reader that is
 * always a little behind would otherwise keep everything it has ever read.
 */

/** Places of what was taken are given back when there are this many. */
const TAKEN = 64;

export class Queue<T> {
  #items: (T | undefined)[] = [];
  #at = 0;

  get length(): number {
    return this.#items.length - this.#at;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The item `index` places behind the oldest; undefined past the end. */
  peek(index = 0): T | undefined {
    return this.#items[this.#at + index];
  }

  /** Puts `item` in the place of the newest. */
  replaceLast(item: T): void {
    this.#items[this.#items.length - 1] = item;
  }

  shift(): T | undefined {
    const left = this.#items.length - this.#at;
    if (left === 0) return undefined;
    // Mostly there is one: to set an array's length costs ten times as much.
    if (left === 1 && this.#at === 0) return this.#items.pop();
    const item = this.#items[this.#at];
    this.#items[this.#at++] = undefined;
    if (this.#at === this.#items.length) this.clear();
    else if (this.#at === TAKEN) {
      this.#items.splice(0, TAKEN);
      this.#at = 0;
    }
    return item;
  }

  clear(): void {
    if (this.#items.length > 0) this.#items.length = 0;
    this.#at = 0;
  }
}
