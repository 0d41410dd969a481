/**
 * Two muxes joined by queues, under any schedule of writing, reading, ending and delivering. Invariants: never more sent
 * than the window; never more credited than taken, growth aside; every byte arrives once and in order unless its reader
 * left; all comes to rest, and closes on both sides when either side wants it; nothing is heard of a closed channel.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Channel, ChannelOptions, ChannelSignal } from '../protocol/connection/channel.ts';
import { Mux, type MuxEvent } from '../protocol/connection/mux.ts';
import { SshError } from '../protocol/errors.ts';
import {
  ChannelData,
  ChannelExtendedData,
  ChannelOpen,
  ChannelOpenConfirmation,
  ChannelWindowAdjust,
} from '../protocol/messages/connection.ts';
import { Payloads } from './arbitraries/payloads.ts';

type Op =
  | { readonly do: 'write'; readonly end: 0 | 1; readonly length: number; readonly type: 0 | 1 | 2 }
  | { readonly do: 'deliver' | 'fill'; readonly end: 0 | 1; readonly count: number }
  | { readonly do: 'read' | 'readExtended' | 'eof' | 'close' | 'discard' | 'request'; readonly end: 0 | 1 };

/** `expect` costs too much where every packet passes. */
function ensure(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** One end, with everything it did and everything that was seen of it on the wire. */
class End {
  readonly mux: Mux;
  readonly options: ChannelOptions;
  channel: Channel | undefined;
  readonly signals: ChannelSignal[] = [];
  /** On their way to the other end. */
  readonly wire: Uint8Array[] = [];
  other!: End;
  readonly written: [number[], number[]] = [[], []];
  readonly taken: [number[], number[]] = [[], []];
  sent = 0;
  credited = 0;
  granted = 0;
  consumed = 0;
  said: 'data' | 'eof' | 'close' = 'data';
  left = false;
  wanted: 'data' | 'eof' | 'close' = 'data';
  stamp = 0;

  constructor(options: ChannelOptions) {
    this.options = options;
    this.mux = new Mux((event) => this.#heard(event));
  }

  #heard(event: MuxEvent): void {
    if (event.type === 'channel-open') {
      this.granted = event.open.window;
      this.channel = this.mux.accept(event.open, this.options);
      return;
    }
    if (event.type !== 'channel') return;
    ensure(this.signals.at(-1)?.what !== 'closed', 'a signal after closed');
    this.signals.push(event.signal);
  }

  /** Forms up to `count` packets and checks each against what RFC 4254 section 5 allows. */
  fill(count: number): boolean {
    const payloads = new Payloads(count);
    this.mux.fill(payloads);
    const { sent } = payloads;
    for (const packet of sent) this.#check(packet);
    this.wire.push(...sent);
    return sent.length > 0;
  }

  #check(packet: Uint8Array): void {
    const number = packet[0]!;
    ensure(this.said !== 'close', 'a message after CLOSE');
    if (number === 94 || number === 95) {
      ensure(this.said === 'data', 'data or EOF after EOF');
      const { data } = number === 94 ? ChannelData.decode(packet) : ChannelExtendedData.decode(packet);
      this.sent += data.length;
      ensure(this.sent <= this.granted, 'more sent than granted');
      ensure(data.length > 0, 'empty data');
      ensure(data.length <= this.other.options.maxPacket!, 'a packet larger than allowed');
    } else if (number === 93) {
      this.credited += ChannelWindowAdjust.decode(packet).bytes;
      const { window = 0, maxWindow = 0 } = this.options;
      // What the other end may have on its way and unread at most is the largest window.
      ensure(this.credited <= this.consumed + Math.max(0, maxWindow - window), 'more credited than taken');
    } else if (number === 96) {
      ensure(this.said === 'data', 'data or EOF after EOF');
      this.said = 'eof';
    } else if (number === 97) this.said = 'close';
  }

  deliver(count: number): boolean {
    const batch = this.wire.splice(0, count);
    for (const packet of batch) {
      if (packet[0] === 93) this.other.granted += ChannelWindowAdjust.decode(packet).bytes;
      if (packet[0] === 91) this.other.granted = ChannelOpenConfirmation.decode(packet).window;
      this.other.mux.receive(packet, 0);
      const { channel } = this.other;
      if (channel === undefined) continue;
      const largest = Math.max(this.other.options.window!, this.other.options.maxWindow!);
      ensure(channel.unread <= largest, 'more queued than the window');
      // What nobody will read, or nobody knows the meaning of, is taken at once.
      this.other.consumed = this.sentTo() - channel.unread;
    }
    return batch.length > 0;
  }

  /** Bytes of ours that have arrived. */
  sentTo(): number {
    const waiting = this.wire.reduce((sum, packet) => sum + dataLength(packet), 0);
    return this.sent - waiting;
  }

  read(extended: boolean): boolean {
    const chunk = extended ? this.channel?.readExtended() : this.channel?.read();
    if (chunk === undefined) return false;
    this.taken[extended ? 1 : 0].push(...chunk);
    this.consumed += chunk.length;
    return true;
  }

  write(length: number, type: 0 | 1 | 2): void {
    const { channel } = this;
    if (channel === undefined) return;
    const data = Uint8Array.from({ length }, () => this.stamp++ & 255);
    try {
      channel.write(data, type);
      if (type !== 2) this.written[type].push(...data);
    } catch (error) {
      if (!(error instanceof SshError) || error.code !== 'closed') throw error;
      expect(this.left || channel.eofSent || channel.closeReceived || channel.state === 'closed').toBe(true);
    }
  }
}

const dataLength = (packet: Uint8Array): number =>
  packet[0] === 94 ? packet.length - 9 : packet[0] === 95 ? packet.length - 13 : 0;

function step(ends: readonly [End, End], op: Op): void {
  const end = ends[op.end];
  const { channel } = end;
  switch (op.do) {
    case 'write':
      return end.write(op.length, op.type);
    case 'deliver':
      return void end.deliver(op.count);
    case 'fill':
      return void end.fill(op.count);
    case 'read':
    case 'readExtended':
      return void end.read(op.do === 'readExtended');
    case 'eof':
      if (channel !== undefined && end.wanted === 'data') end.wanted = 'eof';
      return channel?.eof();
    case 'close':
      if (channel === undefined) return;
      end.left = true;
      end.wanted = 'close';
      return channel.close();
    case 'discard': {
      if (channel === undefined) return;
      end.left = true;
      end.consumed += channel.unread;
      return channel.discardInput();
    }
    case 'request':
      if (channel?.state !== 'open' || end.said === 'close') return;
      try {
        channel.request('x', false, new Uint8Array(0));
      } catch (error) {
        if (!(error instanceof SshError) || error.code !== 'closed') throw error;
      }
  }
}

/** Both sides read whatever comes, until nothing moves. */
function settle(ends: readonly [End, End]): void {
  for (let turn = 0; turn < 100_000; turn++) {
    let moved = false;
    for (const end of ends) {
      moved = end.fill(1000) || moved;
      moved = end.deliver(1000) || moved;
      while (end.read(false) || end.read(true)) moved = true;
    }
    if (!moved) return;
  }
  throw new Error('never came to rest');
}

const side = fc.constantFrom<0 | 1>(0, 1);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      end: side,
      length: fc.nat(60),
      type: fc.constantFrom<0 | 1 | 2>(0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom('deliver' as const, 'fill' as const),
      end: side,
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('read' as const, 'readExtended' as const, 'request' as const),
      end: side,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('eof' as const, 'eof' as const, 'close' as const, 'discard' as const),
      end: side,
    }),
  },
);
const options: fc.Arbitrary<ChannelOptions> = fc.record({
  window: fc.integer({ min: 1, max: 80 }),
  maxWindow: fc.integer({ min: 1, max: 200 }),
  maxPacket: fc.integer({ min: 1, max: 40 }),
  writeMark: fc.integer({ min: 1, max: 50 }),
});

function begin(one: ChannelOptions, two: ChannelOptions): [End, End] {
  const ends: [End, End] = [new End(one), new End(two)];
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  ends[0].channel = ends[0].mux.open('session', new Uint8Array(0), one);
  return ends;
}

describe('two ends of a channel', () => {
  it('keep to their windows and come to an end under any schedule', () => {
    fc.assert(
      fc.property(options, options, fc.array(op, { maxLength: 80 }), fc.boolean(), (one, two, ops, polite) => {
        const ends = begin(one, two);
        for (const each of ops) step(ends, each);
        settle(ends);
        for (const end of ends) {
          for (const type of [0, 1] as const) {
            const { written } = end;
            // A reader that left took a part; one that stayed took all, in order.
            const taken = end.other.taken[type];
            expect(taken).toEqual(written[type].slice(0, taken.length));
            if (!end.other.left) expect(taken.length).toBe(written[type].length);
          }
          expect(end.channel!.buffered).toBe(0);
          // What was asked for has left, once the data before it had.
          if (end.other.wanted === 'close') expect(end.said).toBe('close');
          else expect(end.said).toBe(end.wanted);
        }
        // Whoever is left closes, and everything ends.
        if (polite) ends[0].channel!.eof();
        ends[1].channel!.close();
        settle(ends);
        for (const end of ends) {
          expect(end.channel!.state).toBe('closed');
          expect(end.said).toBe('close');
          expect(end.mux.channelCount).toBe(0);
          expect(end.signals.at(-1)?.what).toBe('closed');
          expect(end.signals.filter(({ what }) => what === 'eof').length).toBeLessThanOrEqual(1);
          expect(end.signals.filter(({ what }) => what === 'open')).toHaveLength(1);
        }
      }),
      { numRuns: 600 },
    );
  });

  it('let a writer in again whenever it was told to wait', () => {
    fc.assert(
      fc.property(options, options, fc.array(fc.nat(60), { minLength: 1, maxLength: 20 }), (one, two, lengths) => {
        const ends = begin(one, two);
        settle(ends);
        for (const length of lengths) {
          const before = ends[0].signals.length;
          const more = ends[0].channel!.write(new Uint8Array(length));
          settle(ends);
          const told = ends[0].signals.slice(before).filter(({ what }) => what === 'writable').length;
          expect(told).toBe(more ? 0 : 1);
        }
      }),
      { numRuns: 200 },
    );
  });
});

it('adjusts past 2^32 - 1 are refused, up to it taken', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.array(fc.nat(0xffff_ffff), { maxLength: 6 }), (window, adjusts) => {
      const end = new End({});
      const open = { channelType: 'session', sender: 0, window, maxPacket: 1000, body: new Uint8Array(0) };
      end.mux.receive(ChannelOpen.encode(open), 0);
      let sum = window;
      for (const bytes of adjusts) {
        sum += bytes;
        const adjust = (): void => end.mux.receive(ChannelWindowAdjust.encode({ recipient: 0, bytes }), 0);
        if (sum > 0xffff_ffff) {
          expect(adjust).toThrow(expect.objectContaining({ code: 'window', by: 'peer' }));
          return;
        }
        adjust();
        expect(end.channel!.peerWindow).toBe(sum);
      }
    }),
  );
});
