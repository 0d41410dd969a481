/** Every cipher with every MAC it goes with, as pairs of a sealer and an opener under fixed keys. */

import type { CryptoProvider } from '../../protocol/crypto/provider.ts';
import type { CipherRow, MacRow, Opener, Sealer } from '../../protocol/packet/cipher.ts';
import { cipherRows } from '../../protocol/packet/ciphers.ts';
import { macRows } from '../../protocol/packet/macs.ts';
import { plainOpener, plainSealer } from '../../protocol/packet/plain.ts';

export interface Suite {
  readonly name: string;
  readonly cipher?: CipherRow;
  readonly mac?: MacRow;
  sealer(): Sealer;
  opener(): Opener;
}

/** `length` bytes that differ from place to place and from seed to seed. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function suite(crypto: CryptoProvider, cipher: CipherRow, mac?: MacRow): Suite {
  const key = pattern(cipher.keyLength, 11);
  const iv = pattern(cipher.ivLength, 12);
  const withMac = () => mac && { row: mac, mac: mac.create(crypto, pattern(mac.keyLength, 13)) };
  return {
    name: mac ? `${cipher.name} ${mac.name}` : cipher.name,
    cipher,
    ...(mac ? { mac } : {}),
    sealer: () => cipher.sealer(crypto, key, iv, withMac()),
    opener: () => cipher.opener(crypto, key, iv, withMac()),
  };
}

export function suites(crypto: CryptoProvider): Suite[] {
  const all: Suite[] = [{ name: 'plain', sealer: () => plainSealer, opener: () => plainOpener }];
  for (const cipher of cipherRows.filter((row) => row.available(crypto))) {
    if (cipher.aead) all.push(suite(crypto, cipher));
    else for (const mac of macRows.filter((row) => row.available(crypto))) all.push(suite(crypto, cipher, mac));
  }
  return all;
}

export function named(crypto: CryptoProvider, cipher: string, mac?: string): Suite {
  return suite(
    crypto,
    cipherRows.find((row) => row.name === cipher)!,
    mac === undefined ? undefined : macRows.find((row) => row.name === mac)!,
  );
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
