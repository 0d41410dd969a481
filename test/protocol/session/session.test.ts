import { describe, expect, it } from 'vitest';
import { algorithms, supportedAlgorithms } from '../../../protocol/algorithms.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import type { CryptoProvider } from '../../../protocol/crypto/provider.ts';
import { generateKey } from '../../../protocol/keys/generate.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';
import { Pair, type PairOptions, pattern, readAll, same } from './pair.ts';

const node = nodeCrypto();
const noble = nobleCrypto;

/** A cheap key exchange, for whatever is not about key exchanges: the others take noble up to a second. */
const cheap = { kex: ['curve25519-sha256'] };

/** The tortures every conversation has to stand. */
const tortures: readonly (readonly [string, PairOptions])[] = [
  ['plain', {}],
  ['byte by byte', { pieces: 1 }],
  ['in pieces of 7', { pieces: 7 }],
  ['client rekeys every third packet', { clientRekey: { packets: 3 } }],
  ['server rekeys every third packet', { serverRekey: { packets: 3 } }],
  [
    'both rekey every third packet, byte by byte',
    { pieces: 1, clientRekey: { packets: 3 }, serverRekey: { packets: 3 } },
  ],
];
const providers: readonly (readonly [string, CryptoProvider, CryptoProvider])[] = [
  ['node', node, node],
  ['noble', noble, noble],
  ['noble client, node server', noble, node],
  ['node client, noble server', node, noble],
];

describe.each(providers)('a conversation on %s', (_name, clientCrypto, serverCrypto) => {
  it.each(tortures)('%s', (_torture, torture) => {
    const pair = new Pair({ algorithms: cheap, ...torture, clientCrypto, serverCrypto }).login();
    expect(pair.client.authenticated && pair.server.authenticated).toBe(true);
    const { client, server } = pair.openChannel();
    const up = pattern(3000);
    const down = pattern(5000, 7);
    client.request('exec', true, encodeUtf8('\0\0\0\x02ls'));
    client.write(up);
    pair.run();
    expect(same(readAll(server), up)).toBe(true);
    server.reply(true);
    server.write(down);
    server.write(encodeUtf8('oops'), 1);
    pair.run();
    expect(same(readAll(client), down)).toBe(true);
    expect(readAll(client, true)).toEqual(encodeUtf8('oops'));
    client.eof();
    server.request('exit-status', false, new Uint8Array([0, 0, 0, 3]));
    server.eof();
    server.close();
    pair.run();
    const signals = pair.clientEvents.flatMap((e) =>
      e.type === 'channel' && e.channel === client ? [e.signal.what] : [],
    );
    expect(signals.filter((what) => what !== 'readable' && what !== 'writable')).toEqual([
      'open',
      'reply',
      'request',
      'eof',
      'closed',
    ]);
    expect(client.state).toBe('closed');
    expect(server.state).toBe('closed');
    expect(pair.client.mux.channelCount).toBe(0);
    expect(pair.server.mux.channelCount).toBe(0);
    expect(pair.closed('client')).toBeUndefined();
    const rekeys = pair.clientEvents.filter((e) => e.type === 'ready' && e.rekey).length;
    if (torture.clientRekey ?? torture.serverRekey) expect(rekeys).toBeGreaterThan(2);
    else expect(rekeys).toBe(0);
  });
});

describe('every algorithm of the tables', () => {
  const all = supportedAlgorithms(noble);
  const talk = (options: PairOptions, bytes = 40_000): Pair => {
    const pair = new Pair(options).login();
    const { client, server } = pair.openChannel();
    const data = pattern(bytes);
    client.write(data);
    pair.run();
    expect(same(readAll(server), data)).toBe(true);
    server.write(data);
    pair.run();
    expect(same(readAll(client), data)).toBe(true);
    return pair;
  };
  it.each(all.kex)('kex %s', (name) => {
    for (const [clientCrypto, serverCrypto] of [
      [noble, node],
      [node, noble],
    ] as const) {
      const pair = talk({ algorithms: { kex: [name] }, clientCrypto, serverCrypto });
      expect(pair.client.algorithms!.kex.name).toBe(name);
    }
  });
  const aead = algorithms.ciphers.filter((row) => row.aead).map((row) => [row.name, 'hmac-sha2-256'] as const);
  const pairs = algorithms.ciphers
    .filter((row) => !row.aead)
    .flatMap((row) => algorithms.macs.map((mac) => [row.name, mac.name] as const));
  it.each([...aead, ...pairs])('cipher %s with %s', (cipher, mac) => {
    for (const [clientCrypto, serverCrypto] of [
      [noble, node],
      [node, noble],
    ] as const) {
      // Bulk once for each cipher: what differs between the rest is the handshake and the packets' form.
      const bytes = mac === 'hmac-sha2-256' ? 40_000 : 2000;
      talk({ algorithms: { ...cheap, ciphers: [cipher], macs: [mac] }, clientCrypto, serverCrypto }, bytes);
    }
  });
  it.each(all.compression)('compression %s', (name) => {
    const rekey = { packets: 5 };
    talk({ algorithms: { ...cheap, compression: [name] }, clientCrypto: node, serverCrypto: node, clientRekey: rekey });
  });
  it.each([
    ['ed25519', ['ssh-ed25519']],
    ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
    ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
    ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
    ['rsa', ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']],
  ] as const)('host key %s', (kind, names) => {
    const key = generateKey(node, kind);
    for (const name of names) {
      for (const [clientCrypto, serverCrypto] of [
        [noble, node],
        [node, noble],
      ] as const) {
        const pair = new Pair({
          hostKeys: [{ key }],
          algorithms: { ...cheap, hostKeys: [name] },
          clientCrypto,
          serverCrypto,
        }).login();
        expect(pair.client.algorithms!.hostKey.name).toBe(name);
      }
    }
  });
});

describe('idle channels', () => {
  it('are timed by the clock as it was told before the log-in', () => {
    const pair = new Pair({ algorithms: cheap }).advance(1_000_000).login();
    const { client } = pair.openChannel();
    pair.client.mux.limitIdle(1000);
    client.write(Uint8Array.of(1));
    pair.run().advance(10);
    expect(client.state).toBe('open');
    pair.advance(1000);
    expect(client.state).not.toBe('open');
  });
});
