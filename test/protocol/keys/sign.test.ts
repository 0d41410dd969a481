import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign as nodeSign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { encodePublicMaterial } from '../../../protocol/keys/blob.ts';
import { parsePrivateKey } from '../../../protocol/keys/parse.ts';
import { sign, signatureAlgorithmsFor, signatureRows, verify } from '../../../protocol/keys/sign.ts';
import type { PrivateKey, PublicKey } from '../../../protocol/keys/types.ts';
import { Reader } from '../../../protocol/wire/reader.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { Writer } from '../../../protocol/wire/writer.ts';
import { requireServer } from '../../interop/servers.ts';
import { bytesOf, codeOf } from './fixtures.ts';

const load = (name: string): PrivateKey => parsePrivateKey(crypto, bytesOf(`openssh/${name}`));
const data = encodeUtf8('what is signed');
const pairs: [string, string][] = [
  ['ed25519', 'ssh-ed25519'],
  ['ecdsa256', 'ecdsa-sha2-nistp256'],
  ['ecdsa384', 'ecdsa-sha2-nistp384'],
  ['ecdsa521', 'ecdsa-sha2-nistp521'],
  ['rsa', 'rsa-sha2-512'],
  ['rsa', 'rsa-sha2-256'],
  ['rsa', 'ssh-rsa'],
  ['rsa1024', 'rsa-sha2-512'],
];
if (crypto.dsa) pairs.push(['dsa', 'ssh-dss']);

/** `signature` with the name inside replaced. */
const renamed = (signature: Uint8Array, name: string): Uint8Array => {
  const reader = new Reader(signature);
  reader.string();
  return new Writer().text(name).raw(reader.rest()).finish();
};

describe('the table', () => {
  test('the default order is that of OpenSSH', () => {
    expect(signatureRows.filter((row) => row.default).map((row) => row.name)).toEqual([
      'ssh-ed25519-cert-v01@openssh.com',
      'ecdsa-sha2-nistp256-cert-v01@openssh.com',
      'ecdsa-sha2-nistp384-cert-v01@openssh.com',
      'ecdsa-sha2-nistp521-cert-v01@openssh.com',
      'sk-ssh-ed25519-cert-v01@openssh.com',
      'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com',
      'rsa-sha2-512-cert-v01@openssh.com',
      'rsa-sha2-256-cert-v01@openssh.com',
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ecdsa-sha2-nistp521',
      'sk-ssh-ed25519@openssh.com',
      'sk-ecdsa-sha2-nistp256@openssh.com',
      'rsa-sha2-512',
      'rsa-sha2-256',
    ]);
  });
  test('SHA-1 and DSA are there, and off', () => {
    expect(signatureRows.filter((row) => !row.default).map((row) => row.name)).toEqual([
      'ssh-rsa-cert-v01@openssh.com',
      'ssh-dss-cert-v01@openssh.com',
      'ssh-rsa',
      'ssh-dss',
    ]);
  });
  test('an RSA key has three algorithms, an RSA certificate three others', () => {
    expect(signatureAlgorithmsFor('ssh-rsa')).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']);
    expect(signatureAlgorithmsFor('ssh-rsa-cert-v01@openssh.com')).toEqual([
      'rsa-sha2-512-cert-v01@openssh.com',
      'rsa-sha2-256-cert-v01@openssh.com',
      'ssh-rsa-cert-v01@openssh.com',
    ]);
    expect(signatureAlgorithmsFor('ssh-new')).toEqual([]);
  });
});

describe('sign and verify', () => {
  test.each(pairs)('%s with %s', (name, algorithm) => {
    const key = load(name);
    const signature = sign(crypto, key, algorithm, data);
    expect(verify(crypto, key.publicKey, algorithm, data, signature)).toBe(true);
    expect(verify(crypto, key.publicKey, algorithm, encodeUtf8('something else'), signature)).toBe(false);
    for (const at of [0, 5, signature.length >> 1, signature.length - 1]) {
      const flipped = signature.slice();
      flipped[at]! ^= 1;
      expect(verify(crypto, key.publicKey, algorithm, data, flipped)).toBe(false);
    }
    expect(verify(crypto, key.publicKey, algorithm, data, signature.subarray(0, -1))).toBe(false);
    expect(verify(crypto, key.publicKey, algorithm, data, Uint8Array.of(...signature, 0))).toBe(false);
  });

  test('the name inside must be the one that was negotiated (RFC 8332 section 3.2)', () => {
    const key = load('rsa');
    const signature = sign(crypto, key, 'rsa-sha2-256', data);
    expect(verify(crypto, key.publicKey, 'rsa-sha2-512', data, signature)).toBe(false);
    expect(verify(crypto, key.publicKey, 'ssh-rsa', data, signature)).toBe(false);
    expect(verify(crypto, key.publicKey, 'rsa-sha2-256', data, renamed(signature, 'ssh-rsa'))).toBe(false);
    expect(verify(crypto, key.publicKey, 'ssh-ed25519', data, signature)).toBe(false);
    expect(verify(crypto, key.publicKey, 'made-up', data, signature)).toBe(false);
  });

  test("a certificate's algorithm signs with the plain name", () => {
    const key = load('rsa');
    const signature = sign(crypto, key, 'rsa-sha2-512-cert-v01@openssh.com', data);
    expect(new Reader(signature).text()).toBe('rsa-sha2-512');
    expect(verify(crypto, key.publicKey, 'rsa-sha2-512-cert-v01@openssh.com', data, signature)).toBe(true);
  });

  test('an algorithm of another kind of key is refused', () => {
    expect(codeOf(() => sign(crypto, load('ed25519'), 'rsa-sha2-256', data))).toBe('key-unsupported');
    expect(codeOf(() => sign(crypto, load('ed25519'), 'made-up', data))).toBe('key-unsupported');
  });

  test('an RSA signature without its leading zeros is the same number', () => {
    const key = load('rsa1024');
    for (let i = 0; ; i++) {
      const message = encodeUtf8(`message ${i}`);
      const reader = new Reader(sign(crypto, key, 'rsa-sha2-256', message));
      const name = reader.text();
      const number = reader.string();
      if (number[0] !== 0) continue;
      const short = new Writer().text(name).string(number.subarray(1)).finish();
      expect(verify(crypto, key.publicKey, 'rsa-sha2-256', message, short)).toBe(true);
      const long = new Writer()
        .text(name)
        .string(Uint8Array.of(0, ...number))
        .finish();
      expect(verify(crypto, key.publicKey, 'rsa-sha2-256', message, long)).toBe(false);
      break;
    }
  });

  test('ECDSA numbers that are zero, huge or negative are refused without an exception', () => {
    const { publicKey } = load('ecdsa256');
    const blob = (r: Uint8Array, s: Uint8Array): Uint8Array =>
      new Writer().text('ecdsa-sha2-nistp256').string(new Writer().string(r).string(s).finish()).finish();
    const one = Uint8Array.of(1);
    for (const odd of [new Uint8Array(0), new Uint8Array(33).fill(0x7f), Uint8Array.of(0xff), Uint8Array.of(0, 1)]) {
      expect(verify(crypto, publicKey, 'ecdsa-sha2-nistp256', data, blob(odd, one))).toBe(false);
      expect(verify(crypto, publicKey, 'ecdsa-sha2-nistp256', data, blob(one, odd))).toBe(false);
    }
  });

  test('keys that are no point or no usable number verify nothing and do not throw', () => {
    const signature = sign(crypto, load('ecdsa256'), 'ecdsa-sha2-nistp256', data);
    const point = new Uint8Array(65).fill(1);
    point[0] = 4;
    const ecdsa = encodePublicMaterial({ kind: 'ecdsa', curve: 'p256', point });
    expect(verify(crypto, ecdsa, 'ecdsa-sha2-nistp256', data, signature)).toBe(false);
    const ed25519 = encodePublicMaterial({ kind: 'ed25519', point: new Uint8Array(32).fill(0xff) });
    const made = sign(crypto, load('ed25519'), 'ssh-ed25519', data);
    expect(verify(crypto, ed25519, 'ssh-ed25519', data, made)).toBe(false);
  });
});

describe('security keys', () => {
  const flagsAndCounter = Uint8Array.of(1, 0, 0, 0, 9);
  const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
  const tokenSigned = Buffer.concat([sha256(encodeUtf8('ssh:')), flagsAndCounter, sha256(data)]);
  const blob = (name: string, signature: Uint8Array): Uint8Array =>
    new Writer().text(name).string(signature).raw(flagsAndCounter).finish();
  const checks = (key: PublicKey, name: string, signature: Uint8Array): void => {
    const good = blob(name, signature);
    expect(verify(crypto, key, name, data, good)).toBe(true);
    const counted = good.slice();
    counted[counted.length - 1]! ^= 1;
    expect(verify(crypto, key, name, data, counted)).toBe(false);
    expect(verify(crypto, key, name, data, good.subarray(0, -1))).toBe(false);
    expect(verify(crypto, key, name, data, Uint8Array.of(...good, 0))).toBe(false);
  };

  test('Ed25519', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const point = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
    const key = encodePublicMaterial({ kind: 'sk-ed25519', point, application: 'ssh:' });
    checks(key, 'sk-ssh-ed25519@openssh.com', nodeSign(null, tokenSigned, privateKey));
  });

  test('ECDSA', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const point = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-65));
    const key = encodePublicMaterial({ kind: 'sk-ecdsa', point, application: 'ssh:' });
    const pair = nodeSign('sha256', tokenSigned, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const inner = new Writer().mpint(pair.subarray(0, 32)).mpint(pair.subarray(32)).finish();
    checks(key, 'sk-ecdsa-sha2-nistp256@openssh.com', inner);
  });

  test('their files hold no secret to sign with', () => {
    const publicKey = encodePublicMaterial({ kind: 'sk-ed25519', point: new Uint8Array(32), application: 'ssh:' });
    const empty = new Uint8Array(0);
    const key: PrivateKey = {
      publicKey,
      secret: { kind: 'sk', flags: 1, handle: empty, reserved: empty },
      comment: '',
    };
    expect(codeOf(() => sign(crypto, key, publicKey.type, data))).toBe('key-unsupported');
  });
});

describe.skipIf(!requireServer('ssh-keygen'))('signatures of ssh-keygen -Y sign (PROTOCOL.sshsig)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sign-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa'])('%s', (name) => {
    const file = join(folder, name);
    writeFileSync(file, bytesOf(`openssh/${name}`), { mode: 0o600 });
    const armoured = execFileSync('ssh-keygen', ['-Y', 'sign', '-q', '-n', 'test', '-f', file], { input: data });
    const body = armoured.toString().split('\n').slice(1, -2).join('');
    const reader = new Reader(new Uint8Array(Buffer.from(body, 'base64')));
    expect(new TextDecoder().decode(reader.raw(6))).toBe('SSHSIG');
    reader.u32();
    reader.string();
    const [namespace, reserved, hash, signature] = [reader.text(), reader.string(), reader.text(), reader.string()];
    const digest = createHash(hash).update(data).digest();
    const signed = new Writer().raw(encodeUtf8('SSHSIG')).text(namespace).string(reserved).text(hash).string(digest);
    const algorithm = new Reader(signature).text();
    expect(verify(crypto, load(name).publicKey, algorithm, signed.finish(), signature)).toBe(true);
  });
});
