/** A channel as a Node Duplex: reading pulls, writing waits for credit. stderr, where there is one, is its own Readable. */

import { Duplex, Readable } from 'node:stream';
import type { ChannelIo } from './channel-io.ts';

/** Feeds a Readable from one of the channel's inlets, with its own pace as the back-pressure. */
function feed(io: ChannelIo, extended: boolean, stream: Readable): { resume(): void } {
  let held: (() => void) | undefined;
  io.sink(extended, (chunk) => {
    if (stream.destroyed || stream.push(chunk)) return undefined;
    return new Promise((resolve) => void (held = resolve));
  });
  return {
    resume() {
      const release = held;
      held = undefined;
      release?.();
    },
  };
}

export class ChannelStream extends Duplex {
  readonly #io: ChannelIo;
  readonly #feed: { resume(): void };
  /** What the peer sends as extended data of type stderr. */
  readonly stderr: Readable;

  constructor(io: ChannelIo) {
    super({ allowHalfOpen: true, readableHighWaterMark: 256 * 1024, writableHighWaterMark: 256 * 1024 });
    this.#io = io;
    const errors = { feed: undefined as { resume(): void } | undefined };
    this.stderr = new Readable({ read: () => errors.feed?.resume() });
    io.onEof = () => {
      this.push(null);
      this.stderr.push(null);
    };
    // stderr first: the end is told when stdout was taken.
    errors.feed = feed(io, true, this.stderr);
    this.#feed = feed(io, false, this);
  }

  override _read(): void {
    this.#feed.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const busy = this.#io.write(chunk);
    if (busy === undefined) callback();
    else busy.then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#io.eof();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#io.discard();
    this.#io.close();
    this.stderr.destroy();
    callback(error);
  }
}
