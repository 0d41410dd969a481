/**
 * Node streams over an open remote file, with many requests in flight and the bytes in order. They do not close the
 * file: who opened it does.
 *
 * What is read becomes its reader's, a block at a time. What is written in short chunks is gathered in blocks first, so
 * that it becomes long requests; long ones are sent as they lie. Chunks are their owner's again when `write` calls back, be it
 * with an error. Streams call their user's code, which is not to run, nor to throw, in the middle of what the session does
 * with an answer: so a turn later.
 */

import { Readable, Writable } from 'node:stream';
import { SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { BLOCK_BYTES, giveBlock, takeBlock } from './blocks.ts';
import { aborted } from './link.ts';
import { type Part, Parts } from './parts.ts';
import type { RemoteFile } from './remote-file.ts';
import type { SftpCallOptions } from './sftp.ts';
import { Turn } from './turn.ts';
import { STORE_BYTES, STREAM_REQUESTS, TransferWindow } from './window.ts';

export interface ReadRange extends SftpCallOptions {
  /** First byte, 0 when not given. */
  readonly start?: number;
  /** The byte behind the last; the end of the file when not given. */
  readonly end?: number;
}

export interface WriteStart extends SftpCallOptions {
  readonly start?: number;
}

/** Bytes that wait for the reader, and that a writer may hand over, before it is told to wait. */
const MARK = 1024 * 1024;

class SftpReadable extends Readable {
  readonly #file: RemoteFile;
  readonly #signal: AbortSignal | undefined;
  readonly #start: number;
  readonly #end: number;
  #window!: TransferWindow;
  #parts: Parts | undefined;
  /** Each becomes one chunk. The first is whose bytes are due. */
  readonly #queue: Part[] = [];
  #wanted = false;
  readonly #turn = new Turn(() => this.#advance(), process.nextTick);
  readonly #abort = (): void => void this.destroy(aborted(this.#signal!));

  constructor(file: RemoteFile, { start = 0, end = Number.POSITIVE_INFINITY, signal }: ReadRange) {
    super({ highWaterMark: MARK });
    this.#file = file;
    this.#start = start;
    this.#end = end;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else onAbort(signal, this.#abort);
  }

  override _construct(done: (error?: Error | null) => void): void {
    this.#file.sftp.limits().then(({ read }) => {
      const request = Math.min(read, BLOCK_BYTES);
      this.#window = new TransferWindow(request, STREAM_REQUESTS * request);
      this.#parts = new Parts({
        file: this.#file,
        window: this.#window,
        request,
        start: this.#start,
        end: this.#end,
        take: (size) => Buffer.allocUnsafeSlow(size),
        begun: (part) => void this.#queue.push(part),
        heard: () => this.#turn.wanted(),
      });
      done();
    }, done);
  }

  override _read(): void {
    this.#wanted = true;
    this.#pump();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stop();
    offAbort(this.#signal, this.#abort);
    done(error);
  }

  #pump(): void {
    const parts = this.#parts!;
    try {
      // Several at a time, as in a download.
      if (this.#window.roomy) while (this.#wanted && this.#window.open && parts.ask() > 0);
    } catch (error) {
      this.destroy(error as Error);
    }
    if (this.#queue.length === 0 && !parts.hasMore && !this.destroyed) this.#finish();
  }

  /** Hands on what is whole. A failure further on is told when its turn comes, if it does. */
  #advance(): void {
    for (let part = this.#queue[0]; part && part.open === 0 && part.asked >= part.length; part = this.#queue[0]) {
      const { at, length, memory, error } = part;
      this.#queue.shift();
      if (memory && length > 0 && !this.push(lean(memory, length))) this.#wanted = false;
      if (error) this.destroy(error);
      else if (at + length >= this.#parts!.end) this.#finish();
    }
    if (!this.destroyed) this.#pump();
  }

  #finish(): void {
    this.#stop();
    this.#wanted = false;
    this.push(null);
  }

  #stop(): void {
    this.#parts?.stop();
    this.#queue.length = 0;
  }
}

/** The first `length` bytes; a copy when few, so that who keeps them does not keep the rest. */
function lean(memory: Uint8Array, length: number): Uint8Array {
  if (2 * length >= memory.length) return memory.subarray(0, length);
  // `slice` of a Buffer would be a view, and a copy by Buffer.from a part of Node's pool.
  return Uint8Array.prototype.slice.call(memory, 0, length);
}

interface Block {
  readonly memory: Uint8Array;
  filled: number;
  /** Bytes that requests carry, and requests without an answer. */
  sent: number;
  open: number;
}

class SftpWritable extends Writable {
  readonly #file: RemoteFile;
  readonly #signal: AbortSignal | undefined;
  #position: number;
  #window: TransferWindow | undefined;
  #request = 0;
  #block: Block | undefined;
  /** What is left of the chunk that was written last, and whom to tell when nothing is. */
  #chunk: Uint8Array | undefined;
  /** Requests that refer to it: it is not its owner's again before, not even when the stream is over. */
  #lent = 0;
  #written: ((error?: Error) => void) | undefined;
  #finished: ((error?: Error) => void) | undefined;
  #error: Error | undefined;
  #isStalled = false;
  readonly #turn = new Turn(() => this.#pump(), process.nextTick);
  readonly #abort = (): void => this.#fail(aborted(this.#signal!));

  constructor(file: RemoteFile, { start = 0, signal }: WriteStart) {
    super({ highWaterMark: MARK });
    this.#file = file;
    this.#position = start;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else onAbort(signal, this.#abort);
  }

  override _construct(done: (error?: Error | null) => void): void {
    this.#file.sftp.limits().then(({ write }) => {
      this.#request = Math.min(write, BLOCK_BYTES);
      this.#window = new TransferWindow(this.#request, STORE_BYTES);
      done();
    }, done);
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    this.#chunk = chunk;
    this.#written = written;
    this.#pump();
  }

  override _final(finished: (error?: Error | null) => void): void {
    this.#finished = finished;
    this.#pump();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    offAbort(this.#signal, this.#abort);
    this.#chunk = undefined;
    if (this.#block?.open === 0) giveBlock(this.#block.memory);
    this.#block = undefined;
    this.#error ??= error ?? new SshError('closed', 'the stream is closed');
    this.#giveBack();
    done(error);
  }

  /** Who waits for the end of a write or of all, who does no more. */
  #told(): ((error?: Error) => void) | undefined {
    const told = this.#written ?? this.#finished;
    this.#written = undefined;
    this.#finished = undefined;
    return told;
  }

  #fail(error: Error): void {
    const told = this.#lent > 0 ? undefined : this.#told();
    if (told) told(error);
    else this.destroy(error);
  }

  /** The end of a stream that was destroyed, for who still waits for a write. */
  #giveBack(): void {
    if (this.#lent === 0) this.#told()?.(this.#error);
  }

  #pump(): void {
    if (this.destroyed) return this.#giveBack();
    if (this.#error) return this.#fail(this.#error);
    try {
      while (this.#chunk && this.#canSend()) this.#take();
      // Nothing waits for company while nothing is under way, and at the end nothing waits at all.
      const block = this.#block;
      if (block && block.filled > block.sent && (this.#window!.inFlight === 0 || this.#finished) && this.#canSend())
        this.#sendBlock(block);
    } catch (error) {
      return this.#fail(error as Error);
    }
    this.#tell();
  }

  #tell(): void {
    const { open, inFlight } = this.#window!;
    const isGathered = this.#block !== undefined && this.#block.filled > this.#block.sent;
    if (this.#chunk || this.#lent > 0 || (this.#finished ? inFlight > 0 || isGathered : !open)) return;
    this.#told()?.();
  }

  #canSend(): boolean {
    const { link } = this.#file.sftp;
    if (link.willing) return this.#window!.open;
    if (!this.#isStalled) {
      this.#isStalled = true;
      link.whenWilling(() => {
        this.#isStalled = false;
        this.#turn.wanted();
      });
    }
    return false;
  }

  /** Sends a request's worth of the chunk, or moves what fits of it into the block, and sends what is a whole request. */
  #take(): void {
    const chunk = this.#chunk!;
    const isGathering = this.#block !== undefined && this.#block.filled > this.#block.sent;
    const taken = isGathering || chunk.length < this.#request ? this.#gather(chunk) : this.#lend(chunk);
    this.#chunk = taken === chunk.length ? undefined : chunk.subarray(taken);
  }

  #lend(chunk: Uint8Array): number {
    let isLent = true;
    const back = (): void => {
      if (isLent) this.#lent--;
      isLent = false;
      this.#turn.wanted();
    };
    // An answer comes in any case, at the end of the session at the latest.
    this.#send(chunk.subarray(0, this.#request), back);
    this.#lent++;
    this.#file.sftp.link.whenTaken(back);
    return this.#request;
  }

  #gather(chunk: Uint8Array): number {
    this.#block ??= { memory: takeBlock(), filled: 0, sent: 0, open: 0 };
    const block = this.#block;
    const end = Math.min(block.sent + this.#request, BLOCK_BYTES);
    const taken = chunk.subarray(0, end - block.filled);
    block.memory.set(taken, block.filled);
    block.filled += taken.length;
    if (block.filled === end) this.#sendBlock(block);
    return taken.length;
  }

  /** What was gathered. */
  #sendBlock(block: Block): void {
    const data = block.memory.subarray(block.sent, block.filled);
    block.sent = block.filled;
    block.open++;
    if (block.sent === BLOCK_BYTES) this.#block = undefined;
    this.#send(data, () => {
      if (--block.open === 0 && block.sent === BLOCK_BYTES) giveBlock(block.memory);
    });
  }

  #send(data: Uint8Array, answered?: () => void): void {
    const { handle, path, sftp } = this.#file;
    const window = this.#window!;
    const sentAt = performance.now();
    const id = sftp.link.client.write(handle, this.#position, data, path);
    this.#position += data.length;
    window.sent(data.length, sentAt);
    sftp.link.ask(id, (answer) => {
      window.answered(data.length, sentAt, performance.now());
      answered?.();
      if (answer.kind === 'failed') this.#error ??= answer.error;
      this.#turn.wanted();
    });
  }
}

export const readStream = (file: RemoteFile, range: ReadRange): Readable => new SftpReadable(file, range);

export const writeStream = (file: RemoteFile, start: WriteStart): Writable => new SftpWritable(file, start);
