/**
 * Signature rows on node:crypto: Ed25519, ECDSA, RSA (PKCS #1 v1.5), DSA.
 *
 * What a peer sends ends in `false`, never in an OpenSSL exception; keys are checked as the core's own code checks them,
 * so that both providers accept the same ones.
 */

import { createECDH, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import {
  type CurveName,
  type Dsa,
  type Ecdsa,
  type Ed25519,
  hasSmallOrder,
  padSignature,
  type Rsa,
  SshError,
  usableDsa,
  usableRsa,
} from '../protocol/index.ts';
import { plain } from './node-ciphers.ts';
import { dsaPrivate, dsaPublic, ecKeys, ed25519Private, ed25519Public, rsaPrivate, rsaPublic } from './node-keys.ts';

/** Coordinate width, OpenSSL's name, and the hash of RFC 5656 section 6.2.1. */
export const curves: Readonly<Record<CurveName, { width: number; name: string; hash: string }>> = {
  p256: { width: 32, name: 'prime256v1', hash: 'sha256' },
  p384: { width: 48, name: 'secp384r1', hash: 'sha384' },
  p521: { width: 66, name: 'secp521r1', hash: 'sha512' },
};

const rawPairs = 'ieee-p1363';

function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

/** A private key that OpenSSL does not take is a broken key file. */
function own(make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof SshError) throw cause;
    throw new SshError('key-format', 'unusable private key', { cause });
  }
}

const spkiKeyLength = 32;

export const ed25519: Ed25519 = {
  publicKey(seed) {
    const spki = createPublicKey(own(() => ed25519Private(seed))).export({ format: 'der', type: 'spki' });
    return Uint8Array.from(spki.subarray(-spkiKeyLength));
  },
  sign: (seed, message) =>
    plain(
      sign(
        null,
        message,
        own(() => ed25519Private(seed)),
      ),
    ),
  verify(publicKey, message, signature) {
    if (publicKey.length !== 32 || signature.length !== 64 || hasSmallOrder(publicKey)) return false;
    return holds(() => verify(null, message, ed25519Public(publicKey), signature));
  },
};

function padded(buffer: Buffer, width: number): Uint8Array {
  const out = new Uint8Array(width);
  out.set(buffer, width - buffer.length);
  return out;
}

function createEcdsa(curve: CurveName): Ecdsa {
  const { width, name, hash } = curves[curve];
  const keys = ecKeys[curve];
  return {
    generate() {
      const pair = createECDH(name);
      pair.generateKeys();
      return padded(pair.getPrivateKey(), width);
    },
    publicKey(secret) {
      const pair = createECDH(name);
      try {
        pair.setPrivateKey(secret);
      } catch (cause) {
        throw new SshError('key-format', 'unusable private key', { cause });
      }
      return Uint8Array.from(pair.getPublicKey());
    },
    sign: (secret, message) =>
      plain(sign(hash, message, { key: own(() => keys.private(secret)), dsaEncoding: rawPairs })),
    verify(publicKey, message, signature) {
      if (publicKey.length !== 2 * width + 1 || publicKey[0] !== 4 || signature.length !== 2 * width) return false;
      return holds(() => verify(hash, message, { key: keys.public(publicKey), dsaEncoding: rawPairs }, signature));
    },
  };
}

const ecdsaRows = { p256: createEcdsa('p256'), p384: createEcdsa('p384'), p521: createEcdsa('p521') } as const;
export const ecdsa = (curve: CurveName): Ecdsa => ecdsaRows[curve];

export const rsa: Rsa = {
  sign(key, hash, message) {
    if (!usableRsa(key)) throw new SshError('key-unsupported', 'RSA key of unusable size');
    return plain(
      sign(
        hash,
        message,
        own(() => rsaPrivate(key)),
      ),
    );
  },
  verify(key, hash, message, signature) {
    const full = padSignature(signature, key.n.length);
    if (full === undefined || !usableRsa(key)) return false;
    return holds(() => verify(hash, message, rsaPublic(key), full));
  },
  generate(bits) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: 65_537 });
    const jwk = privateKey.export({ format: 'jwk' });
    const number = (text: string | undefined): Uint8Array => Uint8Array.from(Buffer.from(text ?? '', 'base64url'));
    const [n, e, d] = [number(jwk.n), number(jwk.e), number(jwk.d)];
    return { n, e, d, p: number(jwk.p), q: number(jwk.q), iqmp: number(jwk.qi) };
  },
};

export const dsa: Dsa = {
  sign(key, message) {
    if (!usableDsa(key)) throw new SshError('key-unsupported', 'DSA key of unusable size');
    return plain(sign('sha1', message, { key: own(() => dsaPrivate(key)), dsaEncoding: rawPairs }));
  },
  verify(key, message, signature) {
    if (!usableDsa(key) || signature.length !== 40) return false;
    return holds(() => verify('sha1', message, { key: dsaPublic(key), dsaEncoding: rawPairs }, signature));
  },
};
