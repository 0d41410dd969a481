/**
 * Short texts to standard output and error, written at once: Node's own streams would make shared pipes non-blocking for
 * everybody else, and lose their rest at exit. A reader that has left is no error.
 */

import { writeSync } from 'node:fs';

export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // Somebody else made it non-blocking, and it is full for a moment.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function print(fd: number, text: string | Uint8Array): void {
  try {
    writeAll(fd, typeof text === 'string' ? Buffer.from(text) : text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

export const printOut = (text: string | Uint8Array): void => print(1, text);
export const printErr = (text: string | Uint8Array): void => print(2, text);
