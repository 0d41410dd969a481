// What an upload finds on this side before any host is asked.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findSources } from '../../cli/transfer/sources.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sources-'));
  mkdirSync(join(dir, 'tree/sub/locked'), { recursive: true });
  writeFileSync(join(dir, 'tree/a'), '12345');
  writeFileSync(Buffer.concat([Buffer.from(join(dir, 'tree/sub/')), Buffer.from([0x66, 0xe9])]), '123');
  writeFileSync(join(dir, 'elsewhere'), '1234567');
  symlinkSync('../elsewhere', join(dir, 'tree/link'));
  symlinkSync('nowhere', join(dir, 'tree/dangling'));
  chmodSync(join(dir, 'tree/sub/locked'), 0);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const find = (words: string[], follow: boolean, measure: boolean) =>
  findSources(words, { recursive: true, follow, measure });

test('how much is in a tree, whatever its files are called, links only when they are followed', async () => {
  const tree = join(dir, 'tree');
  expect(await find([tree], false, true)).toEqual([
    { path: tree, kind: 'directory', name: 'tree', amount: { bytes: 8, files: 2 } },
  ]);
  expect(await find([tree], true, true)).toMatchObject([{ amount: { bytes: 15, files: 3 } }]);
});

test('nothing of a tree that nobody wants to know of, and of a file always', async () => {
  expect(await find([join(dir, 'tree'), join(dir, 'elsewhere')], false, false)).toMatchObject([
    { amount: undefined },
    { amount: { bytes: 7, files: 1 } },
  ]);
});
