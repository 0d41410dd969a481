/** The key fixtures of test/vectors/keys (made by its make.sh). */

import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type ErrorCode, SshError } from '../../../protocol/errors.ts';

const folder = new URL('../../vectors/keys/', import.meta.url);

export const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));
export const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
export const passphrase = 'open sesame';

/** The code of the SshError that `act` throws. */
export function codeOf(act: () => unknown): ErrorCode {
  try {
    act();
  } catch (error) {
    if (error instanceof SshError) return error.code;
    throw error;
  }
  return expect.unreachable('nothing was thrown');
}
