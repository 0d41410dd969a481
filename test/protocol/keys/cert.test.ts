import { describe, expect, test } from 'vitest';
import { nobleCrypto as crypto } from '../../../protocol/crypto/noble.ts';
import { type CertificateCheck, checkCertificate, parseCertificate } from '../../../protocol/keys/cert.ts';
import { parsePublicKeyFile } from '../../../protocol/keys/public-line.ts';
import type { Certificate } from '../../../protocol/keys/types.ts';
import { encodeUtf8 } from '../../../protocol/wire/text.ts';
import { bytesOf, codeOf } from './fixtures.ts';

const load = (stem: string): Certificate => parsePublicKeyFile(bytesOf(`cert/${stem}-cert.pub`)).certificate!;
const publicKey = (name: string) => parsePublicKeyFile(bytesOf(`openssh/${name}.pub`)).key;
const seconds = (iso: string): bigint => BigInt(Date.parse(iso) / 1000);
const now = seconds('2027-03-04T00:00:00Z');
const host: CertificateCheck = { role: 'host', principal: 'host.example', now };
const user: CertificateCheck = { role: 'user', principal: 'alice', now };
const reason = (certificate: Certificate, check: CertificateCheck): string => {
  const verdict = checkCertificate(crypto, certificate, check);
  return verdict.ok ? 'ok' : verdict.reason;
};

describe('certificates of ssh-keygen -s', () => {
  test.each(['ed25519', 'rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'dsa'])('%s', (type) => {
    const certificate = load(`host_${type}`);
    expect(certificate).toMatchObject({
      key: publicKey(type),
      serial: 7n,
      role: 'host',
      keyId: `host ${type}`,
      principals: ['host.example', '10.0.0.1'],
      validAfter: seconds('2026-01-01T00:00:00Z'),
      validBefore: seconds('2036-01-01T00:00:00Z'),
      signatureKey: publicKey('ed25519'),
    });
    expect(reason(certificate, host)).toBe('ok');
    expect(reason(load(`user_${type}`), user)).toBe('ok');
    expect([...load(`user_${type}`).extensions.keys()]).toContain('permit-pty');
  });

  test('options', () => {
    const certificate = load('user_options');
    expect([...certificate.criticalOptions.keys()]).toEqual(['force-command', 'source-address', 'verify-required']);
    expect(certificate.criticalOptions.get('force-command')).toEqual(
      Uint8Array.of(0, 0, 0, 9, ...encodeUtf8('/bin/true')),
    );
    expect([...certificate.extensions.keys()]).not.toContain('permit-pty');
    expect(reason(certificate, user)).toBe('ok');
  });
});

describe('what makes a certificate void', () => {
  const certificate = load('host_ed25519');

  test('the wrong role', () => {
    expect(reason(certificate, { ...host, role: 'user' })).toBe('role');
    expect(reason(load('user_ed25519'), { ...user, role: 'host' })).toBe('role');
  });
  test('time: from the first second up to and without the last', () => {
    expect(reason(certificate, { ...host, now: certificate.validAfter - 1n })).toBe('not-yet-valid');
    expect(reason(certificate, { ...host, now: certificate.validAfter })).toBe('ok');
    expect(reason(certificate, { ...host, now: certificate.validBefore - 1n })).toBe('ok');
    expect(reason(certificate, { ...host, now: certificate.validBefore })).toBe('expired');
    expect(reason(load('user_anyone'), { role: 'user', now: 2n ** 64n - 2n })).toBe('ok');
  });
  test('principals', () => {
    expect(reason(certificate, { ...host, principal: '10.0.0.1' })).toBe('ok');
    expect(reason(certificate, { ...host, principal: 'other.example' })).toBe('principal');
    expect(reason(certificate, { ...host, principal: '*' })).toBe('principal');
    expect(reason(load('user_ed25519'), { ...user, principal: 'mallory' })).toBe('principal');
    const matches = (pattern: string, name: string): boolean => name.startsWith(pattern);
    expect(reason(certificate, { ...host, principal: 'host.example.org', matches })).toBe('ok');
    expect(reason(load('user_ed25519'), { ...user, principal: 'alice2', matches })).toBe('principal');
  });
  test('no principals: any host, but no user', () => {
    expect(reason(load('host_anyone'), host)).toBe('ok');
    expect(reason(load('user_anyone'), user)).toBe('principal');
  });
  test('critical options nobody knows, and any of a host', () => {
    expect(reason(load('user_unknown'), user)).toBe('critical-option');
    expect(reason(load('host_critical'), host)).toBe('critical-option');
  });
  test('signature algorithms of the authority', () => {
    expect(reason(load('host_by_rsa512'), host)).toBe('ok');
    expect(reason(load('host_by_rsa256'), host)).toBe('ok');
    expect(reason(load('host_by_ecdsa'), host)).toBe('ok');
    expect(reason(load('host_by_rsa_sha1'), host)).toBe('signature-algorithm');
    expect(reason(load('host_by_rsa_sha1'), { ...host, allowedSignatureAlgorithms: ['ssh-rsa'] })).toBe('ok');
    expect(reason(load('host_by_rsa512'), { ...host, allowedSignatureAlgorithms: ['rsa-sha2-256'] })).toBe(
      'signature-algorithm',
    );
  });
  test('any flipped byte', () => {
    const { blob } = load('host_ed25519');
    for (let at = 0; at < blob.length; at += 7) {
      const flipped = blob.slice();
      flipped[at]! ^= 1;
      const outcome = (() => {
        try {
          return reason(parseCertificate(flipped), { role: 'host', now });
        } catch {
          return 'refused';
        }
      })();
      expect(outcome, `byte ${at}`).not.toBe('ok');
    }
  });
  test('a plain key is no certificate', () => {
    expect(codeOf(() => parseCertificate(publicKey('ed25519').blob))).toBe('key-unsupported');
    expect(codeOf(() => parseCertificate(certificate.blob.subarray(0, -1)))).toBe('malformed');
    expect(codeOf(() => parseCertificate(Uint8Array.of(...certificate.blob, 0)))).toBe('malformed');
  });
});
