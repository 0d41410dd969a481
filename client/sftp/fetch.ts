/**
 * Remote file to local descriptor, pipelined: as many reads in flight as the path holds, gathered in blocks, each block
 * written once, and in order: however this process ends, what it leaves has no holes. The end may be unknown. Opens, names
 * and finishes nothing: that is `download.ts`.
 */

import { SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { BLOCK_BYTES, giveBlock, SPAN_BYTES, takeBlock } from './blocks.ts';
import { type Answer, aborted } from './link.ts';
import { fileError, writeAll } from './local-file.ts';
import { type Part, Parts } from './parts.ts';
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

/** What may wait for the local disk beside what the window holds. */
const WAITING_BYTES = 8 * 1024 * 1024;

export class Fetch {
  readonly #options: FetchOptions;
  readonly #request: number;
  readonly #window: TransferWindow;
  readonly #rate: RateTurn;
  readonly #parts: Parts;
  /** What is not in the local file yet, in the order it was begun. */
  readonly #missing: Part[] = [];
  /** Behind the last byte that came. */
  #highest: number;
  #isWriting = false;
  /** The local file takes no more. */
  #isBroken = false;
  /**
   * Whether to ask ahead of answers. Files of /proc do not say where they end, answer short, and go through all
   * before it for each position that does not follow on the last.
   */
  #mayLead: boolean;
  #error: SshError | undefined;
  #settle: { resolve: (end: number) => void; reject: (error: SshError) => void } | undefined;
  readonly #abort = (): void => this.#fail(aborted(this.#options.signal!));

  constructor(options: FetchOptions, request: number) {
    const { from, start, end, rate } = options;
    this.#options = options;
    this.#request = Math.min(request, BLOCK_BYTES, rate?.request ?? BLOCK_BYTES);
    this.#rate = new RateTurn(rate, () => this.#pump());
    this.#window = new TransferWindow(this.#request, FETCH_REQUESTS * this.#request);
    this.#parts = new Parts({
      file: from,
      window: this.#window,
      request: this.#request,
      start,
      end,
      take: takeBlock,
      mayReach: (next) => this.#missing.length === 0 || next - this.contiguous <= this.#span,
      begun: (part) => void this.#missing.push(part),
      heard: (...heard) => this.#heard(...heard),
    });
    this.#highest = start;
    this.#mayLead = end !== Number.POSITIVE_INFINITY;
  }

  /** Everything before this is in the local file. */
  get contiguous(): number {
    return Math.min(this.#missing[0]?.at ?? this.#parts.next, this.#parts.end);
  }

  get #span(): number {
    return Math.min(this.#window.limit + WAITING_BYTES, SPAN_BYTES);
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
    while (
      this.#parts.hasMore &&
      this.#window.open &&
      (this.#mayLead || this.#window.inFlight === 0) &&
      this.#rate.open
    ) {
      const bytes = this.#parts.ask();
      if (bytes === 0) break;
      this.#rate.took(bytes);
    }
  }

  #heard(part: Part, from: number, answer: Answer): void {
    if (!this.#settle) return drop(part);
    if (answer.kind === 'data') {
      this.#highest = Math.max(this.#highest, part.at + from + answer.data.length);
      this.#options.onBytes(answer.data.length);
      if (answer.data.length === this.#request) this.#mayLead = true;
    }
    const error = answer.kind === 'failed' ? answer.error : part.error;
    if (error) this.#fail(error);
    this.#store();
    this.#pump();
  }

  /** Writes what is whole and has nothing missing before it, one part at a time. What came before a failure is kept. */
  #store(): void {
    for (;;) {
      const [part] = this.#missing;
      if (!part || !this.#settle || this.#isWriting || this.#isBroken) return;
      if (part.error || part.open > 0 || part.asked < part.length) return;
      const length = Math.min(this.#parts.end - part.at, part.length);
      const { memory } = part;
      if (memory === undefined || length <= 0) {
        this.#missing.shift();
        drop(part);
        continue;
      }
      // Given back here, whatever happens to the part.
      part.memory = undefined;
      this.#isWriting = true;
      let isLater = false;
      writeAll(this.#options.fd, memory.subarray(0, length), part.at, (error) => {
        this.#isWriting = false;
        giveBlock(memory);
        if (error) {
          this.#isBroken = true;
          this.#fail(fileError(error, this.#options.localPath));
        } else this.#missing.shift();
        if (!isLater) return;
        this.#store();
        this.#pump();
      });
      isLater = true;
    }
  }

  #fail(error: unknown): void {
    this.#error ??= error instanceof SshError ? error : new SshError('lost', String(error), { cause: error });
    this.#parts.stop();
    this.#store();
    this.#finish();
  }

  #finish(): void {
    if (!this.#settle || this.#isWriting) return;
    if (!this.#error) {
      if (this.#missing.length > 0 || this.#parts.hasMore) return;
      if (this.#highest > this.#parts.end) this.#error = changed(this.#options.from.path);
    }
    const { resolve, reject } = this.#settle;
    this.#settle = undefined;
    for (const part of this.#missing) drop(part);
    this.#rate.end();
    offAbort(this.#options.signal, this.#abort);
    if (this.#error) reject(this.#error);
    else resolve(this.#parts.end);
  }
}

/** Gives the memory of a part back that is not to be written. What is under way still goes there. */
function drop(part: Part): void {
  if (part.open > 0 || part.memory === undefined) return;
  giveBlock(part.memory);
  part.memory = undefined;
}

/** The end of the file came before bytes that are there: it was cut while it was read. */
const changed = (path: string): SshError =>
  new SshError('sftp', `${path} changed while it was read`, { by: 'peer', detail: { path, operation: 'read' } });
