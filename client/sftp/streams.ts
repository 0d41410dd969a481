/**
 * Node streams over an open remote file, with many requests in flight and the bytes in order. They do not close the
 * file: who opened it does.
 *
 * What is read becomes its reader's, a request's answer at a time. What is written is gathered in blocks first, so that
 * short chunks become long requests, and the chunks are their owner's again when `write` calls back. Streams call their
 * user's code, which is not to run, nor to throw, in the middle of what the session does with an answer: so a turn later.
 */

import { Readable, Writable } from 'node:stream';
import { SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { BLOCK_BYTES, giveBlock, takeBlock } from './blocks.ts';
import { type Answer, aborted } from './link.ts';
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

/** One request's worth of the file, in the order they were asked for. */
interface Part {
  readonly at: number;
  readonly length: number;
  got: number;
  /** Taken when the first bytes come, and the reader's in the end. */
  memory: Uint8Array | undefined;
  ended: 'whole' | 'file' | Error | undefined;
}

class SftpReadable extends Readable {
  readonly #file: RemoteFile;
  readonly #signal: AbortSignal | undefined;
  readonly #end: number;
  #next: number;
  #window: TransferWindow | undefined;
  #request = 0;
  /** The first is whose bytes are due. */
  readonly #parts: Part[] = [];
  #wanted = false;
  readonly #turn = new Turn(() => this.#advance());
  readonly #abort = (): void => void this.destroy(aborted(this.#signal!));

  constructor(file: RemoteFile, { start = 0, end = Number.POSITIVE_INFINITY, signal }: ReadRange) {
    super({ highWaterMark: MARK });
    this.#file = file;
    this.#next = start;
    this.#end = end;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else onAbort(signal, this.#abort);
  }

  override _construct(done: (error?: Error | null) => void): void {
    this.#file.sftp.limits().then(({ read }) => {
      this.#request = read;
      this.#window = new TransferWindow(read, STREAM_REQUESTS * read);
      done();
    }, done);
  }

  override _read(): void {
    this.#wanted = true;
    this.#pump();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#parts.length = 0;
    offAbort(this.#signal, this.#abort);
    done(error);
  }

  #pump(): void {
    const window = this.#window!;
    try {
      // Several at a time, as in a download.
      if (window.roomy) while (this.#wanted && !this.destroyed && window.open && this.#next < this.#end) this.#begin();
    } catch (error) {
      this.destroy(error as Error);
    }
    if (this.#parts.length === 0 && this.#next >= this.#end && !this.destroyed) this.#finish();
  }

  #begin(): void {
    const length = Math.min(this.#request, this.#end - this.#next);
    const part: Part = { at: this.#next, length, got: 0, memory: undefined, ended: undefined };
    this.#next += length;
    this.#parts.push(part);
    this.#ask(part);
  }

  #ask(part: Part): void {
    const { handle, path, sftp } = this.#file;
    const window = this.#window!;
    const sentAt = performance.now();
    const length = part.length - part.got;
    const into = (): Uint8Array => {
      part.memory ??= Buffer.allocUnsafeSlow(part.length);
      return part.memory.subarray(part.got);
    };
    const id = sftp.link.client.read(handle, part.at + part.got, length, into, path);
    window.sent(length, sentAt);
    sftp.link.ask(id, (answer) => {
      window.answered(length, sentAt, performance.now());
      if (!this.destroyed) this.#answered(part, answer);
    });
  }

  #answered(part: Part, answer: Answer): void {
    if (answer.kind === 'data') part.got += answer.data.length;
    if (answer.kind === 'failed') part.ended = answer.error;
    else if (answer.kind === 'eof') part.ended = 'file';
    else if (part.got === part.length) part.ended = 'whole';
    else {
      try {
        // A short answer.
        return this.#ask(part);
      } catch (error) {
        part.ended = error as Error;
      }
    }
    this.#turn.wanted();
  }

  /** Hands on what is whole. A failure further on is told when its turn comes, if it does. */
  #advance(): void {
    while (this.#parts[0]?.ended !== undefined) {
      const { ended, memory, got } = this.#parts.shift()!;
      if (memory && !this.push(lean(memory, got))) this.#wanted = false;
      if (ended instanceof Error) this.destroy(ended);
      else if (ended === 'file') this.#finish();
    }
    if (!this.destroyed) this.#pump();
  }

  #finish(): void {
    this.#parts.length = 0;
    this.#next = this.#end;
    this.#wanted = false;
    this.push(null);
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
  #written: ((error?: Error) => void) | undefined;
  #finished: ((error?: Error) => void) | undefined;
  #error: Error | undefined;
  #isStalled = false;
  readonly #turn = new Turn(() => this.#pump());
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
    this.#told()?.(error ?? new SshError('closed', 'the stream is closed'));
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
    const told = this.#told();
    if (told) told(error);
    else this.destroy(error);
  }

  #pump(): void {
    if (this.destroyed) return;
    if (this.#error) return this.#fail(this.#error);
    try {
      while (this.#chunk && this.#canSend()) this.#gather();
      // Nothing waits for company while nothing is under way, and at the end nothing waits at all.
      const block = this.#block;
      if (block && block.filled > block.sent && (this.#window!.inFlight === 0 || this.#finished) && this.#canSend())
        this.#send(block, block.filled);
    } catch (error) {
      return this.#fail(error as Error);
    }
    this.#tell();
  }

  #tell(): void {
    const { open, inFlight } = this.#window!;
    const isGathered = this.#block !== undefined && this.#block.filled > this.#block.sent;
    if (this.#chunk || (this.#finished ? inFlight > 0 || isGathered : !open)) return;
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

  /** Moves what fits of the chunk into the block, and sends what is a whole request. */
  #gather(): void {
    this.#block ??= { memory: takeBlock(), filled: 0, sent: 0, open: 0 };
    const block = this.#block;
    const end = Math.min(block.sent + this.#request, BLOCK_BYTES);
    const chunk = this.#chunk!;
    const taken = chunk.subarray(0, end - block.filled);
    block.memory.set(taken, block.filled);
    block.filled += taken.length;
    this.#chunk = taken.length === chunk.length ? undefined : chunk.subarray(taken.length);
    if (block.filled === end) this.#send(block, end);
  }

  #send(block: Block, end: number): void {
    const { handle, path, sftp } = this.#file;
    const window = this.#window!;
    const data = block.memory.subarray(block.sent, end);
    const sentAt = performance.now();
    const id = sftp.link.client.write(handle, this.#position, data, path);
    this.#position += data.length;
    block.sent = end;
    block.open++;
    if (end === BLOCK_BYTES) this.#block = undefined;
    window.sent(data.length, sentAt);
    sftp.link.ask(id, (answer) => {
      window.answered(data.length, sentAt, performance.now());
      if (--block.open === 0 && block.sent === BLOCK_BYTES) giveBlock(block.memory);
      if (answer.kind === 'failed') this.#error ??= answer.error;
      this.#turn.wanted();
    });
  }
}

export const readStream = (file: RemoteFile, range: ReadRange): Readable => new SftpReadable(file, range);

export const writeStream = (file: RemoteFile, start: WriteStart): Writable => new SftpWritable(file, start);
