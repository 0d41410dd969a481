/**
 * --stdin: our standard input for every host. It goes to a temporary file first, unlinked at once, since hosts that start
 * later want it from its beginning and each reads at its own pace.
 */

import { closeSync, mkdtempSync, openSync, read, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SshError } from '../client/index.ts';
import { StdinReader } from './session/stdio.ts';

const CHUNK = 128 * 1024;

export class SpooledStdin {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Reads standard input to its end. */
  static async take(): Promise<SpooledStdin> {
    const dir = mkdtempSync(join(tmpdir(), 'bssh-'));
    let fd: number;
    try {
      fd = openSync(join(dir, 'stdin'), 'wx+', 0o600);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
    let failed: unknown;
    await new StdinReader().start((chunk) => {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      } catch (error) {
        failed ??= error;
      }
    });
    if (failed !== undefined) {
      closeSync(fd);
      throw new SshError('file', 'standard input cannot be kept in a temporary file', { cause: failed });
    }
    return new SpooledStdin(fd);
  }

  /** All of it, chunk by chunk, to one host; a promise of the sink's is waited for. Throws 'file', and what the sink throws. */
  async send(sink: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
    for (let position = 0; ; ) {
      const buffer = Buffer.allocUnsafeSlow(CHUNK);
      const count = await new Promise<number>((resolve, reject) =>
        read(this.#fd, buffer, 0, CHUNK, position, (cause, length) => {
          if (cause === null) resolve(length);
          else reject(new SshError('file', 'standard input cannot be read from its temporary file', { cause }));
        }),
      );
      if (count === 0) return;
      position += count;
      await sink(buffer.subarray(0, count));
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
