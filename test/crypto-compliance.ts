/** What the crypto compliance tests share: the providers, hexadecimal, and a repeatable source of random inputs. */

import { chacha20orig } from '@noble/ciphers/chacha.js';
import { expect } from 'vitest';
import { createNobleCrypto } from '../protocol/crypto/noble.ts';
import type { CryptoProvider } from '../protocol/crypto/provider.ts';
import { nodeCrypto } from '../transport/node-crypto.ts';

export const noble: CryptoProvider = createNobleCrypto();
export const node: CryptoProvider = nodeCrypto();
export const providers: readonly CryptoProvider[] = [noble, node, nodeCrypto(noble)];

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
export const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
export const zeros = (length: number): Uint8Array => new Uint8Array(length);

/** ChaCha20 as a generator: the same seed gives the same bytes. */
export function seeded(seed: number): (length: number) => Uint8Array {
  const key = new Uint8Array(32).fill(seed);
  let count = 0;
  return (length) => {
    const nonce = new Uint8Array(8);
    new DataView(nonce.buffer).setUint32(0, ++count);
    return chacha20orig(key, nonce, new Uint8Array(length));
  };
}

/** A copy with one bit turned over. */
export function flipped(bytes: Uint8Array, at = 0): Uint8Array {
  const out = Uint8Array.from(bytes);
  out[at]! ^= 1;
  return out;
}

/** Runs a row on every provider and expects plain, equal bytes of all. */
export function same(run: (crypto: CryptoProvider) => Uint8Array): Uint8Array {
  const [first, ...others] = providers.map(run);
  for (const other of others) expect(other).toEqual(first);
  return first!;
}

export const peerFault = expect.objectContaining({ name: 'SshError', code: 'kex', by: 'peer', disconnect: 3 });
