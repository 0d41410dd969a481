/** Local files as streams: all that is written arrives in its place, and neither pipes nor errors stop the process. */

import { execFileSync } from 'node:child_process';
import { pbkdf2, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { localReadable, localWritable } from '../../../client/sftp/local-streams.ts';

const folder = mkdtempSync(join(tmpdir(), 'bssh-local-streams-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string): string => join(folder, name);
const data = randomBytes(3_000_000);
/** Of sizes below and above what is written in one call anyhow. */
function* pieces(): Generator<Buffer> {
  for (let at = 0, size = 1; at < data.length; at += size, size = Math.min(3 * size, 700_000))
    yield data.subarray(at, at + size);
}

test('a file through both streams is the same file', async () => {
  await pipeline(pieces(), localWritable(path('one')));
  expect(readFileSync(path('one')).equals(data)).toBe(true);
  await pipeline(localReadable(path('one')), localWritable(path('two'), { mode: 0o600, flush: true }));
  expect(readFileSync(path('two')).equals(data)).toBe(true);
});

test('options are those of node:fs', async () => {
  writeFileSync(path('old'), 'old and long');
  await pipeline(Readable.from([data]), localWritable(path('old'), { flags: 'a' }));
  expect(readFileSync(path('old')).equals(Buffer.concat([Buffer.from('old and long'), data]))).toBe(true);
  await pipeline(
    Readable.from([Buffer.from('new'), Buffer.from('er')]),
    localWritable(path('old'), { flags: 'r+', start: 4 }),
  );
  expect(readFileSync(path('old')).subarray(0, 12).toString()).toBe('old newerong');
  expect((await buffer(localReadable(path('old'), { start: 4, end: 8 }))).toString()).toBe('newer');
});

test('what is written to a file that does not make us wait is in it at once', async () => {
  const out = localWritable(path('now'));
  await once(out, 'ready');
  const busy = Array.from({ length: 8 }, () => promisify(pbkdf2)('x', 'y', 200_000, 32, 'sha512'));
  out.write(data.subarray(0, 60_000));
  expect(readFileSync(path('now')).equals(data.subarray(0, 60_000))).toBe(true);
  out.destroy();
  await Promise.all(busy);
});

test('a pipe whose reader is this process does not stop it', async () => {
  execFileSync('mkfifo', [path('fifo')]);
  const [read] = await Promise.all([
    buffer(createReadStream(path('fifo'))),
    pipeline(pieces(), localWritable(path('fifo'))),
  ]);
  expect(read.equals(data)).toBe(true);
});

test('errors are those of node:fs, and end the pipeline', async () => {
  await expect(pipeline(pieces(), localWritable(path('no/file')))).rejects.toThrow('ENOENT');
  await expect(pipeline(localReadable(path('none')), localWritable(path('made')))).rejects.toThrow('ENOENT');
  if (existsSync('/dev/full')) await expect(pipeline(pieces(), localWritable('/dev/full'))).rejects.toThrow('ENOSPC');
});
