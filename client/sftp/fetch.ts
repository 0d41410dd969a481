/**
 * Remote file to local descriptor, pipelined: as many reads in flight as the path holds, gathered in blocks, each block
 * written once. Short answers are asked for again, the end may be unknown. Opens, names and finishes nothing: that is
 * `download.ts`.
 */

import { SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { BLOCK_BYTES, giveBlock, SPAN_BYTES, takeBlock, wholeRequests } from './blocks.ts';
import { type Answer, aborted, type SftpLink } from './link.ts';
import { fileError, writeAll } from './local-file.ts';
import { type RateLimit, RateTurn } from './rate.ts';
import type { RemoteFile } from './remote-file.ts';
import { FETCH_REQUESTS, TransferWindow } from './window.ts';

export interface FetchOptions {
  readonly from: RemoteFile;
  readonly fd: number;
  /** What errors of the descriptor are said to be about. */
  readonly localPath: string;
  readonly start: number;
  /** Where the file ends; Infinity when that has to be found out. */
  readonly end: number;
  readonly signal?: AbortSignal | undefined;
  readonly rate?: RateLimit | undefined;
  onBytes(count: number): void;
}

interface Block {
  /** Taken when the first bytes come: what is only asked for takes no memory. */
  memory: Uint8Array | undefined;
  readonly at: number;
  readonly length: number;
  /** Bytes asked for so far, and requests without an answer. */
  asked: number;
  open: number;
}

/** Blocks that may wait for the local disk beside what the window holds. */
const WAITING_BYTES = 8 * 1024 * 1024;

export class Fetch {
  readonly #options: FetchOptions;
  readonly #link: SftpLink;
  readonly #request: number;
  readonly #blockLength: number;
  readonly #window: TransferWindow;
  readonly #rate: RateTurn;
  readonly #blocks = new Set<Block>();
  #filling: Block | undefined;
  #next: number;
  #end: number;
  /** Behind the last byte that came. */
  #highest: number;
  #writing = 0;
  /**
   * Whether to ask ahead of answers. Files of /proc do not say where they end, answer short, and go through all
   * before it for each position that does not follow on the last.
   */
  #mayLead: boolean;
  #error: SshError | undefined;
  #settle: { resolve: (end: number) => void; reject: (error: SshError) => void } | undefined;
  readonly #abort = (): void => this.#fail(aborted(this.#options.signal!));

  constructor(options: FetchOptions, request: number) {
    this.#options = options;
    this.#link = options.from.sftp.link;
    this.#request = Math.min(request, BLOCK_BYTES, options.rate?.request ?? BLOCK_BYTES);
    this.#rate = new RateTurn(options.rate, () => this.#pump());
    this.#blockLength = wholeRequests(this.#request);
    this.#window = new TransferWindow(this.#request, FETCH_REQUESTS * this.#request);
    this.#next = options.start;
    this.#highest = options.start;
    this.#end = options.end;
    this.#mayLead = options.end !== Number.POSITIVE_INFINITY;
  }

  /** Everything before this is in the local file. */
  get contiguous(): number {
    // In the order they were begun.
    const [first] = this.#blocks;
    return first ? first.at : this.#next;
  }

  /** Runs once; gives the end of the file. After a failure nothing is written to the descriptor any more. */
  run(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      const { signal } = this.#options;
      if (signal?.aborted) this.#abort();
      else onAbort(signal, this.#abort);
      this.#pump();
    });
  }

  #pump(): void {
    try {
      // Not for each answer that came.
      if (this.#window.roomy) this.#askAll();
    } catch (error) {
      this.#fail(error);
    }
    this.#finish();
  }

  /** Until the window is full. */
  #askAll(): void {
    while (!this.#error && this.#window.open && (this.#mayLead || this.#window.inFlight === 0)) {
      const block = this.#filling ?? this.#begin();
      if (!block || !this.#rate.open) break;
      const from = block.asked;
      const to = Math.min(from + this.#request, block.length);
      block.asked = to;
      if (to === block.length) this.#filling = undefined;
      block.open++;
      this.#rate.took(to - from);
      this.#read(block, from, to);
    }
  }

  #begin(): Block | undefined {
    if (this.#next >= this.#end) return undefined;
    const length = Math.min(this.#blockLength, this.#end - this.#next);
    const span = this.#next + length - this.contiguous;
    if (this.#blocks.size > 0 && span > Math.min(this.#window.limit + WAITING_BYTES, SPAN_BYTES)) return undefined;
    const block: Block = { memory: undefined, at: this.#next, length, asked: 0, open: 0 };
    this.#next += length;
    this.#blocks.add(block);
    this.#filling = block;
    return block;
  }

  #read(block: Block, from: number, to: number): void {
    const { handle, path } = this.#options.from;
    const into = (): Uint8Array => {
      block.memory ??= takeBlock(block.length);
      return block.memory.subarray(from, to);
    };
    const sentAt = performance.now();
    const id = this.#link.client.read(handle, block.at + from, to - from, into, path);
    this.#window.sent(to - from, sentAt);
    this.#link.ask(id, (answer) => {
      this.#window.answered(to - from, sentAt, performance.now());
      this.#answered(block, from, to, answer);
    });
  }

  #answered(block: Block, from: number, to: number, answer: Answer): void {
    if (answer.kind === 'failed') {
      this.#fail(answer.error);
    } else if (answer.kind === 'data') {
      const got = from + answer.data.length;
      this.#highest = Math.max(this.#highest, block.at + got);
      this.#options.onBytes(answer.data.length);
      if (answer.data.length === this.#request) this.#mayLead = true;
      if (got < to && !this.#error) {
        try {
          this.#read(block, got, to);
          return;
        } catch (error) {
          this.#fail(error);
        }
      }
    } else {
      this.#end = Math.min(this.#end, block.at + from);
    }
    block.open--;
    if (block.open === 0 && (this.#error || block !== this.#filling)) this.#store(block);
    this.#pump();
  }

  /** Nothing of `block` is under way any more. */
  #store(block: Block): void {
    if (this.#filling === block) this.#filling = undefined;
    const length = Math.min(this.#end - block.at, block.length);
    const { memory } = block;
    if (this.#error || length <= 0 || memory === undefined) {
      if (memory !== undefined) giveBlock(memory);
      // A block that failed stays on the list: nothing behind it counts as arrived.
      if (!this.#error) this.#blocks.delete(block);
      return;
    }
    this.#writing++;
    writeAll(this.#options.fd, memory.subarray(0, length), block.at, (error) => {
      this.#writing--;
      giveBlock(memory);
      if (error) this.#fail(fileError(error, this.#options.localPath));
      else this.#blocks.delete(block);
      this.#pump();
    });
  }

  #fail(error: unknown): void {
    this.#error ??= error instanceof SshError ? error : new SshError('lost', String(error), { cause: error });
    this.#finish();
  }

  #finish(): void {
    if (!this.#settle || this.#writing > 0) return;
    if (!this.#error) {
      if (this.#blocks.size > 0 || this.#next < this.#end) return;
      if (this.#highest > this.#end) this.#error = changed(this.#options.from.path);
    }
    const { resolve, reject } = this.#settle;
    this.#settle = undefined;
    this.#rate.end();
    offAbort(this.#options.signal, this.#abort);
    if (this.#error) reject(this.#error);
    else resolve(this.#end);
  }
}

/** The end of the file came before bytes that are there: it was cut while it was read. */
const changed = (path: string): SshError =>
  new SshError('sftp', `${path} changed while it was read`, { by: 'peer', detail: { path, operation: 'read' } });
