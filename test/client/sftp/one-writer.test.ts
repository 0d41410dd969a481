/** How a file that arrives is written: piece by piece, by one thread of the pool at a time. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { download } from '../../../client/sftp/download.ts';
import { node } from '../../protocol/sftp/memory-files.ts';
import { fakeServer } from './servers.ts';

/** What is under way, and the most that ever was; from the time `failAt` on writes fail. */
const writes = vi.hoisted(() => ({ open: 0, most: 0, count: 0, failAt: Number.POSITIVE_INFINITY }));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const write = (
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void => {
    writes.most = Math.max(writes.most, ++writes.open);
    const failed = ++writes.count >= writes.failAt;
    // Slower than the server, so that much waits.
    setTimeout(() => {
      const written = failed ? 0 : fs.writeSync(fd, bytes, offset, length, position);
      writes.open--;
      done(failed ? new Error('no space left') : null, written);
    }, 5);
  };
  return { ...fs, write };
});

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sftp-'));
  Object.assign(writes, { open: 0, most: 0, count: 0, failAt: Number.POSITIVE_INFINITY });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('one write at a time, whatever waits', async () => {
  const { sftp, files } = await fakeServer();
  const data = randomBytes(8_000_001);
  files.nodes.set('/f', node('file', { data }));
  await download(sftp, '/f', join(dir, 'f'));
  expect(readFileSync(join(dir, 'f')).equals(data)).toBe(true);
  expect(writes.count).toBeGreaterThan(10);
  expect(writes.most).toBe(1);
});

test('after a write that fails nothing more is written', async () => {
  const { sftp, files } = await fakeServer();
  files.nodes.set('/f', node('file', { data: randomBytes(8_000_001) }));
  writes.failAt = 3;
  await expect(download(sftp, '/f', join(dir, 'f'))).rejects.toMatchObject({
    code: 'file',
    message: expect.stringContaining('no space left'),
  });
  expect(writes).toMatchObject({ open: 0, count: 3 });
});
