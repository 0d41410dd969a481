/**
 * Payloads that wait for the gate: replies and commands in the order in which they leave. It knows its weight, because
 * a peer that asks and never reads would make it grow for ever.
 */

import { Queue } from '../queue.ts';

/** What a waiting payload costs beside its bytes. */
const OVERHEAD = 64;

export class PayloadQueue {
  readonly #payloads = new Queue<Uint8Array>();
  #weight = 0;

  get isEmpty(): boolean {
    return this.#payloads.length === 0;
  }

  /** Memory held, about. */
  get weight(): number {
    return this.#weight;
  }

  push(payload: Uint8Array): void {
    this.#payloads.push(payload);
    this.#weight += payload.length + OVERHEAD;
  }

  /** The oldest, which stays. */
  peek(): Uint8Array | undefined {
    return this.#payloads.peek();
  }

  shift(): Uint8Array | undefined {
    const payload = this.#payloads.shift();
    if (payload !== undefined) this.#weight -= payload.length + OVERHEAD;
    return payload;
  }

  clear(): void {
    this.#payloads.clear();
    this.#weight = 0;
  }
}
