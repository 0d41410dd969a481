/**
 * DSA with SHA-1 and 160-bit q (FIPS 186-4 section 4, RFC 4253 section 6.6): old `ssh-dss` keys, never in the default offer.
 *
 * Nonces are those of RFC 6979 with fresh extra entropy; inverses are blinded. No parameter or key generation.
 */

import { concatBytes } from '@noble/hashes/utils.js';
import { SshError } from '../errors.ts';
import { bitLength, fromBigInt, mod, modInverse, modPow, randomBelow, toBigInt } from './bignum.ts';
import type { CryptoProvider, Dsa, DsaPublic } from './provider.ts';

/** Bytes of q, and of each half of a signature. */
const width = 20;

const trimmedLength = (bytes: Uint8Array): number => (bytes[0] === 0 ? 0 : bytes.length);

/** p of 512 to 4096 bits and odd, q of 160, g and y in (1, p): anything else is no key of `ssh-dss`. */
export function usableDsa(key: DsaPublic): boolean {
  const size = trimmedLength(key.p);
  if (size < 64 || size > 512 || key.p.at(-1)! % 2 === 0) return false;
  if (trimmedLength(key.q) !== width || (key.q[0]! & 0x80) === 0 || key.q.at(-1)! % 2 === 0) return false;
  if (key.g.length > size || key.y.length > size) return false;
  const [p, g, y] = [toBigInt(key.p), toBigInt(key.g), toBigInt(key.y)];
  return g > 1n && g < p && y > 1n && y < p;
}

/** The deterministic nonces of RFC 6979 section 3.2 for a 160-bit q and SHA-1; `extra` is k' of section 3.6. */
export function* dsaNonces(
  crypto: Pick<CryptoProvider, 'hmac'>,
  q: bigint,
  x: bigint,
  digest: Uint8Array,
  extra: Uint8Array,
): Generator<bigint, never> {
  const seed = concatBytes(fromBigInt(x, width), fromBigInt(toBigInt(digest) % q, width), extra);
  let key: Uint8Array = new Uint8Array(width);
  let value: Uint8Array = new Uint8Array(width).fill(1);
  const step = (mark: number, data: Uint8Array): void => {
    key = crypto.hmac('sha1', key).compute(value, Uint8Array.of(mark), data);
    value = crypto.hmac('sha1', key).compute(value);
  };
  step(0, seed);
  step(1, seed);
  for (;;) {
    value = crypto.hmac('sha1', key).compute(value);
    const nonce = toBigInt(value);
    if (nonce > 0n && nonce < q) yield nonce;
    step(0, new Uint8Array(0));
  }
}

export function createDsa(crypto: Pick<CryptoProvider, 'hash' | 'hmac' | 'random'>): Dsa {
  const digest = (message: Uint8Array): Uint8Array => crypto.hash('sha1').update(message).digest();
  return {
    sign(key, message) {
      if (!usableDsa(key)) throw new SshError('key-unsupported', 'DSA key of unusable size');
      const [p, q, g, x] = [toBigInt(key.p), toBigInt(key.q), toBigInt(key.g), toBigInt(key.x)];
      if (x <= 0n || x >= q) throw new SshError('key-format', 'DSA secret out of range');
      const hashed = digest(message);
      let attempts = 0;
      for (const k of dsaNonces(crypto, q, x, hashed, crypto.random(width))) {
        // A sound key needs one attempt; broken parameters must not keep us here.
        if (++attempts > 16) break;
        // One bit longer than q whatever k is, so that the length of the exponent tells nothing of it.
        const exponent = bitLength(k + q) > width * 8 ? k + q : k + 2n * q;
        const r = modPow(g, exponent, p) % q;
        const blind = randomBelow(crypto.random, q);
        const inverse = modInverse(blind * k, q);
        if (r === 0n || inverse === undefined) continue;
        const s = mod(inverse * (((blind * toBigInt(hashed)) % q) + ((blind * x) % q) * r), q);
        if (s !== 0n) return concatBytes(fromBigInt(r, width), fromBigInt(s, width));
      }
      throw new SshError('key-format', 'DSA key that cannot sign');
    },
    verify(key, message, signature) {
      if (!usableDsa(key) || signature.length !== 2 * width) return false;
      const [p, q, g, y] = [toBigInt(key.p), toBigInt(key.q), toBigInt(key.g), toBigInt(key.y)];
      const r = toBigInt(signature.subarray(0, width));
      const s = toBigInt(signature.subarray(width));
      if (r === 0n || r >= q || s === 0n || s >= q) return false;
      const w = modInverse(s, q);
      if (w === undefined) return false;
      const u1 = (toBigInt(digest(message)) * w) % q;
      const u2 = (r * w) % q;
      return ((modPow(g, u1, p) * modPow(y, u2, p)) % p) % q === r;
    },
  };
}
