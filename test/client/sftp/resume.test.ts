/** What a transfer that ends in the middle leaves, and what the next one makes of it. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../../client/sftp/blocks.ts';
import { download } from '../../../client/sftp/download.ts';
import { PIECE_BYTES, uploadStart } from '../../../client/sftp/resume.ts';
import { SharedFile } from '../../../client/sftp/shared-file.ts';
import { partOf } from '../../../client/sftp/transfer.ts';
import { upload } from '../../../client/sftp/upload.ts';
import type { SftpRequest } from '../../../protocol/sftp/server.ts';
import { node } from '../../protocol/sftp/memory-files.ts';
import { fakeServer } from './servers.ts';

type SftpRead = Extract<SftpRequest, { request: 'read' }>;

const NAME = '/f';
// More than is asked for at once.
const size = 12 * BLOCK_BYTES + 12_345;
const data = randomBytes(size);
// What holes look like, in the middle of a piece, over several, and for a whole block.
data.fill(0, 5000, 6000);
data.fill(0, 2 * BLOCK_BYTES + 1000, 2 * BLOCK_BYTES + 100_000);
data.fill(0, 4 * BLOCK_BYTES, 5 * BLOCK_BYTES);

let dir: string;
const inside = (name: string): string => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'resume-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
/** Whatever is in the directory. */
const written = (): Buffer => Buffer.concat(readdirSync(dir).map((name) => readFileSync(inside(name))));

describe('a download', () => {
  const served = async () => {
    const server = await fakeServer({ extensions: ['limits'] });
    server.files.nodes.set(NAME, node('file', { data }));
    return server;
  };

  test('has no holes at any time, in whatever order answers come, and goes on where it was', async () => {
    const run = async (
      picks: readonly number[],
      lengths: readonly number[],
      deathAt: number,
      isTold: boolean,
    ): Promise<void> => {
      const { sftp, transport, files } = await served();
      const held: SftpRequest[] = [];
      files.intercept = (_, request) => request.request === 'read' && held.push(request) > 0;
      let isOver = false;
      let i = 0;
      // While progress is told, what is left of a batch of answers is told within the telling.
      const onProgress = (): void => void (isTold && i >= deathAt && transport.die());
      const died = download(sftp, NAME, inside('f'), { resume: true, onProgress })
        .catch((error) => error)
        .finally(() => {
          isOver = true;
        });
      for (; !isOver; i++) {
        const pick = picks[i % picks.length]!;
        // All that there is, the last first, or one.
        const due = pick === 0 ? held.splice(0).reverse() : held.splice(pick % Math.max(1, held.length), 1);
        for (const request of due as SftpRead[]) {
          const length = Math.min(request.length, lengths[i % lengths.length]!);
          files.answer(transport.server, { ...request, length });
        }
        if (i === deathAt && !isTold) transport.die();
        else transport.flush();
        await new Promise(setImmediate);
        const now = written();
        if (!now.equals(data.subarray(0, now.length))) expect.fail(`a hole in ${now.length} bytes`);
      }
      await died;
      const kept = written().length;
      const again = await served();
      const { moved } = await download(again.sftp, NAME, inside('f'), { resume: true });
      expect(readdirSync(dir)).toEqual(['f']);
      expect(written().equals(data)).toBe(true);
      // Unless the first one came through.
      if ((await died) instanceof Error) expect(moved).toBe(size - kept);
      rmSync(inside('f'));
    };
    const picks = fc.array(fc.oneof(fc.constant(0), fc.nat(20)), { minLength: 1, maxLength: 20 });
    const lengths = fc.array(fc.integer({ min: 50_000, max: 261_120 }), { minLength: 1 });
    await fc.assert(fc.asyncProperty(picks, lengths, fc.nat(25), fc.boolean(), run), { numRuns: 60 });
  });

  test.each([
    ['its last bytes are others', (part: string) => writeFileSync(part, Buffer.from([1, 2]), { flag: 'r+' }), 2],
    ['it is longer than the file', (part: string) => truncateSync(part, size + 10), size],
  ])('begins anew when %s', async (_, change, length) => {
    const { sftp } = await served();
    const part = partOf(inside('f'), true, size, (await sftp.stat(NAME)).mtime);
    writeFileSync(part, data.subarray(0, length));
    change(part);
    expect(await download(sftp, NAME, inside('f'), { resume: true })).toMatchObject({ moved: size, size });
    expect(written().equals(data)).toBe(true);
  });

  test('has nothing to do when all of it was there', async () => {
    const { sftp } = await served();
    writeFileSync(partOf(inside('f'), true, size, (await sftp.stat(NAME)).mtime), data);
    expect(await download(sftp, NAME, inside('f'), { resume: true })).toMatchObject({ moved: 0, size });
    expect(readFileSync(inside('f')).equals(data)).toBe(true);
  });
});

describe('an upload', () => {
  const started = async (content: Uint8Array, extensions = ['limits', 'posixRename'] as const) => {
    writeFileSync(inside('f'), data);
    utimesSync(inside('f'), 1000, 1000);
    const server = await fakeServer({ extensions: [...extensions] });
    const part = partOf(NAME, true, size, 1000);
    server.files.nodes.set(part, node('file', { data: Uint8Array.from(content) }));
    return { ...server, part };
  };
  const goesOn = async (content: Uint8Array, to: number, moved: number): Promise<void> => {
    const { sftp, files, part } = await started(content);
    const source = SharedFile.open(inside('f'));
    const reader = await sftp.open(part);
    expect(await uploadStart(source, reader, content.length, {})).toBe(to);
    await reader.close();
    expect(await upload(sftp, source, NAME, { resume: true })).toMatchObject({ moved, size });
    await source.close();
    const { data: stored, size: length } = files.nodes.get(NAME)!;
    expect(Buffer.compare(stored.subarray(0, length), data)).toBe(0);
    expect(files.nodes.has(part)).toBe(false);
    expect(files.open.size).toBe(0);
  };

  test('finds every hole, and goes on at the last block before the first', async () => {
    // Anywhere, and from the last piece of a block on.
    const late = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.nat(PIECE_BYTES)).map(([b, n]) => b * BLOCK_BYTES - n);
    const hole = fc.record({
      at: fc.oneof(fc.nat(size), late),
      length: fc.integer({ min: PIECE_BYTES, max: 2 * BLOCK_BYTES }),
    });
    const run = async (holes: readonly { at: number; length: number }[], length: number): Promise<void> => {
      const content = Uint8Array.from(data.subarray(0, length));
      for (const { at, length: bytes } of holes) content.fill(0, at, at + bytes);
      const wrong = content.findIndex((byte, i) => byte !== data[i]);
      const whole = Math.floor((wrong < 0 ? length : wrong) / BLOCK_BYTES) * BLOCK_BYTES;
      await goesOn(content, whole, size - whole);
    };
    const lengths = fc.integer({ min: 1, max: size });
    await fc.assert(fc.asyncProperty(fc.array(hole, { maxLength: 3 }), lengths, run), { numRuns: 40 });
  });

  test('is cut in requests that leave no shorter hole, whatever the server takes at once', async () => {
    writeFileSync(inside('f'), data);
    const run = async (write: number): Promise<void> => {
      const { sftp, files } = await fakeServer({ extensions: ['limits', 'posixRename'] });
      const lengths: number[] = [];
      files.intercept = (server, request) => {
        if (request.request === 'write') lengths.push(request.data.length);
        if (request.request !== 'extended' || request.extension !== 'limits') return false;
        server.extended(request.id, 'limits', { packet: 0n, read: 0n, write: BigInt(write), handles: 0n });
        return true;
      };
      await upload(sftp, inside('f'), NAME);
      lengths.pop();
      expect(Math.min(...lengths)).toBeGreaterThanOrEqual(PIECE_BYTES);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(write);
    };
    await fc.assert(fc.asyncProperty(fc.integer({ min: 32 * 1024, max: 600_000 }), run), { numRuns: 30 });
  });

  test.each<[string, (content: Buffer) => Uint8Array]>([
    ['it holds something else', (content) => randomBytes(content.length)],
    ['its end is of something else', (content) => content.fill(7, content.length - 20_000, content.length - 19_000)],
    ['it is longer than the file', (content) => Buffer.concat([content, data])],
    ['there is less than a block', (content) => content.subarray(0, 1000)],
  ])('begins anew when %s', async (_, change) => {
    await goesOn(change(Buffer.from(data.subarray(0, 4 * BLOCK_BYTES))), 0, size);
  });

  test.each([3, 4])('begins anew where nothing can be read (status %d) and nothing cut', async (status) => {
    const { sftp, files } = await started(data.subarray(0, 3 * BLOCK_BYTES));
    files.intercept = (server, request) => {
      const isReading = request.request === 'open' && (request.flags & 1) !== 0;
      if (!isReading && request.request !== 'fsetstat') return false;
      server.status(request.id, isReading ? status : 8);
      return true;
    };
    expect(await upload(sftp, inside('f'), NAME, { resume: true })).toMatchObject({ moved: size });
    const { data: stored, size: length } = files.nodes.get(NAME)!;
    expect(Buffer.compare(stored.subarray(0, length), data)).toBe(0);
  });

  test('fails where there is too much that cannot be cut', async () => {
    const { sftp, files } = await started(Buffer.concat([data, data]));
    files.intercept = (server, request) => {
      if (request.request !== 'fsetstat') return false;
      server.status(request.id, 8);
      return true;
    };
    const failed = upload(sftp, inside('f'), NAME, { resume: true });
    await expect(failed).rejects.toMatchObject({ code: 'sftp', detail: { status: 8 } });
    expect(files.nodes.has(NAME)).toBe(false);
  });
});
