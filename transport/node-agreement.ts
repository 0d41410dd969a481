/** Key agreement rows on node:crypto: X25519, ECDH on the NIST curves, finite-field Diffie-Hellman. */

import { createECDH, diffieHellman, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  type CryptoProvider,
  checkGroup,
  checkPublic,
  Disconnect,
  fromBigInt,
  privateExponent,
  publicNumber,
  SshError,
  toBigInt,
} from '../protocol/index.ts';
import { plain } from './node-ciphers.ts';
import { dhPrivate, dhPublic, x25519Public } from './node-keys.ts';
import { curves } from './node-signatures.ts';

const unusable = (cause?: unknown): SshError =>
  new SshError('kex', 'unusable public key', { by: 'peer', disconnect: Disconnect.keyExchangeFailed, cause });

function agreed(derive: () => Buffer): Uint8Array {
  try {
    return plain(derive());
  } catch (cause) {
    throw unusable(cause);
  }
}

/** The public key as JWK (RFC 8037), which costs no DER encoder. The types of Node know DER and PEM alone. */
const x25519Pair = generateKeyPairSync as unknown as (
  type: 'x25519',
  options: { readonly publicKeyEncoding: { readonly format: 'jwk' } },
) => { readonly publicKey: { readonly x: string }; readonly privateKey: KeyObject };

export const x25519: CryptoProvider['x25519'] = () => {
  const { publicKey, privateKey } = x25519Pair('x25519', { publicKeyEncoding: { format: 'jwk' } });
  return {
    publicKey: Uint8Array.from(Buffer.from(publicKey.x, 'base64url')),
    derive(peer) {
      if (peer.length !== 32) throw unusable();
      // OpenSSL refuses an all-zero result (RFC 8731 section 3).
      return agreed(() => diffieHellman({ privateKey, publicKey: x25519Public(peer) }));
    },
  };
};

export const ecdh: CryptoProvider['ecdh'] = (curve) => {
  const { width, name } = curves[curve];
  const pair = createECDH(name);
  const publicKey = Uint8Array.from(pair.generateKeys());
  return {
    publicKey,
    derive(peer) {
      if (peer.length !== 2 * width + 1 || peer[0] !== 4) throw unusable();
      return agreed(() => pair.computeSecret(peer));
    },
  };
};

/** The number as the core writes it: no leading zeros. */
const trimmed = (bytes: Uint8Array): Uint8Array => {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return bytes.subarray(start);
};

export const ffdh: CryptoProvider['ffdh'] = (prime, generator, privateBits) => {
  const modulus = toBigInt(prime);
  checkGroup(modulus, toBigInt(generator));
  const exponent = privateExponent((length) => plain(randomBytes(length)), modulus, privateBits);
  let power: (value: Uint8Array) => Uint8Array;
  try {
    const privateKey = dhPrivate(prime, generator, fromBigInt(exponent));
    power = (value) => trimmed(plain(diffieHellman({ privateKey, publicKey: dhPublic(prime, generator, value) })));
  } catch (cause) {
    throw unusable(cause);
  }
  const raise = (value: Uint8Array): Uint8Array => {
    try {
      return power(value);
    } catch (cause) {
      throw unusable(cause);
    }
  };
  return {
    // The generator as the peer's value: what comes out is g^x, our own.
    publicKey: raise(generator),
    derive(peer) {
      checkPublic(publicNumber(peer, prime.length), modulus);
      return raise(peer);
    },
  };
};
