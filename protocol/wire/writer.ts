/** Growable writer of SSH wire data (RFC 4251 section 5). */

import { encodeUtf8 } from './text.ts';

export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 128) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Makes room for `length` more bytes and returns where they start. */
  #grow(length: number): number {
    const at = this.#length;
    const need = at + length;
    if (need > this.#bytes.length) {
      const bigger = new Uint8Array(Math.max(need, this.#bytes.length * 2));
      bigger.set(this.#bytes.subarray(0, at));
      this.#bytes = bigger;
    }
    this.#length = need;
    return at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  u32(value: number): this {
    const at = this.#grow(4);
    putU32(this.#bytes, at, value);
    return this;
  }

  u64(value: bigint): this {
    this.u32(Number((value >> 32n) & 0xffff_ffffn));
    return this.u32(Number(value & 0xffff_ffffn));
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  string(bytes: Uint8Array): this {
    this.u32(bytes.length);
    return this.raw(bytes);
  }

  text(text: string): this {
    return this.string(encodeUtf8(text));
  }

  nameList(names: readonly string[]): this {
    return this.text(names.join(','));
  }

  /** Unsigned big-endian bytes as an mpint: leading zeros dropped, a zero byte added before a set top bit. */
  mpint(bytes: Uint8Array): this {
    let start = 0;
    while (start < bytes.length && bytes[start] === 0) start++;
    const body = bytes.subarray(start);
    const sign = body.length > 0 && body[0]! & 0x80 ? 1 : 0;
    this.u32(body.length + sign);
    if (sign) this.u8(0);
    return this.raw(body);
  }

  /** What was written, as a view; the writer must not be used any more. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function getU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
