/**
 * What one host has said last, for the full-screen view: bounded however much comes, and cheap for a host that floods.
 *
 * Bytes are kept and taken apart only when somebody looks. A fingerprint of everything ever said tells whether two hosts
 * answered the same (but for what `--mask` leaves out), though their beginnings are kept no more.
 */

import type { OutputStream } from '../../client/index.ts';
import { type LineMask, MaskStream } from '../render/index.ts';
import { neutralise } from '../terminal.ts';

/** Of each host; memory is their number times this and one packet. */
export const KEPT_BYTES = 64 * 1024;
/** Changes between the two streams begin a new piece. */
const KEPT_PIECES = 128;
const PIECE_BYTES = 2048;
/** A last line is shown beside the host's name: nobody sees more of it. */
const LAST_LINE_BYTES = 1024;

const LF = 0x0a;
const CR = 0x0d;
const TAB_STOP = 8;

export interface LogLine {
  readonly stream: OutputStream;
  /** Harmless, without tabs. */
  readonly text: string;
}

interface Piece {
  readonly stream: OutputStream;
  readonly buffer: Buffer;
  length: number;
}

interface Sum {
  bytes: number;
  hash: number;
}

/** As a terminal shows it: what a carriage return went back over is gone. */
export function lineText(bytes: Uint8Array): string {
  const end = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
  const body = bytes.subarray(0, end);
  const text = neutralise(body.subarray(body.lastIndexOf(CR) + 1));
  if (!text.includes('\t')) return text;
  let out = '';
  for (const part of text.split(/(?<=\t)/)) {
    out += part.endsWith('\t') ? part.slice(0, -1) : part;
    if (part.endsWith('\t')) out += ' '.repeat(TAB_STOP - (out.length % TAB_STOP));
  }
  return out;
}

export class HostLog {
  /** Changes with every output. */
  version = 0;
  /** The beginning is kept no more. */
  cut = false;
  #pieces: Piece[] = [];
  #size = 0;
  readonly #sums: Record<OutputStream, Sum> = {
    stdout: { bytes: 0, hash: 0x811c9dc5 },
    stderr: { bytes: 0, hash: 0x811c9dc5 },
  };
  #last: { readonly version: number; readonly text: string } = { version: 0, text: '' };
  /** With it only what is masked counts. */
  readonly #mask: LineMask | undefined;
  readonly #masked: Readonly<Record<OutputStream, MaskStream>> | undefined;

  constructor(mask?: LineMask) {
    this.#mask = mask;
    if (mask === undefined) return;
    const masked = (stream: OutputStream) => new MaskStream(mask, (bytes) => this.#count(this.#sums[stream], bytes));
    this.#masked = { stdout: masked('stdout'), stderr: masked('stderr') };
  }

  add(stream: OutputStream, data: Uint8Array): void {
    this.version++;
    if (this.#masked === undefined) this.#count(this.#sums[stream], data);
    else this.#masked[stream].push(data);
    if (data.length > KEPT_BYTES) this.cut = true;
    const kept = data.subarray(-KEPT_BYTES);
    let piece = this.#pieces.at(-1);
    if (piece?.stream !== stream || piece.length + kept.length > piece.buffer.length) {
      piece = { stream, buffer: Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, kept.length)), length: 0 };
      this.#pieces.push(piece);
    }
    piece.buffer.set(kept, piece.length);
    piece.length += kept.length;
    this.#size += kept.length;
    while (this.#size - this.#pieces[0]!.length >= KEPT_BYTES || this.#pieces.length > KEPT_PIECES) {
      this.#size -= this.#pieces.shift()!.length;
      this.cut = true;
    }
  }

  /** Nothing more comes: a last line without its end counts now. */
  end(): void {
    this.#masked?.stdout.end();
    this.#masked?.stderr.end();
  }

  /** FNV-1a: enough to tell answers apart, and nothing depends on it but what is shown. */
  #count(sum: Sum, data: Uint8Array): void {
    sum.bytes += data.length;
    let { hash } = sum;
    for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ data[i]!, 0x01000193);
    sum.hash = hash;
  }

  /** The same for hosts that said the same on both streams. */
  get fingerprint(): string {
    const { stdout, stderr } = this.#sums;
    return `${stdout.bytes}:${stdout.hash} ${stderr.bytes}:${stderr.hash}`;
  }

  /** The last line with text in it; empty when there is none. */
  get last(): string {
    if (this.#last.version !== this.version) {
      const text = this.lines(3).findLast((line) => line.text.trim() !== '')?.text ?? this.#last.text;
      this.#last = { version: this.version, text: text.slice(0, LAST_LINE_BYTES) };
    }
    return this.#last.text;
  }

  /** Did the host say this, among what is kept? */
  includes(bytes: Buffer): boolean {
    return this.#pieces.some(({ buffer, length }) => buffer.subarray(0, length).indexOf(bytes) >= 0);
  }

  /** At least the last `limit` lines that are kept; all without it. */
  lines(limit = Number.POSITIVE_INFINITY): LogLine[] {
    const { pieces, whole } = this.#tail(limit);
    const lines: LogLine[] = [];
    const open: Record<OutputStream, Uint8Array[]> = { stdout: [], stderr: [] };
    const finish = (stream: OutputStream, bytes: Uint8Array): void => {
      const parts = open[stream];
      lines.push({ stream, text: lineText(parts.length === 0 ? bytes : Buffer.concat([...parts, bytes])) });
      open[stream] = [];
    };
    for (const [stream, bytes] of pieces) {
      let at = 0;
      for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, at)) {
        finish(stream, bytes.subarray(at, end));
        at = end + 1;
      }
      if (at < bytes.length) open[stream].push(bytes.subarray(at));
    }
    for (const stream of ['stdout', 'stderr'] as const) {
      if (open[stream].length > 0) finish(stream, new Uint8Array(0));
    }
    // What begins in the middle is no line, as long as there are others.
    return !whole && lines.length > 1 ? lines.slice(1) : lines;
  }

  /** What one stream said, as far as it is kept, masked where masks are asked for. */
  text(stream: OutputStream): string {
    const masked = (text: string): string =>
      this.#mask === undefined
        ? text
        : Buffer.from(this.#mask.apply(Buffer.from(text).toString('latin1')), 'latin1').toString();
    return this.lines()
      .filter((line) => line.stream === stream)
      .map(({ text }) => `${masked(text)}\n`)
      .join('');
  }

  /** The last pieces, from where there are more line ends than the limit. */
  #tail(limit: number): { readonly pieces: readonly (readonly [OutputStream, Buffer])[]; readonly whole: boolean } {
    const pieces: (readonly [OutputStream, Buffer])[] = [];
    let ends = 0;
    for (let place = this.#pieces.length - 1; place >= 0; place--) {
      const { stream, buffer, length } = this.#pieces[place]!;
      const bytes = buffer.subarray(0, length);
      for (let at = bytes.lastIndexOf(LF); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(LF, at - 1)) {
        if (++ends <= limit + 1) continue;
        pieces.unshift([stream, bytes.subarray(at + 1)]);
        return { pieces, whole: false };
      }
      pieces.unshift([stream, bytes]);
    }
    return { pieces, whole: !this.cut };
  }
}
