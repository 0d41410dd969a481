/**
 * The process's own standard streams, byte for byte, fast and with back-pressure.
 *
 * O_NONBLOCK belongs to an open file description, and ours are shared with whoever started us: set on them, a `dd` or
 * `cat` beside us fails with EAGAIN. So a pipe or terminal is opened once more through /proc, which makes a description
 * of our own. Where that is not possible (sockets, systems without /proc) the shared one is used as ssh(1) uses it.
 *
 * Pipes are never read with fs.read: a read that blocks in the thread pool also blocks the end of the process.
 */

import { constants, fstatSync, openSync, read, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { isatty, ReadStream, WriteStream } from 'node:tty';

type Kind = 'tty' | 'stream' | 'file' | 'closed';

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;

/** What one read of a file takes: large enough to be cheap, small beside what a channel keeps. */
const FILE_READ = 128 * 1024;
/** Reads in one go before others get their turn, when nobody asks the reading to wait. */
const FILE_BURST = 16;

/** How soon a description that somebody else made non-blocking is tried again. */
const RETRY_MS = 2;

function kindOf(fd: number): Kind {
  try {
    const stat = fstatSync(fd);
    if (stat.isFIFO() || stat.isSocket()) return 'stream';
    return isatty(fd) ? 'tty' : 'file';
  } catch {
    return 'closed';
  }
}

/** Another description of what `fd` has open; undefined where the system has none to give. */
function reopen(fd: number, flags: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, flags | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

const ignore = (): void => {};

const errnoOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/**
 * Takes data; a promise returned holds the reading until it settles. Who calls `taken` gives the chunk's memory back;
 * otherwise it is the sink's for good.
 */
export type InputSink = (chunk: Uint8Array, taken: () => void) => void | Promise<void>;

/** Not to be read in passing: a device may have nothing for hours. */
function isRegularFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}

/** Of Node's own streams; a read that was begun before it was stopped goes on. */
interface ReadingStream {
  readonly _handle: { readStop(): void; readStart(): void };
}

/** Reads standard input; nothing is taken from it before `start`. */
export class StdinReader {
  readonly kind: Kind;
  /** The terminal, when it is one: raw mode is set through this. */
  readonly terminal: ReadStream | undefined;
  readonly #fd: number;
  #stream: Socket | undefined;
  #stopped = false;
  #started = false;
  #held = false;
  /** The sink wants no more for now. */
  #full = false;
  #finish: () => void = () => {};
  /** Memory that came back: a large file otherwise costs as much in fresh pages as in reading. */
  readonly #spares: Uint8Array[] = [];

  constructor(fd = 0) {
    this.#fd = fd;
    this.kind = kindOf(fd);
    if (this.kind === 'tty') {
      this.terminal = new ReadStream(reopen(fd, O_RDWR) ?? reopen(fd, O_RDONLY) ?? fd);
      this.terminal.pause();
    }
  }

  /** Settles at the end of the input, or after `stop`. An error of the input is its end: nobody could do more. */
  start(sink: InputSink): Promise<void> {
    if (this.#started) throw new TypeError('the input is being read already');
    this.#started = true;
    return new Promise((resolve) => {
      this.#finish = resolve;
      if (this.#stopped || this.kind === 'closed') resolve();
      else if (this.kind === 'file') isRegularFile(this.#fd) ? this.#readFile(sink) : this.#readDevice(sink);
      else this.#readStream(sink);
    });
  }

  /** Leaves the terminal to another reader until the function returned is called. */
  hold(): () => void {
    this.#held = true;
    const stream = this.#stream ?? this.terminal;
    stream?.pause();
    // A stream that is paused still reads once: the first that is typed as an answer.
    const handle = (stream as unknown as Partial<ReadingStream> | undefined)?._handle;
    handle?.readStop();
    return () => {
      this.#held = false;
      if (!this.#stopped) handle?.readStart();
      this.#goOn();
    };
  }

  #goOn(): void {
    if (!this.#stopped && !this.#full && !this.#held) (this.#stream ?? this.terminal)?.resume();
  }

  #readStream(sink: InputSink): void {
    const stream = this.terminal ?? new Socket({ fd: reopen(this.#fd, O_RDONLY) ?? this.#fd, writable: false });
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      if (this.#stopped) return;
      const busy = sink(chunk, ignore);
      if (busy === undefined) return;
      this.#full = true;
      stream.pause();
      busy.then(
        () => {
          this.#full = false;
          this.#goOn();
        },
        () => this.stop(),
      );
    });
    stream.once('end', this.#finish);
    stream.once('error', this.#finish);
    stream.once('close', this.#finish);
    stream.resume();
  }

  /**
   * A file on a disk is read here and now, as ssh(1) reads it: a thread of the pool costs four changes of thread a
   * read, half as much as all the encryption. Only when the sink has room.
   */
  #readFile(sink: InputSink): void {
    for (let i = 0; i < FILE_BURST; i++) {
      if (this.#stopped) return;
      const buffer = this.#buffer();
      let count: number;
      try {
        count = readSync(this.#fd, buffer, 0, FILE_READ, null);
      } catch {
        return this.#finish();
      }
      if (count === 0) return this.#finish();
      const busy = this.#give(sink, buffer, count);
      if (busy !== undefined) return this.#after(busy, () => this.#readFile(sink));
    }
    setImmediate(() => this.#readFile(sink));
  }

  /** /dev/zero and the like. */
  #readDevice(sink: InputSink): void {
    if (this.#stopped) return;
    const buffer = this.#buffer();
    read(this.#fd, buffer, 0, FILE_READ, null, (error, count) => {
      if (this.#stopped || error || count === 0) return this.#finish();
      const busy = this.#give(sink, buffer, count);
      if (busy === undefined) this.#readDevice(sink);
      else this.#after(busy, () => this.#readDevice(sink));
    });
  }

  #buffer(): Uint8Array {
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(FILE_READ);
  }

  #give(sink: InputSink, buffer: Uint8Array, count: number): void | Promise<void> {
    return sink(buffer.subarray(0, count), () => void this.#spares.push(buffer));
  }

  #after(busy: Promise<void>, next: () => void): void {
    busy.then(next, () => this.stop());
  }

  /** Reads no more, and holds the process no longer. A terminal must have left raw mode before. */
  stop(): void {
    this.#stopped = true;
    (this.#stream ?? this.terminal)?.destroy();
    this.#finish();
  }
}

/**
 * Standard output or error. `write` takes a chunk and returns a promise when the next one has to wait. When nobody
 * reads any more (EPIPE), or a disk is full, it takes and forgets; `onClosed` tells.
 */
export class FdSink {
  readonly kind: Kind;
  /** The reader is gone, or writing failed: see `error`. */
  closed = false;
  /** Why, when it was not simply that the reader left. */
  error: NodeJS.ErrnoException | undefined;
  /** Told once. */
  onClosed: () => void = () => {};
  readonly #fd: number;
  /** Written to at once; undefined when only the stream may write. */
  readonly #direct: number | undefined;
  #stream: Socket | undefined;
  #pending: Promise<void> | undefined;
  #wake: () => void = () => {};

  constructor(fd: 1 | 2 | (number & {})) {
    this.#fd = fd;
    this.kind = kindOf(fd);
    if (this.kind === 'closed') this.closed = true;
    else if (this.kind === 'file') this.#direct = fd;
    else this.#direct = reopen(fd, O_WRONLY);
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.closed || chunk.length === 0) return undefined;
    const pending = this.#pending;
    const busy = pending === undefined ? this.#put(chunk) : pending.then(() => this.#put(chunk));
    if (busy === undefined) return undefined;
    const mine = busy.then(() => {
      if (this.#pending === mine) this.#pending = undefined;
    });
    this.#pending = mine;
    return mine;
  }

  /** Settles when everything written has left the process. */
  async flush(): Promise<void> {
    while (this.#pending !== undefined) await this.#pending;
  }

  #put(chunk: Uint8Array): Promise<void> | undefined {
    if (this.closed) return undefined;
    const rest = this.#direct === undefined ? chunk : this.#writeNow(this.#direct, chunk);
    if (rest === undefined) return undefined;
    return this.kind === 'file' ? this.#writeLater(rest) : this.#writeStream(rest);
  }

  /** What could not be written without waiting. */
  #writeNow(fd: number, chunk: Uint8Array): Uint8Array | undefined {
    let at = 0;
    try {
      for (;;) {
        at += writeSync(fd, chunk, at);
        if (at === chunk.length) return undefined;
        // A pipe that took a part is full: asking it again would only cost a call.
        if (this.kind === 'stream') return chunk.subarray(at);
      }
    } catch (error) {
      return this.#failed(error) ? undefined : chunk.subarray(at);
    }
  }

  /** True when there is no point in trying again. */
  #failed(error: unknown): boolean {
    const code = errnoOf(error);
    if (code === 'EAGAIN' || code === 'EINTR') return false;
    if (this.closed) return true;
    this.closed = true;
    if (code !== 'EPIPE' && code !== 'ECONNRESET') this.error = error as NodeJS.ErrnoException;
    this.#wake();
    this.onClosed();
    return true;
  }

  async #writeLater(chunk: Uint8Array): Promise<void> {
    for (let rest: Uint8Array | undefined = chunk; rest !== undefined; ) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      rest = this.#writeNow(this.#fd, rest);
    }
  }

  #writeStream(chunk: Uint8Array): Promise<void> {
    this.#stream ??= this.#openStream();
    const stream = this.#stream;
    return new Promise((resolve) => {
      this.#wake = resolve;
      stream.write(chunk, () => resolve());
    });
  }

  #openStream(): Socket {
    const fd = this.#direct ?? this.#fd;
    const stream = this.kind === 'tty' ? new WriteStream(fd) : new Socket({ fd, readable: false, writable: true });
    if (this.kind === 'tty' && this.#direct !== undefined) {
      // A terminal that is held (^S, a stopped multiplexer) must not hold the keepalives with it.
      (stream as unknown as { _handle?: { setBlocking?(on: boolean): void } })._handle?.setBlocking?.(false);
    }
    stream.on('error', (error) => this.#failed(error));
    return stream;
  }
}

/** The reader as a Node stream, for what wants one. */
export function readableOf(reader: StdinReader): Readable {
  let held: (() => void) | undefined;
  let started = false;
  const stream = new Readable({
    read() {
      held?.();
      held = undefined;
      if (started) return;
      started = true;
      void reader
        .start((chunk) => (stream.push(chunk) ? undefined : new Promise((resolve) => void (held = resolve))))
        .then(() => stream.push(null));
    },
    destroy(error, callback) {
      reader.stop();
      callback(error);
    },
  });
  return stream;
}

/** The sink as a Node stream; a reader that has left shows as an error of code EPIPE. */
export function writableOf(sink: FdSink): Writable {
  const stream = new Writable({
    write(chunk: Uint8Array, _encoding, callback) {
      const busy = sink.write(chunk);
      if (busy === undefined) callback();
      else busy.then(() => callback(), callback);
    },
    final(callback) {
      sink.flush().then(() => callback(), callback);
    },
  });
  sink.onClosed = () => void stream.destroy(sink.error ?? Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
  return stream;
}
