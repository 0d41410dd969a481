/**
 * Node's streams over local files, as fast as the files: in pieces as long as ours, and what is written to a file that only
 * goes to the page cache goes there at once (`patience.ts`). Node hands each piece to its thread pool, which for a piece
 * of a quarter of a megabyte costs as much as writing it.
 */

import {
  close,
  createReadStream,
  createWriteStream,
  fstat,
  fsync,
  open,
  type ReadStream,
  type WriteStream,
  write,
} from 'node:fs';
import { BLOCK_BYTES } from './blocks.ts';
import { writeAll } from './local-file.ts';
import { toLocal } from './safe-names.ts';

type Options<T> = Exclude<T, string | undefined>;

/** What node:fs takes, without a descriptor that is open already. */
export type LocalReadOptions = Omit<Options<Parameters<typeof createReadStream>[1]>, 'fd' | 'fs'>;
export type LocalWriteOptions = Omit<Options<Parameters<typeof createWriteStream>[1]>, 'fd' | 'fs'>;

/** Node's stream with reads of half a megabyte, for `pipeline(localReadable(path), file.writable())`. */
export const localReadable = (path: string, options: LocalReadOptions = {}): ReadStream =>
  createReadStream(toLocal(path), { highWaterMark: BLOCK_BYTES, ...options });

/**
 * Node's stream for `pipeline(file.readable(), localWritable(path))`. Pipes and devices are left to the thread pool. Its
 * errors are those of node:fs.
 */
export function localWritable(path: string, options: LocalWriteOptions = {}): WriteStream {
  let isPlain = false;
  const fs = {
    open(name: string | Buffer, flags: string, mode: number, done: (error: Error | null, fd: number) => void): void {
      open(name, flags, mode, (error, fd) => {
        if (error) return done(error, fd);
        fstat(fd, (_, stat) => {
          isPlain = stat?.isFile() === true;
          done(null, fd);
        });
      });
    },
    write(
      fd: number,
      bytes: Uint8Array,
      offset: number,
      length: number,
      position: number | undefined,
      done: (error: unknown, written: number, bytes: Uint8Array) => void,
    ): void {
      if (!isPlain) return write(fd, bytes, offset, length, position, done);
      writeAll(fd, bytes.subarray(offset, offset + length), position, (error) => done(error, length, bytes));
    },
    close,
    fsync,
  };
  return createWriteStream(toLocal(path), { highWaterMark: BLOCK_BYTES, ...options, fs });
}
