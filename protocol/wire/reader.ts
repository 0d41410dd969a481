/**
 * Bounds-checked cursor over SSH wire data (RFC 4251 section 5).
 *
 * Byte strings come out as views, not copies. Whatever does not fit throws `SshError('malformed')`, never a RangeError:
 * a peer's mistake must not look like a defect of ours.
 */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { decodeUtf8 } from './text.ts';

export class Reader {
  readonly bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.#at = at;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.bytes.length - this.#at;
  }

  /** Moves past `length` bytes and returns where they start. */
  #take(length: number, what: string): number {
    const at = this.#at;
    if (length > this.bytes.length - at) throw malformed(`${what}: ${length} bytes wanted, ${this.remaining} left`);
    this.#at = at + length;
    return at;
  }

  u8(): number {
    return this.bytes[this.#take(1, 'byte')]!;
  }

  /** RFC 4251: any non-zero value is true. */
  bool(): boolean {
    return this.u8() !== 0;
  }

  u32(): number {
    const at = this.#take(4, 'uint32');
    const b = this.bytes;
    return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
  }

  u64(): bigint {
    const high = this.u32();
    return (BigInt(high) << 32n) | BigInt(this.u32());
  }

  /** Exactly `length` bytes, as a view. */
  raw(length: number): Uint8Array {
    const at = this.#take(length, 'bytes');
    return this.bytes.subarray(at, at + length);
  }

  /** A length-prefixed string, as a view. */
  string(max?: number): Uint8Array {
    const length = this.u32();
    if (max !== undefined && length > max) throw malformed(`string of ${length} bytes, at most ${max} allowed`);
    return this.raw(length);
  }

  /** A length-prefixed string read as UTF-8; broken sequences become U+FFFD. */
  text(max?: number): string {
    return decodeUtf8(this.string(max));
  }

  nameList(): string[] {
    const bytes = this.string(limits.nameListBytes);
    if (bytes.length === 0) return [];
    const list = decodeUtf8(bytes);
    // What is no UTF-8 has become U+FFFD.
    if (/[^!-~]/.test(list)) throw malformed('name-list with a byte that is no printable US-ASCII');
    const names = list.split(',');
    if (names.length > limits.nameListEntries) throw malformed(`name-list of ${names.length} names`);
    return names;
  }

  /** An mpint as unsigned big-endian bytes without leading zeros; negative numbers are refused (no field has one). */
  mpint(): Uint8Array {
    const bytes = this.string(limits.mpintBytes);
    if (bytes.length === 0) return bytes;
    if (bytes[0]! & 0x80) throw malformed('negative mpint');
    let start = 0;
    while (start < bytes.length && bytes[start] === 0) start++;
    // RFC 4251 section 5: unnecessary leading bytes MUST NOT be included.
    if (start > 1 || (start === 1 && (bytes[1] ?? 0) < 0x80)) throw malformed('mpint with needless leading zeros');
    return bytes.subarray(start);
  }

  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  end(what: string): void {
    if (this.remaining !== 0) throw malformed(`${what}: ${this.remaining} bytes too many`);
  }
}
