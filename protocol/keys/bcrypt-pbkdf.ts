/**
 * bcrypt_pbkdf, the key derivation of OpenSSH's private keys: PBKDF2's frame around bcrypt with SHA-512 of salt and
 * passphrase, its output scattered over the key so that no part comes cheaper. Blowfish lives here and is for this
 * alone. Its tables are the first 1042 words of pi's fraction and are computed when first needed.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { encodeUtf8 } from '../wire/text.ts';
import { putU32 } from '../wire/writer.ts';

const subkeys = 18;
const boxes = 4 * 256;
const bcryptWords = 8;

function squareRoot(value: bigint, bits: bigint): bigint {
  let root = 1n << (bits / 2n + 1n);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** pi scaled by 2^bits: the series of Chudnovsky, 47 bits a term. */
function scaledPi(bits: bigint): bigint {
  const one = 1n << bits;
  let term = one;
  let sum = one;
  let weighted = 0n;
  for (let k = 1n; term !== 0n; k++) {
    term = (-term * ((6n * k - 5n) * (2n * k - 1n) * (6n * k - 1n))) / (k * k * k * 10939058860032000n);
    sum += term;
    weighted += k * term;
  }
  const root = squareRoot((10005n * one) << bits, 2n * bits + 14n);
  return (426880n * root * one) / (13591409n * sum + 545140134n * weighted);
}

let tables: Int32Array | undefined;

/** P, then the four S-boxes: the hexadecimal digits of pi behind the point. */
export function piWords(): Int32Array {
  if (tables) return tables;
  const words = subkeys + boxes;
  const guard = 64n;
  const fraction = (scaledPi(BigInt(words * 32) + guard) >> guard).toString(16).slice(1);
  tables = Int32Array.from({ length: words }, (_, i) => Number.parseInt(fraction.slice(8 * i, 8 * i + 8), 16) | 0);
  return tables;
}

interface State {
  readonly p: Int32Array;
  readonly s: Int32Array;
  /** The block that is being worked on. */
  readonly block: Int32Array;
}

/** Blowfish's key schedule; with `salt`, eksblowfish's: the salt's words go into the chain in turn (16 words each). */
function expand(state: State, key: Int32Array, salt?: Int32Array): void {
  const { p, s, block } = state;
  for (let i = 0; i < subkeys; i++) p[i] = p[i]! ^ key[i & 15]!;
  block.fill(0);
  fill(p, state, 0, salt);
  fill(s, state, subkeys & 15, salt);
}

const noSalt: Int32Array = new Int32Array(16);

/**
 * Enciphers the block again and again, each result going into `table` (which may be the table in use). The rounds are
 * written out here, on local numbers: nearly all the time of opening a key is spent in them.
 */
function fill(table: Int32Array, { p, s, block }: State, saltAt: number, salt: Int32Array = noSalt): void {
  let left = block[0]!;
  let right = block[1]!;
  let at = saltAt;
  for (let i = 0; i < table.length; i += 2) {
    left ^= salt[at]! ^ p[0]!;
    right ^= salt[at + 1]!;
    at = (at + 2) & 15;
    for (let round = 1; round < 17; round += 2) {
      right ^=
        (((s[left >>> 24]! + s[256 + ((left >>> 16) & 255)]!) ^ s[512 + ((left >>> 8) & 255)]!) +
          s[768 + (left & 255)]!) ^
        p[round]!;
      left ^=
        (((s[right >>> 24]! + s[256 + ((right >>> 16) & 255)]!) ^ s[512 + ((right >>> 8) & 255)]!) +
          s[768 + (right & 255)]!) ^
        p[round + 1]!;
    }
    const last = left;
    left = right ^ p[17]!;
    right = last;
    table[i] = left;
    table[i + 1] = right;
  }
  block[0] = left;
  block[1] = right;
}

function bigEndianWords(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(bytes.length >> 2);
  for (let i = 0; i < bytes.length; i++) words[i >> 2] = (words[i >> 2]! << 8) | bytes[i]!;
  return words;
}

const magic = bigEndianWords(encodeUtf8('OxychromaticBlowfishSwatDynamite'));

/** bcrypt over two SHA-512 digests with a fixed cost of 2^6; 32 bytes. */
function bcryptHash(password: Int32Array, salt: Int32Array): Uint8Array {
  const pi = piWords();
  const state: State = { p: pi.slice(0, subkeys), s: pi.slice(subkeys), block: new Int32Array(2) };
  expand(state, password, salt);
  for (let i = 0; i < 64; i++) {
    expand(state, salt);
    expand(state, password);
  }
  const out = new Uint8Array(4 * bcryptWords);
  const scratch = new Int32Array(2 * 64);
  for (let word = 0; word < bcryptWords; word += 2) {
    state.block.set(magic.subarray(word, word + 2));
    fill(scratch, state, 0);
    // bcrypt_pbkdf puts its words out little-endian, unlike bcrypt.
    for (let i = 0; i < 8; i++) out[4 * word + i] = state.block[i >> 2]! >>> (8 * (i & 3));
  }
  return out;
}

export function bcryptPbkdf(
  crypto: CryptoProvider,
  password: Uint8Array,
  salt: Uint8Array,
  rounds: number,
  length: number,
): Uint8Array {
  const sha512 = (data: Uint8Array): Uint8Array => crypto.hash('sha512').update(data).digest();
  const key = new Uint8Array(length);
  const stride = Math.ceil(length / (4 * bcryptWords));
  const passwordWords = bigEndianWords(sha512(password));
  for (let block = 0; block < stride; block++) {
    const numbered = new Uint8Array(salt.length + 4);
    numbered.set(salt);
    putU32(numbered, salt.length, block + 1);
    let last = bcryptHash(passwordWords, bigEndianWords(sha512(numbered)));
    const sum = new Uint8Array(last);
    for (let round = 1; round < rounds; round++) {
      last = bcryptHash(passwordWords, bigEndianWords(sha512(last)));
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! ^ last[i]!;
    }
    for (let i = 0; i * stride + block < length; i++) key[i * stride + block] = sum[i]!;
  }
  return key;
}
