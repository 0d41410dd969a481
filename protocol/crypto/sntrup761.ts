/**
 * Streamlined NTRU Prime with p = 761, q = 4591, w = 286: the KEM of sntrup761x25519-sha512 (NTRU Prime round 3
 * submission, section 4; draft-josefsson-ntruprime-streamlined). Names in comments are the submission's.
 *
 * Keys are made for one exchange each. Loops run the same course for nearly every secret (see inverseOfTriple); what the
 * engine makes of the arithmetic is not in our hands, so no claim of constant time.
 */

import { concatBytes } from '@noble/hashes/utils.js';
import { Disconnect, SshError } from '../errors.ts';
import type { CryptoProvider, Kem } from './provider.ts';
import { inverseMod3 } from './sntrup761-mod3.ts';
import { inverseOfTriple, multiply, p, q, reduce3, reduceQ } from './sntrup761-ring.ts';

/** Non-zero coefficients of a short polynomial. */
const weight = 286;
const half = (q - 1) / 2;
const smallLength = 191;
const publicKeyLength = 1158;
const roundedLength = 1007;
const confirmLength = 32;
const ciphertextLength = roundedLength + confirmLength;

type Crypto = Pick<CryptoProvider, 'random' | 'hash' | 'equal'>;

/** Hash_b: the first half of SHA-512 over a prefix byte and the parts. */
function hashed(crypto: Crypto, prefix: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = crypto.hash('sha512').update(Uint8Array.of(prefix));
  for (const part of parts) state.update(part);
  return state.digest().slice(0, 32);
}

/** 2^14: numbers are merged pairwise until the product of their ranges reaches it, then whole bytes are put out. */
const merged = 16_384;

/** Encode of section 4.1: numbers below their moduli, as a mixed-radix number cut into bytes level by level. */
export function encodeNumbers(numbers: readonly number[], moduli: readonly number[]): number[] {
  const out: number[] = [];
  let [values, ranges] = [numbers, moduli];
  while (values.length > 1) {
    const nextValues: number[] = [];
    const nextRanges: number[] = [];
    for (let i = 0; i + 1 < values.length; i += 2) {
      let value = values[i]! + values[i + 1]! * ranges[i]!;
      let range = ranges[i]! * ranges[i + 1]!;
      while (range >= merged) {
        out.push(value & 0xff);
        value >>>= 8;
        range = (range + 255) >>> 8;
      }
      nextValues.push(value);
      nextRanges.push(range);
    }
    if (values.length % 2 === 1) {
      nextValues.push(values.at(-1)!);
      nextRanges.push(ranges.at(-1)!);
    }
    [values, ranges] = [nextValues, nextRanges];
  }
  for (let value = values[0]!, range = ranges[0]!; range > 1; value >>>= 8, range = (range + 255) >>> 8) {
    out.push(value & 0xff);
  }
  return out;
}

/** Decode of section 4.1. Bytes that encode no number below the modulus are reduced, never refused. */
export function decodeNumbers(bytes: Uint8Array, moduli: readonly number[]): number[] {
  let at = 0;
  const decode = (ranges: readonly number[]): number[] => {
    if (ranges.length === 1) {
      let value = 0;
      let shift = 0;
      for (let range = ranges[0]!; range > 1; range = (range + 255) >>> 8, shift += 8) value |= bytes[at++]! << shift;
      return [value % ranges[0]!];
    }
    const bottoms: { value: number; scale: number }[] = [];
    const nextRanges: number[] = [];
    for (let i = 0; i + 1 < ranges.length; i += 2) {
      let range = ranges[i]! * ranges[i + 1]!;
      let [value, scale] = [0, 1];
      while (range >= merged) {
        value += bytes[at++]! * scale;
        scale *= 256;
        range = (range + 255) >>> 8;
      }
      bottoms.push({ value, scale });
      nextRanges.push(range);
    }
    if (ranges.length % 2 === 1) nextRanges.push(ranges.at(-1)!);
    const upper = decode(nextRanges);
    const out: number[] = [];
    bottoms.forEach(({ value, scale }, i) => {
      const whole = value + scale * upper[i]!;
      out.push(whole % ranges[i * 2]!, Math.floor(whole / ranges[i * 2]!) % ranges[i * 2 + 1]!);
    });
    if (ranges.length % 2 === 1) out.push(upper.at(-1)!);
    return out;
  };
  return decode(moduli);
}

const publicRanges: readonly number[] = new Array<number>(p).fill(q);
/** Rounded values are multiples of three from -2295 to 2295. */
const roundedRanges: readonly number[] = new Array<number>(p).fill((q + 2) / 3);

const encodePublic = (h: Int32Array): Uint8Array =>
  Uint8Array.from(
    encodeNumbers(
      Array.from(h, (value) => value + half),
      publicRanges,
    ),
  );
const decodePublic = (bytes: Uint8Array): Int32Array =>
  Int32Array.from(decodeNumbers(bytes, publicRanges), (value) => value - half);
const encodeRounded = (c: Int32Array): Uint8Array =>
  Uint8Array.from(
    encodeNumbers(
      Array.from(c, (value) => (value + half) / 3),
      roundedRanges,
    ),
  );
const decodeRounded = (bytes: Uint8Array): Int32Array =>
  Int32Array.from(decodeNumbers(bytes, roundedRanges), (value) => value * 3 - half);

/** Four coefficients of -1, 0, 1 a byte, two bits each. */
function encodeSmall(f: Int32Array): Uint8Array {
  const out = new Uint8Array(smallLength);
  for (let i = 0; i < p; i++) out[i >>> 2]! |= (f[i]! + 1) << ((i & 3) * 2);
  return out;
}
export function decodeSmall(bytes: Uint8Array): Int32Array {
  return Int32Array.from({ length: p }, (_, i) => ((bytes[i >>> 2]! >>> ((i & 3) * 2)) & 3) - 1);
}

function randomWords(crypto: Crypto): Uint32Array {
  const bytes = crypto.random(p * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: p }, (_, i) => view.getUint32(i * 4, true));
}

/** Small_random: every coefficient nearly uniform in -1, 0, 1. */
const randomSmall = (crypto: Crypto): Int32Array =>
  Int32Array.from(randomWords(crypto), (word) => Math.floor(((word & 0x3fff_ffff) * 3) / 2 ** 30) - 1);

/** Short_random: exactly `weight` coefficients of -1 or 1, spread by sorting random numbers that carry them. */
function randomShort(crypto: Crypto): Int32Array {
  const words = randomWords(crypto);
  for (let i = 0; i < p; i++) words[i] = i < weight ? words[i]! & ~1 : (words[i]! & ~3) | 1;
  return Int32Array.from(words.sort(), (word) => (word & 3) - 1);
}

/** The nearest multiple of three, coefficient by coefficient. */
const round = (a: Int32Array): Int32Array => a.map((value) => value - reduce3(value));

/** Hide: the rounded product of public key and secret input, with a hash that ties both to this key. */
function hide(crypto: Crypto, r: Int32Array, h: Int32Array, publicHash: Uint8Array) {
  const encoded = encodeSmall(r);
  const rounded = encodeRounded(round(multiply(h, r).map(reduceQ)));
  const confirm = hashed(crypto, 2, hashed(crypto, 3, encoded), publicHash);
  return { encoded, ciphertext: concatBytes(rounded, confirm) };
}

const sessionKey = (crypto: Crypto, prefix: number, input: Uint8Array, ciphertext: Uint8Array): Uint8Array =>
  hashed(crypto, prefix, hashed(crypto, 3, input), ciphertext);

export interface Sntrup761Secret {
  readonly f: Int32Array;
  /** 1/g modulo 3. */
  readonly gInverse: Int32Array;
  readonly publicKey: Uint8Array;
  /** What answers a bad ciphertext: implicit rejection. */
  readonly rho: Uint8Array;
}

function recover(secret: Sntrup761Secret, ciphertext: Uint8Array): Int32Array {
  const c = decodeRounded(ciphertext.subarray(0, roundedLength));
  const e = multiply(c, secret.f).map((value) => reduce3(reduceQ(3 * reduceQ(value))));
  const r = multiply(e, secret.gInverse).map(reduce3);
  let found = 0;
  for (const value of r) found += value & 1;
  // A wrong weight stands for a fixed polynomial, which the confirmation below then fails on.
  const wrong = found === weight ? 0 : 1;
  return r.map((value, i) => value * (1 - wrong) + wrong * (i < weight ? 1 : 0));
}

const unusable = (message: string): SshError =>
  new SshError('kex', message, { by: 'peer', disconnect: Disconnect.keyExchangeFailed });

export function decapsulate(crypto: Crypto, secret: Sntrup761Secret, ciphertext: Uint8Array): Uint8Array {
  if (ciphertext.length !== ciphertextLength) throw unusable('sntrup761 ciphertext of wrong length');
  const publicHash = hashed(crypto, 4, secret.publicKey);
  const again = hide(crypto, recover(secret, ciphertext), decodePublic(secret.publicKey), publicHash);
  const good = crypto.equal(again.ciphertext, ciphertext);
  return sessionKey(crypto, good ? 1 : 0, good ? again.encoded : secret.rho, ciphertext);
}

export function createSntrup761(crypto: Crypto): Kem {
  return {
    publicKeyLength,
    ciphertextLength,
    generate() {
      let g: Int32Array;
      let gInverse: Int32Array | undefined;
      do {
        g = randomSmall(crypto);
        gInverse = inverseMod3(g);
      } while (gInverse === undefined);
      const f = randomShort(crypto);
      const publicKey = encodePublic(multiply(inverseOfTriple(f), g).map(reduceQ));
      const secret: Sntrup761Secret = { f, gInverse, publicKey, rho: crypto.random(smallLength) };
      return { publicKey, decapsulate: (ciphertext) => decapsulate(crypto, secret, ciphertext) };
    },
    encapsulate(publicKey) {
      if (publicKey.length !== publicKeyLength) throw unusable('sntrup761 public key of wrong length');
      const publicHash = hashed(crypto, 4, publicKey);
      const { encoded, ciphertext } = hide(crypto, randomShort(crypto), decodePublic(publicKey), publicHash);
      return { ciphertext, secret: sessionKey(crypto, 1, encoded, ciphertext) };
    },
  };
}
