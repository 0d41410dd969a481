/** What happens to the descriptor of a file that could not be finished: its number may be another file's by then. */

import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { finishTarget, giveUp, openTarget } from '../../../client/sftp/local-target.ts';
import { SharedFile } from '../../../client/sftp/shared-file.ts';

let dir: string;
const inside = (name: string): string => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'target-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test.each([true, false])(
  'a part that gets no name is given up without touching other files (resume: %s)',
  async (resume) => {
    const stat = { size: 4, mode: 0o644, atime: 1, mtime: 1 };
    const target = openTarget(inside('f'), stat, { resume });
    const { fd } = target.file;
    // Now nothing can be renamed to it.
    mkdirSync(inside('f/x'), { recursive: true });
    await expect(finishTarget(target, stat, 0, { resume })).rejects.toMatchObject({ code: 'file' });
    writeFileSync(inside('other'), 'content');
    const other = openSync(inside('other'), 'r+');
    try {
      expect(other).toBe(fd);
      await giveUp(target, 0, { resume });
      expect(fstatSync(other).size).toBe(7);
    } finally {
      closeSync(other);
    }
    expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).toHaveLength(resume ? 1 : 0);
  },
);

test('a file for many receivers that is closed twice closes no other, and is read no more', async () => {
  writeFileSync(inside('f'), 'content');
  const file = SharedFile.open(inside('f'));
  file.close();
  const other = openSync(inside('f'), 'r');
  try {
    file.close();
    expect(fstatSync(other).size).toBe(7);
    expect(() => file.block(0)).toThrow('the file is closed');
  } finally {
    closeSync(other);
  }
});
