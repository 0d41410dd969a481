/**
 * Poly1305 (RFC 8439 section 2.5) as a WebAssembly module of 490 bytes, put together below at its first use.
 *
 * The accumulator is four words of 32 bits and two bits more, and every product is one i64.mul, where JavaScript must split
 * numbers at 53 bits. The function only absorbs whole blocks; clamping, the last partial block and the final sum are done outside.
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
const shiftRight = (a: Code, bits: number): Code => [...a, ...i64(bits), 0x88];
/** Unaligned 32-bit load into an i64. */
const load = (address: Code, offset: number): Code => [...address, 0x35, 0, ...leb(offset)];
const store = (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x3e, 0, ...leb(offset)];
const i32 = (value: number): Code => [0x41, ...leb(value)];

/** Memory: r in four words of 32 bits, then h in five; then the message. */
const [rAt, hAt, messageAt] = [0, 16, 64];
const pages = 2;
const capacity = pages * 65_536 - messageAt;

/** Locals: parameters `at`, `end` (addresses) and `top` (1 for whole blocks), then h, r, s = 5/4 r, products. */
const [at, end, top] = [0, 1, 2];
const h = (i: number): number => 3 + i;
const r = (i: number): number => 8 + i;
const s = (i: number): number => 11 + i;
const d = (i: number): number => 15 + i;
const localCount = 16;
const words = [0, 1, 2, 3] as const;

/** Wrapped to 32 bits and extended again. */
const low = (a: Code): Code => [...a, 0xa7, 0xad];
const high = (a: Code): Code => shiftRight(a, 32);

/** h += block, a word each; what passes 32 bits stays where it is. */
const absorb = (): Code => [
  ...words.flatMap((i) => set(h(i), add(get(h(i)), load(get(at), i * 4)))),
  ...set(h(4), add(get(h(4)), get(top))),
];

/**
 * d and h4 = h * r. A product of weight 2^128 or more comes back times 5/4 2^-128, which is whole: the clamp leaves no low
 * bits in r1 to r3. With h0 below 2^33.8, h1 to h3 below 2^33 and r below 2^28 a row stays below 2^63.5.
 */
function multiply(): Code {
  const rows = words.map((i) => {
    const terms = words.map((j) => mul(get(h(j)), get(j <= i ? r(i - j) : s(i - j + 4))));
    return i === 0 ? terms.reduce(add) : add(terms.reduce(add), mul(get(h(4)), get(s(i))));
  });
  return [...words.flatMap((i) => set(d(i), rows[i]!)), ...set(h(4), mul(get(h(4)), get(r(0))))];
}

/** h = d, words again but for h0; what passes 2^130 comes back times five. */
function carry(): Code {
  const steps = [1, 2, 3].map((i) => set(d(i), add(get(d(i)), high(get(d(i - 1))))));
  const last = set(h(4), add(get(h(4)), high(get(d(3)))));
  const masks = words.map((i) => set(h(i), low(get(d(i)))));
  const around = set(h(0), add(get(h(0)), mul(shiftRight(get(h(4)), 2), i64(5))));
  return [...steps.flat(), ...last, ...masks.flat(), ...around, ...set(h(4), and(get(h(4)), i64(3)))];
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const read = [
    ...words.flatMap((i) => set(r(i), load(i32(0), rAt + i * 4))),
    ...[1, 2, 3].flatMap((i) => set(s(i), add(get(r(i)), shiftRight(get(r(i)), 2)))),
    ...[...words, 4].flatMap((i) => set(h(i), load(i32(0), hAt + i * 4))),
  ];
  const next = [...get(at), ...i32(16), 0x6a, 0x22, at, ...get(end), 0x49, 0x0d, 0];
  const loop = [0x03, 0x40, ...absorb(), ...multiply(), ...carry(), ...next, 0x0b];
  // What passes 32 bits goes on: there is no room for it in memory.
  const write = words.flatMap((i) => [
    ...store(i32(0), hAt + i * 4, get(h(i))),
    ...set(h(i + 1), add(get(h(i + 1)), high(get(h(i))))),
  ]);
  const body = [1, localCount, 0x7e, ...read, ...loop, ...write, ...store(i32(0), hAt + 16, get(h(4))), 0x0b];
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
function finish(state: Uint32Array, key: DataView): Uint8Array {
  const from = hAt / 4;
  const [h0, h1, h2, h3] = [state[from]!, state[from + 1]!, state[from + 2]!, state[from + 3]!];
  // h + 5 passes 2^130 exactly when h is not below the prime; then its lower bits are the answer.
  const g0 = h0 + 5;
  const g1 = h1 + over(g0);
  const g2 = h2 + over(g1);
  const g3 = h3 + over(g2);
  const passed = -((state[from + 4]! + over(g3)) >>> 2);
  const tag = new Uint8Array(16);
  const out = new DataView(tag.buffer);
  const t0 = choose(h0, g0, passed) + key.getUint32(16, true);
  const t1 = choose(h1, g1, passed) + key.getUint32(20, true) + over(t0);
  const t2 = choose(h2, g2, passed) + key.getUint32(24, true) + over(t1);
  const t3 = choose(h3, g3, passed) + key.getUint32(28, true) + over(t2);
  out.setUint32(0, t0, true);
  out.setUint32(4, t1, true);
  out.setUint32(8, t2, true);
  out.setUint32(12, t3, true);
  return tag;
}

const over = (sum: number): number => (sum / 2 ** 32) | 0;
const choose = (a: number, b: number, mask: number): number => (a ^ ((a ^ b) & mask)) >>> 0;

/** Throws where WebAssembly is not to be had. */
export function createPoly1305(): (key: Uint8Array, data: Uint8Array) => Uint8Array {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
  const { m: memory, f: absorbBlocks } = instance.exports as Exports;
  const bytes = new Uint8Array(memory.buffer);
  const state = new Uint32Array(memory.buffer, 0, messageAt / 4);
  return (key, data) => {
    const view = new DataView(key.buffer, key.byteOffset, 32);
    // The clamp of section 2.5.
    state[0] = view.getUint32(0, true) & 0x0fff_ffff;
    state[1] = view.getUint32(4, true) & 0x0fff_fffc;
    state[2] = view.getUint32(8, true) & 0x0fff_fffc;
    state[3] = view.getUint32(12, true) & 0x0fff_fffc;
    state.fill(0, hAt / 4);
    const tail = data.length % 16;
    const wholeLength = data.length - tail;
    for (let from = 0; from < wholeLength; ) {
      const length = Math.min(capacity & ~15, wholeLength - from);
      bytes.set(data.subarray(from, from + length), messageAt);
      absorbBlocks(messageAt, messageAt + length, 1n);
      from += length;
    }
    if (tail > 0) {
      bytes.fill(0, messageAt, messageAt + 16);
      bytes.set(data.subarray(wholeLength), messageAt);
      bytes[messageAt + tail] = 1;
      absorbBlocks(messageAt, messageAt + 16, 0n);
    }
    const tag = finish(state, view);
    state.fill(0);
    return tag;
  };
}
