/** The local end of a transfer: node:fs by file descriptor, with errors of our kind. Paths are as `safe-names.ts` has them. */

import { read, type Stats, write } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { SshError } from '../../protocol/index.ts';
import { fromLocal, toLocal } from './safe-names.ts';

export function fileError(cause: unknown, path: string): SshError {
  if (cause instanceof SshError) return cause;
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  const detail = { path, ...(errno === undefined ? {} : { errno }) };
  return new SshError('file', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause, detail });
}

/** What the promise gives, its failure as an error about `path`. */
export async function local<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The file itself, links not followed; nothing when there is none. */
export async function lookLocal(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(toLocal(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path);
  }
}

/** Where the links of a path lead. */
export const resolveLocal = async (path: string): Promise<string> =>
  fromLocal(await local(path, realpath(toLocal(path), 'buffer')));

/** Writes all of `bytes`; `done` is called once. */
export function writeAll(fd: number, bytes: Uint8Array, position: number, done: (error?: unknown) => void): void {
  write(fd, bytes, 0, bytes.length, position, (error, written) => {
    if (error) done(error);
    else if (written === bytes.length) done();
    else if (written === 0) done(new Error('nothing was written'));
    else writeAll(fd, bytes.subarray(written), position + written, done);
  });
}

/** Reads until `into` is full or the file ends; `done` is called once, with how many bytes came. */
export function readAll(
  fd: number,
  into: Uint8Array,
  position: number,
  done: (error: unknown, length: number) => void,
  before = 0,
): void {
  read(fd, into, 0, into.length, position, (error, got) => {
    if (error) done(error, before);
    else if (got === 0 || got === into.length) done(undefined, before + got);
    else readAll(fd, into.subarray(got), position + got, done, before + got);
  });
}
