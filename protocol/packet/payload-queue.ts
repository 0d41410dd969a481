/**
 * Payloads that wait for the gate: replies and commands in the order in which they leave. It knows its weight, because
 * a peer that asks and never reads would make it grow for ever.
 */

/** What a waiting payload costs beside its bytes. */
const OVERHEAD = 64;

export class PayloadQueue {
  readonly #payloads: Uint8Array[] = [];
  #at = 0;
  #weight = 0;

  get isEmpty(): boolean {
    return this.#at === this.#payloads.length;
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
    return this.#payloads[this.#at];
  }

  shift(): Uint8Array | undefined {
    const payload = this.#payloads[this.#at];
    if (payload === undefined) return undefined;
    this.#at++;
    this.#weight -= payload.length + OVERHEAD;
    if (this.isEmpty) this.clear();
    else if (this.#at > 1024) {
      this.#payloads.splice(0, this.#at);
      this.#at = 0;
    }
    return payload;
  }

  clear(): void {
    this.#payloads.length = 0;
    this.#at = 0;
    this.#weight = 0;
  }
}
