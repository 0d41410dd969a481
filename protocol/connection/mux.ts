/**
 * The connection layer (RFC 4254): channel numbers, opening, dispatch, global requests in order.
 *
 * Control messages wait in one list, which is bounded because each answers something received or asked for; channel data
 * waits in the channels and is formed round-robin when output is pulled.
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
  RequestFailure,
  RequestSuccess,
} from '../messages/connection.ts';
import { Unimplemented } from '../messages/transport.ts';
import { PayloadQueue } from '../packet/payload-queue.ts';
import type { PayloadSink } from '../packet/payload-sink.ts';
import { getU32 } from '../wire/writer.ts';
import { Channel, type ChannelOptions, type ChannelPort, type ChannelSignal, type Pace } from './channel.ts';
import { IdleWatch } from './idle.ts';
import { Relay, type RelayedChannel, type RelayMux, type RelayPort } from './relay.ts';

export type MuxEvent =
  | { readonly type: 'channel'; readonly channel: Channel; readonly signal: ChannelSignal }
  /** The peer wants a channel: answer with `accept` or `refuse`. */
  | { readonly type: 'channel-open'; readonly open: IncomingOpen }
  /** Answer with `answerGlobal(slot, ...)` when `wantReply`. */
  | {
      readonly type: 'global-request';
      readonly request: string;
      readonly wantReply: boolean;
      readonly body: Uint8Array;
      readonly slot: number;
    }
  /** The answer to our oldest unanswered global request, which was `request`. */
  | { readonly type: 'global-reply'; readonly request: string; readonly ok: boolean; readonly body: Uint8Array };

export interface IncomingOpen {
  readonly channelType: string;
  readonly body: Uint8Array;
  readonly sender: number;
  readonly window: number;
  readonly maxPacket: number;
}

interface Slot {
  readonly number: number;
  answer: Uint8Array | undefined;
}

export class Mux {
  readonly #emit: (event: MuxEvent) => void;
  readonly #channels = new Map<number, Channel>();
  readonly #port: ChannelPort;
  /** Channels of clients that share the connection, by our number. */
  readonly #relayed = new Map<number, RelayedChannel>();
  readonly #relays = new Set<Relay>();
  readonly #control = new PayloadQueue();
  readonly #idle = new IdleWatch();
  #nextId = 0;
  /** Where the next round begins, so that no channel is always first. */
  #turn = 0;
  #pendingOpens = 0;
  /** Names of our global requests that await a reply, oldest first. */
  readonly #unanswered: string[] = [];
  readonly #slots: Slot[] = [];
  #nextSlot = 0;

  constructor(emit: (event: MuxEvent) => void, pace?: Pace) {
    this.#emit = emit;
    this.#port = {
      pace,
      control: (payload) => this.#control.push(payload),
      signal: (channel, signal) => emit({ type: 'channel', channel, signal }),
      used: (channel) => this.#idle.used(channel),
      gone: (channel) => {
        this.#channels.delete(channel.id);
        this.#idle.forget(channel);
      },
    };
  }

  // ---- getters

  get channelCount(): number {
    return this.#channels.size + this.#relayed.size;
  }
  /** Memory of the control messages that wait to leave. */
  get queued(): number {
    return this.#control.weight;
  }

  // ---- commands

  open(channelType: string, body: Uint8Array, options?: ChannelOptions): Channel {
    const channel = this.#create(channelType, options);
    this.#control.push(
      ChannelOpen.encode({
        channelType,
        sender: channel.id,
        window: channel.initialWindow,
        maxPacket: channel.maxPacket,
        body,
      }),
    );
    return channel;
  }

  #create(channelType: string, options?: ChannelOptions): Channel {
    const id = this.#number();
    const channel = new Channel(this.#port, id, channelType, options);
    this.#channels.set(id, channel);
    return channel;
  }

  #number(): number {
    if (this.channelCount >= limits.channels)
      throw new SshError('limit', 'too many channels', { detail: { limit: limits.channels } });
    while (this.#channels.has(this.#nextId) || this.#relayed.has(this.#nextId))
      this.#nextId = (this.#nextId + 1) % (limits.channels * 2);
    const id = this.#nextId;
    this.#nextId = (id + 1) % (limits.channels * 2);
    return id;
  }

  /** Carries the channels of a client that speaks packets itself. */
  relay(port: RelayPort): Relay {
    const mux: RelayMux = {
      add: (channel) => {
        const id = this.#number();
        this.#relayed.set(id, channel);
        return id;
      },
      remove: (channel) => void this.#relayed.delete(channel.id),
      answered: () => void this.#pendingOpens--,
      gone: (relay) => void this.#relays.delete(relay),
    };
    const relay = new Relay(mux, port);
    this.#relays.add(relay);
    return relay;
  }

  accept(open: IncomingOpen, options?: ChannelOptions): Channel {
    this.#pendingOpens--;
    const channel = this.#create(open.channelType, options);
    this.#control.push(
      ChannelOpenConfirmation.encode({
        recipient: open.sender,
        sender: channel.id,
        window: channel.initialWindow,
        maxPacket: channel.maxPacket,
        body: new Uint8Array(0),
      }),
    );
    channel.confirmed(open.sender, open.window, open.maxPacket);
    return channel;
  }

  refuse(open: IncomingOpen, reason: number, description: string): void {
    this.#pendingOpens--;
    this.#control.push(
      ChannelOpenFailure.encode({ recipient: open.sender, reason, description, language: EMPTY_STRING }),
    );
  }

  globalRequest(request: string, wantReply: boolean, body: Uint8Array): void {
    if (wantReply && this.#unanswered.length >= limits.pendingRequests)
      throw new SshError('usage', 'too many unanswered requests');
    if (wantReply) this.#unanswered.push(request);
    this.#control.push(GlobalRequest.encode({ request, wantReply, body }));
  }

  /** Answers may come in any order; they leave in the order of the requests (RFC 4254 section 4). */
  answerGlobal(slot: number, ok: boolean, body: Uint8Array = new Uint8Array(0)): void {
    const found = this.#slots.find((candidate) => candidate.number === slot);
    if (found === undefined || found.answer !== undefined)
      throw new SshError('usage', 'no global request awaits this reply');
    found.answer = ok ? RequestSuccess.encode({ body }) : RequestFailure.encode({});
    while (this.#slots[0]?.answer !== undefined) this.#control.push(this.#slots.shift()!.answer!);
  }

  /** Closes `channel` (missing: every channel of ours) when nothing has passed for so many milliseconds; 0 for never. */
  limitIdle(after: number, channel?: Channel): void {
    if (channel === undefined) this.#idle.limitAll(after);
    else if (this.#channels.get(channel.id) === channel) this.#idle.limit(channel, after);
  }

  // ---- time

  /** When `tick` is wanted next, or undefined for never. */
  deadline(): number | undefined {
    return this.#idle.deadline();
  }

  tick(now: number): void {
    for (const channel of this.#idle.overdue(now, this.#channels.values())) channel.expire();
  }

  // ---- output

  /** Forms control messages, then channel data round-robin, until the sink is full. */
  fill(sink: PayloadSink): void {
    this.#fillControl(sink);
    for (let formed = true; formed && !sink.full; this.#turn++) {
      formed = false;
      const sources = this.#sources();
      const isAlone = sources.length === 1;
      for (let i = 0; i < sources.length && !sink.full; i++) {
        if (sources[(i + this.#turn) % sources.length]!.fill(sink, isAlone)) formed = true;
      }
    }
    // Data that drained may have left an EOF or CLOSE behind.
    this.#fillControl(sink);
  }

  /** Who has something to send. Asked for every round of packets, so without intermediate lists. */
  #sources(): (Channel | Relay)[] {
    const sources: (Channel | Relay)[] = [];
    for (const channel of this.#channels.values()) if (channel.sendable) sources.push(channel);
    for (const relay of this.#relays) if (relay.sendable) sources.push(relay);
    return sources;
  }

  #fillControl(sink: PayloadSink): void {
    while (!this.#control.isEmpty && !sink.full) {
      const payload = this.#control.shift()!;
      sink.begin(payload.length);
      sink.put(payload);
      sink.end();
    }
  }

  // ---- input

  receive(payload: Uint8Array, sequence: number): void {
    const relayed = this.#relayed.size === 0 ? undefined : this.#relayedTo(payload);
    if (relayed !== undefined) return relayed.relay.arrived(relayed, payload);
    switch (payload[0]) {
      case ChannelData.number:
      case ChannelExtendedData.number:
        if (payload.length < 5) throw malformed('channel data without a channel');
        return this.#open(getU32(payload, 1)).data(payload);
      case ChannelWindowAdjust.number:
        // By hand as data is: a server that takes a file sends one for every 64 KiB.
        if (payload.length !== ADJUST_LENGTH) throw malformed(`a window adjust of ${payload.length} bytes`);
        return this.#open(getU32(payload, 1)).adjusted(getU32(payload, 5));
      case ChannelEof.number:
        return this.#open(ChannelEof.decode(payload).recipient).eofCame();
      case ChannelClose.number:
        return this.#open(ChannelClose.decode(payload).recipient).closeCame();
      case ChannelRequest.number: {
        const { recipient, request, wantReply, body } = ChannelRequest.decode(payload);
        return this.#open(recipient).requestCame(request, wantReply, body);
      }
      case ChannelSuccess.number:
        return this.#open(ChannelSuccess.decode(payload).recipient).replyCame(true);
      case ChannelFailure.number:
        return this.#open(ChannelFailure.decode(payload).recipient).replyCame(false);
      case ChannelOpen.number:
        return this.#opened(payload);
      case ChannelOpenConfirmation.number: {
        const { recipient, sender, window, maxPacket } = ChannelOpenConfirmation.decode(payload);
        return this.#channel(recipient).confirmed(sender, window, maxPacket);
      }
      case ChannelOpenFailure.number: {
        const { recipient, reason, description } = ChannelOpenFailure.decode(payload);
        return this.#channel(recipient).failed(reason, description);
      }
      case GlobalRequest.number:
        return this.#globalCame(payload);
      case RequestSuccess.number:
        return this.#replied(true, RequestSuccess.decode(payload).body);
      case RequestFailure.number:
        RequestFailure.decode(payload);
        return this.#replied(false, new Uint8Array(0));
      default:
        // RFC 4253 section 11.4
        this.#control.push(Unimplemented.encode({ sequence }));
    }
  }

  /** All messages from 91 to 100 start with their recipient. */
  #relayedTo(payload: Uint8Array): RelayedChannel | undefined {
    const number = payload[0]!;
    if (number <= ChannelOpen.number || number > ChannelFailure.number || payload.length < 5) return undefined;
    return this.#relayed.get(getU32(payload, 1));
  }

  #channel(id: number): Channel {
    const channel = this.#channels.get(id);
    if (channel === undefined) throw protocolError(`message for channel ${id}, which does not exist`);
    return channel;
  }

  /** A channel that the peer may use: what it opens or refuses itself comes through `#channel`. */
  #open(id: number): Channel {
    const channel = this.#channel(id);
    if (channel.state !== 'open') throw protocolError(`message for channel ${id}, which is not open`);
    return channel;
  }

  #opened(payload: Uint8Array): void {
    const { channelType, sender, window, maxPacket, body } = ChannelOpen.decode(payload);
    if (this.#pendingOpens + this.channelCount >= limits.channels) {
      const reason = OpenFailure.resourceShortage;
      const description = 'too many channels';
      this.#control.push(ChannelOpenFailure.encode({ recipient: sender, reason, description, language: EMPTY_STRING }));
      return;
    }
    this.#pendingOpens++;
    this.#emit({ type: 'channel-open', open: { channelType, body, sender, window, maxPacket } });
  }

  #globalCame(payload: Uint8Array): void {
    const { request, wantReply, body } = GlobalRequest.decode(payload);
    const slot = wantReply ? this.#nextSlot++ : -1;
    if (wantReply) {
      if (this.#slots.length >= limits.pendingRequests)
        throw new SshError('limit', 'too many requests await our reply', { by: 'peer', disconnect: 2 });
      this.#slots.push({ number: slot, answer: undefined });
    }
    this.#emit({ type: 'global-request', request, wantReply, body, slot });
  }

  #replied(ok: boolean, body: Uint8Array): void {
    const request = this.#unanswered.shift();
    if (request === undefined) throw protocolError('a reply to a global request nobody made');
    this.#emit({ type: 'global-reply', request, ok, body });
  }

  /** The connection is gone: every channel ends. */
  lost(): void {
    for (const channel of [...this.#channels.values()]) channel.lost();
    this.#channels.clear();
    for (const relay of this.#relays) relay.lost();
    this.#relays.clear();
    this.#relayed.clear();
    this.#control.clear();
  }
}

/** Number, recipient, bytes to add. */
const ADJUST_LENGTH = 9;
/** An empty language tag, encoded (the field is read as the rest of the message). */
const EMPTY_STRING = new Uint8Array(4);
