/**
 * Polynomials modulo x^761 - x - 1, with coefficients modulo 3 or modulo 4591: the arithmetic under sntrup761.ts.
 *
 * Inverses are found by division steps (Bernstein and Yang, "Fast constant-time gcd computation and modular inversion",
 * section 5), a fixed number of them.
 */

export const p = 761;
export const q = 4591;

/** To -1, 0, 1. */
export function reduce3(value: number): number {
  const rest = (value % 3) | 0;
  return rest > 1 ? rest - 3 : rest < -1 ? rest + 3 : rest;
}

/** To -2295 .. 2295. */
export function reduceQ(value: number): number {
  const rest = (value % q) | 0;
  return rest > 2295 ? rest - q : rest < -2295 ? rest + q : rest;
}

/** The product, not reduced: with one factor small (-1, 0, 1) and the other below q / 2 it fits 32 bits with ease. */
export function multiply(a: Int32Array, b: Int32Array): Int32Array {
  const product = new Int32Array(2 * p);
  for (let i = 0; i < p; i++) {
    const factor = b[i]!;
    for (let j = 0; j < p; j++) product[i + j]! += Math.imul(a[j]!, factor);
  }
  // x^761 = x + 1
  for (let i = 2 * p - 2; i >= p; i--) {
    product[i - p]! += product[i]!;
    product[i - p + 1]! += product[i]!;
  }
  return product.slice(0, p);
}

/** Inverse of a non-zero number modulo the prime q, as q - 2nd power. */
function inverseNumber(value: number): number {
  let result = 1;
  for (let i = 0; i < q - 2; i++) result = reduceQ(result * value);
  return result;
}

interface State {
  f: Int32Array;
  g: Int32Array;
  v: Int32Array;
  r: Int32Array;
}

const divisionSteps = 2 * p - 1;

/**
 * Division steps on the reversed polynomials; undefined when `input` has no inverse. `eliminate` is told how many
 * coefficients can still matter (f and g lose one a step) or can be non-zero already (v and r gain one a step).
 */
function invert(
  input: Int32Array,
  scale: number,
  eliminate: (state: State, alive: number, born: number) => void,
): { leading: number; inverse: Int32Array } | undefined {
  const make = (): Int32Array => new Int32Array(p + 1);
  const state: State = { f: make(), g: make(), v: make(), r: make() };
  state.f[0] = 1;
  state.f.fill(-1, p - 1);
  for (let i = 0; i < p; i++) state.g[p - 1 - i] = input[i]!;
  state.r[0] = scale;
  let delta = 1;
  for (let step = 0; step < divisionSteps; step++) {
    state.v.copyWithin(1, 0, p);
    state.v[0] = 0;
    if (delta > 0 && state.g[0] !== 0) {
      delta = -delta;
      const { f, g, v, r } = state;
      state.f = g;
      state.g = f;
      state.v = r;
      state.r = v;
    }
    delta++;
    eliminate(state, Math.min(p, divisionSteps - step), Math.min(p, step + 1));
  }
  if (delta !== 0) return undefined;
  const inverse = new Int32Array(p);
  for (let i = 0; i < p; i++) inverse[i] = state.v[p - 1 - i]!;
  return { leading: state.f[0]!, inverse };
}

/** g = (f0 g - g0 f) / x and r = f0 r - g0 v, modulo q. Written out for each modulus: a call in these loops costs tenfold. */
function eliminateQ({ f, g, v, r }: State, alive: number, born: number): void {
  const f0 = f[0]!;
  const g0 = g[0]!;
  for (let i = 1; i <= alive; i++) g[i - 1] = ((Math.imul(f0, g[i]!) - Math.imul(g0, f[i]!)) % q) | 0;
  g[alive] = 0;
  for (let i = 0; i <= born; i++) r[i] = ((Math.imul(f0, r[i]!) - Math.imul(g0, v[i]!)) % q) | 0;
}

/** The same modulo 3, where f0 is 1 or -1 and is its own inverse: g = (g - f0 g0 f) / x and r = r - f0 g0 v. */
function eliminate3({ f, g, v, r }: State, alive: number, born: number): void {
  const factor = Math.imul(f[0]!, g[0]!);
  for (let i = 1; i <= alive; i++) g[i - 1] = (((g[i]! - Math.imul(factor, f[i]!) + 4) % 3) | 0) - 1;
  g[alive] = 0;
  for (let i = 0; i <= born; i++) r[i] = (((r[i]! - Math.imul(factor, v[i]!) + 4) % 3) | 0) - 1;
}

/** 1/g modulo 3, when there is one. */
export function inverseMod3(g: Int32Array): Int32Array | undefined {
  const found = invert(g, 1, eliminate3);
  return found?.inverse.map((value) => reduce3(value * found.leading));
}

/** 1/(3 f) modulo q; it always exists, since q was chosen so that the ring is a field. */
export function inverseOfTriple(f: Int32Array): Int32Array {
  const found = invert(f, inverseNumber(3), eliminateQ)!;
  const scale = inverseNumber(found.leading);
  return found.inverse.map((value) => reduceQ(value * scale));
}
