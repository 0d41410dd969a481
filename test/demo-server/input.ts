/**
 * A command's stdin: a bounded queue between the channel, which is held back when it is full, and whoever reads. With a
 * terminal in front of it, a line discipline does what a kernel would: echo, erase, end of file, signals.
 */

import type { CommandInput } from './options.ts';

const QUEUE_MARK = 64 * 1024;
const LF = 10;

export class InputQueue implements CommandInput {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #interrupted = false;
  #reader: (() => void) | undefined;
  #writer: (() => void) | undefined;

  /** Adds data; a promise means the queue is full until somebody reads. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#ended || chunk.length === 0) return undefined;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#reader?.();
    if (this.#bytes < QUEUE_MARK) return undefined;
    return new Promise((resolve) => {
      this.#writer = resolve;
    });
  }

  end(): void {
    this.#ended = true;
    this.#reader?.();
    this.#writer?.();
  }

  /** Sends whoever is reading away empty-handed. */
  interrupt(): void {
    if (this.#reader === undefined) return;
    this.#interrupted = true;
    this.#reader();
  }

  /** Waits for data; false at the end. */
  async #wait(): Promise<boolean> {
    while (this.#chunks.length === 0) {
      if (this.#ended) return false;
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
      this.#reader = undefined;
      if (this.#interrupted) {
        this.#interrupted = false;
        return false;
      }
    }
    return true;
  }

  #took(length: number): void {
    this.#bytes -= length;
    if (this.#bytes >= QUEUE_MARK / 2) return;
    this.#writer?.();
    this.#writer = undefined;
  }

  async read(): Promise<Uint8Array | undefined> {
    if (!(await this.#wait())) return undefined;
    const chunk = this.#chunks.shift()!;
    this.#took(chunk.length);
    // An empty chunk is a terminal's end of file: the reader's end, not the channel's.
    return chunk.length === 0 ? undefined : chunk;
  }

  /** Without its newline; a last line need not have one. */
  async readLine(): Promise<string | undefined> {
    const parts: Uint8Array[] = [];
    while (await this.#wait()) {
      const chunk = this.#chunks[0]!;
      if (chunk.length === 0) {
        this.#chunks.shift();
        break;
      }
      const at = chunk.indexOf(LF);
      parts.push(chunk.subarray(0, at < 0 ? chunk.length : at));
      if (at < 0 || at === chunk.length - 1) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(at + 1);
      this.#took(at < 0 ? chunk.length : at + 1);
      if (at >= 0) return Buffer.concat(parts).toString();
    }
    return parts.length === 0 ? undefined : Buffer.concat(parts).toString();
  }

  /** The mark a terminal leaves for its reader at ^D. */
  endOfFile(): void {
    this.#chunks.push(new Uint8Array(0));
    this.#reader?.();
  }
}

export interface TerminalHandlers {
  echo(text: string): void;
  signal(name: string): void;
}

/** Canonical mode (termios ICANON, ECHO, ISIG, ICRNL) with the usual special characters. */
export class LineDiscipline {
  readonly #queue: InputQueue;
  readonly #handlers: TerminalHandlers;
  #line: number[] = [];

  constructor(queue: InputQueue, handlers: TerminalHandlers) {
    this.#queue = queue;
    this.#handlers = handlers;
  }

  push(chunk: Uint8Array): Promise<void> | undefined {
    let busy: Promise<void> | undefined;
    for (const byte of chunk) busy = this.#key(byte) ?? busy;
    return busy;
  }

  #key(byte: number): Promise<void> | undefined {
    const { echo, signal } = this.#handlers;
    switch (byte) {
      case 3:
      case 28:
        echo(byte === 3 ? '^C' : '^\\');
        this.#line = [];
        signal(byte === 3 ? 'INT' : 'QUIT');
        return undefined;
      case 4:
        if (this.#line.length === 0) this.#queue.endOfFile();
        else this.#submit();
        return undefined;
      case 8:
      case 127:
        if (this.#line.pop() !== undefined) echo('\b \b');
        return undefined;
      case 10:
      case 13:
        echo('\n');
        this.#line.push(LF);
        return this.#submit();
      default:
        this.#line.push(byte);
        echo(byte < 32 && byte !== 9 ? `^${String.fromCharCode(byte + 64)}` : String.fromCharCode(byte));
        return undefined;
    }
  }

  #submit(): Promise<void> | undefined {
    const line = Uint8Array.from(this.#line);
    this.#line = [];
    return this.#queue.push(line);
  }
}
