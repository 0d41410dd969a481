/**
 * One of our output streams: small writes gathered into one a tick, back-pressure as a promise, a reader that leaves
 * taken quietly.
 *
 * Order is kept whatever is written, bytes or a long source that is read only as fast as the stream takes it. It
 * knows no lines and no colours.
 */

import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';

const BLOCK = 64 * 1024;
/** Larger pieces are handed on as they are; copying them would cost more than a second write. */
const LARGE = 16 * 1024;
/** Milliseconds of writing in one turn of the event loop: connections, timers and Ctrl-C have theirs in between. */
const TURN = 10;
/** So much may wait before writers are asked to. */
const HIGH = 256 * 1024;

/** What a stream reports when its reader went away. */
const READER_GONE = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END']);

export interface OutputOptions {
  /** The reader went away: nothing more will be seen. */
  readonly onClosed?: (() => void) | undefined;
  /** Around every burst of writes: a status line steps aside. */
  readonly before?: (() => void) | undefined;
  readonly after?: (() => void) | undefined;
}

export class Output {
  private readonly stream: Writable;
  private readonly options: OutputOptions;
  private readonly queue: (Uint8Array | Iterator<Uint8Array>)[] = [];
  private queuedBytes = 0;
  private queuedSources = 0;
  private block = Buffer.allocUnsafe(BLOCK);
  private start = 0;
  private fill = 0;
  /** Pieces that the stream has, and has not written yet. */
  private writing = 0;
  private scheduled = false;
  private streamFull = false;
  /** When this turn of the event loop has had enough; undefined before its first write. */
  private turnEnd: number | undefined;
  private gone = false;
  private failure: unknown;
  private drained: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  private readonly onError = (error: NodeJS.ErrnoException): void => this.fail(error);
  private readonly onWritten = (): void => {
    this.writing--;
    // Nobody reads the block any more: it is written again, rather than one made anew for every burst.
    if (this.writing === 0 && this.queue.length === 0 && this.fill === this.start) {
      this.start = 0;
      this.fill = 0;
    }
  };

  constructor(stream: Writable, options: OutputOptions = {}) {
    this.stream = stream;
    this.options = options;
    stream.on('error', this.onError);
  }

  /** True once the reader went away; writes are dropped from then on. */
  get closed(): boolean {
    return this.gone;
  }

  /** The bytes are copied or, when many, kept until written. */
  write(bytes: Uint8Array): void {
    if (this.gone) return;
    if (bytes.length < LARGE) {
      // Before the block is named: it may be another one afterwards.
      const at = this.place(bytes.length);
      this.block.set(bytes, at);
    } else this.append(bytes);
  }

  /** Room for as many bytes behind all that was written: to be filled at once, before anything else is done here. */
  room(size: number): Buffer {
    if (!this.gone && size <= BLOCK) {
      const at = this.place(size);
      return this.block.subarray(at, at + size);
    }
    const piece = Buffer.allocUnsafe(size);
    if (!this.gone) this.append(piece);
    return piece;
  }

  writeText(text: string): void {
    this.write(Buffer.from(text));
  }

  /** Read piece by piece when its turn comes; closed early when nobody reads any more. */
  writeAll(source: Iterable<Uint8Array>): void {
    if (this.gone) return;
    this.seal();
    this.queue.push(source[Symbol.iterator]());
    this.queuedSources++;
    this.schedule();
  }

  /** Undefined: go on. A promise: wait, the stream is behind. Rejects when the stream failed. */
  ready(): Promise<void> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.isBehind() && !this.streamFull) this.pump();
    if (this.gone || !this.isBehind()) return undefined;
    return this.whenDrained();
  }

  /** Resolves when everything written is the stream's. */
  async end(): Promise<void> {
    while (!this.gone && (this.queuedBytes > 0 || this.queuedSources > 0)) {
      this.pump();
      if (this.queuedBytes > 0 || this.queuedSources > 0) await this.whenDrained();
    }
    if (!this.gone) await new Promise<void>((resolve) => this.stream.write('', () => resolve()));
    // The error of the last write, if any, comes a tick after its callback.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.stream.off('error', this.onError);
    this.stream.on('error', () => {});
    if (this.failure !== undefined) throw this.failure;
  }

  private isBehind(): boolean {
    return this.queuedBytes >= HIGH || this.queuedSources > 0;
  }

  private whenDrained(): Promise<void> {
    if (!this.drained) {
      let resolve!: () => void;
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.drained = { promise, resolve };
    }
    return this.failure === undefined ? this.drained.promise : Promise.reject(this.failure);
  }

  /** Where in the block the next bytes go. */
  private place(size: number): number {
    if (this.fill + size > BLOCK) {
      this.seal();
      this.block = Buffer.allocUnsafe(BLOCK);
      this.start = 0;
      this.fill = 0;
    }
    const from = this.fill;
    this.fill += size;
    this.queuedBytes += size;
    this.schedule();
    return from;
  }

  private append(piece: Uint8Array): void {
    this.seal();
    this.queue.push(piece);
    this.queuedBytes += piece.length;
    this.schedule();
  }

  private seal(): void {
    if (this.fill === this.start) return;
    this.queue.push(this.block.subarray(this.start, this.fill));
    this.start = this.fill;
  }

  private schedule(): void {
    if (this.scheduled || this.streamFull) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  private pump(): void {
    if (this.streamFull || this.gone) return;
    this.seal();
    const end = this.endOfTurn();
    if (this.queue.length > 0 && performance.now() < end) {
      this.options.before?.();
      // A file or a pipe takes everything at once: it is never full, and would have the whole process to itself.
      while (!this.streamFull && this.queue.length > 0 && performance.now() < end) this.step();
      this.options.after?.();
    }
    if (this.queue.length === 0) this.releaseWriters();
    else this.schedule();
  }

  private endOfTurn(): number {
    if (this.turnEnd === undefined) {
      this.turnEnd = performance.now() + TURN;
      setImmediate(() => {
        this.turnEnd = undefined;
      });
    }
    return this.turnEnd;
  }

  private step(): void {
    const item = this.queue[0]!;
    try {
      if (item instanceof Uint8Array) {
        this.queue.shift();
        this.queuedBytes -= item.length;
        this.hand(item);
        return;
      }
      const { value, done } = item.next();
      if (!done) {
        this.hand(value);
        return;
      }
      this.queue.shift();
      this.queuedSources--;
    } catch (error) {
      this.fail(error);
    }
  }

  private hand(bytes: Uint8Array): void {
    // A source that only works says so with nothing.
    if (bytes.length === 0) return;
    this.writing++;
    if (this.stream.write(bytes, this.onWritten)) return;
    this.streamFull = true;
    this.stream.once('drain', () => {
      // A stream that drains at once must not starve the connections.
      setImmediate(() => {
        this.streamFull = false;
        this.pump();
      });
    });
  }

  private releaseWriters(): void {
    const { drained } = this;
    this.drained = undefined;
    drained?.resolve();
  }

  private fail(error: unknown): void {
    if (this.gone) return;
    this.gone = true;
    for (const item of this.queue) if (!(item instanceof Uint8Array)) item.return?.();
    this.queue.length = 0;
    this.queuedBytes = 0;
    this.queuedSources = 0;
    this.start = this.fill;
    const readerGone = READER_GONE.has((error as NodeJS.ErrnoException).code ?? '');
    if (!readerGone) this.failure = error;
    this.releaseWriters();
    if (readerGone) this.options.onClosed?.();
  }
}

/** Do two descriptors lead to one place (`2>&1`, or one terminal)? Then only one Output keeps the order. */
export function samePlace(a: number, b: number): boolean {
  try {
    const [one, other] = [fstatSync(a), fstatSync(b)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false;
  }
}
