import { describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { decodeBase64, encodeBase64 } from '../../../protocol/keys/base64.ts';
import { encodePublicMaterial, keyBits, parsePublicBlob } from '../../../protocol/keys/blob.ts';
import { fingerprint, randomart } from '../../../protocol/keys/fingerprint.ts';
import {
  formatPublicKeyLine,
  formatRfc4716,
  parsePublicKeyFile,
  parsePublicKeyLine,
  parseRfc4716,
} from '../../../protocol/keys/public-line.ts';
import { Writer } from '../../../protocol/wire/writer.ts';
import { bytesOf, codeOf, textOf } from './fixtures.ts';

const types = ['ed25519', 'rsa', 'rsa1024', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'];
const read = (type: string) => parsePublicKeyFile(bytesOf(`openssh/${type}.pub`));

describe('base64', () => {
  test('agrees with the platform for every length', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 83 + length) & 255);
      const text = Buffer.from(bytes).toString('base64');
      expect(encodeBase64(bytes)).toBe(text);
      expect(encodeBase64(bytes, { pad: false })).toBe(text.replace(/=+$/, ''));
      expect(decodeBase64(text)).toEqual(bytes);
    }
  });
  test.each(['A', 'AA', 'AAA', 'AA=', 'AA===', 'AB==', 'AAB=', 'A===', '====', 'AA=A', 'A-AA', 'AAAé'])(
    'refuses %s',
    (text) => expect(decodeBase64(text)).toBeUndefined(),
  );
  test('skips white space', () => expect(decodeBase64(' A\nQ\r=\t= ')).toEqual(Uint8Array.of(1)));
});

describe('fingerprints are those of ssh-keygen', () => {
  test.each(types)('%s', (type) => {
    const { key } = read(type);
    const [sha256, ...art] = textOf(`openssh/${type}.sha256`).trimEnd().split('\n');
    expect(`${keyBits(key)} ${fingerprint(crypto, key.blob)}`).toBe(sha256!.split(' ').slice(0, 2).join(' '));
    expect(randomart(crypto, key)).toBe(art.join('\n'));
    const [md5, ...md5art] = textOf(`openssh/${type}.md5`).trimEnd().split('\n');
    expect(fingerprint(crypto, key.blob, 'md5')).toBe(md5!.split(' ')[1]);
    expect(randomart(crypto, key, 'md5')).toBe(md5art.join('\n'));
  });
});

describe('public key lines', () => {
  test.each(types)('%s: there and back', (type) => {
    const text = textOf(`openssh/${type}.pub`).trimEnd();
    const { key, comment, options, certificate } = parsePublicKeyLine(text);
    expect(options).toBeUndefined();
    expect(certificate).toBeUndefined();
    expect(formatPublicKeyLine(key, comment)).toBe(text);
    expect(encodePublicMaterial(key.material)).toEqual(key);
  });

  const line = textOf('openssh/ed25519.pub').trimEnd();

  test('options, with quoted white space, stand before the type', () => {
    const options = 'from="10.0.0.1,a b",command="echo \\"hi there\\"",no-pty';
    expect(parsePublicKeyLine(`${options}\t ${line}`)).toEqual({ ...parsePublicKeyLine(line), options });
  });

  test.each([
    '',
    '# comment',
    'ssh-ed25519',
    'ssh-ed25519 AAAA',
    'ssh-ed25519 !!!!',
    line.replace('ssh-ed25519', 'ssh-rsa'),
    `no-pty no-x11 ${line}`,
    `command="open ${line}`,
    `${line}\n${line}`,
  ])('refuses %j', (text) => expect(codeOf(() => parsePublicKeyLine(text))).toBe('key-format'));

  test('a file may start with comments and empty lines', () => {
    expect(parsePublicKeyFile(Buffer.from(`# one\n\n${line}\n`))).toEqual(parsePublicKeyLine(line));
  });

  test('a certificate line shows the certificate and the certified key', () => {
    const parsed = parsePublicKeyFile(bytesOf('cert/user_rsa-cert.pub'));
    expect(parsed.certificate?.type).toBe('ssh-rsa-cert-v01@openssh.com');
    expect(parsed.key).toEqual(read('rsa').key);
    expect(formatPublicKeyLine(parsed.certificate!, parsed.comment)).toBe(textOf('cert/user_rsa-cert.pub').trimEnd());
  });
});

describe('RFC 4716', () => {
  test('reads what ssh-keygen -e writes', () => {
    expect(parseRfc4716(textOf('openssh/rsa.rfc4716')).key).toEqual(read('rsa').key);
    expect(parsePublicKeyFile(bytesOf('openssh/rsa.rfc4716')).comment).toMatch(/^2048-bit RSA/);
  });
  test('folds and unfolds a long comment', () => {
    const comment = 'wörds and spaces '.repeat(12).trim();
    const text = formatRfc4716(read('ecdsa521').key, comment);
    for (const row of text.split('\n')) expect(Buffer.byteLength(row)).toBeLessThanOrEqual(72);
    expect(parseRfc4716(text)).toEqual({ key: read('ecdsa521').key, comment });
  });
  test('refuses a block that does not end', () => {
    expect(codeOf(() => parseRfc4716('---- BEGIN SSH2 PUBLIC KEY ----\nAAAA'))).toBe('key-format');
  });
});

describe('public blobs', () => {
  const rsaBlob = (n: Uint8Array, e: Uint8Array): Uint8Array => new Writer().text('ssh-rsa').mpint(e).mpint(n).finish();
  const modulus = (bits: number): Uint8Array => {
    const n = new Uint8Array(Math.ceil(bits / 8)).fill(0xff);
    n[0] = 0xff >> (n.length * 8 - bits);
    return n;
  };
  const e65537 = Uint8Array.of(1, 0, 1);

  test.each([1024, 16384])('RSA of %i bits is taken', (bits) => {
    expect(keyBits(parsePublicBlob(rsaBlob(modulus(bits), e65537)))).toBe(bits);
  });
  test.each([1023, 16385])('RSA of %i bits is refused', (bits) => {
    expect(codeOf(() => parsePublicBlob(rsaBlob(modulus(bits), e65537)))).toBe('malformed');
  });
  test('RSA exponents: one, even, and long ones that burn time', () => {
    for (const e of [[1], [4], []]) {
      expect(codeOf(() => parsePublicBlob(rsaBlob(modulus(2048), Uint8Array.from(e))))).toBe('malformed');
    }
    expect(codeOf(() => parsePublicBlob(rsaBlob(modulus(4096), modulus(65))))).toBe('malformed');
    expect(parsePublicBlob(rsaBlob(modulus(4096), modulus(64))).type).toBe('ssh-rsa');
  });
  test('points of a wrong length or form', () => {
    const ecdsa = (curve: string, point: Uint8Array): Uint8Array =>
      new Writer().text('ecdsa-sha2-nistp256').text(curve).string(point).finish();
    const good = new Uint8Array(65);
    good[0] = 4;
    expect(parsePublicBlob(ecdsa('nistp256', good)).type).toBe('ecdsa-sha2-nistp256');
    const compressed = new Uint8Array(33);
    compressed[0] = 2;
    for (const blob of [
      ecdsa('nistp384', good),
      ecdsa('nistp256', compressed),
      ecdsa('nistp256', good.subarray(0, 64)),
      ecdsa('nistp256', new Uint8Array(65)),
      new Writer().text('ssh-ed25519').string(new Uint8Array(31)).finish(),
      new Writer().text('ssh-ed25519').string(new Uint8Array(32)).u8(0).finish(),
    ]) {
      expect(codeOf(() => parsePublicBlob(blob))).toBe('malformed');
    }
  });
  test('an unknown type is unsupported', () => {
    expect(codeOf(() => parsePublicBlob(new Writer().text('ssh-new').finish()))).toBe('key-unsupported');
  });
  test('the blob is kept as a copy', () => {
    const blob = Buffer.from(read('ed25519').key.blob);
    const key = parsePublicBlob(blob);
    blob.fill(0);
    expect(key).toEqual(read('ed25519').key);
  });
});
