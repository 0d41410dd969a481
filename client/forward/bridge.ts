/**
 * A socket and a channel, joined: what either side sends reaches the other, ends included, at the pace of the slower.
 *
 *     socket data -> channel      socket paused while the channel is full
 *     channel data -> socket      channel unread (so: uncredited) while the socket is full
 *     FIN <-> EOF, each direction by itself; both over -> CLOSE; a socket error -> CLOSE; a cut connection -> RST
 *
 * Chunks travel by reference both ways: the only copy is the one into (or out of) the packet.
 */

import type { Socket } from 'node:net';
import type { ChannelOptions } from '../../protocol/index.ts';
import type { ChannelIo } from '../../transport/index.ts';

/**
 * A forwarding may carry thousands of channels, so each starts small: the window grows by itself while the socket keeps
 * up, and what a stalled socket can make us hold is the window.
 */
export const forwardChannel: ChannelOptions = {
  window: 256 * 1024,
  maxWindow: 16 * 1024 * 1024,
  writeMark: 256 * 1024,
};

/** Bytes handed to a socket before the channel is left unread. */
const SOCKET_MARK = 256 * 1024;

/** Ends a TCP connection with RST, so that its other end cannot take a cut stream for a whole one. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  try {
    socket.resetAndDestroy();
  } catch {
    // Unix sockets know no RST.
    socket.destroy();
  }
}

/**
 * Joins the two; `first` are bytes of the socket that were read before. Settles when the socket is gone; never rejects.
 */
export function bridge(io: ChannelIo, socket: Socket, first?: Uint8Array): Promise<void> {
  return new Bridge(io, socket).run(first);
}

/**
 * Node reads every chunk of a socket into 64 KiB of its own and V8 is late to collect them: with many connections that is
 * most of the memory. So what stands in packets is given back by hand, where the engine can (Node 22 on).
 */
function giveBack(chunk: Buffer): void {
  const memory: ArrayBufferLike & { transfer?(length: number): ArrayBuffer } = chunk.buffer;
  // A part of a larger memory may have neighbours.
  if (chunk.byteLength === memory.byteLength) memory.transfer?.(0);
}

class Bridge {
  readonly #io: ChannelIo;
  readonly #socket: Socket;
  #release: (() => void) | undefined;
  #corked = false;
  #drained = false;

  constructor(io: ChannelIo, socket: Socket) {
    this.#io = io;
    this.#socket = socket;
  }

  run(first: Uint8Array | undefined): Promise<void> {
    const io = this.#io;
    const socket = this.#socket;
    if (socket.destroyed) {
      io.discard();
      io.close();
      return Promise.resolve();
    }
    const done = new Promise<void>((resolve) =>
      socket.once('close', () => {
        this.#socketGone();
        resolve();
      }),
    );
    // What an error means is said by the 'close' that follows it.
    socket.on('error', () => {});
    io.onClosed = () => this.#channelClosed();
    io.onEof = () => this.#channelDrained();
    io.sink(true, () => undefined);
    io.sink(false, (chunk) => this.#toSocket(chunk));
    if (io.isClosed) this.#channelClosed();
    socket.on('drain', () => this.#letGo());
    socket.on('data', (chunk: Buffer) => this.#toChannel(chunk, () => giveBack(chunk)));
    // Whoever read before us may have paused it.
    socket.resume();
    if (first !== undefined && first.length > 0) this.#toChannel(first);
    if (socket.readableEnded) this.#socketEnded();
    else socket.once('end', () => this.#socketEnded());
    return done;
  }

  #toChannel(chunk: Uint8Array, taken?: () => void): void {
    if (this.#io.isClosed || this.#io.channel.closeReceived) return;
    const busy = this.#io.write(chunk, 0, taken);
    if (busy === undefined) return;
    this.#socket.pause();
    busy.then(
      () => this.#socket.resume(),
      () => {},
    );
  }

  #socketEnded(): void {
    this.#io.eof();
    if (this.#drained) this.#io.close();
  }

  #socketGone(): void {
    this.#letGo();
    this.#io.discard();
    this.#io.close();
  }

  #toSocket(chunk: Uint8Array): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.destroyed) return undefined;
    if (!this.#corked) {
      // Packets that came together leave in one system call.
      this.#corked = true;
      socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(chunk);
    if (socket.writableLength < SOCKET_MARK) return undefined;
    return new Promise((resolve) => void (this.#release = resolve));
  }

  #letGo(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  /** EOF or CLOSE came, and all that came before is with the socket. */
  #channelDrained(): void {
    this.#drained = true;
    if (this.#io.isClosed) return this.#channelClosed();
    this.#socket.end();
    if (this.#socket.readableEnded) this.#io.close();
  }

  #channelClosed(): void {
    const cut = this.#io.failure !== undefined && !this.#io.channel.eofReceived;
    if (cut) reset(this.#socket);
    // Nobody takes what the socket still sends: it goes as soon as it has passed on what it got.
    else if (this.#drained) this.#socket.destroySoon();
  }
}
