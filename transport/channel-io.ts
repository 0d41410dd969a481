/**
 * A channel with promises: what an exec, a shell, a forward or an SFTP session is built on.
 *
 * Data is given to a sink as it comes; a sink that returns a promise holds the reading, and so the window, until it
 * settles. Nothing is buffered here beyond what the channel itself holds.
 */

import { type Channel, type ChannelSignal, SshError } from '../protocol/index.ts';

/** Takes data by view (it may be kept). A promise returned is the back-pressure. */
export type Sink = (chunk: Uint8Array) => void | Promise<void>;

export interface ChannelRequestEvent {
  readonly request: string;
  readonly wantReply: boolean;
  readonly body: Uint8Array;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Sink calls in one go before others get theirs. */
const READ_BURST = 64;

/** A rejection that nobody looks at is no crash: whoever writes without waiting learns of the end otherwise. */
function quietly(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

export class ChannelIo {
  readonly channel: Channel;
  readonly #wake: () => void;
  /** Settles when the peer has confirmed the channel; rejects with SshError 'channel-open' or the connection's error. */
  readonly opened: Promise<void>;
  /** Settles when the channel is over and its data was taken; never rejects. */
  readonly closed: Promise<void>;
  #opening: Waiter<void> | undefined;
  #closing!: () => void;
  #replies: Waiter<boolean>[] = [];
  #writable: Waiter<void>[] = [];
  readonly #sinks: [Sink | undefined, Sink | undefined] = [undefined, undefined];
  readonly #pumping: [boolean, boolean] = [false, false];
  /** stdout data came while nobody took it. */
  #unclaimed = false;
  #isClosed = false;
  #eofSeen = false;
  #reason: () => SshError | undefined = () => undefined;
  /** A request of the peer's (exit-status and the like). Return whether it was understood. */
  onRequest: (event: ChannelRequestEvent) => boolean = () => false;
  /** The peer will send no more, and what it sent was taken. */
  onEof: () => void = () => {};
  /** The peer has closed its side (no writes any more). */
  onClosed: () => void = () => {};

  /** `reason` tells why the connection ended, for errors of calls that outlive it. */
  constructor(channel: Channel, wake: () => void, reason?: () => SshError | undefined) {
    this.channel = channel;
    this.#wake = wake;
    if (reason !== undefined) this.#reason = reason;
    channel.owner = this;
    this.opened =
      channel.state === 'open'
        ? Promise.resolve()
        : new Promise((resolve, reject) => void (this.#opening = { resolve, reject }));
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => void (this.#closing = resolve));
  }

  /** Called by the connection for each signal of the channel. */
  signal(signal: ChannelSignal): void {
    switch (signal.what) {
      case 'open':
        this.#opening?.resolve();
        this.#opening = undefined;
        break;
      case 'open-failed':
        this.#opening?.reject(
          new SshError('channel-open', 'the server refused the channel', {
            by: 'peer',
            detail: { channel: this.channel.id, reason: signal.reason, text: signal.text },
          }),
        );
        this.#opening = undefined;
        this.#over();
        break;
      case 'readable':
        this.#pump(signal.extended ? 1 : 0);
        break;
      case 'writable':
        for (const waiter of this.#writable.splice(0)) waiter.resolve();
        break;
      case 'eof':
        this.#eofSeen = true;
        this.#checkEnd();
        break;
      case 'request': {
        const ok = this.onRequest(signal);
        if (signal.wantReply) this.channel.reply(ok);
        break;
      }
      case 'reply':
        this.#replies.shift()?.resolve(signal.ok);
        break;
      // Not waited for: a server may answer our CLOSE only when its command ends.
      case 'expired':
      case 'closed':
        this.#over();
    }
  }

  #error(): SshError {
    return this.#reason() ?? new SshError('closed', 'the channel is closed', { by: 'peer' });
  }

  #over(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const waiting = [...(this.#opening === undefined ? [] : [this.#opening]), ...this.#replies, ...this.#writable];
    this.#opening = undefined;
    this.#replies = [];
    this.#writable = [];
    if (waiting.length > 0) {
      const error = this.#error();
      for (const waiter of waiting) waiter.reject(error);
    }
    this.onClosed();
    this.#checkEnd();
  }

  /** EOF and the end are told only after the data before them was taken. */
  #checkEnd(): void {
    if (this.#pumping[0] || this.#pumping[1]) return;
    // Who sets a sink for stderr first means to set one for stdout too; stderr that nobody wants is not waited for.
    if (this.#unclaimed && this.#sinks[1] !== undefined) return;
    if (this.#eofSeen || this.#isClosed) {
      const onEof = this.onEof;
      this.onEof = () => {};
      onEof();
    }
    if (this.#isClosed) this.#closing();
  }

  /** Where stdout (or, `extended`, stderr) goes from now on. */
  sink(extended: boolean, sink: Sink): void {
    const index = extended ? 1 : 0;
    this.#sinks[index] = sink;
    this.#pump(index);
  }

  #pump(index: 0 | 1): void {
    if (index === 0) this.#unclaimed = this.#sinks[0] === undefined;
    if (this.#sinks[index] === undefined || this.#pumping[index]) return;
    this.#pumping[index] = true;
    this.#pumpLoop(index);
  }

  #pumpLoop(index: 0 | 1): void {
    for (let i = 0; ; i++) {
      if (i >= READ_BURST) {
        setImmediate(() => this.#pumpLoop(index));
        break;
      }
      const chunk = index === 0 ? this.channel.read() : this.channel.readExtended();
      if (chunk === undefined) {
        this.#pumping[index] = false;
        this.#checkEnd();
        break;
      }
      let busy: void | Promise<void>;
      try {
        // Looked up each time: a sink may hand the rest of the stream to another one.
        busy = this.#sinks[index]!(chunk);
      } catch {
        this.#sinkFailed(index);
        return;
      }
      if (busy !== undefined) {
        busy.then(
          () => this.#pumpLoop(index),
          () => this.#sinkFailed(index),
        );
        break;
      }
    }
    this.#wake();
  }

  /** A sink that fails wants no more: what would come to it is thrown away and credited. The other one goes on. */
  #sinkFailed(index: 0 | 1): void {
    this.#pumping[index] = false;
    this.sink(index === 1, () => undefined);
  }

  /** Throws away what comes: nobody reads this channel, and a sink that still has work is not waited for. */
  discard(): void {
    this.#pumping[0] = this.#pumping[1] = this.#unclaimed = false;
    this.channel.discardInput();
    this.#wake();
    this.#checkEnd();
  }

  /**
   * Takes `data` by reference, until `taken` is called: not from the middle of forming packets, where it might end the
   * connection, but when that is over. A promise means "wait before you write more"; it rejects when
   * the channel ends.
   */
  write(data: Uint8Array, extendedType = 0, taken?: () => void): Promise<void> | undefined {
    if (this.#isClosed) return quietly(Promise.reject(this.#error()));
    let willing: boolean;
    try {
      willing = this.channel.write(data, extendedType, taken && (() => process.nextTick(taken)));
    } catch (error) {
      return quietly(Promise.reject(error));
    }
    this.#wake();
    if (willing) return undefined;
    return quietly(new Promise((resolve, reject) => this.#writable.push({ resolve, reject })));
  }

  eof(): void {
    if (this.#isClosed) return;
    this.channel.eof();
    this.#wake();
  }

  close(): void {
    if (this.#isClosed) return;
    this.channel.close();
    this.#wake();
  }

  /** What ended the connection under the channel; undefined while that lives. */
  get failure(): SshError | undefined {
    return this.#reason();
  }

  /** True once nothing can be written any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends a request and waits for the answer; throws SshError 'channel-request' when it is refused. */
  async request(request: string, body: Uint8Array): Promise<void> {
    if (this.#isClosed) throw this.#error();
    this.channel.request(request, true, body);
    const reply = new Promise<boolean>((resolve, reject) => this.#replies.push({ resolve, reject }));
    this.#wake();
    if (!(await reply)) {
      throw new SshError('channel-request', `the server refused the ${request} request`, {
        by: 'peer',
        detail: { request },
      });
    }
  }

  /** Sends a request that wants no answer; nothing happens when the channel is over. */
  notify(request: string, body: Uint8Array): void {
    if (this.#isClosed || this.channel.closeReceived || this.channel.state !== 'open') return;
    this.channel.request(request, false, body);
    this.#wake();
  }
}
