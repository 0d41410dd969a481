/**
 * Takes the output of a node's shell apart: lines, and the markers between commands, which are never shown. Pure.
 *
 * A marker may follow text without a newline, and may come in pieces. Memory is bounded: a line that does not end is
 * handed over in parts.
 */

import type { Token } from './shell-text.ts';

export interface Mark {
  readonly sequence: number;
  readonly status: number;
  readonly pid: number;
  readonly zsh: boolean;
  readonly pwd: string;
}

export type Piece = { readonly line: Uint8Array } | { readonly mark: Mark };

/** A longer line is shown in parts. */
const LONGEST_LINE = 64 * 1024;
/** PATH_MAX and the numbers, with room. */
const LONGEST_MARK = 16 * 1024;
const LF = 0x0a;

export class MarkerStream {
  readonly #token: Buffer;
  readonly #halves: readonly Buffer[];
  #rest: Buffer = Buffer.alloc(0);

  constructor({ first, second }: Token) {
    this.#token = Buffer.from(first + second);
    this.#halves = [Buffer.from(first), Buffer.from(second)];
  }

  push(chunk: Uint8Array): Piece[] {
    const pieces: Piece[] = [];
    let data: Buffer = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const at = data.indexOf(this.#token);
      const text = at < 0 ? data : data.subarray(0, at);
      const used = this.#lines(text, pieces);
      if (at < 0) {
        data = this.#bounded(data.subarray(used), pieces);
        break;
      }
      const found = this.#mark(data.subarray(at));
      if (found === undefined) {
        data = data.subarray(used);
        break;
      }
      if (used < at) this.#line(data.subarray(used, at), pieces);
      if (found.mark !== undefined) pieces.push({ mark: found.mark });
      data = data.subarray(at + found.length);
    }
    // A copy: the chunk may be part of something large.
    this.#rest = Buffer.from(data);
    return pieces;
  }

  /** The stream is over: what is left. */
  end(): Piece[] {
    const pieces: Piece[] = [];
    if (this.#rest.length > 0) this.#line(this.#rest, pieces);
    this.#rest = Buffer.alloc(0);
    return pieces;
  }

  /** How much of it were whole lines. */
  #lines(text: Buffer, pieces: Piece[]): number {
    let from = 0;
    for (let end = text.indexOf(LF); end >= 0; end = text.indexOf(LF, from)) {
      this.#line(text.subarray(from, end), pieces);
      from = end + 1;
    }
    return from;
  }

  /** With `set -x` or `set -v` the shell shows our own lines too: nobody typed those. */
  #line(line: Buffer, pieces: Piece[]): void {
    if (this.#halves.every((half) => line.indexOf(half) < 0)) pieces.push({ line });
  }

  #bounded(rest: Buffer, pieces: Piece[]): Buffer {
    if (rest.length <= LONGEST_LINE) return rest;
    const kept = this.#token.length - 1;
    this.#line(rest.subarray(0, rest.length - kept), pieces);
    return rest.subarray(rest.length - kept);
  }

  /** `data` begins with the token; undefined: not all of it is there yet. */
  #mark(data: Buffer): { readonly length: number; readonly mark: Mark | undefined } | undefined {
    const size = this.#token.length;
    const end = data.indexOf(Buffer.concat([this.#token, Buffer.of(LF)]), size);
    if (end < 0) return data.length > LONGEST_MARK ? { length: size, mark: undefined } : undefined;
    const text = data.subarray(size, end).toString();
    const match = /^;(\d+);(\d+);(\d+);(z?);([\s\S]*);$/.exec(text);
    if (match === null) return { length: size, mark: undefined };
    const [, sequence, status, pid, zsh, pwd] = match;
    const mark = {
      sequence: Number(sequence),
      status: Number(status),
      pid: Number(pid),
      zsh: zsh === 'z',
      pwd: pwd!,
    };
    return { length: end + size + 1, mark };
  }
}
