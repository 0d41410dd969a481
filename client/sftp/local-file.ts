/**
 * The local end of a transfer: node:fs by file descriptor, with errors of our kind. Paths are as `safe-names.ts` has them.
 *
 * Names, attributes and little content go through synchronous calls: each takes microseconds, and a trip through the
 * thread pool ten times that, which is most of the cost of a small file. Content of more than `AT_ONCE_BYTES` is read through the
 * pool, and written through it when the disk is slow (`patience.ts`).
 */

import {
  close,
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lstatSync,
  openSync,
  read,
  readSync,
  realpathSync,
  type Stats,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { SshError } from '../../protocol/index.ts';
import { AT_ONCE_BYTES } from './blocks.ts';
import { Patience } from './patience.ts';
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

/** What `work` gives, its failure as an error about `path`. */
export function localSync<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The file itself, links not followed; nothing when there is none. */
export const lookLocal = (path: string): Stats | undefined =>
  localSync(path, () => lstatSync(toLocal(path), { throwIfNoEntry: false }));

/** An open file. Once it is closed nothing reaches its descriptor: the number may be another file's by then. */
export class LocalFile {
  readonly path: string;
  #fd: number | undefined;

  constructor(path: string, flags: number, mode?: number) {
    this.path = path;
    this.#fd = localSync(path, () => openSync(toLocal(path), flags, mode));
  }

  get fd(): number {
    if (this.#fd === undefined) throw fileError(new Error('the file is closed'), this.path);
    return this.#fd;
  }

  stat(): Stats {
    return localSync(this.path, () => fstatSync(this.fd));
  }

  /** Little content; how many bytes came, fewer at the end of the file. */
  read(into: Uint8Array, position: number): number {
    return localSync(this.path, () => readSync(this.fd, into, 0, into.length, position));
  }

  truncate(size: number): void {
    localSync(this.path, () => ftruncateSync(this.fd, size));
  }

  chmod(mode: number): void {
    localSync(this.path, () => fchmodSync(this.fd, mode));
  }

  /** In seconds. */
  utimes(atime: number, mtime: number): void {
    localSync(this.path, () => futimesSync(this.fd, atime, mtime));
  }

  /** For what was only read, or written little. */
  closeNow(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) localSync(this.path, () => closeSync(fd));
  }

  /** `written` is how many bytes were: network file systems send much of them only now. */
  async close(written: number): Promise<void> {
    const fd = this.#fd;
    if (fd === undefined || written <= AT_ONCE_BYTES) return this.closeNow();
    this.#fd = undefined;
    await local(this.path, promisify(close)(fd));
  }
}

/** Where the links of a path lead. */
export const resolveLocal = (path: string): string =>
  fromLocal(localSync(path, () => realpathSync.native(toLocal(path), 'buffer')));

/** Of this process: its disks are not told apart. */
const shared = new Patience();

/**
 * Writes all of `bytes` at `position`, or where the descriptor stands; `done` is called once, before this returns when they
 * are few or there is `patience`.
 */
export function writeAll(
  fd: number,
  bytes: Uint8Array,
  position: number | undefined,
  done: (error?: unknown) => void,
  patience = shared,
): void {
  const wrote = (error: unknown, written: number): void => {
    if (error) done(error);
    else if (written === bytes.length) done();
    else if (written === 0) done(new Error('nothing was written'));
    else writeAll(fd, bytes.subarray(written), position === undefined ? undefined : position + written, done, patience);
  };
  const now = (): number => writeSync(fd, bytes, 0, bytes.length, position);
  if (bytes.length <= AT_ONCE_BYTES) return atOnce(now, wrote);
  const startedAt = performance.now();
  if (!patience.canWait(startedAt)) return write(fd, bytes, 0, bytes.length, position, wrote);
  atOnce(() => {
    const written = now();
    patience.waited(startedAt, performance.now());
    return written;
  }, wrote);
}

/**
 * Reads until `into` is full or the file ends; `done` is called once, with how many bytes came, before this returns
 * when they are few.
 */
export function readAll(
  fd: number,
  into: Uint8Array,
  position: number,
  done: (error: unknown, length: number) => void,
  before = 0,
): void {
  const came = (error: unknown, got: number): void => {
    if (error) done(error, before);
    else if (got === 0 || got === into.length) done(undefined, before + got);
    else readAll(fd, into.subarray(got), position + got, done, before + got);
  };
  if (into.length > AT_ONCE_BYTES) read(fd, into, 0, into.length, position, came);
  else atOnce(() => readSync(fd, into, 0, into.length, position), came);
}

function atOnce(work: () => number, done: (error: unknown, bytes: number) => void): void {
  let bytes = 0;
  let failed: unknown;
  try {
    bytes = work();
  } catch (error) {
    failed = error;
  }
  done(failed, bytes);
}
