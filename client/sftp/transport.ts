/**
 * What SFTP needs of the channel it runs on, and the adapter that makes it of Node streams (a channel's, or the pipes of
 * a local sftp-server). Opening the channel and asking for the subsystem is done before.
 */

import type { Readable, Writable } from 'node:stream';
import { SshError } from '../../protocol/index.ts';

export interface SftpTransport {
  /**
   * Sends chunks in order. A promise means: send no more until it settles. Chunks stay as they are until answered, or until
   * `taken` says that nothing refers to them any more; it never comes when the session ends before.
   */
  send(chunks: readonly Uint8Array[], taken?: () => void): Promise<void> | undefined;
  /** `take` borrows the bytes for the call, and says whether nothing of its own refers to them afterwards; it never throws. */
  onBytes(take: (bytes: Uint8Array) => boolean): void;
  /** Called once, when no more bytes can come. */
  onEnd(ended: (error?: SshError) => void): void;
  close(): void;
}

/** SFTP over the two halves of a Node stream. */
export function streamTransport(readable: Readable, writable: Writable): SftpTransport {
  let ended: ((error?: SshError) => void) | undefined;
  const end = (cause?: unknown): void => {
    const report = ended;
    ended = undefined;
    report?.(cause instanceof SshError ? cause : lost(cause));
  };
  return {
    send(chunks, taken) {
      if (writable.destroyed || writable.writableEnded) return undefined;
      let willing = true;
      writable.cork();
      for (const [index, chunk] of chunks.entries()) {
        const isLast = index === chunks.length - 1;
        willing = writable.write(chunk, (error) => {
          if (isLast && !error) taken?.();
        });
      }
      writable.uncork();
      if (willing) return undefined;
      return new Promise((resolve) => {
        const go = (): void => {
          writable.off('drain', go);
          writable.off('close', go);
          resolve();
        };
        writable.on('drain', go);
        writable.on('close', go);
      });
    },
    onBytes: (take) => void readable.on('data', take),
    onEnd(report) {
      ended = report;
      readable.on('error', end);
      writable.on('error', end);
      readable.on('end', () => end());
      readable.on('close', () => end());
    },
    close() {
      if (!writable.destroyed) writable.end();
    },
  };
}

/** `how` the server's program ended, when that is known. */
export const lost = (cause?: unknown, how?: string): SshError =>
  new SshError('lost', `the SFTP session ended${how === undefined ? '' : ` ${how}`}`, {
    by: 'peer',
    ...(cause === undefined ? {} : { cause }),
  });
