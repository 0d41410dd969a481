import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { SignFlags, sessionBind, sessionBindName } from '../../../protocol/agent/messages.ts';
import { AgentServer, AgentStore } from '../../../protocol/agent/server.ts';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { parsePrivateKey } from '../../../protocol/keys/parse.ts';
import { parsePublicKeyFile } from '../../../protocol/keys/public-line.ts';
import { sign, verify } from '../../../protocol/keys/sign.ts';
import type { PrivateKey } from '../../../protocol/keys/types.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { type AgentConnection, connectAgent } from '../../../transport/agent-socket.ts';
import { bytesOf } from '../keys/fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-'));
const load = (name: string): PrivateKey => parsePrivateKey(crypto, bytesOf(`openssh/${name}`));
const data = encodeUtf8('data to sign');
let sockets = 0;
const open: (Server | AgentConnection)[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function serve(accept: (socket: Socket) => void): Promise<string> {
  const path = join(folder, `s${sockets++}`);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    accept(socket);
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

async function reach(path: string, options = {}): Promise<AgentConnection> {
  const connection = await connectAgent(path, options);
  open.push(connection);
  return connection;
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable('it was answered'),
    (error: unknown) => error,
  );

test('our own server over a socket', async () => {
  const store = new AgentStore(crypto);
  const path = await serve((socket) => {
    const server = new AgentServer(store);
    socket.on('data', (bytes) => {
      server.receive(bytes);
      for (const output of server.takeOutput()) socket.write(output);
    });
  });
  const agent = await reach(path);
  const key = load('ed25519');
  await agent.add(key);
  const [[identity], signature] = await Promise.all([agent.list(), agent.sign(key.publicKey.blob, data)]);
  expect(identity).toEqual({ blob: key.publicKey.blob, comment: key.comment });
  expect(verify(crypto, key.publicKey, 'ssh-ed25519', data, signature)).toBe(true);
  expect(await rejection(agent.sign(encodeUtf8('no such key'), data))).toMatchObject({ code: 'agent' });
  await agent.removeAll();
  expect(await agent.list()).toEqual([]);
});

describe('agents that fail', () => {
  test('nobody there', async () => {
    expect(await rejection(connectAgent(join(folder, 'nothing')))).toMatchObject({
      code: 'agent',
      detail: { errno: 'ENOENT' },
    });
  });
  test('one that never answers', async () => {
    const agent = await reach(await serve(() => {}), { timeoutMs: 50, signTimeoutMs: 50 });
    const [first, second] = await Promise.all([rejection(agent.list()), rejection(agent.sign(data, data))]);
    expect(first).toMatchObject({ code: 'agent', detail: { timeout: 50 } });
    expect(second).toMatchObject({ code: 'agent' });
    expect(await rejection(agent.list())).toMatchObject({ code: 'agent' });
  });
  test('a signature may take longer than the rest', async () => {
    const path = await serve((socket) => {
      socket.on('data', () => setTimeout(() => socket.write(Uint8Array.of(0, 0, 0, 1, 5)), 120));
    });
    const agent = await reach(path, { timeoutMs: 40, signTimeoutMs: 5000 });
    expect(await rejection(agent.sign(data, data))).toMatchObject({ code: 'agent', detail: { request: 'sign' } });
  });
  test('one that dies under a request', async () => {
    const agent = await reach(await serve((socket) => socket.on('data', () => socket.destroy())));
    expect(await rejection(agent.list())).toMatchObject({ code: 'agent' });
  });
  test('one that dies while idle', async () => {
    const agent = await reach(await serve((socket) => socket.end()));
    await delay(50);
    expect(await rejection(agent.list())).toMatchObject({ code: 'agent' });
  });
  test('one that talks nonsense', async () => {
    const agent = await reach(await serve((socket) => socket.on('data', () => socket.write('HTTP/1.1 400'))));
    expect(await rejection(agent.list())).toMatchObject({ code: 'agent', cause: { code: 'malformed' } });
  });
  test('an aborted request, an aborted connection, a closed one', async () => {
    const path = await serve(() => {});
    expect(await rejection(connectAgent(path, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'aborted' });
    const controller = new AbortController();
    const agent = await reach(path, { signal: controller.signal });
    const list = rejection(agent.list());
    controller.abort();
    expect(await list).toMatchObject({ code: 'aborted' });
    const other = await reach(path);
    const pending = rejection(other.list());
    other.close();
    expect(await pending).toMatchObject({ code: 'closed' });
  });
});

const hasAgent = (() => {
  try {
    execFileSync('ssh-agent', ['-h'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
})();
if (!hasAgent) console.log('skipped: there is no ssh-agent on this machine');

describe.skipIf(!hasAgent)('OpenSSH ssh-agent', () => {
  const path = join(folder, 'openssh');
  const child = hasAgent ? spawn('ssh-agent', ['-D', '-a', path], { stdio: 'ignore' }) : undefined;
  afterAll(() => child?.kill());
  const ready = async (): Promise<AgentConnection> => {
    for (let tries = 0; ; tries++) {
      try {
        return await reach(path);
      } catch (error) {
        if (tries > 100) throw error;
        await delay(20);
      }
    }
  };

  test.each<[string, string, number]>([
    ['ed25519', 'ssh-ed25519', 0],
    ['ecdsa256', 'ecdsa-sha2-nistp256', 0],
    ['ecdsa384', 'ecdsa-sha2-nistp384', 0],
    ['ecdsa521', 'ecdsa-sha2-nistp521', 0],
    ['rsa', 'rsa-sha2-256', SignFlags.rsaSha256],
    ['rsa', 'rsa-sha2-512', SignFlags.rsaSha512],
  ])('%s: add, list, sign (%s), remove', async (name, algorithm, flags) => {
    const agent = await ready();
    const key = load(name);
    await agent.add(key, { lifetime: 60 });
    expect(await agent.list()).toEqual([{ blob: key.publicKey.blob, comment: key.comment }]);
    const signature = await agent.sign(key.publicKey.blob, data, flags);
    expect(verify(crypto, key.publicKey, algorithm, data, signature)).toBe(true);
    await agent.remove(key.publicKey.blob);
    expect(await agent.list()).toEqual([]);
  });

  test.each(['ed25519', 'rsa', 'ecdsa384'])('%s with a certificate', async (name) => {
    const agent = await ready();
    const key = load(name);
    const certificate = parsePublicKeyFile(bytesOf(`cert/user_${name}-cert.pub`)).certificate!;
    await agent.add(key, {}, certificate);
    expect(await agent.list()).toEqual([{ blob: certificate.blob, comment: key.comment }]);
    const signature = await agent.sign(certificate.blob, data, SignFlags.rsaSha512);
    const algorithm = name === 'rsa' ? 'rsa-sha2-512' : key.publicKey.type;
    expect(verify(crypto, key.publicKey, algorithm, data, signature)).toBe(true);
    await agent.removeAll();
  });

  test('lock and unlock', async () => {
    const agent = await ready();
    await agent.add(load('ed25519'));
    await agent.lock('secret');
    expect(await agent.list()).toEqual([]);
    expect(await rejection(agent.unlock('wrong'))).toMatchObject({ code: 'agent', detail: { request: 'unlock' } });
    await agent.unlock('secret');
    expect(await agent.list()).toHaveLength(1);
    await agent.removeAll();
  });

  test('session-bind is accepted once its signature is right; unknown extensions are refused', async () => {
    const agent = await ready();
    const host = load('ecdsa256');
    const bind = (signed: Uint8Array): Uint8Array =>
      sessionBind.encode({
        hostKey: host.publicKey.blob,
        sessionId: data,
        signature: sign(crypto, host, 'ecdsa-sha2-nistp256', signed),
        isForwarding: false,
      });
    expect(await rejection(agent.extension(sessionBindName, bind(encodeUtf8('wrong'))))).toMatchObject({
      code: 'agent',
    });
    await agent.extension(sessionBindName, bind(data));
    expect(await rejection(agent.extension('made-up@example.com', data))).toMatchObject({ code: 'agent' });
  });

  test('many requests at once', async () => {
    const agent = await ready();
    const key = load('ed25519');
    await agent.add(key);
    const messages = Array.from({ length: 50 }, (_, i) => encodeUtf8(`message ${i}`));
    const signatures = await Promise.all(messages.map((message) => agent.sign(key.publicKey.blob, message)));
    for (const [i, message] of messages.entries()) {
      expect(verify(crypto, key.publicKey, 'ssh-ed25519', message, signatures[i]!)).toBe(true);
    }
  });
});
