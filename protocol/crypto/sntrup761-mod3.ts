/**
 * Inverses of polynomials modulo x^761 - x - 1 and 3, for sntrup761.ts: division steps as in sntrup761-ring.ts, with 32
 * coefficients a word. Two bits stand for a coefficient, one for 1 and one for -1, each in an array of its own.
 */

import { divisionSteps, p } from './sntrup761-ring.ts';

/** Coefficients 0 to 761, and one word more that is shifted in. */
const words = Math.ceil((p + 1) / 32);

interface Trits {
  readonly plus: Int32Array;
  readonly minus: Int32Array;
}

const zero = (): Trits => ({ plus: new Int32Array(words + 1), minus: new Int32Array(words + 1) });

const at = ({ plus, minus }: Trits, i: number): number =>
  ((plus[i >>> 5]! >>> (i & 31)) & 1) - ((minus[i >>> 5]! >>> (i & 31)) & 1);

function put(trits: Trits, i: number, value: number): void {
  if (value !== 0) (value > 0 ? trits.plus : trits.minus)[i >>> 5]! |= 1 << (i & 31);
}

/** `to` + `factor` * `by`, where the factor is -1, 0 or 1; nothing branches on it. */
function addMultiple(to: Trits, by: Trits, factor: number): void {
  const same = -(factor & 1 & ~(factor >> 1));
  const swapped = factor >> 1;
  for (let i = 0; i < words; i++) {
    const [byPlus, byMinus] = [by.plus[i]!, by.minus[i]!];
    const plus = (byPlus & same) | (byMinus & swapped);
    const minus = (byMinus & same) | (byPlus & swapped);
    const [ownPlus, ownMinus] = [to.plus[i]!, to.minus[i]!];
    const alone = ~(plus | minus);
    const ownAlone = ~(ownPlus | ownMinus);
    to.plus[i] = (ownPlus & alone) | (plus & ownAlone) | (ownMinus & minus);
    to.minus[i] = (ownMinus & alone) | (minus & ownAlone) | (ownPlus & plus);
  }
}

function divideByX({ plus, minus }: Trits): void {
  for (let i = 0; i < words; i++) {
    plus[i] = (plus[i]! >>> 1) | (plus[i + 1]! << 31);
    minus[i] = (minus[i]! >>> 1) | (minus[i + 1]! << 31);
  }
}

function timesX({ plus, minus }: Trits): void {
  for (let i = words - 1; i > 0; i--) {
    plus[i] = (plus[i]! << 1) | (plus[i - 1]! >>> 31);
    minus[i] = (minus[i]! << 1) | (minus[i - 1]! >>> 31);
  }
  plus[0]! <<= 1;
  minus[0]! <<= 1;
}

/** 1/g modulo 3, when there is one. */
export function inverseMod3(input: Int32Array): Int32Array | undefined {
  let [f, g, v, r] = [zero(), zero(), zero(), zero()];
  put(f, 0, 1);
  put(f, p - 1, -1);
  put(f, p, -1);
  for (let i = 0; i < p; i++) put(g, p - 1 - i, input[i]!);
  put(r, 0, 1);
  let delta = 1;
  for (let done = 0; done < divisionSteps; done++) {
    timesX(v);
    if (delta > 0 && at(g, 0) !== 0) {
      delta = -delta;
      [f, g, v, r] = [g, f, r, v];
    }
    delta++;
    // f0 is its own inverse: g = (g - f0 g0 f) / x and r = r - f0 g0 v.
    const factor = -(at(f, 0) * at(g, 0)) | 0;
    addMultiple(g, f, factor);
    divideByX(g);
    addMultiple(r, v, factor);
  }
  if (delta !== 0) return undefined;
  const leading = at(f, 0);
  return Int32Array.from({ length: p }, (_, i) => (leading * at(v, p - 1 - i)) | 0);
}
