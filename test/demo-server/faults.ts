/** A byte stream that misbehaves towards the other side: late, in crumbs, wrong, cut short, or not at all. */

import type { ByteStream, ByteStreamHandlers } from '../../transport/index.ts';
import type { Faults } from './options.ts';

/** Bytes held back before `write` says no. */
const HELD_MARK = 256 * 1024;

export class FaultyStream implements ByteStream {
  readonly #under: ByteStream;
  readonly #faults: Faults;
  #handlers: ByteStreamHandlers | undefined;
  #queue: Uint8Array[] = [];
  #held = 0;
  #blocked = false;
  #pumping = false;
  #ending = false;
  #passed = 0;
  /** From now on nothing goes through, either way. */
  deaf = false;

  constructor(under: ByteStream, faults: Faults) {
    this.#under = under;
    this.#faults = faults;
  }

  start(handlers: ByteStreamHandlers): void {
    this.#handlers = handlers;
    this.#under.start({
      data: (chunk) => {
        if (!this.deaf) handlers.data(chunk);
      },
      drain: () => handlers.drain(),
      end: () => handlers.end(),
      error: (error) => handlers.error(error),
    });
  }

  write(chunk: Uint8Array): boolean {
    if (this.deaf) return true;
    const { delayMs, splitBytes, trickle } = this.#faults;
    if (delayMs === undefined && splitBytes === undefined && trickle === undefined) return this.#pass(chunk);
    if (delayMs !== undefined) setTimeout(() => this.#hold(chunk), delayMs);
    else this.#hold(chunk);
    this.#blocked = this.#held >= HELD_MARK;
    return !this.#blocked;
  }

  #hold(chunk: Uint8Array): void {
    this.#queue.push(chunk);
    this.#held += chunk.length;
    this.#pump();
  }

  /** Lets the next piece go; the next one after it in its own turn, so that pieces arrive as pieces. */
  #pump(): void {
    if (this.#pumping) return;
    const chunk = this.#queue[0];
    if (chunk === undefined) {
      if (this.#ending) this.#under.end();
      return;
    }
    this.#pumping = true;
    const { splitBytes, trickle } = this.#faults;
    const size = trickle?.bytes ?? splitBytes ?? chunk.length;
    this.#pass(chunk.subarray(0, size));
    this.#held -= Math.min(size, chunk.length);
    if (chunk.length <= size) this.#queue.shift();
    else this.#queue[0] = chunk.subarray(size);
    if (this.#blocked && this.#held < HELD_MARK / 2) {
      this.#blocked = false;
      this.#handlers?.drain();
    }
    const next = (): void => {
      this.#pumping = false;
      this.#pump();
    };
    if (trickle !== undefined) setTimeout(next, trickle.everyMs);
    else setImmediate(next);
  }

  /** What changes, loses or ends the bytes themselves. */
  #pass(bytes: Uint8Array): boolean {
    if (this.deaf) return true;
    const { closeAt, dropAfter, flipBitAt } = this.#faults;
    const from = this.#passed;
    const end = from + bytes.length;
    this.#passed = end;
    let out = bytes;
    if (flipBitAt !== undefined && flipBitAt >= from && flipBitAt < end) {
      out = out.slice();
      out[flipBitAt - from]! ^= 1;
    }
    if (dropAfter !== undefined && end > dropAfter) out = out.subarray(0, Math.max(0, dropAfter - from));
    const cut = typeof closeAt === 'object' && end >= closeAt.afterBytes ? closeAt.afterBytes - from : undefined;
    if (cut !== undefined) out = out.subarray(0, Math.max(0, cut));
    const willing = out.length === 0 || this.#under.write(out);
    if (cut !== undefined) {
      this.deaf = true;
      this.#under.end();
    }
    return willing;
  }

  pause(): void {
    this.#under.pause();
  }
  resume(): void {
    this.#under.resume();
  }
  end(): void {
    this.#ending = true;
    if (this.#queue.length === 0 && !this.#pumping) this.#under.end();
  }
  destroy(): void {
    this.#queue = [];
    this.#under.destroy();
  }
}
