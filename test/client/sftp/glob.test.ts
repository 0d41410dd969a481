import { describe, expect, test } from 'vitest';
import { type GlobEntry, glob, hasWildcard, matches } from '../../../client/sftp/glob.ts';

describe('one name', () => {
  test.each([
    ['*', 'a', true],
    ['*', '', true],
    ['*', '.a', false],
    ['.*', '.a', true],
    ['\\.*', '.a', true],
    ['?a', '.a', false],
    ['[.]a', '.a', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['a**c', 'ac', true],
    ['?', '\u{1f600}', true],
    ['[a-c]x', 'bx', true],
    ['[!a-c]x', 'bx', false],
    ['[^a-c]x', 'dx', true],
    ['[]]', ']', true],
    ['[a', '[a', true],
    ['[a-]', '-', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a\\', 'a\\', true],
    ['b\udcff*', 'b\udcffx', true],
  ])('%j and %j: %s', (pattern, name, wanted) => {
    expect(matches(pattern, name)).toBe(wanted);
  });

  test('takes no long time for a spiteful name', () => {
    const started = performance.now();
    expect(matches(`${'a*'.repeat(60)}b`, 'a'.repeat(4000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe('paths', () => {
  const tree: Readonly<Record<string, readonly string[]>> = {
    '': ['x1/', 'x2/', 'file'],
    x1: ['a.log', 'b.txt'],
    x2: ['c.log', '.d.log'],
    '/': ['etc/'],
    '/etc': ['hosts', 'a b'],
  };
  async function* list(directory: string): AsyncGenerator<GlobEntry> {
    for (const name of tree[directory] ?? []) yield { name: name.replace('/', ''), isDirectory: name.endsWith('/') };
  }

  test.each([
    ['*', ['file', 'x1', 'x2']],
    ['*/*.log', ['x1/a.log', 'x2/c.log']],
    ['x?/b.txt', ['x1/b.txt', 'x2/b.txt']],
    ['/e*/h*', ['/etc/hosts']],
    ['/etc/a\\ *', ['/etc/a b']],
    ['file/*', []],
    ['none*', []],
  ])('%j', async (pattern, wanted) => {
    expect(await glob(pattern, list)).toEqual(wanted);
  });

  test('only wildcards are looked for', () => {
    expect(['a', 'a*', 'a?', '[a]', 'a]', '{a,b}'].map(hasWildcard)).toEqual([false, true, true, true, false, false]);
  });
});
