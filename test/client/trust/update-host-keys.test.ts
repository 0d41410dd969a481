// UpdateHostKeys against a server that may lie: proofs, questions, and what is written.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatKnownHosts } from '../../../client/config/known-hosts.ts';
import { type HostKeyUpdateRules, updateHostKeys } from '../../../client/update-host-keys.ts';
import { generateKey, type PrivateKey, Reader, sign, Writer } from '../../../protocol/index.ts';
import { type DemoServer, startDemoServer } from '../../demo-server/index.ts';
import { alice, crypto, login, Script } from '../harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'bssh-update-'));
afterAll(() => rmSync(dir, { recursive: true }));

const PROVE = 'hostkeys-prove-00@openssh.com';
const old = generateKey(crypto, 'ed25519');
const fresh = generateKey(crypto, 'ecdsa-sha2-nistp256');
const rsa = generateKey(crypto, 'rsa', { bits: 2048 });
const all = [old, fresh, rsa];

type Proof = (key: PrivateKey, data: Uint8Array) => Uint8Array;
const honest: Proof = (key, data) =>
  sign(crypto, key, key.publicKey.type === 'ssh-rsa' ? 'rsa-sha2-512' : key.publicKey.type, data);

let server: DemoServer;
let proof: Proof | undefined;
beforeAll(async () => {
  server = await startDemoServer({
    hostKeys: [{ key: old }],
    users: [alice],
    globalRequests: { [PROVE]: (body) => prove(body) },
  });
  return () => server.close();
});

function prove(body: Uint8Array): Uint8Array | undefined {
  if (proof === undefined) return undefined;
  const { sessionId } = server.sessions.at(-1)!.session!.binding;
  const reader = new Reader(body);
  const answer = new Writer();
  while (reader.remaining > 0) {
    const blob = reader.string();
    const key = all.find((each) => Buffer.compare(each.publicKey.blob, blob) === 0)!;
    answer.string(proof(key, new Writer().text(PROVE).string(sessionId).string(blob).finish()));
  }
  return answer.finish();
}

const line = (names: string, key: PrivateKey): string => formatKnownHosts([names], key.publicKey, false);
const list = (...keys: PrivateKey[]): Uint8Array => {
  const writer = new Writer();
  for (const { publicKey } of keys) writer.string(publicKey.blob);
  return writer.finish();
};

const strange = Buffer.from(new Writer().string(new Writer().text('strange').finish()).finish());

interface Case {
  readonly known?: string;
  readonly body?: Uint8Array;
  readonly rules?: Partial<HostKeyUpdateRules>;
  readonly proof?: Proof | undefined;
}

let counter = 0;
async function update(test: Case): Promise<{ known: string; warnings: string; log: string; before: string }> {
  const before = test.known ?? line('box', old);
  const path = join(dir, `known-${++counter}`);
  writeFileSync(path, before);
  proof = 'proof' in test ? test.proof : honest;
  const warnings: string[] = [];
  const log: string[] = [];
  const connection = await login(server);
  await updateHostKeys(
    connection,
    {
      crypto,
      update: 'yes',
      query: { host: 'box', port: 22 },
      userFiles: [path],
      hash: false,
      accepted: ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512'],
      requiredRsaSize: 1024,
      fingerprintHash: 'sha256',
      warn: (text) => void warnings.push(text),
      log: (_, text) => void log.push(text),
      ...test.rules,
    },
    test.body ?? list(old, fresh),
  );
  await connection.close();
  return { known: readFileSync(path, 'utf8'), warnings: warnings.join('\n'), log: log.join('\n'), before };
}

describe('new keys', () => {
  it('are learnt when each is proven, whatever its kind', async () => {
    const { known, log } = await update({ body: list(old, fresh, rsa) });
    expect(known).toBe(line('box', old) + line('box', fresh) + line('box', rsa));
    expect(log).toMatch(/^Learned new hostkey: ECDSA SHA256:/m);
  });

  it.each([
    ['not proven', undefined, /failed to confirm ownership of private host keys/],
    ['proven by another key', (_: PrivateKey, data: Uint8Array) => honest(old, data), /bad signature for ECDSA key/],
    ['proven over something else', (key: PrivateKey) => honest(key, new Uint8Array(40)), /bad signature for ECDSA key/],
  ])('are not learnt when they are %s', async (_, lie, text) => {
    const { known, before, warnings } = await update({ proof: lie });
    expect(known).toBe(before);
    expect(warnings).toMatch(text);
  });

  it('signed with SHA-1 are not learnt', async () => {
    const { known, before } = await update({
      body: list(old, rsa),
      proof: (key, data) => sign(crypto, key, 'ssh-rsa', data),
    });
    expect(known).toBe(before);
  });

  it('of kinds or sizes we would not take are passed over', async () => {
    const rules = { accepted: ['ssh-ed25519', 'rsa-sha2-512'], requiredRsaSize: 3072 };
    const { known, before, log } = await update({ body: list(old, fresh, rsa), rules });
    expect(known).toBe(before);
    expect(log).toMatch(/no new or deprecated keys from server/);
  });

  it('come with the address when keys are kept by address', async () => {
    const address = { host: '192.0.2.7', port: 22 };
    const { known } = await update({ known: line('box,192.0.2.7', old), rules: { address } });
    expect(known).toBe(line('box,192.0.2.7', old) + line('box,192.0.2.7', fresh));
    const half = await update({ known: line('box,192.0.2.8', old), rules: { address } });
    expect(half.known).toBe(half.before);
  });
});

describe('keys the server gave up', () => {
  it('are forgotten, unless another name has them too', async () => {
    const { known, log } = await update({ known: line('box', old) + line('box', fresh), body: list(old) });
    expect(known).toBe(line('box', old));
    expect(log).toMatch(/^Deprecating obsolete hostkey: ECDSA SHA256:/m);
    const shared = line('box', old) + line('box', fresh) + line('twin', fresh);
    expect((await update({ known: shared, body: list(old) })).known).toBe(shared);
  });
});

describe('what the server announces', () => {
  it.each([
    ['twice the same', () => list(old, fresh, fresh)],
    ['nothing', () => new Uint8Array(0)],
    ['half a key', () => list(old, fresh).subarray(0, 70)],
    ['more than anybody has', () => Buffer.concat([list(old, fresh), ...Array<Buffer>(200).fill(strange)])],
  ])('%s changes nothing', async (_, body) => {
    const { known, before } = await update({ body: body() });
    expect(known).toBe(before);
  });
});

describe('UpdateHostKeys=ask', () => {
  const ask = async (...answers: string[]) => {
    const prompter = new Script(...answers);
    const result = await update({ rules: { update: 'ask', prompter } });
    return { ...result, asked: prompter.asked.map(({ text }) => text) };
  };

  it('shows the changes and writes them after yes', async () => {
    const { known, warnings, asked } = await ask('perhaps', 'yes');
    expect(known).toBe(line('box', old) + line('box', fresh));
    expect(warnings).toMatch(
      /^The server has updated its host keys\.\nThese changes were verified by[\s\S]*Learned new hostkey: ECDSA/,
    );
    expect(warnings).toMatch(/Please enter "yes" or "no"$/);
    expect(asked).toEqual(Array(2).fill('Accept updated hostkeys? (yes/no): '));
  });

  it('writes nothing after no, no answer, or three that are none', async () => {
    for (const answers of [['no'], [], ['a', 'b', 'c', 'yes']]) {
      const { known, before, asked } = await ask(...answers);
      expect(known).toBe(before);
      expect(asked.length).toBeLessThanOrEqual(3);
    }
  });
});
