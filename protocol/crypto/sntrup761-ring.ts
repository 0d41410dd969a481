/**
 * Polynomials modulo x^761 - x - 1, with coefficients modulo 4591: the arithmetic under sntrup761.ts.
 *
 * Inverses are found by division steps (Bernstein and Yang, "Fast constant-time gcd computation and modular inversion",
 * section 5), a fixed number of them. Inverses modulo 3 are in sntrup761-mod3.ts.
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
  const product = new Int32Array(2 * p + 3);
  const padded = new Int32Array(p + 3);
  padded.set(a);
  // Four rows at a time, over a window of four coefficients: most of the time would go into reading and writing sums.
  for (let i = 0; i < p; i += 4) {
    const b0 = b[i]!;
    const b1 = i + 1 < p ? b[i + 1]! : 0;
    const b2 = i + 2 < p ? b[i + 2]! : 0;
    const b3 = i + 3 < p ? b[i + 3]! : 0;
    let x1 = 0;
    let x2 = 0;
    let x3 = 0;
    for (let j = 0; j < p + 3; j++) {
      const x0 = padded[j]!;
      product[i + j]! += (Math.imul(x0, b0) + Math.imul(x1, b1) + Math.imul(x2, b2) + Math.imul(x3, b3)) | 0;
      x3 = x2;
      x2 = x1;
      x1 = x0;
    }
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
  let square = reduceQ(value);
  for (let exponent = q - 2; exponent > 0; exponent >>>= 1) {
    if (exponent & 1) result = reduceQ(result * square);
    square = reduceQ(square * square);
  }
  return result;
}

/** How many division steps always lead to the end. */
export const divisionSteps = 2 * p - 1;

/** Polynomials of the division steps: f and g are reversed and lose a coefficient a step, v and r gain one. */
interface State {
  f: Int32Array;
  g: Int32Array;
  v: Int32Array;
  r: Int32Array;
}

/** One step: g = (f0 g - g0 f) / x and r = f0 r - g0 x v, the pairs swapped before where the degrees want it. */
function step(state: State, swap: boolean, alive: number, born: number): void {
  state.v.copyWithin(1, 0, p);
  state.v[0] = 0;
  if (swap) {
    [state.f, state.g] = [state.g, state.f];
    [state.v, state.r] = [state.r, state.v];
  }
  const { f, g, v, r } = state;
  const f0 = f[0]!;
  const g0 = g[0]!;
  for (let i = 1; i <= alive; i++) g[i - 1] = ((Math.imul(f0, g[i]!) - Math.imul(g0, f[i]!)) % q) | 0;
  g[alive] = 0;
  for (let i = 0; i <= born; i++) r[i] = ((Math.imul(f0, r[i]!) - Math.imul(g0, v[i]!)) % q) | 0;
}

/**
 * A step with a swap and the one without after it, as one: half the remainders to take. With a = g0, b = f0 and
 * c = a f1 - b g1, g becomes (a^2 f / x - a b g / x - c g) / x, and r becomes a^2 x v - a b r - c x r.
 */
function twoSteps(state: State, alive: number, born: number): void {
  const { f, g, v, r } = state;
  const a = g[0]!;
  const b = f[0]!;
  const c = reduceQ(Math.imul(a, f[1]!) - Math.imul(b, g[1]!));
  const aa = reduceQ(Math.imul(a, a));
  const ab = reduceQ(Math.imul(a, b));
  let last = g[1]!;
  for (let i = 2; i <= alive; i++) {
    const next = g[i]!;
    f[i - 2] = ((Math.imul(aa, f[i]!) - Math.imul(ab, next) - Math.imul(c, last)) % q) | 0;
    last = next;
  }
  f[alive - 1] = 0;
  f[alive] = 0;
  for (let i = born; i > 0; i--) {
    v[i] = ((Math.imul(aa, v[i - 1]!) - Math.imul(ab, r[i]!) - Math.imul(c, r[i - 1]!)) % q) | 0;
  }
  v[0] = (-Math.imul(ab, r[0]!) % q) | 0;
  r.copyWithin(1, 0, p);
  r[0] = 0;
  [state.f, state.g, state.v, state.r] = [g, f, r, v];
}

/**
 * 1/(3 f) modulo q; it always exists, since q was chosen so that the ring is a field. Steps are taken in twos wherever
 * a leading coefficient is not zero by chance, which one in 4591 is.
 */
export function inverseOfTriple(input: Int32Array): Int32Array {
  const make = (): Int32Array => new Int32Array(p + 1);
  const state: State = { f: make(), g: make(), v: make(), r: make() };
  state.f[0] = 1;
  state.f.fill(-1, p - 1);
  for (let i = 0; i < p; i++) state.g[p - 1 - i] = input[i]!;
  state.r[0] = inverseNumber(3);
  let delta = 1;
  for (let done = 0; done < divisionSteps; ) {
    const alive = Math.min(p, divisionSteps - done);
    const swap = delta > 0 && state.g[0] !== 0;
    if (swap && delta === 1 && alive > 1) {
      twoSteps(state, alive, Math.min(p, done + 2));
      done += 2;
    } else {
      step(state, swap, alive, Math.min(p, done + 1));
      delta = (swap ? -delta : delta) + 1;
      done++;
    }
  }
  const scale = inverseNumber(state.f[0]!);
  return Int32Array.from({ length: p }, (_, i) => reduceQ(state.v[p - 1 - i]! * scale));
}
