/**
 * RSASSA-PKCS1-v1_5 signatures (RFC 8017 section 8.2) on BigInt.
 *
 * The private-key operation uses the Chinese remainder theorem, with a blinded base and blinded exponents, and checks
 * its own result before it lets it out: a fault in one half would give the factors away. No key generation, no PSS.
 */

import { SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { fromBigInt, mod, modInverse, modPow, randomBelow, toBigInt } from './bignum.ts';
import type { CryptoProvider, Rsa, RsaPublic, RsaSecret } from './provider.ts';

type RsaHash = 'sha1' | 'sha256' | 'sha512';

/** DER of DigestInfo up to the digest itself (RFC 8017 section 9.2, note 1). */
const digestInfo: Readonly<Record<RsaHash, Uint8Array>> = {
  sha1: Uint8Array.of(0x30, 0x21, 0x30, 0x09, 6, 5, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 5, 0, 4, 20),
  sha256: Uint8Array.of(0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32),
  sha512: Uint8Array.of(0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 64),
};

/** EMSA-PKCS1-v1_5 (RFC 8017 section 9.2), or undefined when the modulus is too short for it. */
function encode(hash: RsaHash, digest: Uint8Array, length: number): Uint8Array | undefined {
  const prefix = digestInfo[hash];
  const start = length - prefix.length - digest.length;
  if (start < 11) return undefined;
  const out = new Uint8Array(length).fill(0xff, 2, start - 1);
  out[1] = 1;
  out.set(prefix, start);
  out.set(digest, start + prefix.length);
  return out;
}

/**
 * Whether a public key is one we compute with: odd modulus of bounded size, odd exponent of at most 64 bits. Verifying
 * is linear in the exponent's length, so an unbounded one would let a peer choose our time.
 */
export function usableRsa(key: RsaPublic): boolean {
  const { n, e } = key;
  const bits = n.length === 0 || n[0] === 0 ? 0 : n.length * 8;
  if (bits < 512 || n.length >= limits.mpintBytes || n.at(-1)! % 2 === 0) return false;
  if (e.length === 0 || e.length > limits.rsaExponentBytes || e.at(-1)! % 2 === 0) return false;
  return e.length > 1 || e[0]! > 1;
}

/**
 * A signature at the modulus' width, or undefined when it is too long. RFC 8017 section 8.2.2 wants exactly that width,
 * but some SSH implementations drop leading zeros and OpenSSH takes those.
 */
export function padSignature(signature: Uint8Array, length: number): Uint8Array | undefined {
  if (signature.length === length) return signature;
  if (signature.length > length || signature.length === 0) return undefined;
  const out = new Uint8Array(length);
  out.set(signature, length - signature.length);
  return out;
}

/** One prime's half of the private operation, its exponent blinded by a random multiple of p - 1. */
function half(random: (length: number) => Uint8Array, base: bigint, d: bigint, prime: bigint): bigint {
  const order = prime - 1n;
  return modPow(base, (d % order) + toBigInt(random(8)) * order, prime);
}

function privatePower(random: (length: number) => Uint8Array, key: RsaSecret, message: bigint): bigint {
  const [n, e, d] = [toBigInt(key.n), toBigInt(key.e), toBigInt(key.d)];
  const [p, q, iqmp] = [toBigInt(key.p), toBigInt(key.q), toBigInt(key.iqmp)];
  if (p < 3n || q < 3n || p * q !== n || (iqmp * q) % p !== 1n) {
    throw new SshError('key-format', 'RSA key with inconsistent numbers');
  }
  let blind: bigint;
  let unblind: bigint | undefined;
  do {
    blind = randomBelow(random, n);
    unblind = modInverse(blind, n);
  } while (unblind === undefined);
  const blinded = (message * modPow(blind, e, n)) % n;
  const atP = half(random, blinded, d, p);
  const atQ = half(random, blinded, d, q);
  const result = ((atQ + q * mod(iqmp * (atP - atQ), p)) * unblind) % n;
  if (modPow(result, e, n) !== message) throw new SshError('key-format', 'RSA key does not verify its own signature');
  return result;
}

export function createRsa(crypto: Pick<CryptoProvider, 'hash' | 'random' | 'equal'>): Rsa {
  const digest = (hash: RsaHash, message: Uint8Array): Uint8Array => crypto.hash(hash).update(message).digest();
  return {
    sign(key, hash, message) {
      if (!usableRsa(key)) throw new SshError('key-unsupported', 'RSA key of unusable size');
      const encoded = encode(hash, digest(hash, message), key.n.length);
      if (encoded === undefined) throw new SshError('key-unsupported', 'RSA key too short for this hash');
      return fromBigInt(privatePower(crypto.random, key, toBigInt(encoded)), key.n.length);
    },
    verify(key, hash, message, signature) {
      const padded = padSignature(signature, key.n.length);
      if (!usableRsa(key) || padded === undefined) return false;
      const encoded = encode(hash, digest(hash, message), key.n.length);
      const n = toBigInt(key.n);
      const value = toBigInt(padded);
      if (encoded === undefined || value >= n) return false;
      return crypto.equal(fromBigInt(modPow(value, toBigInt(key.e), n), key.n.length), encoded);
    },
  };
}

/** d mod (p - 1) and d mod (q - 1), which PKCS #1 files hold and SSH's own key format does not. */
export function crtExponents(key: RsaSecret): { dp: Uint8Array; dq: Uint8Array } {
  const d = toBigInt(key.d);
  const [p, q] = [toBigInt(key.p), toBigInt(key.q)];
  if (p < 3n || q < 3n) throw new SshError('key-format', 'RSA key with inconsistent numbers');
  return { dp: fromBigInt(d % (p - 1n)), dq: fromBigInt(d % (q - 1n)) };
}
