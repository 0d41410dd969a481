import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeFolder } from '../../cli/folder.ts';

describe('makeFolder', () => {
  const dir = mkdtempSync(join(tmpdir(), 'bssh-folder-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  it('makes what is missing, and takes what is there', () => {
    makeFolder(join(dir, 'a', 'b', '..', 'c'));
    makeFolder(join(dir, 'a', 'c'));
    expect(statSync(join(dir, 'a', 'c')).isDirectory()).toBe(true);
    expect(existsSync(join(dir, 'a', 'b'))).toBe(false);
  });

  it('says what is in the way', () => {
    writeFileSync(join(dir, 'file'), '');
    expect(() => makeFolder(join(dir, 'file'))).toThrow(/EEXIST/);
    expect(() => makeFolder(join(dir, 'file', 'x'))).toThrow(/ENOTDIR|EEXIST/);
  });

  // Node's own recursive mkdir never comes back from there.
  it.skipIf(!existsSync('/proc/self'))('comes back where no folder can be made', () => {
    expect(() => makeFolder('/proc/bssh/x')).toThrow(/ENOENT/);
  });
});
