// Channels of a client on a connection that is not its own: numbers, windows, the end of either.
import { beforeEach, describe, expect, it } from 'vitest';
import { drain } from '../../../fuzz/arbitraries/payloads.ts';
import { Mux, type MuxEvent } from '../../../protocol/connection/mux.ts';
import type { Relay } from '../../../protocol/connection/relay.ts';
import { SshError } from '../../../protocol/errors.ts';
import { limits } from '../../../protocol/limits.ts';
import {
  ChannelClose,
  ChannelData,
  ChannelOpen,
  ChannelOpenConfirmation,
  ChannelOpenFailure,
  ChannelRequest,
  ChannelWindowAdjust,
  GlobalRequest,
} from '../../../protocol/messages/connection.ts';

const nothing = new Uint8Array(0);

let ours: Mux;
let relay: Relay;
let delivered: Uint8Array[];
let asked: string[];
let drained: number;
let lost: boolean;

beforeEach(() => {
  ours = new Mux((event: MuxEvent) => {
    if (event.type === 'channel-open') relay.offer(event.open);
  });
  delivered = [];
  asked = [];
  drained = 0;
  lost = false;
  relay = newRelay();
});

const newRelay = (into: Uint8Array[] = delivered): Relay =>
  ours.relay({
    deliver: (payload) => void into.push(payload),
    globalRequest: (request) => void asked.push(request),
    channelRequest: (request, body) =>
      request === 'other' ? { request: 'instead', body: Uint8Array.of(body.length) } : undefined,
    drained: () => void drained++,
    lost: () => void (lost = true),
  });

/** What leaves for the server. */
const leaving = (): Uint8Array[] => drain(ours);

const open = (sender: number): Uint8Array =>
  ChannelOpen.encode({ channelType: 'session', sender, window: 100, maxPacket: 50, body: nothing });

/** A channel that the client calls 7 and the server `serverId`; gives our number. */
function established(serverId = 42, window = 10): number {
  relay.receive(open(7));
  const { sender } = ChannelOpen.decode(leaving().at(-1)!);
  ours.receive(
    ChannelOpenConfirmation.encode({ recipient: sender, sender: serverId, window, maxPacket: 8, body: nothing }),
    0,
  );
  return sender;
}

const data = (recipient: number, length: number): Uint8Array =>
  ChannelData.encode({ recipient, data: new Uint8Array(length) });

describe('a relay', () => {
  it('gives channels numbers of ours, and their owner its own', () => {
    const mine = ours.open('session', nothing);
    const id = established();
    expect(id).not.toBe(mine.id);
    expect(ChannelOpenConfirmation.decode(delivered[0]!)).toMatchObject({ recipient: 7, sender: 42, window: 10 });
    const other: Uint8Array[] = [];
    const second = newRelay(other);
    second.receive(open(7));
    const { sender } = ChannelOpen.decode(leaving().at(-1)!);
    expect(new Set([mine.id, id, sender]).size).toBe(3);
    ours.receive(ChannelOpenFailure.encode({ recipient: sender, reason: 1, description: 'no', language: nothing }), 0);
    expect(ChannelOpenFailure.decode(other[0]!)).toMatchObject({ recipient: 7, reason: 1, description: 'no' });
    expect(delivered).toHaveLength(1);
    expect(ours.channelCount).toBe(2);
  });

  it('passes everything else as it is', () => {
    const id = established();
    const request = { request: 'exec', wantReply: true, body: Uint8Array.of(1, 2) };
    relay.receive(ChannelRequest.encode({ recipient: 42, ...request }));
    relay.receive(data(42, 5));
    expect(leaving()).toEqual([ChannelRequest.encode({ recipient: 42, ...request }), data(42, 5)]);
    expect(drained).toBe(2);
    ours.receive(data(id, 5), 0);
    expect(delivered.at(-1)).toEqual(data(7, 5));
  });

  it('asks what it is told to ask instead, with the answer asked for or not', () => {
    established();
    for (const wantReply of [true, false])
      relay.receive(ChannelRequest.encode({ recipient: 42, request: 'other', wantReply, body: Uint8Array.of(1, 2) }));
    expect(leaving().map((payload) => ChannelRequest.decode(payload))).toEqual(
      [true, false].map((wantReply) => ({ recipient: 42, request: 'instead', wantReply, body: Uint8Array.of(2) })),
    );
  });

  it('gives one client half of the channels there are, and refuses it the next', () => {
    for (let i = 0; i < limits.relayedChannels; i++) relay.receive(open(i));
    expect(leaving()).toHaveLength(limits.relayedChannels);
    relay.receive(open(9999));
    expect(leaving()).toEqual([]);
    expect(delivered.map((payload) => ChannelOpenFailure.decode(payload))).toMatchObject([
      { recipient: 9999, reason: 4, description: 'too many channels of one client' },
    ]);
    const other: Uint8Array[] = [];
    newRelay(other).receive(open(1));
    expect(leaving()).toHaveLength(1);
    expect(other).toEqual([]);
  });

  it('holds its client to the window, the packet size and its own channels', () => {
    established();
    const refuses = (payload: Uint8Array, code: string): void => {
      try {
        relay.receive(payload);
      } catch (error) {
        expect([(error as SshError).code, (error as SshError).by]).toEqual([code, 'peer']);
        return;
      }
      throw new Error('it was taken');
    };
    refuses(data(42, 9), 'window');
    relay.receive(data(42, 8));
    refuses(data(42, 3), 'window');
    refuses(data(1, 1), 'protocol');
    refuses(ChannelClose.encode({ recipient: 1 }), 'protocol');
    relay.receive(ChannelClose.encode({ recipient: 42 }));
    refuses(data(42, 1), 'protocol');
    refuses(
      ChannelOpenConfirmation.encode({ recipient: 3, sender: 1, window: 1, maxPacket: 1, body: nothing }),
      'protocol',
    );
  });

  it('lets the window grow, and forgets a channel that both have closed', () => {
    const id = established();
    ours.receive(ChannelWindowAdjust.encode({ recipient: id, bytes: 8 }), 0);
    relay.receive(data(42, 8));
    relay.receive(data(42, 8));
    relay.receive(ChannelClose.encode({ recipient: 42 }));
    expect(relay.channelCount).toBe(1);
    ours.receive(ChannelClose.encode({ recipient: id }), 0);
    expect(delivered.at(-1)).toEqual(ChannelClose.encode({ recipient: 7 }));
    expect([relay.channelCount, ours.channelCount]).toEqual([0, 0]);
    expect(() => ours.receive(data(id, 1), 0)).toThrow(SshError);
  });

  it('closes what its client leaves behind, after what it has sent', () => {
    const id = established();
    relay.receive(data(42, 4));
    relay.receive(open(8));
    relay.close();
    const sent = leaving();
    expect(sent.map((payload) => payload[0])).toEqual([94, 90, 97]);
    const { sender } = ChannelOpen.decode(sent[1]!);
    const heard = delivered.length;
    ours.receive(data(id, 3), 0);
    ours.receive(ChannelClose.encode({ recipient: id }), 0);
    expect(ours.channelCount).toBe(1);
    // Opened for nobody: closed at once.
    const confirmation = { recipient: sender, sender: 43, window: 1, maxPacket: 1, body: nothing };
    ours.receive(ChannelOpenConfirmation.encode(confirmation), 0);
    expect(leaving()).toEqual([ChannelClose.encode({ recipient: 43 })]);
    ours.receive(ChannelClose.encode({ recipient: sender }), 0);
    expect(ours.channelCount).toBe(0);
    expect(delivered).toHaveLength(heard);
  });

  it('shows its client what the server opens, and refuses it when the client leaves', () => {
    const incoming = { channelType: 'forwarded-tcpip', window: 20, maxPacket: 10, body: Uint8Array.of(9) };
    ours.receive(ChannelOpen.encode({ ...incoming, sender: 5 }), 0);
    ours.receive(ChannelOpen.encode({ ...incoming, sender: 6 }), 0);
    ours.receive(ChannelOpen.encode({ ...incoming, sender: 4 }), 0);
    expect(ChannelOpen.decode(delivered[0]!)).toEqual({ ...incoming, sender: 5 });
    relay.receive(ChannelOpenConfirmation.encode({ recipient: 5, sender: 1, window: 2, maxPacket: 3, body: nothing }));
    relay.receive(ChannelOpenFailure.encode({ recipient: 6, reason: 2, description: '', language: nothing }));
    const [confirmation, failure] = leaving();
    expect(ChannelOpenConfirmation.decode(confirmation!)).toMatchObject({ recipient: 5, window: 2, maxPacket: 3 });
    expect(ChannelOpenFailure.decode(failure!)).toMatchObject({ recipient: 6, reason: 2 });
    relay.receive(data(5, 10));
    leaving();
    relay.close();
    expect(leaving().map((payload) => payload[0])).toEqual([92, 97]);
  });

  it('leaves global requests to whoever knows all clients, and tells of the end', () => {
    relay.receive(GlobalRequest.encode({ request: 'tcpip-forward', wantReply: true, body: nothing }));
    expect(asked).toEqual(['tcpip-forward']);
    expect(leaving()).toEqual([]);
    established();
    ours.lost();
    expect(lost).toBe(true);
    relay.receive(open(1));
    expect(leaving()).toEqual([]);
  });

  it('takes turns with our own channels', () => {
    const mine = ours.open('session', nothing);
    leaving();
    ours.receive(
      ChannelOpenConfirmation.encode({ recipient: mine.id, sender: 1, window: 1000, maxPacket: 5, body: nothing }),
      0,
    );
    established(42, 1000);
    mine.write(new Uint8Array(20));
    for (let i = 0; i < 4; i++) relay.receive(data(42, 5));
    const order = leaving().map((payload) => ChannelData.decode(payload).recipient);
    expect(order).toHaveLength(8);
    for (let i = 0; i < 8; i += 2) expect(new Set(order.slice(i, i + 2))).toEqual(new Set([1, 42]));
  });
});
