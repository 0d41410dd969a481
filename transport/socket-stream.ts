/** Node streams as ByteStreams: accepted sockets, and a child process whose stdin and stdout carry the bytes. */

import type { Readable, Writable } from 'node:stream';
import type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';

const WRITE_MARK = 512 * 1024;

/** Joins a readable and a writable (the same object for a socket) into one ByteStream. */
export function byteStream(input: Readable, output: Writable, onDestroy?: () => void): ByteStream {
  let over = false;
  return {
    start(handlers: ByteStreamHandlers) {
      const finish = (report: () => void): void => {
        if (over) return;
        over = true;
        report();
      };
      input.on('data', (chunk: Uint8Array) => handlers.data(chunk));
      input.once('end', () => finish(() => handlers.end()));
      input.once('close', () => finish(() => handlers.end()));
      input.on('error', (error) => finish(() => handlers.error(error)));
      output.on('drain', () => handlers.drain());
      // A peer that stops reading shows as EPIPE here; its own end or exit says why, so only a lasting silence is fatal.
      if ((output as unknown) !== input) output.on('error', (error) => finish(() => handlers.error(error)));
    },
    write(chunk, sent) {
      if (output.destroyed || output.writableEnded) return true;
      output.write(chunk, sent);
      return output.writableLength < WRITE_MARK;
    },
    pause: () => void input.pause(),
    resume: () => void input.resume(),
    end: () => void output.end(),
    destroy() {
      input.destroy();
      output.destroy();
      onDestroy?.();
    },
  };
}
