/**
 * One channel: windows, queues and the half-close automaton (RFC 4254 section 5).
 *
 *     opening ──confirmation──> open ──CLOSE both ways──> closed
 *        └──────failure───────> closed
 *     open, per direction:  data ──EOF──> no more data ──CLOSE──> nothing at all
 *
 * Reading takes a view and credits the window; nothing is credited that was not taken. Writing keeps the chunk by
 * reference until `fill` copies it into a packet. Data for a direction that is closed here is credited at once, so that
 * a peer never waits for a reader who has left.
 */

import { malformed, protocolError, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import {
  ChannelClose,
  ChannelData,
  ChannelEof,
  ChannelExtendedData,
  ChannelFailure,
  ChannelRequest,
  ChannelSuccess,
  ChannelWindowAdjust,
} from '../messages/connection.ts';
import type { PayloadSink } from '../packet/payload-sink.ts';
import { Queue } from '../queue.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import { enqueue, type Inlet, newInlet } from './inlet.ts';

/** RFC 4254 section 5.2: the only extended data type in use. */
export const STDERR = 1;

export const DATA_HEAD = 9; // number, recipient, length
export const EXTENDED_HEAD = 13; // and data type
const MAX_U32 = 0xffff_ffff;

export type ChannelSignal =
  | { readonly what: 'open' }
  | { readonly what: 'open-failed'; readonly reason: number; readonly text: string }
  /** Data waits on `read` (or `readExtended`); said once until it was read dry. */
  | { readonly what: 'readable'; readonly extended: boolean }
  /** `write` takes more after it said no. */
  | { readonly what: 'writable' }
  | { readonly what: 'eof' }
  | { readonly what: 'request'; readonly request: string; readonly wantReply: boolean; readonly body: Uint8Array }
  /** The answer to the oldest unanswered request of ours. */
  | { readonly what: 'reply'; readonly ok: boolean }
  /** Nothing passed for as long as its limit says: it is being closed. */
  | { readonly what: 'expired' }
  | { readonly what: 'closed' };

export interface ChannelOptions {
  /** Bytes the peer may send before we have read any. */
  readonly window?: number;
  /** What the window may grow to while the reader keeps up; the same as `window` turns growing off. */
  readonly maxWindow?: number;
  /** Largest data packet we take. */
  readonly maxPacket?: number;
  /** Bytes `write` keeps before it says no. */
  readonly writeMark?: number;
}

export const channelDefaults = {
  window: 2 * 1024 * 1024,
  maxWindow: 8 * 1024 * 1024,
  maxPacket: 32 * 1024,
  writeMark: 512 * 1024,
} as const;

function extendedHead(peerId: number, type: number): Uint8Array {
  const head = new Uint8Array(EXTENDED_HEAD);
  head[0] = ChannelExtendedData.number;
  putU32(head, 1, peerId);
  putU32(head, 5, type);
  return head;
}

/** Time, as far as windows have to do with it. */
export interface Pace {
  /** Milliseconds. */
  now(): number;
  /** The quickest answer seen so far in milliseconds; undefined before there was one. */
  roundTrip(): number | undefined;
}

/** The way from a channel to its connection. */
export interface ChannelPort {
  /** Without it every window that a reader keeps up with may grow. */
  readonly pace?: Pace | undefined;
  control(payload: Uint8Array): void;
  signal(channel: Channel, signal: ChannelSignal): void;
  /** Data passed, either way. */
  used(channel: Channel): void;
  gone(channel: Channel): void;
}

interface Chunk {
  readonly data: Uint8Array;
  readonly type: number;
  readonly taken: (() => void) | undefined;
}

export class Channel {
  readonly id: number;
  readonly channelType: string;
  /** A place for the outside to keep what belongs to this channel. */
  owner: unknown;
  /** What was written waits here for now. */
  held = false;
  readonly #port: ChannelPort;
  readonly #maxPacket: number;
  readonly #maxWindow: number;
  readonly #writeMark: number;
  #windowSize: number;
  /** What the peer may still send. */
  #window: number;
  /** Taken by the reader and not credited yet. */
  #consumed = 0;
  #received = 0;
  #grantedAt = 0;
  #unread = 0;
  readonly #in: readonly [Inlet, Inlet] = [newInlet(), newInlet()];
  #discard = false;

  #peerId = -1;
  /** Stands before our data. */
  readonly #head = new Uint8Array(DATA_HEAD);
  #peerWindow = 0;
  #peerMaxPacket = 0;
  readonly #out = new Queue<Chunk>();
  #outAt = 0;
  #outBytes = 0;
  #wantsWritable = false;

  #state: 'opening' | 'open' | 'closed' = 'opening';
  #eofWanted = false;
  #eofSent = false;
  #eofReceived = false;
  #closeWanted = false;
  #closeSent = false;
  #closeReceived = false;
  #unanswered = 0;
  #owed = 0;

  constructor(port: ChannelPort, id: number, channelType: string, options: ChannelOptions = {}) {
    this.#port = port;
    this.id = id;
    this.channelType = channelType;
    this.#windowSize = options.window ?? channelDefaults.window;
    this.#maxWindow = Math.max(this.#windowSize, options.maxWindow ?? channelDefaults.maxWindow);
    this.#maxPacket = options.maxPacket ?? channelDefaults.maxPacket;
    this.#writeMark = options.writeMark ?? channelDefaults.writeMark;
    this.#window = this.#windowSize;
  }

  // ---- getters

  get state(): 'opening' | 'open' | 'closed' {
    return this.#state;
  }
  get initialWindow(): number {
    return this.#windowSize;
  }
  get maxPacket(): number {
    return this.#maxPacket;
  }
  /** Bytes accepted by `write` and not yet formed into packets. */
  get buffered(): number {
    return this.#outBytes;
  }
  /** Bytes received and not yet read. */
  get unread(): number {
    return this.#unread;
  }
  get eofReceived(): boolean {
    return this.#eofReceived;
  }
  get eofSent(): boolean {
    return this.#eofWanted;
  }
  get closeReceived(): boolean {
    return this.#closeReceived;
  }
  /** What the peer lets us send now. */
  get peerWindow(): number {
    return this.#peerWindow;
  }
  /** The number the peer calls this channel by; -1 until it is open. */
  get peerId(): number {
    return this.#peerId;
  }

  // ---- commands

  /** The next data as a view, or undefined when none waits. */
  read(): Uint8Array | undefined {
    return this.#take(this.#in[0]);
  }

  readExtended(): Uint8Array | undefined {
    return this.#take(this.#in[1]);
  }

  #take(inlet: Inlet): Uint8Array | undefined {
    const chunk = inlet.chunks.shift();
    if (chunk === undefined) {
      inlet.announced = false;
      return undefined;
    }
    this.#unread -= chunk.length;
    this.#credit(chunk.length);
    return chunk;
  }

  /** Throws unread and future data away, crediting it: nobody will read this channel any more. */
  discardInput(): void {
    this.#discard = true;
    while (this.read() !== undefined);
    while (this.readExtended() !== undefined);
  }

  #credit(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < this.#windowSize / 2 || this.#state !== 'open') return;
    if (this.#eofReceived || this.#closeReceived || this.#closeSent) return;
    let grant = this.#consumed;
    const hurried = this.#hurried();
    // A reader that keeps up with a full window's worth, sooner than the grants can travel, is held back by the window.
    if (hurried && this.#windowSize < this.#maxWindow && this.#unread === 0 && this.#received >= this.#windowSize) {
      const grown = Math.min(this.#maxWindow, this.#windowSize * 2);
      grant += grown - this.#windowSize;
      this.#windowSize = grown;
      this.#received = 0;
    }
    this.#consumed = 0;
    this.#window += grant;
    this.#port.control(ChannelWindowAdjust.encode({ recipient: this.#peerId, bytes: grant }));
  }

  /** Half a window went by within a round trip since the last grant: near links never see that, and need no more. */
  #hurried(): boolean {
    const { pace } = this.#port;
    if (pace === undefined) return true;
    const now = pace.now();
    const took = now - this.#grantedAt;
    this.#grantedAt = now;
    const roundTrip = pace.roundTrip();
    return roundTrip !== undefined && took < roundTrip;
  }

  /**
   * Takes `data` by reference: do not change it until `taken` is called, which says that it stands in packets and never
   * comes when the channel ends before. False means "enough for now": a 'writable' signal follows. Throws 'closed'
   * after `eof`, `close` or the peer's CLOSE.
   */
  write(data: Uint8Array, extendedType = 0, taken?: () => void): boolean {
    if (this.#eofWanted || this.#closeWanted || this.#closeReceived || this.#state === 'closed') {
      throw new SshError('closed', 'the channel takes no more data');
    }
    if (data.length > 0) {
      this.#out.push({ data, type: extendedType, taken });
      this.#outBytes += data.length;
    } else taken?.();
    if (this.#outBytes < this.#writeMark) return true;
    this.#wantsWritable = true;
    return false;
  }

  /** No more data from us, once what is buffered has gone. */
  eof(): void {
    this.#eofWanted = true;
    this.#flushEnd();
  }

  /** Ends both directions. What is buffered still goes out first, unless the peer has closed. */
  close(): void {
    if (this.#closeWanted) return;
    this.#closeWanted = true;
    if (this.#state === 'open') this.#flushEnd();
  }

  /** Ends it although something may still be buffered: nothing has moved for too long. */
  expire(): void {
    this.#dropOutput();
    this.close();
    this.#port.signal(this, { what: 'expired' });
  }

  request(request: string, wantReply: boolean, body: Uint8Array): void {
    if (this.#closeSent || this.#state !== 'open') throw new SshError('closed', 'the channel is not open');
    if (wantReply && this.#unanswered >= limits.pendingRequests)
      throw new SshError('usage', 'too many unanswered requests');
    if (wantReply) this.#unanswered++;
    this.#port.control(ChannelRequest.encode({ recipient: this.#peerId, request, wantReply, body }));
  }

  /** Answers the oldest request of the peer that wanted a reply. */
  reply(ok: boolean): void {
    if (this.#owed === 0) throw new SshError('usage', 'no request awaits a reply');
    this.#owed--;
    if (this.#closeSent) return;
    this.#port.control((ok ? ChannelSuccess : ChannelFailure).encode({ recipient: this.#peerId }));
  }

  // ---- towards the packets

  /** Something could be formed right now. */
  get sendable(): boolean {
    return this.#state === 'open' && this.#outBytes > 0 && this.#peerWindow > 0 && !this.#closeSent && !this.held;
  }

  /**
   * Forms a data packet, and more of them up to a full sink where it `isAlone`, without others that wait for their turn.
   * False when there is none to form.
   */
  fill(sink: PayloadSink, isAlone: boolean): boolean {
    if (!this.sendable) return false;
    do this.#formPacket(sink);
    while (isAlone && this.sendable && !sink.full);
    this.#port.used(this);
    return true;
  }

  #formPacket(sink: PayloadSink): void {
    const { type } = this.#out.peek()!;
    const length = this.#joined(type, Math.min(this.#peerWindow, this.#peerMaxPacket));
    const head = type === 0 ? this.#head : extendedHead(this.#peerId, type);
    putU32(head, head.length - 4, length);
    sink.begin(head.length + length);
    sink.put(head);
    this.#copyOut(sink, length);
    sink.end();
    this.#outBytes -= length;
    this.#peerWindow -= length;
    if (this.#outBytes <= this.#writeMark / 2) this.#drained();
  }

  /** Chunks of one type are joined, up to `room`, so that many small writes do not become many small packets. */
  #joined(type: number, room: number): number {
    let length = -this.#outAt;
    for (let i = 0; i < this.#out.length && length < room; i++) {
      const chunk = this.#out.peek(i)!;
      if (chunk.type !== type) break;
      length += chunk.data.length;
    }
    return Math.min(length, room);
  }

  #copyOut(sink: PayloadSink, length: number): void {
    let left = length;
    while (left > 0) {
      const { data, taken } = this.#out.peek()!;
      const from = this.#outAt;
      const to = Math.min(from + left, data.length);
      sink.put(to - from === data.length ? data : data.subarray(from, to));
      left -= to - from;
      this.#outAt = to;
      if (to === data.length) {
        this.#out.shift();
        this.#outAt = 0;
        taken?.();
      }
    }
  }

  /** Little is left. */
  #drained(): void {
    if (this.#outBytes === 0) this.#flushEnd();
    if (this.#wantsWritable) {
      this.#wantsWritable = false;
      this.#port.signal(this, { what: 'writable' });
    }
  }

  /** Sends EOF and CLOSE once the data before them has gone. */
  #flushEnd(): void {
    if (this.#state !== 'open' || this.#closeSent) return;
    if (this.#outBytes > 0 && !this.#closeReceived) return;
    if (this.#eofWanted && !this.#eofSent && !this.#closeReceived) {
      this.#eofSent = true;
      this.#port.control(ChannelEof.encode({ recipient: this.#peerId }));
    }
    if (this.#closeWanted) {
      this.#closeSent = true;
      this.#port.control(ChannelClose.encode({ recipient: this.#peerId }));
      this.#finishIfClosed();
    }
  }

  #finishIfClosed(): void {
    if (this.#closeSent && this.#closeReceived && this.#state === 'open') this.#finish();
  }

  #finish(): void {
    this.#state = 'closed';
    this.#dropOutput();
    this.#port.signal(this, { what: 'closed' });
    this.#port.gone(this);
  }

  #dropOutput(): void {
    this.#out.clear();
    this.#outAt = 0;
    this.#outBytes = 0;
  }

  // ---- inputs, called by the mux

  confirmed(peerId: number, window: number, maxPacket: number): void {
    if (this.#state !== 'opening') throw protocolError('a channel was confirmed twice');
    this.#peerId = peerId;
    this.#head[0] = ChannelData.number;
    putU32(this.#head, 1, peerId);
    this.#peerWindow = window;
    this.#peerMaxPacket = Math.max(1, Math.min(maxPacket, limits.packetLength / 2));
    this.#state = 'open';
    this.#port.signal(this, { what: 'open' });
    this.#flushEnd();
  }

  failed(reason: number, text: string): void {
    if (this.#state !== 'opening') throw protocolError('an open channel was refused');
    this.#state = 'closed';
    this.#port.signal(this, { what: 'open-failed', reason, text });
    this.#port.gone(this);
  }

  adjusted(bytes: number): void {
    // RFC 4254 section 5.2: the window MUST NOT grow past 2^32 - 1.
    if (this.#peerWindow + bytes > MAX_U32)
      throw new SshError('window', 'window adjusted past 2^32 - 1', { by: 'peer', disconnect: 2 });
    this.#peerWindow += bytes;
  }

  /** CHANNEL_DATA or CHANNEL_EXTENDED_DATA as it came; queues a view. */
  data(payload: Uint8Array): void {
    const extended = payload[0] === ChannelExtendedData.number;
    const head = extended ? EXTENDED_HEAD : DATA_HEAD;
    if (payload.length < head || getU32(payload, head - 4) !== payload.length - head) {
      throw malformed('channel data whose length is a lie');
    }
    if (this.#eofReceived) throw protocolError('channel data after EOF');
    this.#port.used(this);
    const length = payload.length - head;
    if (length > this.#window)
      throw new SshError('window', `${length} bytes sent into a window of ${this.#window}`, {
        by: 'peer',
        disconnect: 2,
      });
    this.#window -= length;
    this.#received += length;
    if (length === 0) return;
    // Types other than stderr mean nothing here; a channel that is closed on our side has no reader.
    if (this.#discard || this.#closeWanted || (extended && getU32(payload, 5) !== STDERR)) {
      this.#credit(length);
      return;
    }
    const inlet = this.#in[extended ? 1 : 0];
    enqueue(inlet, payload.subarray(head));
    this.#unread += length;
    if (!inlet.announced) {
      inlet.announced = true;
      this.#port.signal(this, { what: 'readable', extended });
    }
  }

  eofCame(): void {
    if (this.#eofReceived) return;
    this.#eofReceived = true;
    this.#port.signal(this, { what: 'eof' });
  }

  closeCame(): void {
    this.#closeReceived = true;
    this.#dropOutput();
    if (this.#closeSent) return this.#finishIfClosed();
    // RFC 4254 section 5.3: CLOSE is answered with CLOSE.
    this.#closeWanted = true;
    this.#flushEnd();
  }

  requestCame(request: string, wantReply: boolean, body: Uint8Array): void {
    if (wantReply && ++this.#owed > limits.pendingRequests) {
      throw new SshError('limit', 'too many requests await our reply', { by: 'peer', disconnect: 2 });
    }
    this.#port.signal(this, { what: 'request', request, wantReply, body });
  }

  replyCame(ok: boolean): void {
    if (this.#unanswered === 0) throw protocolError('a reply to a channel request nobody made');
    this.#unanswered--;
    this.#port.signal(this, { what: 'reply', ok });
  }

  /** The connection is gone. */
  lost(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#dropOutput();
    this.#port.signal(this, { what: 'closed' });
  }
}
