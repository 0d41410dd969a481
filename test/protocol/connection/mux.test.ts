// Channels and global requests against a peer that breaks their rules (RFC 4254).

import { describe, expect, it } from 'vitest';
import { drain, Payloads } from '../../../fuzz/arbitraries/payloads.ts';
import type { Channel, ChannelSignal } from '../../../protocol/connection/channel.ts';
import { type IncomingOpen, Mux, type MuxEvent } from '../../../protocol/connection/mux.ts';
import { limits } from '../../../protocol/limits.ts';
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
} from '../../../protocol/messages/connection.ts';
import { Pair, pattern } from '../session/pair.ts';

const nothing = new Uint8Array(0);

class Side {
  readonly events: MuxEvent[] = [];
  readonly mux = new Mux((event) => void this.events.push(event));

  receive(...payloads: readonly Uint8Array[]): this {
    for (const payload of payloads) this.mux.receive(payload, 5);
    return this;
  }
  sent(): Uint8Array[] {
    return drain(this.mux);
  }
  numbers(): number[] {
    return this.sent().map((payload) => payload[0]!);
  }
  signals(channel: Channel): ChannelSignal['what'][] {
    return this.events.flatMap((event) =>
      event.type === 'channel' && event.channel === channel ? [event.signal.what] : [],
    );
  }
  opening(): Channel {
    const channel = this.mux.open('session', nothing);
    this.sent();
    return channel;
  }
  open(): Channel {
    const channel = this.opening();
    this.receive(confirm(channel));
    return channel;
  }
}
const confirm = (channel: Channel, window = 1000): Uint8Array =>
  ChannelOpenConfirmation.encode({ recipient: channel.id, sender: 70, window, maxPacket: 100, body: nothing });
const protocol = expect.objectContaining({ code: 'protocol', by: 'peer' });
const to = (recipient: number): (readonly [string, Uint8Array])[] => [
  ['data', ChannelData.encode({ recipient, data: nothing })],
  ['extended data', ChannelExtendedData.encode({ recipient, dataType: 1, data: nothing })],
  ['adjust', ChannelWindowAdjust.encode({ recipient, bytes: 1 })],
  ['EOF', ChannelEof.encode({ recipient })],
  ['CLOSE', ChannelClose.encode({ recipient })],
  ['request', ChannelRequest.encode({ recipient, request: 'x', wantReply: false, body: nothing })],
  ['success', ChannelSuccess.encode({ recipient })],
  ['failure', ChannelFailure.encode({ recipient })],
];

describe('memory that is written', () => {
  it('is given back when it stands in packets, chunk by chunk, and never before', () => {
    const side = new Side();
    const channel = side.open();
    const back: string[] = [];
    const write = (name: string, length: number) => channel.write(pattern(length), 0, () => void back.push(name));
    write('none', 0);
    expect(back.splice(0)).toEqual(['none']);
    write('a', 150);
    write('b', 60);
    write('c', 900);
    expect(back).toEqual([]);
    const sent = side.sent();
    expect(sent.reduce((sum, payload) => sum + payload.length - 9, 0)).toBe(1000);
    expect(back.splice(0)).toEqual(['a', 'b']);
    side.receive(ChannelWindowAdjust.encode({ recipient: channel.id, bytes: 1000 })).sent();
    expect(back).toEqual(['c']);
  });

  it('is not given back by a channel that ends before', () => {
    const side = new Side();
    const channel = side.open();
    let back = false;
    channel.write(pattern(2000), 0, () => void (back = true));
    side.sent();
    side.receive(ChannelClose.encode({ recipient: channel.id })).sent();
    expect(channel.state).toBe('closed');
    expect(back).toBe(false);
  });
});

describe('what is not legal for a channel', () => {
  it.each(to(0))('%s before it is open, after it is closed, and where none is', (_name, payload) => {
    expect(() => new Side().receive(payload)).toThrow(protocol);
    const opening = new Side();
    opening.opening();
    expect(() => opening.receive(payload)).toThrow(protocol);
    const closed = new Side();
    const channel = closed.open();
    channel.close();
    closed.receive(ChannelClose.encode({ recipient: 0 }));
    expect(closed.signals(channel).at(-1)).toBe('closed');
    expect(() => closed.receive(payload)).toThrow(protocol);
  });

  it('a second confirmation, or a refusal of what is open', () => {
    const side = new Side();
    const channel = side.open();
    expect(() => side.receive(confirm(channel))).toThrow(protocol);
    const refusal = { recipient: channel.id, reason: 1, description: '', language: nothing };
    expect(() => side.receive(ChannelOpenFailure.encode(refusal))).toThrow(protocol);
  });

  it('data after EOF; requests and adjusts may follow it, a second EOF changes nothing', () => {
    const side = new Side();
    const channel = side.open();
    const [data, adjust, eof, request] = [0, 2, 3, 5].map((i) => to(channel.id)[i]![1]) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    side.receive(eof, adjust, request, eof);
    expect(side.signals(channel)).toEqual(['open', 'eof', 'request']);
    expect(() => side.receive(data)).toThrow(protocol);
  });

  it('a reply to a request nobody made, of a channel or of the connection', () => {
    const side = new Side();
    const channel = side.open();
    channel.request('x', true, nothing);
    channel.request('y', false, nothing);
    side.receive(ChannelSuccess.encode({ recipient: channel.id }));
    expect(() => side.receive(ChannelFailure.encode({ recipient: channel.id }))).toThrow(protocol);
    expect(() => side.receive(RequestFailure.encode({}))).toThrow(protocol);
    expect(() => side.receive(RequestSuccess.encode({ body: nothing }))).toThrow(protocol);
  });

  it('an adjust that is not one number and two others long', () => {
    const side = new Side();
    const channel = side.open();
    const adjust = ChannelWindowAdjust.encode({ recipient: channel.id, bytes: 0x8000_0001 });
    const malformed = expect.objectContaining({ code: 'malformed', by: 'peer' });
    for (let length = 1; length < adjust.length; length++) {
      expect(() => side.receive(adjust.subarray(0, length))).toThrow(malformed);
    }
    expect(() => side.receive(Uint8Array.of(...adjust, 0))).toThrow(malformed);
    side.receive(adjust);
    expect(channel.peerWindow).toBe(0x8000_0001 + 1000);
  });

  it('unknown numbers are answered with UNIMPLEMENTED', () => {
    expect([...new Side().receive(Uint8Array.of(110)).sent()[0]!]).toEqual([3, 0, 0, 0, 5]);
  });
});

describe('opening', () => {
  const incoming = (sender: number): Uint8Array =>
    ChannelOpen.encode({ channelType: 'x', sender, window: 10, maxPacket: 10, body: nothing });
  const opens = (side: Side): IncomingOpen[] =>
    side.events.flatMap((event) => (event.type === 'channel-open' ? [event.open] : []));

  it('is refused by us with reason and text, and by the peer', () => {
    const side = new Side().receive(incoming(9));
    side.mux.refuse(opens(side)[0]!, OpenFailure.administrativelyProhibited, 'no');
    expect(ChannelOpenFailure.decode(side.sent()[0]!)).toMatchObject({ recipient: 9, reason: 1, description: 'no' });
    const channel = side.opening();
    const refusal = { recipient: channel.id, reason: 4, description: 'später', language: nothing };
    side.receive(ChannelOpenFailure.encode(refusal));
    expect(side.events.at(-1)).toMatchObject({ signal: { what: 'open-failed', reason: 4, text: 'später' } });
    expect(side.mux.channelCount).toBe(0);
    expect(() => channel.write(nothing)).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  it('may be written to, ended and closed before it is answered', () => {
    const side = new Side();
    const channel = side.opening();
    channel.write(Uint8Array.of(1, 2));
    channel.eof();
    channel.close();
    expect(() => channel.request('x', true, nothing)).toThrow(expect.objectContaining({ code: 'closed' }));
    expect(side.numbers()).toEqual([]);
    side.receive(confirm(channel));
    expect(side.numbers()).toEqual([94, 96, 97]);
  });

  it('past the bound is refused for the peer, and an error of ours for us', () => {
    const side = new Side();
    for (let i = 0; i < limits.channels; i++) side.receive(incoming(i));
    expect(opens(side)).toHaveLength(limits.channels);
    expect(side.receive(incoming(9999)).numbers()).toEqual([92]);
    expect(opens(side)).toHaveLength(limits.channels);
    for (const open of opens(side)) side.mux.accept(open);
    side.sent();
    expect(side.receive(incoming(9999)).numbers()).toEqual([92]);
    expect(() => side.mux.open('session', nothing)).toThrow(expect.objectContaining({ code: 'limit', by: 'local' }));
  });

  it('gives a number again only after all the others', () => {
    const side = new Side();
    const ids: number[] = [];
    for (let i = 0; i < limits.channels * 2 + 2; i++) {
      const channel = side.open();
      ids.push(channel.id);
      if (i === 1) continue; // stays
      channel.close();
      side.receive(ChannelClose.encode({ recipient: channel.id }));
    }
    expect(new Set(ids.slice(0, limits.channels * 2)).size).toBe(limits.channels * 2);
    expect(ids.slice(-2)).toEqual([0, 2]);
    expect(side.mux.channelCount).toBe(1);
  });
});

describe('requests', () => {
  const ask = (wantReply: boolean): Uint8Array => GlobalRequest.encode({ request: 'x', wantReply, body: nothing });

  it('of the connection are answered in their order, whatever the order of the answers', () => {
    const side = new Side().receive(ask(true), ask(false), ask(true), ask(true));
    const slots = side.events.flatMap((event) =>
      event.type === 'global-request' && event.wantReply ? [event.slot] : [],
    );
    side.mux.answerGlobal(slots[2]!, true, Uint8Array.of(7));
    side.mux.answerGlobal(slots[1]!, false);
    expect(side.numbers()).toEqual([]);
    side.mux.answerGlobal(slots[0]!, true);
    expect(side.sent().map((payload) => [...payload])).toEqual([[81], [82], [81, 7]]);
    expect(() => side.mux.answerGlobal(slots[0]!, true)).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => side.mux.answerGlobal(-1, true)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('of ours: too many are refused, and do not upset the order of the replies', () => {
    const side = new Side();
    const channel = side.open();
    for (let i = 0; i < limits.pendingRequests; i++) {
      side.mux.globalRequest(`${i}`, true, nothing);
      channel.request('x', true, nothing);
    }
    const usage = expect.objectContaining({ code: 'usage' });
    expect(() => side.mux.globalRequest('more', true, nothing)).toThrow(usage);
    expect(() => channel.request('more', true, nothing)).toThrow(usage);
    for (let i = 0; i < limits.pendingRequests; i++) {
      side.receive(RequestFailure.encode({}), ChannelSuccess.encode({ recipient: channel.id }));
    }
    const names = side.events.flatMap((event) => (event.type === 'global-reply' ? [event.request] : []));
    expect(names).toEqual(Array.from({ length: limits.pendingRequests }, (_, i) => `${i}`));
    expect(() => side.receive(RequestFailure.encode({}))).toThrow(protocol);
    expect(() => side.receive(ChannelSuccess.encode({ recipient: channel.id }))).toThrow(protocol);
  });

  it('of the peer: too many unanswered are refused', () => {
    const limit = expect.objectContaining({ code: 'limit', by: 'peer' });
    const side = new Side();
    const channel = side.open();
    const request = ChannelRequest.encode({ recipient: channel.id, request: 'x', wantReply: true, body: nothing });
    for (let i = 0; i < limits.pendingRequests; i++) side.receive(ask(true), request);
    expect(() => side.receive(ask(true))).toThrow(limit);
    expect(() => side.receive(request)).toThrow(limit);
    channel.reply(true);
    expect(side.numbers()).toEqual([99]);
    expect(() => new Side().open().reply(true)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('output', () => {
  it('is shared fairly, and control goes first', () => {
    const side = new Side();
    const channels = [side.open(), side.open(), side.open()];
    for (const channel of channels) channel.write(new Uint8Array(channel === channels[1] ? 400 : 300).fill(channel.id));
    side.mux.globalRequest('x', false, nothing);
    const sent = side.sent();
    expect(sent[0]![0]).toBe(80);
    const data = sent.slice(1);
    expect(data.map((payload) => payload.length)).toEqual(new Array(10).fill(109));
    // Each round begins with another one; the one that has more than the rest ends alone.
    expect(data.map((payload) => payload.at(-1))).toEqual([0, 1, 2, 1, 2, 0, 2, 0, 1, 1]);
  });

  it('of a channel that is alone goes on until the sink is full', () => {
    const channel = new Side().open();
    channel.write(new Uint8Array(1000));
    const fill = (isAlone: boolean, most: number): [boolean, number] => {
      const payloads = new Payloads(most);
      return [channel.fill(payloads, isAlone), payloads.sent.length];
    };
    expect([fill(true, 3), channel.buffered]).toEqual([[true, 3], 700]);
    expect([fill(false, 3), channel.buffered]).toEqual([[true, 1], 600]);
    expect([fill(true, 100), channel.buffered]).toEqual([[true, 6], 0]);
    expect(fill(true, 100)).toEqual([false, 0]);
  });

  it('nothing is left of a connection that is lost, and each channel hears it once', () => {
    const side = new Side();
    const open = side.open();
    const opening = side.opening();
    open.write(new Uint8Array(10));
    side.mux.globalRequest('x', true, nothing);
    side.mux.lost();
    side.mux.lost();
    expect(side.numbers()).toEqual([]);
    expect(side.mux.queued).toBe(0);
    expect(side.signals(open)).toEqual(['open', 'closed']);
    expect(side.signals(opening)).toEqual(['closed']);
    expect(open.buffered).toBe(0);
    open.close();
    open.eof();
    expect(side.numbers()).toEqual([]);
  });

  it('what was written before the peer closed is dropped, what was received stays readable', () => {
    const side = new Side();
    const channel = side.open();
    side.receive(ChannelData.encode({ recipient: channel.id, data: Uint8Array.of(1, 2, 3) }));
    channel.write(new Uint8Array(10));
    side.receive(ChannelClose.encode({ recipient: channel.id }));
    expect(side.numbers()).toEqual([97]);
    expect(channel.state).toBe('closed');
    expect(channel.read()).toEqual(Uint8Array.of(1, 2, 3));
    expect(side.numbers()).toEqual([]);
  });
});

describe('small data that waits', () => {
  it('is kept together, in order, and not in memory of its own for each byte', () => {
    const pair = new Pair({ algorithms: { kex: ['curve25519-sha256'] } }).login();
    const { client, server } = pair.openChannel();
    const sent = pattern(40_000);
    for (let at = 0; at < sent.length; at += 10) {
      server.write(sent.slice(at, at + 10));
      // One packet each: the sender must have nothing to join.
      if (at % 2000 === 0) pair.run();
    }
    for (let i = 0; i < 2000; i++) {
      server.write(Uint8Array.of(i));
      pair.run();
    }
    let chunks = 0;
    const got: number[] = [];
    for (let chunk = client.read(); chunk !== undefined; chunk = client.read()) {
      chunks++;
      got.push(...chunk);
    }
    expect(got.length).toBe(42_000);
    expect(Uint8Array.from(got.slice(0, 40_000))).toEqual(sent);
    expect(got.slice(40_000)).toEqual(Array.from({ length: 2000 }, (_, i) => i & 0xff));
    expect(chunks).toBeLessThan(100);
  });
});
