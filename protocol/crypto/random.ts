/** The two rows every provider needs in plain form: random bytes from the platform's Web Crypto, and a comparison. */

import { randomBytes } from '@noble/hashes/utils.js';

export type Random = (length: number) => Uint8Array;

/** Web Crypto gives at most 64 KiB a call. */
const chunk = 65_536;

export const platformRandom: Random = (length) => {
  if (length <= chunk) return randomBytes(length);
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += chunk) out.set(randomBytes(Math.min(chunk, length - at)), at);
  return out;
};

/** No branch depends on the content; what a JIT makes of it cannot be promised. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
