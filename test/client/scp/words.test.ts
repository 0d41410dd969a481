/** Paths as words of a command line, asked of the shell they are for. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { remotePath, shellPattern, shellWord } from '../../../client/scp/session.ts';
import { freshDir } from '../../interop/servers.ts';

const sh = (words: string, cwd?: string): string[] =>
  execFileSync('sh', ['-c', `printf '%s\\0' ${words}`], { encoding: 'utf8', cwd })
    .split('\0')
    .slice(0, -1);

const odd = [
  'plain',
  'a b',
  "it's",
  '"',
  '$(id)',
  '`id`',
  '*',
  '[x]',
  'new\nline',
  '\\',
  '~',
  '!',
  '#',
  '&;|<>',
  'é',
  '{a,b}',
];

describe('words', () => {
  test.each(odd)('%j is itself', (path) => {
    expect(sh(shellWord(`/x/${path}`))).toEqual([`/x/${path}`]);
  });

  test("somebody's home is for the shell to know", () => {
    expect(sh(shellWord('~root/a b'))).toEqual(['/root/a b']);
    expect(sh(shellPattern('~root/nothing [*]'))).toEqual(['/root/nothing [*]']);
    expect([remotePath('~'), remotePath('~/a'), remotePath('-r'), remotePath('~root')]).toEqual([
      '.',
      'a',
      './-r',
      '~root',
    ]);
    expect(sh(shellWord(''))).toEqual(['']);
  });

  test('wildcards are wildcards, and nothing else is anything', () => {
    const dir = freshDir('words');
    mkdirSync(join(dir, 'a b'));
    for (const name of ['x1', 'x2', '$y', 'new\nline', '*', "it's"]) writeFileSync(join(dir, 'a b', name), '');
    const found = (pattern: string): string[] => sh(shellPattern(pattern), dir).sort();
    expect(found('a b/x?')).toEqual(['a b/x1', 'a b/x2']);
    expect(found('a b/x[!1]')).toEqual(['a b/x2']);
    expect(found('a?b/$*')).toEqual(['a b/$y']);
    expect(found('* b/new\nl*')).toEqual(['a b/new\nline']);
    expect(found('a b/\\*')).toEqual(['a b/*']);
    expect(found("a b/*t's")).toEqual(["a b/it's"]);
    expect(found('a b/$(echo x1)*')).toEqual(['a b/$(echo x1)*']);
    expect(found('{x1,x2}*')).toEqual(['{x1,x2}*']);
  });
});
