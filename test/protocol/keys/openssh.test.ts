import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '@noble/hashes/utils.js';
import { afterAll, describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { bcryptPbkdf, piWords } from '../../../protocol/keys/bcrypt-pbkdf.ts';
import { encodePublicMaterial, keyBits } from '../../../protocol/keys/blob.ts';
import { fileCiphers } from '../../../protocol/keys/file-cipher.ts';
import { type GenerateType, generateKey } from '../../../protocol/keys/generate.ts';
import { formatPrivateKey } from '../../../protocol/keys/openssh.ts';
import { parsePrivateKey, peekPublicKey } from '../../../protocol/keys/parse.ts';
import { formatPublicKeyLine, parsePublicKeyFile } from '../../../protocol/keys/public-line.ts';
import type { PrivateKey, PublicMaterial } from '../../../protocol/keys/types.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';
import { requireServer } from '../../interop/servers.ts';
import { bytesOf, codeOf, passphrase, textOf } from './fixtures.ts';

const load = (name: string) => parsePrivateKey(crypto, bytesOf(`openssh/${name}`));
const { material: ecdsa } = load('ecdsa256').publicKey;
const ecdsaPoint = ecdsa.kind === 'ecdsa' ? ecdsa.point : new Uint8Array(0);
const types = ['ed25519', 'rsa', 'rsa1024', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'];
const usable = fileCiphers.filter((cipher) => cipher.available(crypto)).map((cipher) => cipher.name);

describe('bcrypt_pbkdf', () => {
  test('the tables are the digits of pi that Blowfish starts with and ends with', () => {
    const words = piWords();
    expect(words.length).toBe(1042);
    const hex = (at: number): string => (words[at]! >>> 0).toString(16).padStart(8, '0');
    expect([hex(0), hex(17), hex(18), hex(1041)]).toEqual(['243f6a88', '8979fb1b', 'd1310ba6', '3ac372e6']);
  });

  // Known answers of the OpenBSD implementation, as published with its regression test.
  test.each([
    ['password', 'salt', 4, 32, '5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9'],
    [
      'password',
      'salt',
      8,
      64,
      'e1367ec5151a33faac4cc1c144cd23fa15d5548493ecc99b9b5d9c0d3b27bec76227ea66088b849b20ab7aa478010246e74bba51723fefa9f9474d6508845e8d',
    ],
  ])('%s/%s, %i rounds', (password, salt, rounds, length, expected) => {
    expect(bytesToHex(bcryptPbkdf(crypto, encodeUtf8(password), encodeUtf8(salt), rounds, length))).toBe(expected);
  });

  test("ssh-keygen's 24 rounds take no more than a moment of processor time", () => {
    const before = process.cpuUsage();
    bcryptPbkdf(crypto, encodeUtf8('x'), new Uint8Array(16), 24, 48);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(2);
  });
});

describe('openssh-key-v1', () => {
  test.each(types)('%s agrees with its public file', (type) => {
    const key = parsePrivateKey(crypto, bytesOf(`openssh/${type}`));
    const line = parsePublicKeyFile(bytesOf(`openssh/${type}.pub`));
    expect(key.publicKey).toEqual(line.key);
    expect(key.comment).toBe(line.comment);
    expect(formatPublicKeyLine(key.publicKey, key.comment)).toBe(textOf(`openssh/${type}.pub`).trimEnd());
  });

  test.each(usable)('%s', (cipher) => {
    const bytes = bytesOf(`openssh/ed25519.${cipher.replace('@openssh.com', '')}`);
    expect(parsePrivateKey(crypto, bytes, { passphrase })).toEqual(parsePrivateKey(crypto, bytesOf('openssh/ed25519')));
    expect(codeOf(() => parsePrivateKey(crypto, bytes))).toBe('key-encrypted');
    expect(codeOf(() => parsePrivateKey(crypto, bytes, { passphrase: 'open sesamE' }))).toBe('key-passphrase');
    expect(codeOf(() => parsePrivateKey(crypto, bytes, { passphrase: '' }))).toBe('key-passphrase');
    expect(peekPublicKey(bytes)).toEqual(parsePublicKeyFile(bytesOf('openssh/ed25519.pub')).key);
  });

  test.each(['rsa', 'ecdsa521'])('%s encrypted', (type) => {
    const key = parsePrivateKey(crypto, bytesOf(`openssh/${type}.enc`), { passphrase: encodeUtf8(passphrase) });
    expect(key).toEqual(parsePrivateKey(crypto, bytesOf(`openssh/${type}`)));
  });

  test.each(types)('%s survives being written and read', (type) => {
    const key = parsePrivateKey(crypto, bytesOf(`openssh/${type}`));
    expect(parsePrivateKey(crypto, encodeUtf8(formatPrivateKey(crypto, key)))).toEqual(key);
  });

  test('CRLF line ends and text around the block are fine', () => {
    const text = `some words\r\n${textOf('openssh/ed25519').replaceAll('\n', '\r\n')}\r\n`;
    expect(parsePrivateKey(crypto, encodeUtf8(text)).comment).toBe('ed25519 fixture');
  });

  test('a public key given as private is told apart', () => {
    expect(() => parsePrivateKey(crypto, bytesOf('openssh/rsa.pub'))).toThrow(
      expect.objectContaining({ code: 'key-format', detail: { reason: 'public-key' } }),
    );
    expect(() => parsePrivateKey(crypto, encodeUtf8('hello'))).toThrow(
      expect.objectContaining({ code: 'key-format', detail: { reason: 'unknown-format' } }),
    );
  });

  test('a cipher we do not know is unsupported, not a wrong passphrase', () => {
    const text = formatPrivateKey(crypto, parsePrivateKey(crypto, bytesOf('openssh/ed25519')), {
      passphrase,
      rounds: 1,
    });
    const body = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64');
    body.write('xyz999-ctr', 19, 'latin1');
    const broken = `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
    expect(codeOf(() => parsePrivateKey(crypto, encodeUtf8(broken), { passphrase }))).toBe('key-unsupported');
  });
});

describe.skipIf(!requireServer('ssh-keygen'))('ssh-keygen reads what we write', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const publicLine = (text: string, secret: string): string => {
    const file = join(folder, `k${Math.random()}`);
    writeFileSync(file, text, { mode: 0o600 });
    return execFileSync('ssh-keygen', ['-y', '-P', secret, '-f', file], { encoding: 'utf8' }).trimEnd();
  };

  test.each(types)('%s', (type) => {
    const key = parsePrivateKey(crypto, bytesOf(`openssh/${type}`));
    expect(publicLine(formatPrivateKey(crypto, key), '')).toBe(textOf(`openssh/${type}.pub`).trimEnd());
  });

  test.each(usable)('%s', (cipher) => {
    const key = parsePrivateKey(crypto, bytesOf('openssh/ecdsa256'));
    const text = formatPrivateKey(crypto, key, { passphrase, cipher, rounds: 2, comment: 'ünïcode' });
    expect(publicLine(text, passphrase)).toBe(formatPublicKeyLine(key.publicKey, 'ünïcode'));
  });

  test.each<PublicMaterial>([
    { kind: 'sk-ed25519', point: new Uint8Array(32).fill(7), application: 'ssh:' },
    { kind: 'sk-ecdsa', point: ecdsaPoint, application: 'ssh:it' },
  ])('a security key: $kind', (material) => {
    const publicKey = encodePublicMaterial(material);
    const secret = { kind: 'sk', flags: 1, handle: Uint8Array.of(1, 2, 3), reserved: new Uint8Array(0) } as const;
    const key: PrivateKey = { publicKey, secret, comment: 'token' };
    const text = formatPrivateKey(crypto, key);
    expect(parsePrivateKey(crypto, encodeUtf8(text))).toEqual(key);
    expect(publicLine(text, '')).toBe(formatPublicKeyLine(publicKey, 'token'));
  });

  test.each<GenerateType>(['ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'])(
    'a generated %s',
    (type) => {
      const key = generateKey(crypto, type, { comment: 'new' });
      expect(publicLine(formatPrivateKey(crypto, key), '')).toBe(formatPublicKeyLine(key.publicKey, 'new'));
    },
  );

  test('a generated RSA key, from a provider that makes some', () => {
    const key = generateKey(nodeCrypto(), 'rsa', { bits: 2048 });
    expect(keyBits(key.publicKey)).toBe(2048);
    expect(publicLine(formatPrivateKey(crypto, key), '')).toBe(formatPublicKeyLine(key.publicKey));
    expect(codeOf(() => generateKey(nodeCrypto(), 'rsa', { bits: 512 }))).toBe('usage');
  });
});
