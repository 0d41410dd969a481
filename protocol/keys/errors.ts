/** Errors of keys and key files, and the bridge from "a wire field is broken" to "this file is no key". */

import { SshError } from '../errors.ts';

type Detail = Readonly<Record<string, unknown>>;

/** Not a key, or a broken one. */
export const keyFormat = (message: string, detail: Detail = {}): SshError =>
  new SshError('key-format', message, { detail });

/** Known, and not supported here. */
export const keyUnsupported = (message: string, detail: Detail = {}): SshError =>
  new SshError('key-unsupported', message, { detail });

/** A passphrase is needed, or (`given`) the one given does not open the key. */
export const passphraseNeeded = (given: boolean, format: string): SshError =>
  given
    ? new SshError('key-passphrase', 'the passphrase does not open this key', { detail: { format } })
    : new SshError('key-encrypted', 'the key is encrypted and needs a passphrase', { detail: { format } });

/** Runs `read`; what it finds malformed is a broken key of ours, not a peer's offence. */
export function readingKey<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SshError) || error.code !== 'malformed') throw error;
    throw new SshError('key-format', `${what}: ${error.message}`, { detail: { format: what }, cause: error });
  }
}
