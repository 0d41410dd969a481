/**
 * RevokedHostKeys (ssh_config(5)): a file of keys, or a KRL, that no server may show. A file that cannot be read or
 * understood refuses every key: it may hold the one that matters.
 */

import { readFileSync, statSync } from 'node:fs';
import {
  type Certificate,
  type CryptoProvider,
  isRevoked,
  type Krl,
  limits,
  type PublicKey,
  parseRevocations,
  SshError,
} from '../protocol/index.ts';
import { systemError } from './system-error.ts';

/** Parsed once while it does not change: a thousand hosts ask the same list. */
const cache = new Map<string, { readonly stamp: string; readonly list: Krl }>();

function load(path: string): Krl {
  const { dev, ino, size, mtimeMs, ctimeMs } = statSync(path);
  if (size > limits.krlBytes) throw new SshError('key-format', 'revocation list too large');
  const stamp = `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  const known = cache.get(path);
  if (known?.stamp === stamp) return known.list;
  const list = parseRevocations(new Uint8Array(readFileSync(path)));
  cache.set(path, { stamp, list });
  return list;
}

/** Throws SshError 'host-key' when the file names the key (or its certificate or authority), or cannot be used. */
export function refuseRevoked(
  crypto: CryptoProvider,
  path: string,
  subject: PublicKey | Certificate,
  shown: { readonly label: string; readonly fingerprint: string },
): void {
  const { label, fingerprint } = shown;
  let revoked: boolean;
  try {
    revoked = isRevoked(crypto, load(path), subject);
  } catch (error) {
    throw new SshError(
      'host-key',
      `Error checking host key ${label} ${fingerprint} in revoked keys file ${path}: ${systemError(error)}`,
      { detail: { reason: 'revocation-list', file: path, fingerprint }, cause: error },
    );
  }
  if (revoked) {
    throw new SshError('host-key', `Host key ${label} ${fingerprint} revoked by file ${path}`, {
      by: 'peer',
      detail: { reason: 'revoked', file: path, fingerprint },
    });
  }
}
