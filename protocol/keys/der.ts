/**
 * The part of DER (ITU-T X.690) that key files use: definite lengths, low tag numbers, INTEGER, OCTET STRING, BIT
 * STRING, OBJECT IDENTIFIER, SEQUENCE and context tags. Reading only.
 */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';

export const Tag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  /** Constructed context tag [n]. */
  context: (n: number): number => 0xa0 | n,
} as const;

export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** The tag of the next element, or undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The contents of the next element, which must have this tag. */
  element(tag: number): Uint8Array {
    if (this.tag !== tag) throw malformed(`DER tag ${tag} expected, ${this.tag ?? 'nothing'} found`);
    this.#at++;
    const length = this.#length();
    if (length > this.remaining) throw malformed(`DER element of ${length} bytes, ${this.remaining} left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #length(): number {
    const first = this.#bytes[this.#at++];
    if (first === undefined) throw malformed('DER length is missing');
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw malformed('DER length of a form that keys do not use');
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (this.#bytes[this.#at++] ?? 0);
    if (length < 0x80) throw malformed('DER length is not minimal');
    return length;
  }

  sequence(): DerReader {
    return new DerReader(this.element(Tag.sequence));
  }

  /** A non-negative INTEGER as unsigned big-endian bytes without leading zeros. */
  integer(): Uint8Array {
    const bytes = this.element(Tag.integer);
    if (bytes.length === 0 || bytes[0]! & 0x80) throw malformed('DER integer is negative or empty');
    let start = 0;
    while (start < bytes.length && bytes[start] === 0) start++;
    if (bytes.length - start > limits.mpintBytes) throw malformed('DER integer too large');
    return bytes.subarray(start);
  }

  /** An INTEGER that is a count; larger ones than 2^31 are refused. */
  small(): number {
    const bytes = this.integer();
    if (bytes.length > 4) throw malformed('DER integer too large');
    const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    if (value >= 2 ** 31) throw malformed('DER integer too large');
    return value;
  }

  octets(): Uint8Array {
    return this.element(Tag.octetString);
  }

  /** A BIT STRING of whole bytes. */
  bits(): Uint8Array {
    const bytes = this.element(Tag.bitString);
    if (bytes[0] !== 0) throw malformed('DER bit string of broken bytes');
    return bytes.subarray(1);
  }

  /** Dotted decimal. */
  oid(): string {
    const bytes = this.element(Tag.oid);
    const arcs: number[] = [];
    let value = 0;
    for (const [i, byte] of bytes.entries()) {
      value = value * 128 + (byte & 0x7f);
      if (value > 2 ** 40) throw malformed('DER object identifier too large');
      if (byte & 0x80) {
        if (i === bytes.length - 1) throw malformed('DER object identifier is cut off');
        continue;
      }
      if (arcs.length === 0) {
        const top = Math.min(Math.floor(value / 40), 2);
        arcs.push(top, value - 40 * top);
      } else arcs.push(value);
      value = 0;
    }
    return arcs.join('.');
  }

  end(what: string): void {
    if (this.remaining !== 0) throw malformed(`${what}: ${this.remaining} bytes too many`);
  }
}
