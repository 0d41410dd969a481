/**
 * Node streams over an open remote file, with many requests in flight and the bytes in order. They do not close the
 * file: who opened it does.
 */

import { Readable, Writable } from 'node:stream';
import { SshError } from '../../protocol/index.ts';
import type { RemoteFile } from './remote-file.ts';
import type { SftpCallOptions } from './sftp.ts';
import { TransferWindow } from './window.ts';

export interface ReadRange extends SftpCallOptions {
  /** First byte, 0 when not given. */
  readonly start?: number;
  /** The byte behind the last; the end of the file when not given. */
  readonly end?: number;
}

export interface WriteStart extends SftpCallOptions {
  readonly start?: number;
}

export const readStream = (file: RemoteFile, range: ReadRange): Readable =>
  Readable.from(readAhead(file, range), { objectMode: false, highWaterMark: 1024 * 1024 });

async function* readAhead(file: RemoteFile, range: ReadRange): AsyncGenerator<Uint8Array, void, undefined> {
  const { read: size } = await file.sftp.limits();
  const window = new TransferWindow(size);
  const end = range.end ?? Number.POSITIVE_INFINITY;
  const ahead: Promise<Uint8Array>[] = [];
  let next = range.start ?? 0;
  for (;;) {
    while (window.open && next < end) {
      const length = Math.min(size, end - next);
      const part = readWhole(file, next, length, window, range.signal);
      // A failure further on is told when its turn comes, if it does.
      part.catch(() => {});
      ahead.push(part);
      next += length;
    }
    const part = ahead.shift();
    if (!part) return;
    const bytes = await part;
    if (bytes.length > 0) yield bytes;
    if (bytes.length < size && next < end) return;
  }
}

/** `length` bytes, or fewer where the file ends. */
async function readWhole(
  file: RemoteFile,
  position: number,
  length: number,
  window: TransferWindow,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const whole = new Uint8Array(length);
  const sentAt = performance.now();
  window.sent(length, sentAt);
  try {
    let got = 0;
    while (got < length) {
      const part = await file.read(position + got, length - got, { into: whole.subarray(got), signal });
      if (part.length === 0) break;
      got += part.length;
    }
    return got === length ? whole : whole.subarray(0, got);
  } finally {
    window.answered(length, sentAt, performance.now());
  }
}

export function writeStream(file: RemoteFile, start: WriteStart): Writable {
  const { signal } = start;
  let position = start.start ?? 0;
  let window: TransferWindow | undefined;
  let failed: Error | undefined;
  let waiting: ((error?: Error) => void) | undefined;
  let finishing: ((error?: Error) => void) | undefined;

  const settle = (): void => {
    if (waiting && (failed || window!.open)) {
      const go = waiting;
      waiting = undefined;
      go(failed);
    }
    if (finishing && (failed || !window || window.inFlight === 0)) {
      const done = finishing;
      finishing = undefined;
      done(failed);
    }
  };

  return new Writable({
    highWaterMark: 1024 * 1024,
    construct(ready) {
      file.sftp.limits().then((limits) => {
        window = new TransferWindow(limits.write);
        ready();
      }, ready);
    },
    write(chunk: Uint8Array, _encoding, callback) {
      const sentAt = performance.now();
      window!.sent(chunk.length, sentAt);
      file
        .write(position, chunk, { signal })
        .catch((error: unknown) => {
          failed ??= error instanceof Error ? error : new SshError('lost', String(error));
        })
        .finally(() => {
          window!.answered(chunk.length, sentAt, performance.now());
          settle();
        });
      position += chunk.length;
      waiting = callback;
      settle();
    },
    final(callback) {
      finishing = callback;
      settle();
    },
  });
}
