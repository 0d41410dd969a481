/**
 * Raw key numbers to node:crypto KeyObjects, through DER made by hand: PKCS #1 (RFC 8017 appendix A.1), PKCS #8
 * (RFC 5208), SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), SEC 1 keys (RFC 5915), Ed25519 (RFC 8410).
 *
 * Objects are kept in WeakMaps by the material they were made from, since a connection uses the same key many times.
 */

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import {
  type CurveName,
  crtExponents,
  type DsaPublic,
  type DsaSecret,
  type RsaPublic,
  type RsaSecret,
} from '../protocol/index.ts';

function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  const size = body.length;
  const head =
    size < 0x80 ? [tag, size] : size < 0x100 ? [tag, 0x81, size] : [tag, 0x82, (size >>> 8) & 0xff, size & 0xff];
  return Buffer.concat([Uint8Array.from(head), body]);
}

const zeroByte = Uint8Array.of(0);
const sequence = (...parts: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...parts);
const octets = (bytes: Uint8Array): Uint8Array => tlv(0x04, bytes);
const bits = (bytes: Uint8Array): Uint8Array => tlv(0x03, zeroByte, bytes);
const oid = (...bytes: readonly number[]): Uint8Array => tlv(0x06, Uint8Array.from(bytes));

/** An unsigned number: shortest form, with a zero byte before a set top bit. */
function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const body = bytes.subarray(start);
  if (body.length === 0) return tlv(0x02, zeroByte);
  return body[0]! & 0x80 ? tlv(0x02, zeroByte, body) : tlv(0x02, body);
}

const version0 = integer(zeroByte);
const version1 = integer(Uint8Array.of(1));

const publicFrom = (algorithm: Uint8Array, key: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.from(sequence(algorithm, bits(key))), format: 'der', type: 'spki' });
const privateFrom = (algorithm: Uint8Array, key: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.from(sequence(version0, algorithm, octets(key))), format: 'der', type: 'pkcs8' });

function cached<K extends object>(make: (material: K) => KeyObject): (material: K) => KeyObject {
  const known = new WeakMap<K, KeyObject>();
  return (material) => {
    let key = known.get(material);
    if (key === undefined) {
      key = make(material);
      known.set(material, key);
    }
    return key;
  };
}

/** Read as JWK (RFC 8037): OpenSSL's DER decoder costs ten times as much, and every connection reads two of these. */
const edwardsPublic = (crv: 'X25519' | 'Ed25519', point: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv, x: Buffer.from(point).toString('base64url') }, format: 'jwk' });

export const x25519Public = (point: Uint8Array): KeyObject => edwardsPublic('X25519', point);
export const ed25519Public = cached((point: Uint8Array) => edwardsPublic('Ed25519', point));
export const ed25519Private = cached((seed: Uint8Array) => privateFrom(sequence(oid(0x2b, 0x65, 0x70)), octets(seed)));

const ecPublicKey = oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);
const curveOids: Readonly<Record<CurveName, Uint8Array>> = {
  p256: oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  p384: oid(0x2b, 0x81, 0x04, 0x00, 0x22),
  p521: oid(0x2b, 0x81, 0x04, 0x00, 0x23),
};

/** One cache a curve: the same bytes may not mean the same key on two curves. */
function curveKeys(curve: CurveName) {
  const algorithm = sequence(ecPublicKey, curveOids[curve]);
  return {
    public: cached((point: Uint8Array) => publicFrom(algorithm, point)),
    // The public point is left out: OpenSSL computes it.
    private: cached((secret: Uint8Array) => privateFrom(algorithm, sequence(version1, octets(secret)))),
  };
}
export const ecKeys = { p256: curveKeys('p256'), p384: curveKeys('p384'), p521: curveKeys('p521') } as const;

export const rsaPublic = cached((key: RsaPublic) =>
  createPublicKey({ key: Buffer.from(sequence(integer(key.n), integer(key.e))), format: 'der', type: 'pkcs1' }),
);
export const rsaPrivate = cached((key: RsaSecret) => {
  const { dp, dq } = crtExponents(key);
  const numbers = [key.n, key.e, key.d, key.p, key.q, dp, dq, key.iqmp].map(integer);
  return createPrivateKey({ key: Buffer.from(sequence(version0, ...numbers)), format: 'der', type: 'pkcs1' });
});

const dsaAlgorithm = (key: DsaPublic): Uint8Array =>
  sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01), sequence(integer(key.p), integer(key.q), integer(key.g)));
export const dsaPublic = cached((key: DsaPublic) => publicFrom(dsaAlgorithm(key), integer(key.y)));
export const dsaPrivate = cached((key: DsaSecret) => privateFrom(dsaAlgorithm(key), integer(key.x)));

/** PKCS #3 parameters. createDiffieHellman would test an unknown prime for primality: seconds in which nothing else runs. */
const dhAlgorithm = (prime: Uint8Array, generator: Uint8Array): Uint8Array =>
  sequence(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x03, 0x01), sequence(integer(prime), integer(generator)));
export const dhPublic = (prime: Uint8Array, generator: Uint8Array, value: Uint8Array): KeyObject =>
  publicFrom(dhAlgorithm(prime, generator), integer(value));
export const dhPrivate = (prime: Uint8Array, generator: Uint8Array, exponent: Uint8Array): KeyObject =>
  privateFrom(dhAlgorithm(prime, generator), integer(exponent));
