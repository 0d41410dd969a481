/**
 * UMAC-64 and UMAC-128 (RFC 4418): 8-byte nonces, 16-byte AES keys, tags of 8 or 16 bytes.
 *
 * Messages of up to 16 MiB, far past any packet, so the second polynomial of section 5.4 is never reached and not here.
 */

import { SshError } from '../errors.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import type { CryptoProvider } from './provider.ts';

export interface Umac {
  readonly length: number;
  compute(nonce: Uint8Array, data: Uint8Array): Uint8Array;
}

type Block = ReturnType<CryptoProvider['aesBlock']>;

const chunkLength = 1024;
const longest = 2 ** 24;
const prime36 = 2 ** 36 - 5;
const prime64 = 2n ** 64n - 59n;
/** Words from here on do not fit below the prime and take two steps (section 5.4.2). */
const wordRange = 2n ** 64n - 2n ** 32n;

/** KDF of section 3.2.1: AES of index and count. */
function derive(aes: Block, index: number, length: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(length / 16) * 16);
  const block = new Uint8Array(16);
  block[7] = index;
  for (let at = 0; at < out.length; at += 16) {
    putU32(block, 12, at / 16 + 1);
    out.set(aes.encrypt(block), at);
  }
  return out.subarray(0, length);
}

/** What one 32-bit part of the hash (section 5.1) needs. */
interface Lane {
  /** First of its 256 words in the shared key: the lanes' keys overlap (Toeplitz). */
  readonly first: number;
  readonly poly: bigint;
  /** Eight multipliers, reduced modulo 2^36 - 5. */
  readonly inner: readonly number[];
  readonly outer: number;
}

const bigWord = (bytes: Uint8Array, at: number): bigint =>
  (BigInt(getU32(bytes, at)) << 32n) | BigInt(getU32(bytes, at + 4));

function makeLanes(aes: Block, count: number): { words: Uint32Array; lanes: readonly Lane[] } {
  const layer1 = derive(aes, 1, chunkLength + (count - 1) * 16);
  const layer2 = derive(aes, 2, count * 24);
  const layer3 = derive(aes, 3, count * 64);
  const masks = derive(aes, 4, count * 4);
  const words = Uint32Array.from({ length: layer1.length / 4 }, (_, i) => getU32(layer1, i * 4));
  const lanes = Array.from({ length: count }, (_, lane) => ({
    first: lane * 4,
    poly: bigWord(layer2, lane * 24) & 0x01ff_ffff_01ff_ffffn,
    inner: Array.from({ length: 8 }, (_, i) => Number(bigWord(layer3, lane * 64 + i * 8) % BigInt(prime36))),
    outer: getU32(masks, lane * 4),
  }));
  return { words, lanes };
}

/**
 * NH (section 5.2.2) of one chunk, plus its length in bits, modulo 2^64. Each product of two 32-bit words is taken as
 * two of 48 bits, which a double holds exactly; sixteen of those may be added before the sums are folded.
 */
function nh(keys: Uint32Array, first: number, message: Uint32Array, bits: number): bigint {
  let total = BigInt(bits);
  let key = first;
  for (let at = 0; at < message.length; ) {
    const end = Math.min(at + 32, message.length);
    let low = 0;
    let high = 0;
    for (; at < end; at += 8, key += 8) {
      for (let i = 0; i < 4; i++) {
        const a = (message[at + i]! + keys[key + i]!) >>> 0;
        const b = (message[at + i + 4]! + keys[key + i + 4]!) >>> 0;
        low += a * (b & 0xffff);
        high += a * (b >>> 16);
      }
    }
    total += BigInt(low) + (BigInt(high) << 16n);
  }
  return BigInt.asUintN(64, total);
}

/** A chunk as little-endian words, zero-padded to 32 bytes (section 5.2.1). */
function chunkWords(data: Uint8Array, start: number, length: number): Uint32Array {
  const words = new Uint32Array(Math.max(1, Math.ceil(length / 32)) * 8);
  const whole = length >>> 2;
  for (let i = 0, at = start; i < whole; i++, at += 4) {
    words[i] = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
  }
  for (let at = whole * 4; at < length; at++) words[at >>> 2]! |= data[start + at]! << ((at & 3) * 8);
  return words;
}

function polyStep(y: bigint, k: bigint, word: bigint): bigint {
  if (word < wordRange) return (k * y + word) % prime64;
  const marked = (k * y + prime64 - 1n) % prime64;
  return (k * marked + word - 59n) % prime64;
}

/** L3-HASH (section 5.5) of a 16-byte string whose upper half is zero: lengths are bounded so that it always is. */
function finish(lane: Lane, value: bigint): number {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    const part = Number((value >> BigInt(48 - i * 16)) & 0xffffn);
    sum = (sum + part * lane.inner[i + 4]!) % prime36;
  }
  return ((sum % 2 ** 32) ^ lane.outer) >>> 0;
}

function hashInto(out: Uint8Array, words: Uint32Array, lanes: readonly Lane[], data: Uint8Array): void {
  const single = data.length <= chunkLength;
  const values = lanes.map(() => 1n);
  for (let start = 0; start === 0 || start < data.length; start += chunkLength) {
    const length = Math.min(chunkLength, data.length - start);
    const chunk = chunkWords(data, start, length);
    for (let i = 0; i < lanes.length; i++) {
      const hashed = nh(words, lanes[i]!.first, chunk, length * 8);
      values[i] = single ? hashed : polyStep(values[i]!, lanes[i]!.poly, hashed);
    }
  }
  for (let i = 0; i < lanes.length; i++) putU32(out, i * 4, finish(lanes[i]!, values[i]!));
}

export function umac(crypto: Pick<CryptoProvider, 'aesBlock'>, key: Uint8Array, tagLength: 8 | 16): Umac {
  const aes = crypto.aesBlock(key);
  const { words, lanes } = makeLanes(aes, tagLength / 4);
  const pad = crypto.aesBlock(derive(aes, 0, 16));
  return {
    length: tagLength,
    compute(nonce, data) {
      if (nonce.length !== 8) throw new SshError('usage', 'UMAC nonce is not 8 bytes');
      if (data.length > longest) throw new SshError('usage', 'message too long for UMAC');
      const block = new Uint8Array(16);
      block.set(nonce);
      // Two 8-byte tags come from one AES block: the nonce's last bit says which (section 3.3.1).
      const half = tagLength === 8 ? block[7]! & 1 : 0;
      block[7]! ^= half;
      const out = new Uint8Array(tagLength);
      hashInto(out, words, lanes, data);
      const mask = pad.encrypt(block).subarray(half * 8);
      for (let i = 0; i < tagLength; i++) out[i]! ^= mask[i]!;
      return out;
    },
  };
}
