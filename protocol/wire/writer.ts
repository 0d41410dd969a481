/** Growable writer of SSH wire data (RFC 4251 section 5). */

import { encodeUtf8 } from './text.ts';

export class Writer {
  #bytes: Uint8Array;
  /** Where what was not taken by `split` begins. */
  #start = 0;
  #length = 0;

  constructor(capacity = 128) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length - this.#start;
  }

  /** Makes room for `length` more bytes and returns where they start. */
  #grow(length: number): number {
    if (this.#length + length > this.#bytes.length) this.#renew(length);
    const at = this.#length;
    this.#length = at + length;
    return at;
  }

  #renew(more: number): void {
    const old = this.#bytes.subarray(this.#start, this.#length);
    // Memory that was split off is used up, not too small.
    const capacity = this.#start > 0 ? this.#bytes.length : this.#bytes.length * 2;
    this.#bytes = new Uint8Array(Math.max(old.length + more, capacity));
    this.#bytes.set(old);
    this.#start = 0;
    this.#length = old.length;
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
    return this.ascii(text) ? this : this.string(encodeUtf8(text));
  }

  /** Text below U+0080, which most is: written without anything in between. Nothing is, and false given, for other text. */
  ascii(text: string): boolean {
    const { length } = text;
    const start = this.#grow(4 + length);
    const bytes = this.#bytes;
    putU32(bytes, start, length);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.#length = start;
        return false;
      }
      bytes[start + 4 + i] = code;
    }
    return true;
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

  /** Puts a number in what was written already. */
  setU32(at: number, value: number): void {
    putU32(this.#bytes, this.#start + at, value);
  }

  /** Takes back all that was written from `length` on. */
  cut(length: number): void {
    this.#length = this.#start + length;
  }

  /** What was written, as a view; the writer must not be used any more. */
  finish(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#length);
  }

  /** What was written, as a view; the writer begins anew, in memory of its own. */
  split(): Uint8Array {
    const bytes = this.finish();
    this.#start = this.#length;
    return bytes;
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
