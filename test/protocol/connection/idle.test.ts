// Channels that end because nothing passes.
import { describe, expect, it } from 'vitest';
import { drain } from '../../../fuzz/arbitraries/payloads.ts';
import type { Channel } from '../../../protocol/connection/channel.ts';
import { Mux, type MuxEvent } from '../../../protocol/connection/mux.ts';
import { ChannelClose, ChannelData, ChannelOpenConfirmation } from '../../../protocol/messages/connection.ts';

const nothing = new Uint8Array(0);

class Side {
  readonly events: MuxEvent[] = [];
  readonly mux = new Mux((event) => void this.events.push(event));

  open(after?: number): Channel {
    const channel = this.mux.open('session', nothing);
    if (after !== undefined) this.mux.limitIdle(after, channel);
    this.sent();
    const sizes = { window: 1000, maxPacket: 100, body: nothing };
    this.mux.receive(ChannelOpenConfirmation.encode({ recipient: channel.id, sender: 70 + channel.id, ...sizes }), 0);
    return channel;
  }
  sent(): number[] {
    return drain(this.mux).map((payload) => payload[0]!);
  }
  expired(): number[] {
    return this.events.flatMap((event) =>
      event.type === 'channel' && event.signal.what === 'expired' ? [event.channel.id] : [],
    );
  }
}

describe('a limit on idleness', () => {
  it('counts from when the clock is read after it was set, and from the last data either way', () => {
    const side = new Side();
    side.mux.tick(5);
    const channel = side.open(100);
    expect(side.mux.deadline()).toBeUndefined();
    side.mux.tick(1000);
    expect(side.mux.deadline()).toBe(1100);
    side.mux.tick(1050);
    side.mux.receive(ChannelData.encode({ recipient: channel.id, data: Uint8Array.of(1) }), 0);
    expect(side.mux.deadline()).toBe(1150);
    side.mux.tick(1120);
    channel.write(Uint8Array.of(2));
    expect(side.mux.deadline()).toBe(1150);
    side.sent();
    expect(side.mux.deadline()).toBe(1220);
    side.mux.tick(1219);
    expect(side.expired()).toEqual([]);
    side.mux.tick(1220);
    expect(side.expired()).toEqual([channel.id]);
    expect(side.sent()).toEqual([ChannelClose.number]);
    expect(side.mux.deadline()).toBeUndefined();
  });

  it('ends a channel whose window is shut, and lets what came be read', () => {
    const side = new Side();
    const channel = side.open(100);
    side.mux.tick(0);
    channel.write(new Uint8Array(5000));
    side.sent();
    side.mux.receive(ChannelData.encode({ recipient: channel.id, data: Uint8Array.of(7) }), 0);
    side.mux.tick(100);
    expect(side.sent()).toEqual([ChannelClose.number]);
    expect(channel.read()).toEqual(Uint8Array.of(7));
    side.mux.receive(ChannelClose.encode({ recipient: channel.id }), 0);
    expect(channel.state).toBe('closed');
  });

  it("is one channel's business", () => {
    const side = new Side();
    const one = side.open(100);
    const other = side.open();
    side.mux.tick(0);
    side.mux.tick(1e6);
    expect(side.expired()).toEqual([one.id]);
    expect(other.state).toBe('open');
    side.mux.limitIdle(10, other);
    side.mux.limitIdle(0, other);
    side.mux.tick(2e6);
    expect(other.state).toBe('open');
  });

  it('may be one for all: any traffic counts, and all end together', () => {
    const side = new Side();
    const channels = [side.open(), side.open()];
    side.mux.limitIdle(100);
    side.mux.tick(0);
    side.mux.tick(90);
    side.mux.receive(ChannelData.encode({ recipient: channels[1]!.id, data: Uint8Array.of(1) }), 0);
    side.mux.tick(100);
    expect(side.expired()).toEqual([]);
    side.mux.tick(190);
    expect(side.expired()).toEqual(channels.map(({ id }) => id));
  });

  it('goes with its channel', () => {
    const side = new Side();
    const channel = side.open(100);
    side.mux.tick(0);
    channel.close();
    side.mux.receive(ChannelClose.encode({ recipient: channel.id }), 0);
    expect(side.mux.deadline()).toBeUndefined();
  });
});
