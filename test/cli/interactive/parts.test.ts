import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Gather } from '../../../cli/interactive/gather.ts';
import { History, loadHistory } from '../../../cli/interactive/history.ts';
import { KeyFilter, keyBytes } from '../../../cli/interactive/keys.ts';
import { interactiveSettings, nodeLabel } from '../../../cli/interactive/settings.ts';

const line = (text: string): Uint8Array => Buffer.from(text);

describe('gathered output', () => {
  it('puts nodes with the same lines and the same status together', () => {
    const gather = new Gather();
    for (const node of [1, 2, 3, 4]) gather.add(node, line(node === 3 ? 'other' : 'same'));
    const ends = new Map([1, 2, 3, 4, 5].map((node) => [node, node === 4 ? 1 : 0] as const));
    expect(gather.groups(ends).map(({ nodes, status, lines }) => [nodes, status, lines.length])).toEqual([
      [[1, 2], 0, 1],
      [[3], 0, 1],
      [[4], 1, 1],
      [[5], 0, 0],
    ]);
  });

  it('tells one empty line from none, and keeps no more than it may', () => {
    const gather = new Gather();
    gather.add(1, line(''));
    const ends = new Map([
      [1, 0],
      [2, 0],
    ]);
    expect(gather.groups(ends)).toHaveLength(2);
    expect(gather.add(1, new Uint8Array(3_000_000))).toBe(true);
    expect(gather.add(1, new Uint8Array(3_000_000))).toBe(false);
    expect(gather.add(2, line('x'))).toBe(true);
  });
});

describe('keys', () => {
  it('are what a terminal sends', () => {
    expect(['Ctrl+N', 'ctrl+q', 'Alt+N'].map(keyBytes)).toEqual(['\x0e', '\x11', '\x1bn']);
  });

  it('act when typed alone, and are text when pasted', async () => {
    let acted = 0;
    const keys = new KeyFilter([['Ctrl+N', () => void acted++]]);
    for (const typed of ['a', '\x0e', 'b\x0ec']) keys.write(typed);
    keys.end();
    let out = '';
    for await (const chunk of keys) out += String(chunk);
    expect([acted, out]).toEqual([1, 'ab\x0ec']);
  });
});

describe('the history file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bssh-history-'));

  it('is private, appended to, and without repeats and lines that begin with a blank', () => {
    const file = join(folder, 'history');
    const history = new History(file, undefined, () => {});
    for (const typed of ['ls', 'ls', ' secret', '', 'pwd', 'ls']) history.add(typed);
    expect(readFileSync(file, 'utf8')).toBe('ls\npwd\nls\n');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(loadHistory(file)).toEqual(['ls', 'pwd', 'ls']);
  });

  it('says once that it cannot be written, and is empty when it cannot be read', () => {
    const warnings: string[] = [];
    const history = new History(join(folder, 'no', 'where'), undefined, (text) => warnings.push(text));
    history.add('a');
    history.add('b');
    expect(warnings).toEqual([expect.stringContaining('ENOENT')]);
    expect(loadHistory(join(folder, 'no', 'where'))).toEqual([]);
  });

  it('gives the newest lines of a long one', () => {
    const file = join(folder, 'long');
    writeFileSync(file, Array.from({ length: 1500 }, (_, i) => `${i}\n`).join(''));
    expect(loadHistory(file)).toHaveLength(1000);
    expect(loadHistory(file).at(-1)).toBe('1499');
  });
});

describe('settings', () => {
  const flags = { mode: undefined, promptFormat: undefined, historyFile: undefined, workDir: undefined } as const;

  it('have flags above the configuration, and that above what is built in', () => {
    const configured = { default_mode: 'single_node', prompt_format: 'file> ', work_dir: '/srv' } as const;
    const own = interactiveSettings({ ...flags, mode: 'multiplex', promptFormat: 'flag> ' }, configured, '/home/me');
    expect([own.singleNode, own.promptFormat, own.workDir]).toEqual([false, 'flag> ', '/srv']);
    expect(interactiveSettings(flags, configured, '/home/me').singleNode).toBe(true);
    const builtIn = interactiveSettings(flags, {}, '/home/me');
    expect(builtIn.historyFile).toBe('/home/me/.bssh_history');
    expect(builtIn.prefixes).toEqual({ special: '!', broadcast: undefined });
  });

  it('colour a node by its label or its host', () => {
    const node = { number: 1, host: 'web' };
    expect(nodeLabel(node, { node1: 'red' }, false)).toBe('[node1]');
    expect(nodeLabel(node, { node1: 'red' }, true)).toBe('\x1b[31m[node1]\x1b[0m');
    expect(nodeLabel(node, { web: 'bright_blue' }, true)).toBe('\x1b[94m[node1]\x1b[0m');
  });
});
