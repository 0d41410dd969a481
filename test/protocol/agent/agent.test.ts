import { describe, expect, test } from 'vitest';
import { AgentClient, type AgentEvent } from '../../../protocol/agent/client.ts';
import { SignFlags, sessionBind, sessionBindName } from '../../../protocol/agent/messages.ts';
import { AgentServer, AgentStore } from '../../../protocol/agent/server.ts';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { parsePrivateKey } from '../../../protocol/keys/parse.ts';
import { parsePublicKeyFile } from '../../../protocol/keys/public-line.ts';
import { sign, verify } from '../../../protocol/keys/sign.ts';
import type { PrivateKey } from '../../../protocol/keys/types.ts';
import { limits } from '../../../protocol/limits.ts';
import { Reader } from '../../../protocol/wire/reader.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { Writer } from '../../../protocol/wire/writer.ts';
import { bytesOf, codeOf } from '../keys/fixtures.ts';

const load = (name: string): PrivateKey => parsePrivateKey(crypto, bytesOf(`openssh/${name}`));
const certificate = (stem: string) => parsePublicKeyFile(bytesOf(`cert/${stem}-cert.pub`)).certificate!;
const data = encodeUtf8('data');

/** A client and a server joined; `step` bytes at a time. */
function pair(store = new AgentStore(crypto), step = Number.POSITIVE_INFINITY) {
  const client = new AgentClient();
  const server = new AgentServer(store);
  const carry = (from: { takeOutput(): Uint8Array[] }, to: { receive(bytes: Uint8Array): void }): void => {
    for (const bytes of from.takeOutput()) {
      for (let at = 0; at < bytes.length; at += step) to.receive(bytes.subarray(at, Math.min(bytes.length, at + step)));
    }
  };
  const run = (): AgentEvent[] => {
    carry(client, server);
    carry(server, client);
    const events: AgentEvent[] = [];
    for (let event = client.poll(); event; event = client.poll()) events.push(event);
    return events;
  };
  const one = (id: number): AgentEvent => {
    const events = run();
    expect(events.map((event) => event.id)).toEqual([id]);
    return events[0]!;
  };
  return { client, server, store, run, one };
}

describe.each([1, 7, Number.POSITIVE_INFINITY])('client and server, %s bytes at a time', (step) => {
  test('answers come in the order of the requests', () => {
    const { client, run } = pair(new AgentStore(crypto, [{ key: load('ed25519') }]), step);
    const { blob } = load('ed25519').publicKey;
    const ids = [
      client.list(),
      client.sign(blob, data),
      client.sign(encodeUtf8('none'), data),
      client.removeAll(),
      client.list(),
    ];
    const events = run();
    expect(events.map((event) => event.id)).toEqual(ids);
    expect(events.map((event) => event.kind)).toEqual(['identities', 'signature', 'failure', 'success', 'identities']);
    expect(client.pending).toBe(0);
  });
});

describe('keys', () => {
  test.each(['ed25519', 'rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'])('%s is handed over whole', (name) => {
    const { client, one, store } = pair();
    const key = load(name);
    expect(one(client.add(key)).kind).toBe('success');
    expect(store.keys).toEqual([{ key }]);
    expect(one(client.list())).toMatchObject({ identities: [{ blob: key.publicKey.blob, comment: key.comment }] });
  });

  test.each(['ed25519', 'rsa', 'ecdsa256', 'dsa'])('%s with its certificate', (name) => {
    const { client, one, store } = pair();
    const key = load(name);
    expect(one(client.add(key, {}, certificate(`user_${name}`))).kind).toBe('success');
    expect(store.keys).toEqual([{ key, certificate: certificate(`user_${name}`) }]);
    expect(one(client.list())).toMatchObject({ identities: [{ blob: certificate(`user_${name}`).blob }] });
  });

  test('a certificate over another key is refused', () => {
    const { client, one, store } = pair();
    expect(one(client.add(load('ed25519'), {}, certificate('user_rsa'))).kind).toBe('failure');
    expect(store.keys).toEqual([]);
  });

  test('the same key twice is one key, with the newer comment', () => {
    const { client, run, store } = pair();
    client.add(load('ed25519'));
    client.add({ ...load('ed25519'), comment: 'newer' });
    run();
    expect(store.keys.map(({ key }) => key.comment)).toEqual(['newer']);
  });

  test('a lifetime ends', () => {
    const { client, one, store } = pair();
    store.tick(5000);
    expect(one(client.add(load('ed25519'), { lifetime: 10 })).kind).toBe('success');
    store.tick(14_999);
    expect(store.keys).toHaveLength(1);
    store.tick(15_000);
    expect(store.keys).toHaveLength(0);
  });

  test('confirmation cannot be had here', () => {
    const { client, one } = pair();
    expect(one(client.add(load('ed25519'), { confirm: true }))).toMatchObject({
      kind: 'failure',
      error: { code: 'agent', detail: { request: 'add' } },
    });
  });

  test('remove', () => {
    const { client, one, store } = pair(new AgentStore(crypto, [{ key: load('ed25519') }, { key: load('ecdsa256') }]));
    const { blob } = load('ed25519').publicKey;
    expect(one(client.remove(blob)).kind).toBe('success');
    expect(one(client.remove(blob)).kind).toBe('failure');
    expect(store.keys).toHaveLength(1);
  });
});

test('the flags choose the hash of RSA signatures', () => {
  const key = load('rsa');
  const { client, one } = pair(new AgentStore(crypto, [{ key }]));
  const algorithms = new Map([
    [0, 'ssh-rsa'],
    [SignFlags.rsaSha256, 'rsa-sha2-256'],
    [SignFlags.rsaSha512, 'rsa-sha2-512'],
  ]);
  for (const [flags, algorithm] of algorithms) {
    const event = one(client.sign(key.publicKey.blob, data, flags));
    expect(event.kind === 'signature' && verify(crypto, key.publicKey, algorithm, data, event.signature)).toBe(true);
  }
});

test('a locked agent shows and takes nothing until it is unlocked', () => {
  const { client, run } = pair(new AgentStore(crypto, [{ key: load('ed25519') }]));
  client.lock('secret');
  client.lock('again');
  client.list();
  client.sign(load('ed25519').publicKey.blob, data);
  client.add(load('ecdsa256'));
  client.unlock('wrong');
  client.unlock('secret');
  client.list();
  const events = run();
  const kinds = ['success', 'failure', 'identities', 'failure', 'failure', 'failure', 'success', 'identities'];
  expect(events.map((event) => event.kind)).toEqual(kinds);
  expect(events[2]).toMatchObject({ identities: [] });
  expect(events[7]).toMatchObject({ identities: [{ comment: 'ed25519 fixture' }] });
});

describe('extensions', () => {
  test('query names session-bind', () => {
    const { client, one } = pair();
    const event = one(client.extension('query', new Uint8Array(0)));
    expect(event.kind === 'extension' && new Reader(event.contents).text()).toBe(sessionBindName);
  });
  test('session-bind is checked', () => {
    const { client, one } = pair();
    const host = load('ecdsa256');
    const bind = (signed: Uint8Array): Uint8Array =>
      sessionBind.encode({
        hostKey: host.publicKey.blob,
        sessionId: data,
        signature: sign(crypto, host, 'ecdsa-sha2-nistp256', signed),
        isForwarding: false,
      });
    expect(one(client.extension(sessionBindName, bind(data))).kind).toBe('extension');
    expect(one(client.extension(sessionBindName, bind(encodeUtf8('other')))).kind).toBe('failure');
  });
  test('what is not known is refused', () => {
    const { client, one } = pair();
    expect(one(client.extension('made-up@example.com', data)).kind).toBe('failure');
  });
});

describe('an agent that misbehaves', () => {
  const answer = (...bytes: number[]): Uint8Array => new Writer().string(Uint8Array.from(bytes)).finish();
  const asked = (): AgentClient => {
    const client = new AgentClient();
    client.list();
    return client;
  };
  test.each<[string, Uint8Array]>([
    ['an empty message', answer()],
    ['a length past the bound', new Writer().u32(limits.agentMessage + 1).finish()],
    ['a success where keys are wanted', answer(6)],
    ['more keys than fit', answer(12, 0, 0, 0, 9, 0, 0, 0, 0)],
    ['a count past the bound', answer(12, 0xff, 0xff, 0xff, 0xff)],
    ['bytes behind the keys', answer(12, 0, 0, 0, 0, 1)],
  ])('%s', (_, bytes) => expect(codeOf(() => asked().receive(bytes))).toBe('malformed'));

  test('an answer nobody asked for', () => {
    expect(codeOf(() => new AgentClient().receive(answer(6)))).toBe('malformed');
  });
  test('a claimed length allocates nothing', () => {
    const client = asked();
    client.receive(new Writer().u32(limits.agentMessage).finish());
    expect(client.poll()).toBeUndefined();
  });
});

describe('a client that misbehaves', () => {
  const ask = (...bytes: number[]): number => {
    const server = new AgentServer(new AgentStore(crypto));
    server.receive(new Writer().string(Uint8Array.from(bytes)).finish());
    return server.takeOutput()[0]![4]!;
  };
  test.each([[[99]], [[13]], [[11, 0]], [[17, 0, 0]], [[25]], [[27, 0, 0, 0, 1]], [[1]]])('%j is refused', (bytes) => {
    expect(ask(...bytes)).toBe(5);
  });
  test('a request that is too large is not sent', () => {
    expect(codeOf(() => new AgentClient().sign(data, new Uint8Array(limits.agentMessage)))).toBe('limit');
  });
});
