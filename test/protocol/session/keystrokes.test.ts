// Typing leaves at a steady pace and is followed by fake keys; nothing else is held back.
import { describe, expect, it } from 'vitest';
import { RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import type { Channel } from '../../../protocol/connection/channel.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { serverExtInfo } from '../../../protocol/kex/ext-info.ts';
import {
  ChannelClose,
  ChannelData,
  ChannelOpen,
  ChannelOpenConfirmation,
} from '../../../protocol/messages/connection.ts';
import { Ping, Pong, ServiceAccept } from '../../../protocol/messages/transport.ts';
import { UserauthSuccess } from '../../../protocol/messages/userauth.ts';

const nothing = new Uint8Array(0);
const DATA = ChannelData.number;
const PING = Ping.number;

class Terminal {
  readonly peer = new RawPeer({ plays: 'server' });
  readonly channel: Channel;
  now = 0;

  constructor({ pings = true } = {}) {
    const { peer } = this;
    peer.exchange();
    if (pings) peer.send(serverExtInfo(nobleCrypto));
    peer.session.auth.none('someone');
    peer.pull();
    peer.send(ServiceAccept.encode({ service: 'ssh-userauth' }), UserauthSuccess.encode({}));
    this.channel = peer.session.mux.open('session', nothing);
    peer.numbers();
    const sizes = { window: 1e6, maxPacket: 32_768, body: nothing };
    peer.send(ChannelOpenConfirmation.encode({ recipient: this.channel.id, sender: 9, ...sizes }));
  }

  type(text: string): this {
    this.channel.write(Buffer.from(text));
    return this;
  }
  /** What leaves at `now`. */
  at(now: number): number[] {
    this.now = now;
    this.peer.session.tick(now);
    return this.peer.numbers();
  }
  /** Follows the deadlines until there is none, or `end`: the time and number of what leaves. */
  follow(end = Number.POSITIVE_INFINITY): (readonly [number, number])[] {
    const seen: (readonly [number, number])[] = [];
    for (;;) {
      const next = this.peer.session.deadline();
      if (next === undefined || next > end) return seen;
      expect(next).toBeGreaterThan(this.now);
      for (const number of this.at(next)) seen.push([next, number]);
    }
  }
}

describe('keystrokes', () => {
  it('go out at once, then at the pace, and fake ones follow for a second or more', () => {
    const terminal = new Terminal();
    expect(terminal.peer.session.obscureKeystrokes(terminal.channel, 20)).toBe(true);
    expect(terminal.type('a').at(100)).toEqual([DATA]);
    expect(terminal.type('b').at(101)).toEqual([]);
    expect(terminal.type('c').at(110)).toEqual([]);
    const rest = terminal.follow();
    expect(rest[0]![1]).toBe(DATA);
    expect(new Set(rest.slice(1).map(([, number]) => number))).toEqual(new Set([PING]));
    const times = [100, ...rest.map(([time]) => time)];
    const gaps = times.slice(1).map((time, i) => time - times[i]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(18);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(22);
    const lasted = times.at(-1)! - times[1]!;
    expect(lasted).toBeGreaterThan(1000);
    expect(lasted).toBeLessThan(3100);
    // and it starts over
    expect(terminal.type('d').at(9000)).toEqual([DATA]);
  });

  it('look like the fake ones', () => {
    const { peer, channel } = new Terminal();
    peer.session.obscureKeystrokes(channel, 20);
    channel.write(Buffer.from('x'));
    const before = peer.transcript;
    peer.session.tick(50);
    peer.pull();
    const real = peer.transcript - before;
    expect(peer.numbers()).toEqual([DATA]);
    peer.session.tick(75);
    peer.pull();
    expect(peer.transcript - before - real).toBe(real);
    const ping = Ping.decode(peer.expect(PING));
    // Their answer changes nothing.
    expect(peer.send(Pong.encode(ping)).numbers()).toEqual([]);
  });

  it('are not held when much is written at once, nor is anything else', () => {
    const terminal = new Terminal();
    terminal.peer.session.obscureKeystrokes(terminal.channel, 20);
    expect(terminal.type('a').at(10)).toEqual([DATA]);
    terminal.type('b');
    terminal.peer.session.mux.open('session', nothing);
    expect(terminal.at(12)).toEqual([ChannelOpen.number]);
    expect(terminal.type('x'.repeat(1000)).at(13)).toEqual([DATA]);
    expect(terminal.peer.session.deadline()).toBeUndefined();
  });

  it('wait for the end of a key exchange without a clock that runs hot', () => {
    const terminal = new Terminal();
    const { peer } = terminal;
    peer.session.obscureKeystrokes(terminal.channel, 20);
    terminal.type('a').at(10);
    peer.session.rekey();
    expect(terminal.type('b').at(20)).toEqual([20]);
    expect(terminal.at(60)).toEqual([]);
    expect(peer.session.deadline()).toBeUndefined();
  });

  it('end with their channel', () => {
    const terminal = new Terminal();
    terminal.peer.session.obscureKeystrokes(terminal.channel, 20);
    terminal.type('a').at(10);
    terminal.peer.send(ChannelClose.encode({ recipient: terminal.channel.id }));
    expect(terminal.peer.numbers()).toEqual([ChannelClose.number]);
    expect(terminal.follow()).toEqual([]);
  });

  it('of one channel are let go when another one takes its place', () => {
    const terminal = new Terminal();
    const { peer, channel } = terminal;
    const other = peer.session.mux.open('session', nothing);
    peer.numbers();
    peer.session.obscureKeystrokes(channel, 20);
    terminal.type('a').at(10);
    expect(terminal.type('b').at(11)).toEqual([]);
    peer.session.obscureKeystrokes(other, 20);
    expect(terminal.at(12)).toEqual([DATA]);
    expect(terminal.follow()).toEqual([]);
  });

  it('stay as they are where the peer does not answer PING', () => {
    const terminal = new Terminal({ pings: false });
    expect(terminal.peer.session.obscureKeystrokes(terminal.channel, 20)).toBe(false);
    expect(terminal.type('a').at(10)).toEqual([DATA]);
    expect(terminal.type('b').at(11)).toEqual([DATA]);
    expect(terminal.follow()).toEqual([]);
  });
});
