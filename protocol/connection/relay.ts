/**
 * Channels of somebody else on our connection: what the holder of a shared connection does for one client that speaks
 * packets itself (OpenSSH PROTOCOL.mux section 9).
 *
 *     client ──(its number)──> relay ──(our number)──> server        as the sender of an open or a confirmation
 *     client <──(its number)── relay <──(our number)── server        as the recipient of everything
 *
 * Otherwise packets pass unread, but not unchecked: a client may name its own channels only and must keep to the windows,
 * since it is our connection that the server would end. Windows bound what is held here, too.
 */

import { malformed, protocolError, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import {
  ChannelClose,
  ChannelData,
  ChannelEof,
  ChannelExtendedData,
  ChannelFailure,
  ChannelOpen,
  ChannelOpenConfirmation,
  ChannelOpenFailure,
  ChannelRequest,
  ChannelSuccess,
  ChannelWindowAdjust,
  GlobalRequest,
  OpenFailure,
} from '../messages/connection.ts';
import { PayloadQueue } from '../packet/payload-queue.ts';
import type { PayloadSink } from '../packet/payload-sink.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import { DATA_HEAD, EXTENDED_HEAD } from './channel.ts';
import type { IncomingOpen } from './mux.ts';

/** Towards the client. */
export interface RelayPort {
  /** A payload of the server's, its to keep. */
  deliver(payload: Uint8Array): void;
  /** The client asks the server something; whoever knows all clients decides and answers with `deliver`. */
  globalRequest(request: string, wantReply: boolean, body: Uint8Array): void;
  /** What to ask the server instead of this request on a channel; undefined: the same. */
  channelRequest(request: string, body: Uint8Array): { request: string; body: Uint8Array } | undefined;
  /** `backlog` has shrunk to nothing. */
  drained(): void;
  /** The connection is gone. */
  lost(): void;
}

/** Towards the connection. */
export interface RelayMux {
  /** Gives it a number; throws SshError 'limit'. */
  add(channel: RelayedChannel): number;
  remove(channel: RelayedChannel): void;
  /** An open of the server's has its answer. */
  answered(): void;
  /** Its client has left, and so has all that it sent. */
  gone(relay: Relay): void;
}

const MAX_U32 = 0xffff_ffff;

const dataHead = (payload: Uint8Array): number => (payload[0] === ChannelData.number ? DATA_HEAD : EXTENDED_HEAD);

export class RelayedChannel {
  readonly relay: Relay;
  /** The client's number. */
  readonly clientId: number;
  /** Ours. */
  id = -1;
  /** The server's; -1 until it has answered. */
  serverId = -1;
  /** What the client may still send, and how much at once. */
  window = 0;
  maxPacket = 0;
  /** What the server may still send. */
  credit = 0;
  /** Requests of the server's that wait for an answer. */
  owed = 0;
  eofSent = false;
  closeSent = false;
  closeReceived = false;

  constructor(relay: Relay, clientId: number) {
    this.relay = relay;
    this.clientId = clientId;
  }
}

export class Relay {
  readonly #mux: RelayMux;
  readonly #port: RelayPort;
  readonly #queue = new PayloadQueue();
  readonly #channels = new Set<RelayedChannel>();
  readonly #byServer = new Map<number, RelayedChannel>();
  /** Channels that the server opens and the client has not answered. */
  readonly #offers = new Map<number, IncomingOpen>();
  #closed = false;

  constructor(mux: RelayMux, port: RelayPort) {
    this.#mux = mux;
    this.#port = port;
  }

  /** Bytes of the client's that have not left. Who feeds us waits while they are many. */
  get backlog(): number {
    return this.#queue.weight;
  }
  get channelCount(): number {
    return this.#channels.size;
  }

  // ---- from the client

  /** A payload of the client's, ours to keep. Throws SshError, by 'peer', when the client has to go. */
  receive(payload: Uint8Array): void {
    if (this.#closed) return;
    switch (payload[0]) {
      case GlobalRequest.number: {
        const { request, wantReply, body } = GlobalRequest.decode(payload);
        return this.#port.globalRequest(request, wantReply, body);
      }
      case ChannelOpen.number:
        return this.#opens(ChannelOpen.decode(payload));
      case ChannelOpenConfirmation.number:
        return this.#confirms(ChannelOpenConfirmation.decode(payload));
      case ChannelOpenFailure.number: {
        this.#offer(ChannelOpenFailure.decode(payload).recipient);
        return this.#queue.push(payload);
      }
      case ChannelData.number:
      case ChannelExtendedData.number:
        return this.#data(payload);
      case ChannelClose.number: {
        const channel = this.#own(payload);
        ChannelClose.decode(payload);
        channel.closeSent = true;
        this.#queue.push(payload);
        if (channel.closeReceived) this.#forget(channel);
        return;
      }
      case ChannelRequest.number: {
        this.#own(payload);
        const { recipient, request, wantReply, body } = ChannelRequest.decode(payload);
        const instead = this.#port.channelRequest(request, body);
        return this.#queue.push(
          instead === undefined ? payload : ChannelRequest.encode({ recipient, wantReply, ...instead }),
        );
      }
      case ChannelWindowAdjust.number:
      case ChannelEof.number:
      case ChannelSuccess.number:
      case ChannelFailure.number:
        this.#check(this.#own(payload), payload);
        this.#queue.push(payload);
    }
  }

  /** What would end our connection does not get that far. */
  #check(channel: RelayedChannel, payload: Uint8Array): void {
    switch (payload[0]) {
      case ChannelWindowAdjust.number:
        channel.credit += ChannelWindowAdjust.decode(payload).bytes;
        if (channel.credit > MAX_U32) throw new SshError('window', 'window adjusted past 2^32 - 1', { by: 'peer' });
        return;
      case ChannelEof.number:
        ChannelEof.decode(payload);
        channel.eofSent = true;
        return;
      default:
        (payload[0] === ChannelSuccess.number ? ChannelSuccess : ChannelFailure).decode(payload);
        if (--channel.owed < 0) throw protocolError('a reply to a channel request nobody made');
    }
  }

  #own(payload: Uint8Array): RelayedChannel {
    const channel = payload.length < 5 ? undefined : this.#byServer.get(getU32(payload, 1));
    if (channel === undefined || channel.closeSent)
      throw protocolError('message for a channel that is not the client’s');
    return channel;
  }

  #opens(open: ChannelOpen): void {
    const channel = new RelayedChannel(this, open.sender);
    try {
      if (this.#channels.size >= limits.relayedChannels)
        throw new SshError('limit', 'too many channels of one client', { detail: { limit: limits.relayedChannels } });
      channel.id = this.#mux.add(channel);
    } catch (error) {
      if (!(error instanceof SshError) || error.code !== 'limit') throw error;
      const reason = OpenFailure.resourceShortage;
      const failure = { recipient: open.sender, reason, description: error.message, language: new Uint8Array(4) };
      return this.#port.deliver(ChannelOpenFailure.encode(failure));
    }
    channel.credit = open.window;
    this.#channels.add(channel);
    this.#queue.push(ChannelOpen.encode({ ...open, sender: channel.id }));
  }

  #offer(serverId: number): IncomingOpen {
    const open = this.#offers.get(serverId);
    if (open === undefined) throw protocolError('an answer to a channel that was not offered');
    this.#offers.delete(serverId);
    this.#mux.answered();
    return open;
  }

  #confirms(confirmation: ReturnType<typeof ChannelOpenConfirmation.decode>): void {
    const { window, maxPacket } = this.#offer(confirmation.recipient);
    const channel = new RelayedChannel(this, confirmation.sender);
    channel.id = this.#mux.add(channel);
    channel.credit = confirmation.window;
    this.#channels.add(channel);
    this.#opened(channel, confirmation.recipient, window, maxPacket);
    this.#queue.push(ChannelOpenConfirmation.encode({ ...confirmation, sender: channel.id }));
  }

  #opened(channel: RelayedChannel, serverId: number, window: number, maxPacket: number): void {
    channel.serverId = serverId;
    channel.window = window;
    channel.maxPacket = maxPacket;
    this.#byServer.set(serverId, channel);
  }

  #data(payload: Uint8Array): void {
    const channel = this.#own(payload);
    const head = dataHead(payload);
    const length = payload.length - head;
    if (length < 0 || getU32(payload, head - 4) !== length) throw malformed('channel data whose length is a lie');
    if (channel.eofSent) throw protocolError('channel data after EOF');
    if (length > channel.maxPacket || length > channel.window) {
      throw new SshError('window', 'a client sent more than the window allows', { by: 'peer' });
    }
    channel.window -= length;
    this.#queue.push(payload);
  }

  /** The client is gone: what it sent still leaves, then its channels are closed, and nobody hears of them any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const [recipient] of this.#offers) {
      const failure = { recipient, reason: OpenFailure.connectFailed, description: '', language: new Uint8Array(4) };
      this.#queue.push(ChannelOpenFailure.encode(failure));
      this.#mux.answered();
    }
    this.#offers.clear();
    for (const channel of this.#channels) this.#abandon(channel);
    this.#checkGone();
  }

  #checkGone(): void {
    if (this.#closed && this.#queue.isEmpty && this.#channels.size === 0) this.#mux.gone(this);
  }

  #abandon(channel: RelayedChannel): void {
    if (channel.serverId < 0) return;
    if (!channel.closeSent) {
      channel.closeSent = true;
      this.#queue.push(ChannelClose.encode({ recipient: channel.serverId }));
    }
    if (channel.closeReceived) this.#forget(channel);
  }

  #forget(channel: RelayedChannel): void {
    this.#channels.delete(channel);
    this.#byServer.delete(channel.serverId);
    this.#mux.remove(channel);
    this.#checkGone();
  }

  // ---- from the server

  /** Shows the client a channel that the server opens; it answers with a confirmation or a failure. */
  offer(open: IncomingOpen): void {
    this.#offers.set(open.sender, open);
    this.#port.deliver(ChannelOpen.encode(open));
  }

  /** A payload for `channel`, as it came. */
  arrived(channel: RelayedChannel, payload: Uint8Array): void {
    const number = payload[0];
    if (number === ChannelOpenConfirmation.number || number === ChannelOpenFailure.number) {
      if (channel.serverId >= 0) throw protocolError('a channel was answered twice');
      if (number === ChannelOpenFailure.number) this.#forget(channel);
      else {
        const { sender, window, maxPacket } = ChannelOpenConfirmation.decode(payload);
        this.#opened(channel, sender, window, Math.min(maxPacket, limits.packetLength / 2));
        if (this.#closed) this.#abandon(channel);
      }
    } else if (channel.serverId < 0) throw protocolError(`message for channel ${channel.id}, which is not open`);
    else if (number === ChannelWindowAdjust.number) {
      channel.window += ChannelWindowAdjust.decode(payload).bytes;
      if (channel.window > MAX_U32) throw new SshError('window', 'window adjusted past 2^32 - 1', { by: 'peer' });
    } else if (number === ChannelRequest.number) {
      if (ChannelRequest.decode(payload).wantReply) channel.owed++;
    } else if (number === ChannelData.number || number === ChannelExtendedData.number) {
      channel.credit = Math.max(0, channel.credit - payload.length + dataHead(payload));
    } else if (number === ChannelClose.number) {
      channel.closeReceived = true;
      if (channel.closeSent) this.#forget(channel);
    }
    if (this.#closed) return;
    putU32(payload, 1, channel.clientId);
    this.#port.deliver(payload);
  }

  /** The connection is gone. */
  lost(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.clear();
    this.#port.lost();
  }

  // ---- towards the packets

  get sendable(): boolean {
    return !this.#queue.isEmpty;
  }

  /** Sends one packet on; false where none waits. */
  fill(sink: PayloadSink): boolean {
    const payload = this.#queue.shift();
    if (payload === undefined) return false;
    sink.begin(payload.length);
    sink.put(payload);
    sink.end();
    if (this.#closed) this.#checkGone();
    else if (this.#queue.isEmpty) this.#port.drained();
    return true;
  }
}
