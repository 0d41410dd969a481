import type { Mux } from '../../protocol/connection/mux.ts';
import type { PayloadSink } from '../../protocol/packet/payload-sink.ts';

/** A sink that keeps the payloads as they are, up to `most`; not one of them may end before it is whole. */
export class Payloads implements PayloadSink {
  readonly sent: Uint8Array[] = [];
  readonly #most: number;
  #payload = new Uint8Array(0);
  #at = 0;

  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  get full(): boolean {
    return this.sent.length >= this.#most;
  }

  begin(length: number): void {
    this.#payload = new Uint8Array(length);
    this.#at = 0;
  }

  put(bytes: Uint8Array): void {
    this.#payload.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  end(): void {
    if (this.#at !== this.#payload.length) throw new Error(`${this.#at} of ${this.#payload.length} bytes`);
    this.sent.push(this.#payload);
  }
}

/** All that a mux sends now, as payloads. */
export function drain(mux: Mux): Uint8Array[] {
  const payloads = new Payloads();
  mux.fill(payloads);
  return payloads.sent;
}
