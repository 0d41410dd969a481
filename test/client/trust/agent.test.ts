// Agents that OpenSSH's is not: tokens behind them, hanging, dying in the middle, signing with the wrong algorithm.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type IdentitySources, identities } from '../../../client/identities.ts';
import { KeyStore } from '../../../client/key-store.ts';
import * as messages from '../../../protocol/agent/messages.ts';
import {
  encodePublicMaterial,
  formatPrivateKey,
  formatPublicKeyLine,
  generateKey,
  type PrivateKey,
  type PublicKey,
  Reader,
  sign,
  Writer,
} from '../../../protocol/index.ts';
import { connectAgent } from '../../../transport/index.ts';
import { type DemoServer, startDemoServer } from '../../demo-server/index.ts';
import { alice, crypto, login, newKey, noAuth, within } from '../harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'bssh-agents-'));
afterAll(() => rmSync(dir, { recursive: true }));
let counter = 0;
const agents: Server[] = [];
afterEach(() => {
  for (const agent of agents.splice(0)) agent.close();
});

/** What an agent does with a request to sign; undefined hangs up. */
type Signer = (blob: Uint8Array, data: Uint8Array, flags: number) => Uint8Array | undefined;

/** An agent with these keys that signs as told; without keys it never answers at all. */
async function fakeAgent(keys: readonly PublicKey[] | undefined, signer: Signer = () => undefined): Promise<string> {
  const path = join(dir, `agent-${++counter}`);
  const server = createServer((socket) => {
    const framer = new messages.AgentFramer();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      framer.receive(chunk);
      for (let message = framer.next(); message !== undefined; message = framer.next()) {
        if (keys === undefined) continue;
        const answer = respond(message, keys, signer);
        if (answer === undefined) socket.destroy();
        else socket.write(messages.frame(answer));
      }
    });
  });
  agents.push(server);
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  return path;
}

function respond(message: Uint8Array, keys: readonly PublicKey[], signer: Signer): Uint8Array | undefined {
  if (message[0] === messages.requestIdentities.number) {
    const list = new Writer();
    for (const { blob, type } of keys) list.string(blob).text(type);
    return messages.identitiesAnswer.encode({ count: keys.length, identities: list.finish() });
  }
  if (message[0] !== messages.signRequest.number) return messages.failure.encode({});
  const { keyBlob, data, flags } = messages.signRequest.decode(message);
  const signature = signer(keyBlob, data, flags);
  return signature && messages.signResponse.encode({ signature });
}

const sha256 = (data: Uint8Array): Uint8Array => crypto.hash('sha256').update(data).digest();

/** A token's signature (PROTOCOL.u2f): over hashes, flags and a counter, of which the last two follow in clear. */
function tokenSignature(type: string, application: string, data: Uint8Array, raw: (signed: Uint8Array) => Uint8Array) {
  const clear = new Uint8Array([1, 0, 0, 0, 9]);
  const signed = new Writer()
    .raw(sha256(Buffer.from(application)))
    .raw(clear)
    .raw(sha256(data))
    .finish();
  return new Writer().text(type).string(raw(signed)).raw(clear).finish();
}

const application = 'ssh:';

function edToken(): { key: PublicKey; signer: Signer } {
  const { secret, publicKey } = generateKey(crypto, 'ed25519');
  if (secret.kind !== 'ed25519' || publicKey.material.kind !== 'ed25519') throw new Error('no ed25519 key');
  const { seed } = secret;
  const key = encodePublicMaterial({ kind: 'sk-ed25519', point: publicKey.material.point, application });
  const signer: Signer = (_, data) =>
    tokenSignature(key.type, application, data, (signed) => crypto.ed25519.sign(seed, signed));
  return { key, signer };
}

function ecdsaToken(): { key: PublicKey; signer: Signer } {
  const { secret, publicKey } = generateKey(crypto, 'ecdsa-sha2-nistp256');
  if (secret.kind !== 'ecdsa' || publicKey.material.kind !== 'ecdsa') throw new Error('no ecdsa key');
  const scalar = secret.secret;
  const key = encodePublicMaterial({ kind: 'sk-ecdsa', point: publicKey.material.point, application });
  const signer: Signer = (_, data) =>
    tokenSignature(key.type, application, data, (signed) => {
      const pair = crypto.ecdsa('p256').sign(scalar, signed);
      return new Writer().mpint(pair.subarray(0, 32)).mpint(pair.subarray(32)).finish();
    });
  return { key, signer };
}

const file = (key: PrivateKey): string => {
  const path = join(dir, `key-${++counter}`);
  writeFileSync(path, formatPrivateKey(crypto, key), { mode: 0o600 });
  return path;
};

interface Attempt {
  readonly warnings: string[];
  readonly log: string[];
}

async function attempt(server: DemoServer, sources: Partial<IdentitySources>, accepted: string[]): Promise<Attempt> {
  const warnings: string[] = [];
  const log: string[] = [];
  const keys: IdentitySources = {
    store: new KeyStore({ crypto, warn: (text) => void warnings.push(text) }),
    crypto,
    files: [],
    certificates: [],
    only: false,
    warn: (text) => void warnings.push(text),
    log: (_, text) => void log.push(text),
    ...sources,
  };
  const auth = {
    ...noAuth,
    accepted,
    identities: (binding: IdentitySources['binding']) => identities({ ...keys, binding }),
  };
  const connection = await within(8000, login(server, { auth, log: (_, text) => void log.push(text) }));
  await connection.close();
  return { warnings, log };
}

const algorithms = ['ssh-ed25519', 'sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com', 'rsa-sha2-512'];
const agentAt = (path: string) => () => connectAgent(path, { timeoutMs: 200, signTimeoutMs: 200 });

describe('a token behind an agent', () => {
  it.each([
    ['sk-ssh-ed25519@openssh.com', 'ED25519-SK', edToken],
    ['sk-ecdsa-sha2-nistp256@openssh.com', 'ECDSA-SK', ecdsaToken],
  ] as const)('logs in by %s', async (type, label, make) => {
    const { key, signer } = make();
    expect(key.type).toBe(type);
    await using server = await startDemoServer({ users: [{ name: alice.name, keys: [key] }] });
    const path = await fakeAgent([key], signer);
    const { log } = await attempt(server, { agent: agentAt(path) }, algorithms);
    expect(log.join('\n')).toMatch(
      new RegExp(`^Server accepts key: ${type} ${label} SHA256:\\S+ authenticator agent$`, 'm'),
    );
  });

  it('is found for the public key the user names, and left alone without an agent', async () => {
    const { key, signer } = edToken();
    const plain = newKey();
    await using server = await startDemoServer({ users: [{ name: alice.name, keys: [key, plain.publicKey] }] });
    const named = join(dir, 'token.pub');
    writeFileSync(named, `${formatPublicKeyLine(key, 'token')}\n`);
    const files = [named, file(plain)].map((path) => ({ path, explicit: true }));
    const path = await fakeAgent([key], signer);
    const with_ = await attempt(server, { files, agent: agentAt(path), only: true }, algorithms);
    expect(with_.log.join('\n')).toMatch(
      /Server accepts key: \S+token\.pub ED25519-SK SHA256:\S+ explicit authenticator agent/,
    );
    const without = await attempt(server, { files }, algorithms);
    expect(without.warnings).toEqual([
      `The ED25519-SK key "${named}" is kept in a token, which signs through an agent only: add it to one (ssh-add).`,
    ]);
  });
});

describe('an agent that fails', () => {
  const key = newKey('mine');
  const serve = (...keys: PublicKey[]) =>
    startDemoServer({ users: [{ name: alice.name, keys: [key.publicKey, ...keys] }] });
  const files = [{ path: file(key), explicit: true }];

  it('by never answering is given up on, and the file logs in', async () => {
    await using server = await serve();
    const path = await fakeAgent(undefined);
    const { log } = await attempt(server, { agent: agentAt(path), files }, algorithms);
    expect(log.join('\n')).toMatch(/ssh_fetch_identitylist: the agent does not answer/);
  });

  it.each([
    [
      'by hanging up',
      (): undefined => undefined,
      /signing failed for ED25519 "ssh-ed25519" from agent: the agent went away/,
    ],
    [
      'by another algorithm',
      (): Uint8Array => new Writer().text('ssh-rsa').string(new Uint8Array(64)).finish(),
      /signing failed for ED25519 "ssh-ed25519" from agent: signature algorithm not supported/,
    ],
  ])('to sign %s leaves the other keys their turn', async (_, signer, text) => {
    const stuck = newKey('stuck');
    await using server = await serve(stuck.publicKey);
    const path = await fakeAgent([stuck.publicKey], signer);
    // Not named by the user, so that the agent's key comes first.
    const usual = files.map(({ path }) => ({ path, explicit: false }));
    const { warnings } = await attempt(server, { agent: agentAt(path), files: usual }, algorithms);
    expect(warnings.join('\n')).toMatch(text);
    expect(server.sessions[0]!.attempts.at(-1)).toMatchObject({ method: 'publickey', outcome: 'accepted' });
  });

  it('by keys of unknown types is used for the others', async () => {
    await using server = await serve();
    const strange = new Writer().text('ssh-strange').string(new Uint8Array(9)).finish();
    const odd = { type: 'ssh-strange', blob: strange } as PublicKey;
    const path = await fakeAgent([odd, key.publicKey], (_, data) => sign(crypto, key, 'ssh-ed25519', data));
    const { log } = await attempt(server, { agent: agentAt(path) }, algorithms);
    expect(log.filter((line) => line.startsWith('Offering'))).toHaveLength(1);
  });
});

describe('the algorithm', () => {
  it('of an RSA key is asked of the agent by its flags', async () => {
    const rsa = generateKey(crypto, 'rsa', { bits: 2048 });
    await using server = await startDemoServer({ users: [{ name: alice.name, keys: [rsa.publicKey] }] });
    const flags: number[] = [];
    const path = await fakeAgent([rsa.publicKey], (_, data, asked) => {
      flags.push(asked);
      return sign(crypto, rsa, asked === 4 ? 'rsa-sha2-512' : 'rsa-sha2-256', data);
    });
    await attempt(server, { agent: agentAt(path) }, ['rsa-sha2-512', 'rsa-sha2-256']);
    await attempt(server, { agent: agentAt(path) }, ['rsa-sha2-256', 'rsa-sha2-512']);
    expect(flags).toEqual([4, 2]);
  });

  it('that the server does not take keeps a key from being offered', async () => {
    const rsa = generateKey(crypto, 'rsa', { bits: 2048, comment: 'old' });
    const key = newKey();
    await using server = await startDemoServer({ users: [{ name: alice.name, keys: [rsa.publicKey, key.publicKey] }] });
    const files = [rsa, key].map((each) => ({ path: file(each), explicit: true }));
    // Its server-sig-algs leaves SHA-1 out.
    const { log } = await attempt(server, { files }, ['ssh-rsa', 'ssh-ed25519']);
    expect(log.join('\n')).toMatch(/^send_pubkey_test: no mutual signature algorithm: \S+ RSA /m);
    expect(log.filter((line) => line.startsWith('Offering'))).toHaveLength(1);
  });

  it('has its name and length checked before the first try', async () => {
    const small = generateKey(crypto, 'rsa', { bits: 2048 });
    const key = newKey();
    await using server = await startDemoServer({
      users: [{ name: alice.name, keys: [small.publicKey, key.publicKey] }],
    });
    const path = await fakeAgent([small.publicKey], () => undefined);
    const files = [{ path: file(key), explicit: false }];
    const sources = { agent: agentAt(path), files, requiredRsaSize: 3072 };
    const { log } = await attempt(server, sources, algorithms);
    expect(log).toContain('ignoring RSA agent key ssh-rsa');
    expect(new Reader(server.sessions[0]!.session!.binding.signature).text()).toBe('ssh-ed25519');
  });
});
