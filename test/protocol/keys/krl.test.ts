import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { isRevoked, parseKrl, parseRevocations } from '../../../protocol/keys/krl.ts';
import { parsePublicKeyFile } from '../../../protocol/keys/public-line.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { Writer } from '../../../protocol/wire/writer.ts';
import { requireServer } from '../../interop/servers.ts';
import { bytesOf, codeOf, textOf } from './fixtures.ts';

const folder = new URL('../../vectors/keys/', import.meta.url);
const subjects = [
  ...['ed25519', 'rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'].map((name) => `openssh/${name}.pub`),
  ...readdirSync(new URL('cert', folder)).map((name) => `cert/${name}`),
];

const ours = (list: string, file: string): boolean => {
  const { key, certificate } = parsePublicKeyFile(bytesOf(file));
  return isRevoked(crypto, parseKrl(bytesOf(`krl/${list}`)), certificate ?? key);
};
/** ssh-keygen -Q ends with 1 when something is revoked and says which. */
const theirs = (list: string): Set<string> => {
  let out: string;
  try {
    out = execFileSync('ssh-keygen', ['-Q', '-f', `krl/${list}`, ...subjects], { cwd: folder, encoding: 'utf8' });
  } catch (error) {
    out = (error as { stdout: string }).stdout;
  }
  const lines = out.trim().split('\n');
  expect(lines).toHaveLength(subjects.length);
  return new Set(lines.filter((line) => line.endsWith('REVOKED')).map((line) => line.split(' (')[0]!));
};

describe.skipIf(!requireServer('ssh-keygen'))('revocation lists of ssh-keygen -k', () => {
  test.each([
    ['keys', ['openssh/ecdsa256.pub', 'openssh/rsa.pub', 'cert/user_rsa-cert.pub', 'cert/host_by_ecdsa-cert.pub']],
    ['hashes', ['openssh/ecdsa384.pub', 'openssh/ecdsa521.pub', 'openssh/dsa.pub']],
    [
      'certs',
      [
        'cert/host_ed25519-cert.pub',
        'cert/serial_20-cert.pub',
        'cert/serial_300-cert.pub',
        'cert/user_ecdsa256-cert.pub',
      ],
    ],
    ['anyca', ['cert/host_ed25519-cert.pub', 'cert/user_ecdsa256-cert.pub']],
    ['authority', ['openssh/ed25519.pub', 'cert/host_rsa-cert.pub', 'cert/host_by_rsa512-cert.pub']],
  ])('%s', (list, expected) => {
    for (const file of expected) expect(ours(list, file), file).toBe(true);
    expect(new Set(subjects.filter((file) => ours(list, file)))).toEqual(theirs(list));
  });

  test('serials next to the revoked ones are free', () => {
    expect(ours('certs', 'cert/user_ed25519-cert.pub')).toBe(false);
    expect(ours('certs', 'cert/user_anyone-cert.pub')).toBe(false);
    expect(ours('certs', 'openssh/ed25519.pub')).toBe(false);
  });
});

test('a text file of keys revokes them, their certificates and what they certified', () => {
  const text = `# gone\n\n${textOf('openssh/rsa.pub')}${textOf('openssh/ecdsa256.pub')}`;
  const list = parseRevocations(encodeUtf8(text));
  const revoked = (file: string): boolean => {
    const { key, certificate } = parsePublicKeyFile(bytesOf(file));
    return isRevoked(crypto, list, certificate ?? key);
  };
  expect(revoked('openssh/rsa.pub')).toBe(true);
  expect(revoked('cert/user_rsa-cert.pub')).toBe(true);
  expect(revoked('cert/host_by_ecdsa-cert.pub')).toBe(true);
  expect(revoked('openssh/ed25519.pub')).toBe(false);
  expect(codeOf(() => parseRevocations(encodeUtf8(`${text}nonsense\n`)))).toBe('key-format');
  expect(parseRevocations(bytesOf('krl/keys'))).toEqual(parseKrl(bytesOf('krl/keys')));
});

describe('reading', () => {
  const head = (): Writer =>
    new Writer().u64(0x5353484b524c0a00n).u32(1).u64(4n).u64(5n).u64(0n).text('').text('comment');
  const section = (type: number, body: Writer): Uint8Array => head().u8(type).string(body.finish()).finish();

  test('an empty list', () => {
    expect(parseKrl(head().finish())).toMatchObject({ version: 4n, generated: 5n, comment: 'comment' });
  });
  test('extensions: skipped, unless critical', () => {
    const extension = (critical: boolean): Writer => new Writer().text('new@example.com').bool(critical).text('');
    expect(parseKrl(section(255, extension(false))).keys.size).toBe(0);
    expect(codeOf(() => parseKrl(section(255, extension(true))))).toBe('key-unsupported');
  });
  test.each<[string, Uint8Array, string]>([
    ['another magic', Uint8Array.from({ length: 60 }, () => 1), 'key-format'],
    ['cut off', section(2, new Writer().text('x')).subarray(0, -1), 'key-format'],
    ['an unknown section', section(77, new Writer()), 'key-unsupported'],
    ['a hash of another length', section(5, new Writer().text('short')), 'key-format'],
    ['another version', new Writer().u64(0x5353484b524c0a00n).u32(2).finish(), 'key-unsupported'],
  ])('%s', (_, bytes, code) => expect(codeOf(() => parseKrl(bytes))).toBe(code));
});
