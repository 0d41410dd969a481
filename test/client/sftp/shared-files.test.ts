import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RateLimit, RateTurn } from '../../../client/sftp/rate.ts';
import type { SharedFile } from '../../../client/sftp/shared-file.ts';
import { SharedFiles } from '../../../client/sftp/shared-files.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shared-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const readAll = async (file: SharedFile): Promise<void> => {
  for (let i = 0; i < file.blocks; i++) (await file.block(i)).release();
};

test('one file for many, at once and one after the other, is read once', async () => {
  const path = join(dir, 'a');
  writeFileSync(path, new Uint8Array(3_000_000));
  const files = new SharedFiles(1);
  let seen: SharedFile | undefined;
  const use = () =>
    files.use(path, async (file) => {
      expect(seen ?? file).toBe(file);
      seen = file;
      await readAll(file);
    });
  await Promise.all([use(), use(), use()]);
  await use();
  expect(seen!.reads).toBe(seen!.blocks);
  await files.close();
});

test('more files than may stay open: each can still be had again', async () => {
  const files = new SharedFiles(200);
  const paths = Array.from({ length: 200 }, (_, n) => join(dir, `f${n}`));
  for (const path of paths) writeFileSync(path, path);
  for (const path of [...paths, ...paths]) {
    const text = await files.use(path, async (file) => {
      const block = await file.block(0);
      const copy = Buffer.from(block.bytes).toString();
      block.release();
      return copy;
    });
    expect(text).toBe(path);
  }
  await files.close();
});

test('what cannot be opened is tried anew', async () => {
  const path = join(dir, 'late');
  const files = new SharedFiles();
  await expect(files.use(path, readAll)).rejects.toMatchObject({ code: 'file', detail: { path, errno: 'ENOENT' } });
  writeFileSync(path, 'there');
  expect(await files.use(path, async ({ size }) => size)).toBe(5);
  await files.close();
});

test("what became shorter is opened anew for the next one, and is nobody else's before", async () => {
  for (const size of [5000, 600_000]) {
    const path = join(dir, `cut-${size}`);
    writeFileSync(path, new Uint8Array(size));
    const files = new SharedFiles(1);
    const before = files.take(path);
    expect(files.take(path)).toBe(before);
    truncateSync(path, 10);
    await expect(readAll(before.file)).rejects.toMatchObject({ code: 'file', message: /became shorter/ });
    files.give(before);
    const after = files.take(path);
    expect([after.file.size, before.file.size]).toEqual([10, size]);
    await readAll(after.file);
    files.give(after);
    // Still open for the one who has it.
    await expect(readAll(before.file)).rejects.toThrow('became shorter');
    files.give(before);
    await expect(readAll(before.file)).rejects.toThrow('the file is closed');
    files.close();
    await expect(readAll(after.file)).rejects.toThrow('the file is closed');
  }
});

test('a limit is shared, and says when to come back', async () => {
  const limit = new RateLimit(1_000_000);
  expect(limit.request).toBe(125_000);
  expect(new RateLimit(100).request).toBe(4096);
  expect(limit.wait(1000)).toBe(0);
  limit.took(500_000, 1000);
  limit.took(500_000, 1000);
  expect([limit.wait(1000), limit.wait(1500), limit.wait(2001)]).toEqual([1000, 500, 0]);
  const turns: string[] = [];
  const busy = new RateLimit(1_000_000);
  busy.took(30_000, performance.now());
  const turn = new RateTurn(busy, () => turns.push('again'));
  const ended = new RateTurn(busy, () => turns.push('never'));
  expect([turn.open, turn.open, ended.open]).toEqual([false, false, false]);
  ended.end();
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(turns).toEqual(['again']);
  expect([turn.open, new RateTurn(undefined, () => {}).open]).toEqual([true, true]);
});
