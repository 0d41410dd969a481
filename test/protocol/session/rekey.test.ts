// Rekeys: when, what may cross them, and that nothing but the exchange leaves meanwhile (RFC 4253 section 9).
import { describe, expect, it } from 'vitest';
import { RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import { ChannelData, ChannelOpenConfirmation, GlobalRequest } from '../../../protocol/messages/connection.ts';
import { DisconnectMessage, Ping } from '../../../protocol/messages/transport.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';
import { Pair, type PairOptions, pattern, readAll, same } from './pair.ts';

const node = nodeCrypto();
const fast = { clientCrypto: node, serverCrypto: node, algorithms: { kex: ['curve25519-sha256'] } };
const rekeys = (pair: Pair): number => pair.clientEvents.filter((e) => e.type === 'ready' && e.rekey).length;
const ping = Ping.encode({ data: new Uint8Array(1) });
const nothing = new Uint8Array(0);

describe('the policy', () => {
  const talk = (options: PairOptions, bytes = 5000): Pair => {
    const pair = new Pair({ ...fast, ...options }).login();
    const { client, server } = pair.openChannel();
    const data = pattern(bytes);
    client.write(data);
    server.write(data);
    pair.run();
    expect(same(readAll(server), data) && same(readAll(client), data)).toBe(true);
    return pair;
  };

  it.each([
    ['client, bytes', { clientRekey: { bytes: 16 } }],
    ['server, bytes', { serverRekey: { bytes: 16 } }],
    ['both, bytes', { clientRekey: { bytes: 16 }, serverRekey: { bytes: 16 } }],
    ['both, zero bytes', { clientRekey: { bytes: 0 }, serverRekey: { bytes: 0 } }],
    ['both, packets', { clientRekey: { packets: 1 }, serverRekey: { packets: 1 } }],
  ])('%s: tiny limits make progress and come to rest', (_name, options) => {
    const pair = talk(options);
    const before = rekeys(pair);
    expect(before).toBeGreaterThan(1);
    expect(before).toBeLessThan(100);
    pair.run();
    expect(rekeys(pair)).toBe(before);
  });

  it('counts bytes of either direction', () => {
    const pair = new Pair({ ...fast, clientRekey: { bytes: 20_000 } }).login();
    const { client, server } = pair.openChannel();
    client.write(pattern(15_000));
    pair.run();
    expect(rekeys(pair)).toBe(0);
    server.write(pattern(15_000));
    pair.run();
    expect(rekeys(pair)).toBe(0);
    server.write(pattern(6000));
    pair.run();
    expect(rekeys(pair)).toBe(1);
  });

  it('by time, and not again while nothing passes', () => {
    const pair = new Pair({ ...fast, clientRekey: { time: 1000 } }).login();
    expect(pair.client.deadline()).toBe(1000);
    expect(pair.server.deadline()).toBeUndefined();
    pair.advance(999);
    expect(rekeys(pair)).toBe(0);
    pair.advance(1);
    expect(rekeys(pair)).toBe(1);
    // Idle keys do not age, and a deadline in the past would have the timer spin.
    expect(pair.client.deadline()).toBeUndefined();
    pair.advance(5000);
    expect(rekeys(pair)).toBe(1);
    pair.client.globalRequest('x', false, nothing);
    pair.run();
    pair.advance(1);
    expect(rekeys(pair)).toBe(2);
  });

  it('has no deadline in the past while an exchange hangs', () => {
    const peer = new RawPeer({ plays: 'server', rekey: { time: 100 } }).login();
    peer.session.tick(150);
    peer.expect(20);
    expect(peer.session.deadline()).toBeUndefined();
  });

  it('is heard in every phase only after log-in', () => {
    const peer = new RawPeer({ plays: 'client', rekey: { packets: 1 } }).exchange();
    peer.session.rekey();
    expect(peer.numbers()).toEqual([7]);
  });
});

describe.each(['client', 'server'] as const)('with a %s that holds its KEXINIT back', (plays) => {
  const start = (): RawPeer => {
    const peer = new RawPeer({ plays }).login();
    peer.session.rekey();
    return peer.takeInit();
  };

  it('its data is delivered between the two KEXINITs, and up to its NEWKEYS', () => {
    const peer = new RawPeer({ plays }).login();
    const channel = peer.session.mux.open('session', nothing);
    peer.pull().numbers();
    const confirmation = { recipient: channel.id, sender: 7, window: 1000, maxPacket: 1000, body: nothing };
    peer.send(ChannelOpenConfirmation.encode(confirmation));
    peer.session.rekey();
    peer.takeInit();
    peer.send(ChannelData.encode({ recipient: channel.id, data: pattern(100) }));
    expect(same(readAll(channel), pattern(100))).toBe(true);
    peer.answerInit();
    peer.send(ChannelData.encode({ recipient: channel.id, data: pattern(70) }));
    expect(same(readAll(channel), pattern(70))).toBe(true);
    peer.finishExchange();
    peer.send(ChannelData.encode({ recipient: channel.id, data: pattern(50) }));
    expect(same(readAll(channel), pattern(50))).toBe(true);
  });

  it('nothing but the exchange leaves until our NEWKEYS, and all of it after', () => {
    const peer = start();
    const channel = peer.session.mux.open('session', nothing);
    peer.session.globalRequest('x', true, nothing);
    peer.send(ping, Uint8Array.of(200));
    expect(peer.numbers()).toEqual([]);
    peer.answerInit();
    peer.finishExchange();
    expect(peer.numbers().sort()).toEqual([193, 3, 80, 90].sort());
    expect(channel.state).toBe('opening');
  });

  it('we may say goodbye in the middle', () => {
    const peer = start();
    peer.session.disconnect(11, 'bye');
    expect(DisconnectMessage.decode(peer.expect(1))).toMatchObject({ reason: 11, description: 'bye' });
    expect(peer.closed().error).toBeUndefined();
  });

  it('both KEXINITs may cross', () => {
    const peer = new RawPeer({ plays }).login();
    const ours = peer.kexInit();
    peer.session.rekey();
    peer.session.rekey();
    peer.takeInit();
    expect(ours.length).toBe(peer.kexInit().length);
    peer.answerInit().finishExchange();
    expect(peer.session.closed).toBe(false);
    expect(peer.numbers()).toEqual([]);
  });

  it('its requests pile up only so far', () => {
    const peer = start();
    const big = Ping.encode({ data: new Uint8Array(32 * 1024) });
    for (let i = 0; i < 1000 && !peer.session.closed; i++) peer.send(big);
    expect(peer.closed().error).toMatchObject({ code: 'limit', by: 'peer', detail: { limit: 'queuedReplies' } });
  });
});

it('a session rekeys with another host key only after a new verdict', () => {
  const peer = new RawPeer({ plays: 'server' }).login();
  const shown = () => peer.events.filter((event) => event.type === 'host-key').length;
  expect(shown()).toBe(1);
  peer.exchange();
  expect(shown()).toBe(1);
});

it('a request before and behind a rekey is answered in order', () => {
  const peer = new RawPeer({ plays: 'client' }).login();
  const slots: number[] = [];
  peer.onEvent = (event) => void (event.type === 'global-request' && slots.push(event.slot));
  const ask = GlobalRequest.encode({ request: 'x', wantReply: true, body: nothing });
  peer.send(ask, ask).init();
  peer.session.mux.answerGlobal(slots[1]!, false);
  peer.session.mux.answerGlobal(slots[0]!, true);
  expect(peer.finishExchange().send(ask).numbers()).toEqual([81, 82]);
});
