/**
 * Elliptic-curve rows: X25519 on tweetnacl's constant-time ladder, everything else on @noble/curves.
 *
 * ECDSA hashes with the curve's own hash (RFC 5656 section 6.2.1) and takes both values of s, as SSH always has.
 * Nonces are those of RFC 6979 with fresh extra entropy, so neither a weak generator nor a fault gives a key away.
 */

import { ed25519 as nobleEd25519 } from '@noble/curves/ed25519.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import nacl from 'tweetnacl';
import { Disconnect, SshError } from '../errors.ts';
import type { CryptoProvider, CurveName, Ecdsa, Ed25519 } from './provider.ts';
import { equalBytes, type Random } from './random.ts';

/** A function, not a table: a bundle evaluates the curves when one is first asked for. */
const curveOf = (name: CurveName) => (name === 'p256' ? p256 : name === 'p384' ? p384 : p521);
/** Bytes of a coordinate. */
export const fieldLength: Readonly<Record<CurveName, number>> = { p256: 32, p384: 48, p521: 66 };

const unusable = (message: string, cause?: unknown): SshError =>
  new SshError('kex', message, { by: 'peer', disconnect: Disconnect.keyExchangeFailed, cause });

export function createX25519(random: Random): CryptoProvider['x25519'] {
  return () => {
    const secret = random(32);
    return {
      publicKey: nacl.scalarMult.base(secret),
      derive(peer) {
        if (peer.length !== 32) throw unusable('X25519 public key of wrong length');
        const shared = nacl.scalarMult(secret, peer);
        // A point of small order gives zero whatever our key is (RFC 8731 section 3).
        if (equalBytes(shared, new Uint8Array(32))) throw unusable('X25519 public key of small order');
        return shared;
      },
    };
  };
}

export function createEcdh(random: Random): CryptoProvider['ecdh'] {
  return (name) => {
    const curve = curveOf(name);
    const width = fieldLength[name];
    const secret = curve.utils.randomSecretKey(random(curve.lengths.seed!));
    return {
      publicKey: curve.getPublicKey(secret, false),
      derive(peer) {
        // RFC 5656 section 4 allows compressed points, but nobody sends them.
        if (peer.length !== 2 * width + 1 || peer[0] !== 4) throw unusable('not an uncompressed point');
        try {
          return curve.getSharedSecret(secret, peer, false).slice(1, 1 + width);
        } catch (cause) {
          throw unusable('public key is not on the curve', cause);
        }
      },
    };
  };
}

export const ed25519: Ed25519 = {
  publicKey: (seed) => nobleEd25519.getPublicKey(seed),
  sign: (seed, message) => nobleEd25519.sign(message, seed),
  verify(publicKey, message, signature) {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    return nobleEd25519.verify(signature, message, publicKey, { zip215: false });
  },
};

export function createEcdsa(random: Random): CryptoProvider['ecdsa'] {
  return (name): Ecdsa => {
    const curve = curveOf(name);
    const width = fieldLength[name];
    return {
      generate: () => curve.utils.randomSecretKey(random(curve.lengths.seed!)),
      publicKey: (secret) => curve.getPublicKey(secret, false),
      sign: (secret, message) => curve.sign(message, secret, { lowS: false, extraEntropy: random(width) }),
      verify(publicKey, message, signature) {
        if (publicKey.length !== 2 * width + 1 || publicKey[0] !== 4 || signature.length !== 2 * width) return false;
        try {
          return curve.verify(signature, message, publicKey, { lowS: false });
        } catch {
          return false;
        }
      },
    };
  };
}
