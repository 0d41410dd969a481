/**
 * Cuts SFTP's byte stream into packets (draft-ietf-secsh-filexfer-02 section 3): `uint32 length | byte type | body`.
 *
 * A packet whole inside one piece of input is handed out where it lies; one that straddles pieces is gathered once,
 * either in memory of its own or, for file data whose reader brought a buffer, straight in that buffer.
 */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { getU32 } from '../wire/writer.ts';

/** Length, type, request id and the length of the first string: what decides where file data goes. */
const HEAD = 13;

export interface FramerSink {
  /** Type and body; views of the input or of memory nobody else holds. */
  packet(payload: Uint8Array): void;
  /**
   * Asked with the first nine bytes of a straddling packet; answers with memory of exactly `length - 9` bytes that is
   * to take the rest, or nothing.
   */
  place?(head: Uint8Array, length: number): Uint8Array | undefined;
  /** What `place` gave is full. */
  placed?(head: Uint8Array, data: Uint8Array): void;
}

export class Framer {
  readonly #sink: FramerSink;
  readonly #head = new Uint8Array(HEAD);
  #headLength = 0;
  #body: Uint8Array | undefined;
  #filled = 0;
  #isPlaced = false;

  constructor(sink: FramerSink) {
    this.#sink = sink;
  }

  /** Whether the stream stands between two packets. */
  get idle(): boolean {
    return this.#headLength === 0;
  }

  /** Whether all of it was copied, so that nothing refers to `bytes`. */
  receive(bytes: Uint8Array): boolean {
    let at = 0;
    let isCopied = true;
    while (at < bytes.length) {
      if (this.#body) {
        at += this.#fill(bytes.subarray(at));
      } else if (this.#headLength === 0 && bytes.length - at >= 4) {
        const end = at + 4 + checkLength(getU32(bytes, at));
        if (end <= bytes.length) {
          isCopied = false;
          this.#sink.packet(bytes.subarray(at + 4, end));
        } else this.#straddle(bytes.subarray(at));
        at = Math.min(end, bytes.length);
      } else {
        at += this.#gatherHead(bytes.subarray(at));
      }
    }
    return isCopied;
  }

  /** The rest of the input is the beginning of a packet that ends in a later piece. */
  #straddle(bytes: Uint8Array): void {
    let at = this.#gatherHead(bytes);
    while (at < bytes.length) at += this.#body ? this.#fill(bytes.subarray(at)) : this.#gatherHead(bytes.subarray(at));
  }

  /** Takes bytes until the head says enough; returns how many. */
  #gatherHead(bytes: Uint8Array): number {
    const known = this.#headLength >= 4;
    const want = known ? Math.min(HEAD, 4 + getU32(this.#head, 0)) : 4;
    const taken = Math.min(want - this.#headLength, bytes.length);
    this.#head.set(bytes.subarray(0, taken), this.#headLength);
    this.#headLength += taken;
    if (this.#headLength < want) return taken;
    const length = checkLength(getU32(this.#head, 0));
    if (known) this.#begin(length);
    return taken;
  }

  #begin(length: number): void {
    const head = this.#head.subarray(4, this.#headLength);
    if (length > HEAD - 4) {
      const place = this.#sink.place?.(head, length);
      if (place) {
        this.#isPlaced = true;
        this.#body = place;
        this.#filled = 0;
        return;
      }
    }
    this.#body = new Uint8Array(length);
    this.#body.set(head);
    this.#filled = head.length;
    if (this.#filled === length) this.#finish();
  }

  #fill(bytes: Uint8Array): number {
    const body = this.#body!;
    const taken = Math.min(body.length - this.#filled, bytes.length);
    body.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    if (this.#filled === body.length) this.#finish();
    return taken;
  }

  #finish(): void {
    const body = this.#body!;
    const placed = this.#isPlaced;
    this.#body = undefined;
    this.#isPlaced = false;
    this.#headLength = 0;
    if (placed) this.#sink.placed!(this.#head.subarray(4), body);
    else this.#sink.packet(body);
  }
}

function checkLength(length: number): number {
  // The shortest packet is a version: type and uint32.
  if (length < 5 || length > limits.sftpPacket) throw malformed(`SFTP packet of ${length} bytes`);
  return length;
}
