/**
 * A remote file read ahead, in parts of several requests each: what to ask for next, what a short answer left out, and
 * where the file ends or reading fails. Who owns the parts' memory, in which order they are used and when to stop is
 * their reader's.
 */

import { SshError } from '../../protocol/index.ts';
import { BLOCK_BYTES } from './blocks.ts';
import type { Answer } from './link.ts';
import type { RemoteFile } from './remote-file.ts';
import type { TransferWindow } from './window.ts';

/** Bytes that follow on each other, asked for in order and answered in any. */
export interface Part {
  readonly at: number;
  readonly size: number;
  /** Less than `size` when the file ends before, or reading fails. */
  length: number;
  /** Taken when the first bytes come: what is only asked for takes no memory. */
  memory: Uint8Array | undefined;
  /** Bytes asked for so far, and requests without an answer. */
  asked: number;
  open: number;
  /** Why there is nothing behind `length`, unless the file ends there. */
  error: Error | undefined;
}

export interface PartsOptions {
  readonly file: RemoteFile;
  readonly window: TransferWindow;
  /** Bytes that one request asks for, at most BLOCK_BYTES. */
  readonly request: number;
  readonly start: number;
  /** Where the file ends; Infinity when that has to be found out. */
  readonly end: number;
  /** Memory for a part of this size. */
  take(size: number): Uint8Array;
  /** Whether a part that ends there may be begun; always, when not given. */
  mayReach?(end: number): boolean;
  begun(part: Part): void;
  /** An answer to a request at `from` of the part; what it left out is asked for already. */
  heard(part: Part, from: number, answer: Answer): void;
}

export class Parts {
  readonly #options: PartsOptions;
  readonly #size: number;
  #next: number;
  #end: number;
  #filling: Part | undefined;
  #isStopped = false;

  constructor(options: PartsOptions) {
    this.#options = options;
    // Whole requests.
    this.#size = Math.floor(BLOCK_BYTES / options.request) * options.request;
    this.#next = options.start;
    this.#end = options.end;
  }

  /** Behind the last part. */
  get next(): number {
    return this.#next;
  }

  /** Where the file ends, as far as is known. */
  get end(): number {
    return this.#end;
  }

  /** Whether there is something left to ask for. */
  get hasMore(): boolean {
    return !this.#isStopped && (this.#filling !== undefined || this.#next < this.#end);
  }

  /** Nothing more is asked for. */
  stop(): void {
    this.#isStopped = true;
    this.#filling = undefined;
  }

  /** Sends one request if it may; says how many bytes it is for. Throws as requests do. */
  ask(): number {
    const part = this.#filling ?? this.#begin();
    if (!part) return 0;
    const from = part.asked;
    part.asked = Math.min(from + this.#options.request, part.size);
    if (part.asked === part.size) this.#filling = undefined;
    this.#read(part, from, part.asked);
    return part.asked - from;
  }

  #begin(): Part | undefined {
    const { mayReach, begun } = this.#options;
    const size = Math.min(this.#size, this.#end - this.#next);
    if (!this.hasMore || mayReach?.(this.#next + size) === false) return undefined;
    const part = { at: this.#next, size, length: size, memory: undefined, asked: 0, open: 0, error: undefined };
    this.#next += size;
    this.#filling = part;
    begun(part);
    return part;
  }

  #read(part: Part, from: number, to: number): void {
    const { file, window, take } = this.#options;
    const into = (): Uint8Array => {
      part.memory ??= take(part.size);
      return part.memory.subarray(from, to);
    };
    const sentAt = performance.now();
    const { link } = file.sftp;
    const id = link.client.read(file.handle, part.at + from, to - from, into, file.path);
    part.open++;
    window.sent(to - from, sentAt);
    link.ask(id, (answer) => {
      window.answered(to - from, sentAt, performance.now());
      this.#answered(part, from, to, answer);
    });
  }

  #answered(part: Part, from: number, to: number, answer: Answer): void {
    part.open--;
    if (answer.kind === 'eof') {
      this.#end = Math.min(this.#end, part.at + from);
      this.#cut(part, from);
    } else if (answer.kind === 'failed') this.#cut(part, from, answer.error);
    else if (answer.kind === 'data' && from + answer.data.length < to)
      this.#askAgain(part, from + answer.data.length, to);
    this.#options.heard(part, from, answer);
  }

  /** A short answer. */
  #askAgain(part: Part, from: number, to: number): void {
    try {
      if (this.#isStopped) throw new SshError('closed', 'reading was given up');
      this.#read(part, from, to);
    } catch (error) {
      this.#cut(part, from, error as Error);
    }
  }

  /** Of `part` and of all behind it nothing comes from `length` on: there the file ends, or reading failed. */
  #cut(part: Part, length: number, error?: Error): void {
    this.#filling = undefined;
    if (length >= part.length) return;
    part.length = length;
    part.error = error;
  }
}
