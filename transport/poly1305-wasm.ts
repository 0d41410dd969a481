/**
 * Poly1305 (RFC 8439 section 2.5) as a WebAssembly function of 400 bytes, put together below at its first use.
 *
 * The accumulator is five limbs of 26 bits and every product is one i64.mul, where JavaScript must split numbers at 53
 * bits. The function only absorbs whole blocks; clamping, the last partial block and the final sum are done outside.
 */

type Code = readonly number[];

/** Signed LEB128, which also serves for the small unsigned numbers here. */
function leb(value: number): Code {
  const out: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const low = rest & 0x7f;
    if ((rest >> 7 === 0 && low < 0x40) || (rest >> 7 === -1 && low >= 0x40)) return [...out, low];
    out.push(low | 0x80);
  }
}

const get = (local: number): Code => [0x20, local];
const set = (local: number, value: Code): Code => [...value, 0x21, local];
const i64 = (value: number): Code => [0x42, ...leb(value)];
const add = (a: Code, b: Code): Code => [...a, ...b, 0x7c];
const mul = (a: Code, b: Code): Code => [...a, ...b, 0x7e];
const and = (a: Code, b: Code): Code => [...a, ...b, 0x83];
const or = (a: Code, b: Code): Code => [...a, ...b, 0x84];
const shiftRight = (a: Code, bits: number): Code => [...a, ...i64(bits), 0x88];
/** Unaligned 32-bit load into an i64. */
const load = (address: Code, offset: number): Code => [...address, 0x35, 0, ...leb(offset)];
const store = (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x3e, 0, ...leb(offset)];
const i32 = (value: number): Code => [0x41, ...leb(value)];

const limbs = [0, 1, 2, 3, 4] as const;
const limbMask = 0x3ff_ffff;
/** Memory: r, then h, five words of 32 bits each; then the message. */
const [rAt, hAt, messageAt] = [0, 20, 64];
const pages = 2;
const capacity = pages * 65_536 - messageAt;

/** Locals: parameters `at`, `end` (addresses) and `top` (2^24 for whole blocks), then h, r, 5r, products. */
const [at, end, top] = [0, 1, 2];
const h = (i: number): number => 3 + i;
const r = (i: number): number => 8 + i;
const r5 = (i: number): number => 13 + i;
const d = (i: number): number => 18 + i;
const localCount = 20;

/** h += block: 26 bits at a time from overlapping words. */
function absorb(): Code {
  const word = (i: number): Code => shiftRight(load(get(at), i * 3), i * 2);
  const parts = limbs.map((i) => (i === 4 ? or(word(4), get(top)) : and(word(i), i64(limbMask))));
  return limbs.flatMap((i) => set(h(i), add(get(h(i)), parts[i]!)));
}

/** d = h * r, where what passes 2^130 comes back times five. */
function multiply(): Code {
  return limbs.flatMap((i) => {
    const terms = limbs.map((j) => mul(get(h(j)), get(j <= i ? r(i - j) : r5(i - j + 5))));
    return set(d(i), terms.reduce(add));
  });
}

/** h = d with every limb back to 26 bits, but for one spare bit in h1. */
function carry(): Code {
  const steps = [0, 1, 2, 3].map((i) => set(d(i + 1), add(get(d(i + 1)), shiftRight(get(d(i)), 26))));
  const masks = limbs.map((i) => set(h(i), and(get(d(i)), i64(limbMask))));
  const around = set(h(0), add(get(h(0)), mul(shiftRight(get(d(4)), 26), i64(5))));
  const last = set(h(1), add(get(h(1)), shiftRight(get(h(0)), 26)));
  return [...steps.flat(), ...masks.flat(), ...around, ...last, ...set(h(0), and(get(h(0)), i64(limbMask)))];
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const read = limbs.flatMap((i) => [
    ...set(h(i), load(i32(0), hAt + i * 4)),
    ...set(r(i), load(i32(0), rAt + i * 4)),
    ...set(r5(i), mul(get(r(i)), i64(5))),
  ]);
  const next = [...get(at), ...i32(16), 0x6a, 0x22, at, ...get(end), 0x49, 0x0d, 0];
  const loop = [0x03, 0x40, ...absorb(), ...multiply(), ...carry(), ...next, 0x0b];
  const write = limbs.flatMap((i) => store(i32(0), hAt + i * 4, get(h(i))));
  const body = [1, localCount, 0x7e, ...read, ...loop, ...write, 0x0b];
  // Lengths are unsigned LEB128 in two bytes each, whatever their value.
  const sized = (content: Code): Code => [(content.length & 0x7f) | 0x80, content.length >> 7, ...content];
  const section = (id: number, content: Code): Code => [id, ...sized(content)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, 0x7f, 0x7f, 0x7e, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, pages]),
    ...section(7, [2, 1, 0x6d, 2, 0, 1, 0x66, 0, 0]),
    ...section(10, [1, ...sized(body)]),
  ]);
}

/** The part of the platform's WebAssembly used here; the libraries this is compiled against do not declare it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  readonly m: { readonly buffer: ArrayBuffer };
  f(at: number, end: number, top: bigint): void;
}

/** h modulo 2^130 - 5, plus the key's second half, modulo 2^128. Written out: in a loop it took a twentieth of a packet's time. */
function finish(words: Uint32Array, key: DataView): Uint8Array {
  const m = limbMask;
  let [h0, h1, h2, h3, h4] = [words[5]!, words[6]!, words[7]!, words[8]!, words[9]!];
  h2 += h1 >>> 26;
  h3 += h2 >>> 26;
  h4 += h3 >>> 26;
  h0 += (h4 >>> 26) * 5;
  h1 = (h1 & m) + (h0 >>> 26);
  h0 &= m;
  h2 = (h2 & m) + (h1 >>> 26);
  h1 &= m;
  h3 &= m;
  h4 &= m;
  // h + 5 passes 2^130 exactly when h is not below the prime; then its lower bits are the answer.
  const g0 = h0 + 5;
  const g1 = h1 + (g0 >>> 26);
  const g2 = h2 + (g1 >>> 26);
  const g3 = h3 + (g2 >>> 26);
  const g4 = h4 + (g3 >>> 26);
  const passed = -(g4 >>> 26);
  h0 ^= (h0 ^ g0) & m & passed;
  h1 ^= (h1 ^ g1) & m & passed;
  h2 ^= (h2 ^ g2) & m & passed;
  h3 ^= (h3 ^ g3) & m & passed;
  h4 ^= (h4 ^ g4) & m & passed;
  const tag = new Uint8Array(16);
  const out = new DataView(tag.buffer);
  let sum = ((h0 | (h1 << 26)) >>> 0) + key.getUint32(16, true);
  out.setUint32(0, sum, true);
  sum = (((h1 >>> 6) | (h2 << 20)) >>> 0) + key.getUint32(20, true) + (sum > 0xffff_ffff ? 1 : 0);
  out.setUint32(4, sum, true);
  sum = (((h2 >>> 12) | (h3 << 14)) >>> 0) + key.getUint32(24, true) + (sum > 0xffff_ffff ? 1 : 0);
  out.setUint32(8, sum, true);
  sum = (((h3 >>> 18) | (h4 << 8)) >>> 0) + key.getUint32(28, true) + (sum > 0xffff_ffff ? 1 : 0);
  out.setUint32(12, sum, true);
  return tag;
}

/** Throws where WebAssembly is not to be had. */
export function createPoly1305(): (key: Uint8Array, data: Uint8Array) => Uint8Array {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
  const { m: memory, f: absorbBlocks } = instance.exports as Exports;
  const bytes = new Uint8Array(memory.buffer);
  const words = new Uint32Array(memory.buffer, 0, messageAt / 4);
  const whole = 1n << 24n;
  return (key, data) => {
    const view = new DataView(key.buffer, key.byteOffset, 32);
    // The clamp of section 2.5, cut into limbs.
    words[0] = view.getUint32(0, true) & 0x3ff_ffff;
    words[1] = (view.getUint32(3, true) >>> 2) & 0x3ff_ff03;
    words[2] = (view.getUint32(6, true) >>> 4) & 0x3ff_c0ff;
    words[3] = (view.getUint32(9, true) >>> 6) & 0x3f0_3fff;
    words[4] = (view.getUint32(12, true) >>> 8) & 0x00f_ffff;
    words.fill(0, hAt / 4);
    const tail = data.length % 16;
    const wholeLength = data.length - tail;
    for (let from = 0; from < wholeLength; ) {
      const length = Math.min(capacity & ~15, wholeLength - from);
      bytes.set(data.subarray(from, from + length), messageAt);
      absorbBlocks(messageAt, messageAt + length, whole);
      from += length;
    }
    if (tail > 0) {
      bytes.fill(0, messageAt, messageAt + 16);
      bytes.set(data.subarray(wholeLength), messageAt);
      bytes[messageAt + tail] = 1;
      absorbBlocks(messageAt, messageAt + 16, 0n);
    }
    const tag = finish(words, view);
    words.fill(0);
    return tag;
  };
}
