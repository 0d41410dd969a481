/**
 * Triple DES in CBC mode, encrypt-decrypt-encrypt with three keys (FIPS 46-3, SP 800-67; RFC 4253 section 6.3).
 *
 * For old peers and old key files only: slow, table-driven, and 64-bit blocks limit what one key may encrypt.
 */

import { SshError } from '../errors.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import type { CryptoProvider } from './provider.ts';

/** P, PC-1, PC-2 and the key rotations of FIPS 46-3; bits count from 1 at the left. */
const roundPermutation = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
const keyChoice1 = [
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
  47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
const keyChoice2 = [
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
  40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const keyRotations = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
/** S-boxes 1 to 8: four rows of sixteen, one hexadecimal digit each. */
const boxes = [
  'e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d',
  'f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9',
  'a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c',
  '7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e',
  '2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453',
  'c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d',
  '4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c',
  'd2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b',
];

/** S-box and P in one: eight tables of 64 words, made at first use. */
let tables: Uint32Array | undefined;

function makeTables(): Uint32Array {
  const out = new Uint32Array(8 * 64);
  boxes.forEach((box, number) => {
    for (let input = 0; input < 64; input++) {
      const row = ((input >>> 4) & 2) | (input & 1);
      const nibble = Number.parseInt(box[row * 16 + ((input >>> 1) & 15)]!, 16);
      const before = (nibble << (28 - number * 4)) >>> 0;
      let after = 0;
      for (const from of roundPermutation) after = (after << 1) | ((before >>> (32 - from)) & 1);
      out[number * 64 + input] = after;
    }
  });
  return out;
}

/** Sixteen rounds of eight 6-bit subkeys. */
function schedule(key: Uint8Array): Uint8Array {
  const bits = keyChoice1.map((from) => (key[(from - 1) >>> 3]! >>> (7 - ((from - 1) & 7))) & 1);
  const halves = [bits.slice(0, 28), bits.slice(28)];
  const out = new Uint8Array(16 * 8);
  keyRotations.forEach((turn, round) => {
    for (const half of halves) half.push(...half.splice(0, turn));
    const joined = halves.flat();
    keyChoice2.forEach((from, i) => {
      const at = round * 8 + Math.floor(i / 6);
      out[at] = (out[at]! << 1) | joined[from - 1]!;
    });
  });
  return out;
}

/** The rounds' order turned round: what decrypts. */
function reversed(keys: Uint8Array): Uint8Array {
  const out = new Uint8Array(keys.length);
  for (let round = 0; round < 16; round++) out.set(keys.subarray(round * 8, round * 8 + 8), (15 - round) * 8);
  return out;
}

/** Sixteen rounds without the initial and final permutations; the two halves end exchanged, as the next stage wants them. */
function rounds(state: Uint32Array, keys: Uint8Array, table: Uint32Array): void {
  let left = state[0]!;
  let right = state[1]!;
  for (let at = 0; at < 128; at += 8) {
    // E takes six overlapping bits for each S-box, the first from the right end of the word.
    const x = (right >>> 1) | (right << 31);
    const mixed =
      table[(x >>> 26) ^ keys[at]!]! ^
      table[64 + (((x >>> 22) & 63) ^ keys[at + 1]!)]! ^
      table[128 + (((x >>> 18) & 63) ^ keys[at + 2]!)]! ^
      table[192 + (((x >>> 14) & 63) ^ keys[at + 3]!)]! ^
      table[256 + (((x >>> 10) & 63) ^ keys[at + 4]!)]! ^
      table[320 + (((x >>> 6) & 63) ^ keys[at + 5]!)]! ^
      table[384 + (((x >>> 2) & 63) ^ keys[at + 6]!)]! ^
      table[448 + ((((right << 1) | (right >>> 31)) & 63) ^ keys[at + 7]!)]!;
    const next = left ^ mixed;
    left = right;
    right = next;
  }
  state[0] = right;
  state[1] = left;
}

/** Exchanges the bits of `state[to]` under `mask` with those of `state[from]` that stand `shift` further left. */
function exchange(state: Uint32Array, from: 0 | 1, shift: number, mask: number): void {
  const to = from === 0 ? 1 : 0;
  const difference = ((state[from]! >>> shift) ^ state[to]!) & mask;
  state[to]! ^= difference;
  state[from]! ^= difference << shift;
}

/** IP as five exchanges, and its inverse as the same ones backwards. */
const exchanges = [
  [0, 4, 0x0f0f_0f0f],
  [0, 16, 0x0000_ffff],
  [1, 2, 0x3333_3333],
  [1, 8, 0x00ff_00ff],
  [0, 1, 0x5555_5555],
] as const;
const exchangesBack = exchanges.toReversed();

function crypt(state: Uint32Array, stages: readonly Uint8Array[], table: Uint32Array): void {
  for (const [from, shift, mask] of exchanges) exchange(state, from, shift, mask);
  for (const keys of stages) rounds(state, keys, table);
  for (const [from, shift, mask] of exchangesBack) exchange(state, from, shift, mask);
}

export const tripleDesCbc: NonNullable<CryptoProvider['tripleDesCbc']> = (key, iv, direction) => {
  if (key.length !== 24 || iv.length !== 8)
    throw new SshError('usage', 'triple DES takes a 24-byte key and an 8-byte IV');
  tables ??= makeTables();
  const table = tables;
  const [first, second, third] = [0, 8, 16].map((at) => schedule(key.subarray(at, at + 8))) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const encrypting = direction === 'encrypt';
  const stages = encrypting ? [first, reversed(second), third] : [reversed(third), second, reversed(first)];
  const state = new Uint32Array(2);
  const chain = Uint32Array.of(getU32(iv, 0), getU32(iv, 4));
  return {
    process(data) {
      if (data.length % 8 !== 0) throw new SshError('usage', 'not whole blocks');
      const out = new Uint8Array(data.length);
      for (let at = 0; at < data.length; at += 8) {
        const [high, low] = [getU32(data, at), getU32(data, at + 4)];
        state[0] = encrypting ? high ^ chain[0]! : high;
        state[1] = encrypting ? low ^ chain[1]! : low;
        crypt(state, stages, table);
        if (!encrypting) {
          state[0]! ^= chain[0]!;
          state[1]! ^= chain[1]!;
        }
        chain[0] = encrypting ? state[0]! : high;
        chain[1] = encrypting ? state[1]! : low;
        putU32(out, at, state[0]!);
        putU32(out, at + 4, state[1]!);
      }
      return out;
    },
  };
};
