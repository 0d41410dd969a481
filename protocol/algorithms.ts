/**
 * The tables: every algorithm is one row, and what a provider cannot do is not offered. `ssh -Q`, the offer in KEXINIT
 * and the tests all read these.
 */

import type { CryptoProvider } from './crypto/provider.ts';
import { dhRows } from './kex/dh.ts';
import { ecdhRows } from './kex/ecdh.ts';
import { gexRows } from './kex/gex.ts';
import { hybridRows } from './kex/hybrid.ts';
import type { KexRow } from './kex/method.ts';
import { type SignatureRow, signatureRows } from './keys/sign.ts';
import type { CipherRow, MacRow } from './packet/cipher.ts';
import { cipherRows } from './packet/ciphers.ts';
import { type CompressionRow, compressionRows } from './packet/compression.ts';
import { macRows } from './packet/macs.ts';

/** The order in which OpenSSH prefers them, post-quantum first. */
const kexOrder = [
  'mlkem768x25519-sha256',
  'sntrup761x25519-sha512',
  'sntrup761x25519-sha512@openssh.com',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group14-sha1',
  'diffie-hellman-group-exchange-sha1',
  'diffie-hellman-group1-sha1',
];

const allKex = [...hybridRows, ...ecdhRows, ...dhRows, ...gexRows];
export const kexRows: readonly KexRow[] = kexOrder.map((name) => allKex.find((row) => row.name === name)!);

export const algorithms = {
  kex: kexRows,
  hostKeys: signatureRows,
  ciphers: cipherRows,
  macs: macRows,
  compression: compressionRows,
} as const;
export type { CipherRow, CompressionRow, KexRow, MacRow, SignatureRow };

/** Names in order of preference. */
export interface AlgorithmPreferences {
  readonly kex: readonly string[];
  readonly hostKeys: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
  readonly compression: readonly string[];
}

const namesOf = (rows: readonly { name: string }[]): string[] => rows.map((row) => row.name);

/** A provider does not change, and a run on many hosts asks about the same one for each of them. */
function oncePerProvider(
  make: (crypto: CryptoProvider) => AlgorithmPreferences,
): (crypto: CryptoProvider) => AlgorithmPreferences {
  const known = new WeakMap<CryptoProvider, AlgorithmPreferences>();
  return (crypto) => {
    let made = known.get(crypto);
    if (made === undefined) {
      made = make(crypto);
      known.set(crypto, made);
    }
    return made;
  };
}

/** Every name the provider can do, preferred or not, in table order. */
export const supportedAlgorithms = oncePerProvider((crypto) => {
  const usable = <R extends { name: string; available(crypto: CryptoProvider): boolean }>(rows: readonly R[]) =>
    namesOf(rows.filter((row) => row.available(crypto)));
  return {
    kex: usable(kexRows),
    hostKeys: usable(signatureRows),
    ciphers: usable(cipherRows),
    macs: usable(macRows),
    compression: namesOf(compressionRows),
  };
});

/**
 * What is offered unless the user says otherwise. The order follows the provider: where the platform helps, AES-GCM
 * leads and HMAC comes before UMAC; where everything is JavaScript, ChaCha20-Poly1305 and UMAC cost least.
 */
export const defaultAlgorithms = oncePerProvider((crypto) => {
  const wanted = <R extends { name: string; default: boolean; available(crypto: CryptoProvider): boolean }>(
    rows: readonly R[],
  ) => namesOf(rows.filter((row) => row.default && row.available(crypto)));
  const ciphers = wanted(cipherRows);
  if (crypto.overrides.includes('aesGcm')) {
    const rank = (name: string): number => (name.includes('-gcm@') ? 0 : 1);
    ciphers.sort((a, b) => rank(a) - rank(b));
  }
  const macs = wanted(macRows);
  if (crypto.overrides.includes('hmac')) {
    const rank = (name: string): number =>
      (name.startsWith('umac-') ? 1 : 0) + (name.includes('-etm@') ? 0 : 2) + (name.includes('sha1') ? 4 : 0);
    macs.sort((a, b) => rank(a) - rank(b));
  }
  return {
    kex: wanted(kexRows),
    hostKeys: wanted(signatureRows),
    ciphers,
    macs,
    compression: ['none', 'zlib@openssh.com'],
  };
});
