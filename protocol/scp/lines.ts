/** Takes lines, answers and runs of data off an input that comes in pieces; a line is bounded. */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { NEWLINE, problemText } from './records.ts';

/** How the other side took something. */
export type ScpAnswer = { readonly ok: true } | { readonly ok: false; readonly text: string; readonly fatal: boolean };

export class LineInput {
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** The beginning of a line that ends in a later piece. */
  #line: Uint8Array = new Uint8Array(0);
  /** An answer's first byte, while the line that explains it is to come. */
  #word: number | undefined;

  /** Only when the last piece is used up. */
  receive(bytes: Uint8Array): void {
    this.#input = bytes;
    this.#at = 0;
  }

  get isEmpty(): boolean {
    return this.#at === this.#input.length && this.#line.length === 0 && this.#word === undefined;
  }

  answer(): ScpAnswer | undefined {
    this.#word ??= this.data(1)?.[0];
    const word = this.#word;
    if (word === undefined) return undefined;
    if (word > 2) throw malformed(`no answer of SCP: byte ${word}`);
    const line = word === 0 ? new Uint8Array(0) : this.line();
    if (line === undefined) return undefined;
    this.#word = undefined;
    return word === 0 ? { ok: true } : { ok: false, text: problemText(line), fatal: word === 2 };
  }

  /** A line without its newline, once all of it is there. */
  line(): Uint8Array | undefined {
    const end = this.#input.indexOf(NEWLINE, this.#at);
    const piece = this.#input.subarray(this.#at, end < 0 ? undefined : end);
    if (this.#line.length + piece.length > limits.scpLine) throw malformed('a line of SCP without an end');
    const line = this.#line.length === 0 ? piece : joined(this.#line, piece);
    this.#at = end < 0 ? this.#input.length : end + 1;
    this.#line = end < 0 ? line : new Uint8Array(0);
    return end < 0 ? undefined : line;
  }

  /** Up to `length` bytes as they lie; nothing when more has to come first. */
  data(length: number): Uint8Array | undefined {
    const bytes = this.#input.subarray(this.#at, Math.min(this.#at + length, this.#input.length));
    this.#at += bytes.length;
    return bytes.length > 0 ? bytes : undefined;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
