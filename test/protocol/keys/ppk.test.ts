import { describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { parsePrivateKey, peekPublicKey } from '../../../protocol/keys/parse.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { bytesOf, codeOf, passphrase, textOf } from './fixtures.ts';

const types = ['ed25519', 'rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'];
const files = types.flatMap((type) => [`${type}.v2`, `${type}.v3`]);
const openssh = (file: string) => parsePrivateKey(crypto, bytesOf(`openssh/${file.split('.')[0]}`));

describe('PuTTY keys', () => {
  test.each(files)('%s', (file) => {
    expect(parsePrivateKey(crypto, bytesOf(`ppk/${file}`))).toEqual(openssh(file));
  });

  test.each([...files.map((file) => `${file}.enc`), 'ed25519.v3.argon2i', 'ed25519.v3.argon2d'])('%s', (file) => {
    const bytes = bytesOf(`ppk/${file}`);
    expect(parsePrivateKey(crypto, bytes, { passphrase })).toEqual(openssh(file));
    expect(codeOf(() => parsePrivateKey(crypto, bytes))).toBe('key-encrypted');
    expect(codeOf(() => parsePrivateKey(crypto, bytes, { passphrase: 'wrong' }))).toBe('key-passphrase');
    expect(peekPublicKey(bytes)).toEqual(openssh(file).publicKey);
  });

  const changed = (file: string, from: string | RegExp, to: string): Uint8Array => {
    const text = textOf(`ppk/${file}`);
    expect(text).toMatch(from);
    return encodeUtf8(text.replace(from, to));
  };

  test('CRLF line ends, as PuTTY on Windows writes them', () => {
    expect(parsePrivateKey(crypto, changed('rsa.v3', /\n/g, '\r\n'))).toEqual(openssh('rsa'));
  });

  test.each(['ed25519.v2', 'ed25519.v3'])('%s: the MAC covers the comment', (file) => {
    expect(codeOf(() => parsePrivateKey(crypto, changed(file, 'Comment: ', 'Comment: x')))).toBe('key-format');
  });

  test.each<[string, string | RegExp, string, string]>([
    ['another version', 'File-3', 'File-4', 'key-unsupported'],
    ['another cipher', 'aes256-cbc', 'rot13', 'key-unsupported'],
    ['another derivation', 'Argon2id', 'Argon3', 'key-unsupported'],
    ['too much memory', /Memory: \d+/, 'Memory: 99999999', 'key-unsupported'],
    ['too many passes', /Passes: \d+/, 'Passes: 999999999', 'key-unsupported'],
    ['no passes', /Passes: \d+/, 'Passes: 0', 'key-format'],
    ['a count past the end', /Private-Lines: \d+/, 'Private-Lines: 99', 'key-format'],
    ['a negative count', /Private-Lines: \d+/, 'Private-Lines: -1', 'key-format'],
    ['no private part', /Private-Lines.*/s, '', 'key-format'],
    ['another type', 'File-3: ssh-ed25519', 'File-3: ssh-rsa', 'key-format'],
    ['a MAC that is no number', /Private-MAC: ../, 'Private-MAC: xx', 'key-format'],
  ])('%s', (_, from, to, code) => {
    expect(codeOf(() => parsePrivateKey(crypto, changed('ed25519.v3.enc', from, to), { passphrase }))).toBe(code);
  });
});
