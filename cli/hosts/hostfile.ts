/** Reads host files, `-` being standard input. Bounded; a file that cannot be read is a usage error. */

import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { SshError } from '../../client/index.ts';
import { hostLimits } from './limits.ts';

const chunkBytes = 64 * 1024;

const fail = (path: string, message: string, cause?: unknown): SshError =>
  new SshError('usage', `${path}: ${message}`, { detail: { grammar: 'cluster', exit: 2, file: path }, cause });

/** The text of a host file; `-` is standard input. */
export type ReadHostfile = (path: string) => string;

/** Waits for input that is not there yet: standard input may be somebody else's non-blocking pipe. */
const waitBriefly = (): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
};

const readAll = (descriptor: number, path: string): string => {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.alloc(chunkBytes);
    let count: number;
    try {
      count = readSync(descriptor, chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') count = 0;
      else if (code === 'EAGAIN') {
        waitBriefly();
        continue;
      } else throw error;
    }
    if (count === 0) return Buffer.concat(chunks).toString('utf8');
    total += count;
    if (total > hostLimits.hostfileBytes) throw fail(path, 'is too large for a list of hosts');
    chunks.push(chunk.subarray(0, count));
  }
};

export const readHostfile =
  (cwd: string): ReadHostfile =>
  (path) => {
    const standardInput = path === '-';
    let descriptor = 0;
    try {
      if (!standardInput) descriptor = openSync(resolve(cwd, path), 'r');
      return readAll(descriptor, path);
    } catch (error) {
      if (error instanceof SshError) throw error;
      throw fail(path, `cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
    } finally {
      if (!standardInput && descriptor > 0) closeSync(descriptor);
    }
  };
