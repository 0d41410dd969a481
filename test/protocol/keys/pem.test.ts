import { bytesToHex } from '@noble/hashes/utils.js';
import { describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { parsePrivateKey, peekPublicKey } from '../../../protocol/keys/parse.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { bytesOf, codeOf, passphrase, textOf } from './fixtures.ts';

const openssh = (name: string) => parsePrivateKey(crypto, bytesOf(`openssh/${name}`));
const encrypted = [
  ...['rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'].map((name) => `${name}.pbes2`),
  'rsa.pbes2-aes128-sha1',
  'rsa.pbes2-aes192-sha512',
  'rsa.dek-aes128',
  'rsa.dek-aes192',
  'rsa.dek-aes256',
  'ecdsa256.dek-aes256',
  ...(crypto.tripleDesCbc ? ['rsa.pbes2-des3', 'rsa.dek-des3'] : []),
];

describe('PEM', () => {
  test.each(['rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'])('%s: traditional and PKCS#8', (name) => {
    const expected = { ...openssh(name), comment: '' };
    expect(parsePrivateKey(crypto, bytesOf(`pem/${name}.traditional`))).toEqual(expected);
    expect(parsePrivateKey(crypto, bytesOf(`pem/${name}.pkcs8`))).toEqual(expected);
    expect(peekPublicKey(bytesOf(`pem/${name}.pkcs8`))).toBeUndefined();
  });

  test.each(encrypted)('%s', (file) => {
    const bytes = bytesOf(`pem/${file}`);
    const expected = { ...openssh(file.split('.')[0]!), comment: '' };
    expect(parsePrivateKey(crypto, bytes, { passphrase })).toEqual(expected);
    expect(codeOf(() => parsePrivateKey(crypto, bytes))).toBe('key-encrypted');
    for (const wrong of ['', 'a', 'b', 'open sesame!']) {
      expect(codeOf(() => parsePrivateKey(crypto, bytes, { passphrase: wrong }))).toBe('key-passphrase');
    }
  });

  test('Ed25519 in PKCS#8', () => {
    const key = parsePrivateKey(crypto, bytesOf('pem/ed25519.pkcs8'));
    const { material } = key.publicKey;
    expect(material.kind === 'ed25519' && bytesToHex(material.point)).toBe(textOf('pem/ed25519.point'));
    expect(parsePrivateKey(crypto, bytesOf('pem/ed25519.pbes2'), { passphrase })).toEqual(key);
  });

  test('EC parameters before the key', () => {
    const key = parsePrivateKey(crypto, bytesOf('pem/ecdsa256.with-parameters'));
    expect(key.publicKey).toEqual(openssh('ecdsa256').publicKey);
  });

  test.each(['secp256k1.traditional', 'x25519.pkcs8', 'rsa.scrypt'])('%s is unsupported', (file) => {
    expect(codeOf(() => parsePrivateKey(crypto, bytesOf(`pem/${file}`), { passphrase }))).toBe('key-unsupported');
  });

  test.each([
    ['no end', (text: string) => text.replace(/-----END.*/, '')],
    ['broken base64', (text: string) => text.replace(/\n./, '\n*')],
    ['cut short', (text: string) => text.replace(/\n.*\n-----END/, '\n-----END')],
    ['empty', () => '-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n'],
  ])('%s', (_, change) => {
    expect(codeOf(() => parsePrivateKey(crypto, encodeUtf8(change(textOf('pem/rsa.traditional')))))).toBe('key-format');
  });

  test('RSA numbers that do not belong together are refused: a wrong one would give the key away', () => {
    const der = Buffer.from(textOf('pem/rsa.traditional').split('\n').slice(1, -2).join(''), 'base64');
    const qinv = der.length - 20;
    der[qinv]! ^= 1;
    const pem = `-----BEGIN RSA PRIVATE KEY-----\n${der.toString('base64')}\n-----END RSA PRIVATE KEY-----\n`;
    expect(codeOf(() => parsePrivateKey(crypto, encodeUtf8(pem)))).toBe('key-format');
  });
});
