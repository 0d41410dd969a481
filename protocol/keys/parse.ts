/** Private key files of every kind we know, told apart by their first lines. */

import type { CryptoProvider } from '../crypto/provider.ts';
import { limits } from '../limits.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/text.ts';
import { keyFormat } from './errors.ts';
import { peekOpenssh, readOpenssh } from './openssh.ts';
import { findPem } from './pem.ts';
import { readPem } from './pkcs.ts';
import { isPpk, peekPpk, readPpk } from './ppk.ts';
import type { PrivateKey, PublicKey } from './types.ts';

export interface ParsePrivateKeyOptions {
  readonly passphrase?: string | Uint8Array;
}

const opensshLabel = 'OPENSSH PRIVATE KEY';
const isPrivate = (label: string): boolean => label.endsWith('PRIVATE KEY');

function textOf(bytes: Uint8Array): string {
  if (bytes.length > limits.keyFileBytes) throw keyFormat('key file too large', { size: bytes.length });
  return decodeUtf8(bytes);
}

/** Throws 'key-encrypted', 'key-passphrase', 'key-format' or 'key-unsupported'. */
export function parsePrivateKey(
  crypto: CryptoProvider,
  bytes: Uint8Array,
  options: ParsePrivateKeyOptions = {},
): PrivateKey {
  const { passphrase } = options;
  const secret = typeof passphrase === 'string' ? encodeUtf8(passphrase) : passphrase;
  const text = textOf(bytes);
  if (isPpk(text)) return readPpk(crypto, text, secret);
  const block = findPem(text, isPrivate);
  if (!block) throw keyFormat('not a private key', { reason: looksPublic(text) ? 'public-key' : 'unknown-format' });
  if (block.label === opensshLabel) return readOpenssh(crypto, block.body, secret);
  return readPem(crypto, block, secret);
}

/** The public half of a private key file, encrypted or not; undefined for the formats that do not show it. */
export function peekPublicKey(bytes: Uint8Array): PublicKey | undefined {
  const text = textOf(bytes);
  if (isPpk(text)) return peekPpk(text);
  const block = findPem(text, isPrivate);
  return block?.label === opensshLabel ? peekOpenssh(block.body) : undefined;
}

const looksPublic = (text: string): boolean => /^(ssh-|ecdsa-|sk-|---- BEGIN SSH2 PUBLIC KEY)/m.test(text);
