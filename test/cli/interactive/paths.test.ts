import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completions, listCommand, pathWord } from '../../../cli/interactive/paths.ts';

describe('completion of paths', () => {
  it.each([
    ['ls /us', '/us'],
    ['cd ', ''],
    ['cat <in', 'in'],
    ['FILE=/tm', '/tm'],
    ['a;b', 'b'],
    ['ls ~/x', '~/x'],
    ['ls "a', undefined],
    ["ls 'a b", undefined],
    ['ls a\\ b', undefined],
    ['ls $HOM', undefined],
    ['ls *', undefined],
  ])('%j is about %j', (line, word) => expect(pathWord(line)).toBe(word));

  it('asks the shell of the node for names, whatever is in them', () => {
    const home = mkdtempSync(join(tmpdir(), "bssh paths'"));
    mkdirSync(join(home, 'dir one'));
    mkdirSync(join(home, 'sub'));
    for (const name of ['di$x', 'sub/file', 'evil\x1b[2J', 'emoji✓']) writeFileSync(join(home, name), '');
    const ask = (word: string, directory = home): string[] => {
      const answer = execFileSync('/bin/sh', ['-c', listCommand(word, directory)], {
        env: { ...process.env, HOME: home },
      });
      return completions(answer.toString(), word);
    };
    expect(ask('di')).toEqual(['di\\$x', 'dir\\ one/']);
    expect(ask('sub/')).toEqual(['sub/file ']);
    expect(ask('~/em')).toEqual(['~/emoji✓ ']);
    expect(ask('evil')).toEqual([]);
    expect(ask('no such')).toEqual([]);
    expect(ask('/bi', '/')).toContain('/bin/');
  });
});
