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

/** atan(1/x) scaled by 2^bits. */
function inverseTangent(x: bigint, bits: bigint): bigint {
  let power = (1n << bits) / x;
  let sum = power;
  const square = x * x;
  for (let divisor = 3n; power !== 0n; divisor += 2n) {
    power /= square;
    sum += divisor & 2n ? -power / divisor : power / divisor;
  }
  return sum;
}

let tables: Int32Array | undefined;

/** P, then the four S-boxes: the hexadecimal digits of pi behind the point, by Machin's formula. */
export function piWords(): Int32Array {
  if (tables) return tables;
  const words = subkeys + boxes;
  const guard = 64n;
  const bits = BigInt(words * 32) + guard;
  const pi = 4n * (4n * inverseTangent(5n, bits) - inverseTangent(239n, bits));
  const fraction = (pi >> guard).toString(16).slice(1);
  tables = Int32Array.from({ length: words }, (_, i) => Number.parseInt(fraction.slice(8 * i, 8 * i + 8), 16) | 0);
  return tables;
}

interface State {
  readonly p: Int32Array;
  readonly s: Int32Array;
  /** The block that is being worked on. */
  readonly block: Int32Array;
}

function encipher({ p, s, block }: State): void {
  let left = block[0]! ^ p[0]!;
  let right = block[1]!;
  for (let i = 1; i < 17; i += 2) {
    right ^=
      (((s[left >>> 24]! + s[256 + ((left >>> 16) & 255)]!) ^ s[512 + ((left >>> 8) & 255)]!) +
        s[768 + (left & 255)]!) ^
      p[i]!;
    left ^=
      (((s[right >>> 24]! + s[256 + ((right >>> 16) & 255)]!) ^ s[512 + ((right >>> 8) & 255)]!) +
        s[768 + (right & 255)]!) ^
      p[i + 1]!;
  }
  block[0] = right ^ p[17]!;
  block[1] = left;
}

/** Blowfish's key schedule; with `salt`, eksblowfish's: the salt's words go into the chain in turn (16 words each). */
function expand(state: State, key: Int32Array, salt?: Int32Array): void {
  const { p, s, block } = state;
  for (let i = 0; i < subkeys; i++) p[i] = p[i]! ^ key[i & 15]!;
  block.fill(0);
  let at = 0;
  for (const table of [p, s]) {
    for (let i = 0; i < table.length; i += 2) {
      if (salt) {
        block[0] = block[0]! ^ salt[at]!;
        block[1] = block[1]! ^ salt[at + 1]!;
        at = (at + 2) & 15;
      }
      encipher(state);
      table[i] = block[0]!;
      table[i + 1] = block[1]!;
    }
  }
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
  for (let word = 0; word < bcryptWords; word += 2) {
    state.block.set(magic.subarray(word, word + 2));
    for (let i = 0; i < 64; i++) encipher(state);
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
    const sum = last.slice();
    for (let round = 1; round < rounds; round++) {
      last = bcryptHash(passwordWords, bigEndianWords(sha512(last)));
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! ^ last[i]!;
    }
    for (let i = 0; i * stride + block < length; i++) key[i * stride + block] = sum[i]!;
  }
  return key;
}
