import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FilesRenderer, fileNames, stampOf } from '../../../cli/render/files.ts';
import { SshError } from '../../../client/index.ts';
import { bytes, ends, output, result } from './harness.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bssh-files-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const NOW = new Date(2025, 7, 21, 14, 30, 22).getTime();
const hosts = ['a', 'b', 'c', 'd'].map((name) => ({ name, host: `${name}.example.com`, user: 'admin', port: 22 }));
const open = (): FilesRenderer => new FilesRenderer({ dir, hosts, command: 'df -h\n/tmp', now: () => NOW });
const read = (name: string): string => readFileSync(join(dir, name), 'latin1');

const header = (host: string, status: string): string =>
  `# Command: df -h\\n/tmp\n# Host: ${host}.example.com\n# User: admin\n# Exit Status: ${status}\n# Timestamp: 20250821_143022\n\n`;

describe('--output-dir', () => {
  it('writes each host as the README says, the status patched into the header at the end', async () => {
    const files = open();
    await files.event(output(0, bytes('a\0\xff\r\n')));
    await files.event(output(1, 'out\n'));
    await files.event(output(1, 'err\n', 'stderr'));
    await files.event(ends(0, { class: 'ok', exitStatus: 0 }));
    await files.event(ends(1, { class: 'exit', exitStatus: 17 }));
    await files.event(ends(2, { class: 'ok', exitStatus: 0 }));
    await files.event(ends(3, { class: 'auth', error: new SshError('auth', 'permission\x1b[2J denied') }));
    const results = [
      result({ class: 'ok' }),
      result({ class: 'exit', exitStatus: 17 }),
      result({ class: 'ok' }),
      result({ class: 'auth', error: new SshError('auth', 'permission denied') }),
    ];
    files.end({ results, ms: 1 });
    expect(readdirSync(dir).sort()).toEqual([
      'a.example.com_20250821_143022.stdout',
      'b.example.com_20250821_143022.stderr',
      'b.example.com_20250821_143022.stdout',
      'c.example.com_20250821_143022.empty',
      'd.example.com_20250821_143022.error',
      'summary_20250821_143022.txt',
    ]);
    expect(read('a.example.com_20250821_143022.stdout')).toBe(`${header('a', '0'.padEnd(24))}a\0\xff\r\n`);
    expect(read('b.example.com_20250821_143022.stdout')).toBe(`${header('b', '17'.padEnd(24))}out\n`);
    expect(read('b.example.com_20250821_143022.stderr')).toBe(`${header('b', '17'.padEnd(24))}err\n`);
    expect(read('c.example.com_20250821_143022.empty')).toBe(header('c', '0'));
    expect(read('d.example.com_20250821_143022.error')).toBe(`${header('d', 'auth')}auth: permission^[[2J denied\n`);
    expect(read('summary_20250821_143022.txt')).toBe(`# Command: df -h\\n/tmp
# Timestamp: 20250821_143022
# Hosts: 4, ok: 2, failed: 2, not finished: 0

2 ok       a,c
1 exit 17  b
1 auth     d
b: exit 17: err
d: auth: permission denied
`);
  });

  it('says `running` as long as it does, with the bytes there already', async () => {
    const files = open();
    await files.event(output(0, 'early\n'));
    const name = 'a.example.com_20250821_143022.stdout';
    await expect.poll(() => read(name)).toBe(`${header('a', 'running'.padEnd(24))}early\n`);
    await files.event(ends(0, { class: 'command-timeout', gone: false }));
    expect(read(name)).toBe(`${header('a', 'command-timeout'.padEnd(24))}early\n`);
    expect(read(name.replace('stdout', 'error'))).toContain('command-timeout\nThe remote process may still run.\n');
  });

  it('streams much output in order and holds its host back for the disk', async () => {
    const files = open();
    const parts: Buffer[] = [];
    let waits = 0;
    for (let i = 0; i < 400; i++) {
      const part = Buffer.alloc(20_000, i);
      parts.push(part);
      const wait = files.event(output(0, part));
      if (wait) waits++;
      await wait;
    }
    await files.event(ends(0, { class: 'ok', exitStatus: 0 }));
    const written = readFileSync(join(dir, 'a.example.com_20250821_143022.stdout'));
    expect(written.subarray(-400 * 20_000).equals(Buffer.concat(parts))).toBe(true);
    expect(waits).toBeGreaterThan(5);
  });

  it('takes the next free stamp, so that no run overwrites another', async () => {
    for (const files of [open(), open()]) {
      await files.event(output(0, 'x'));
      await files.event(ends(0, { class: 'ok', exitStatus: 0 }));
      files.end({ results: [result({ class: 'ok' })], ms: 1 });
    }
    expect(readdirSync(dir).sort()).toEqual([
      'a.example.com_20250821_143022.stdout',
      'a.example.com_20250821_143023.stdout',
      'summary_20250821_143022.txt',
      'summary_20250821_143023.txt',
    ]);
    expect(stampOf(NOW)).toBe('20250821_143022');
  });

  it('says what could not be written, and where', async () => {
    const plain = join(dir, 'plain');
    writeFileSync(plain, '');
    const options = { hosts: [{ name: 'a' }], command: 'c', now: () => NOW };
    expect(() => new FilesRenderer({ ...options, dir: join(plain, 'x') })).toThrow(
      `no files can be made in ${plain}/x: a part of the path is no directory`,
    );
    const files = new FilesRenderer({ ...options, dir });
    const taken = join(dir, 'a_20250821_143022.stdout');
    writeFileSync(taken, '');
    expect(() => files.event(output(0, 'x'))).toThrow(`${taken} cannot be written: there is a file of that name`);
  });

  it('never gives two nodes one file, nor a node a file elsewhere', () => {
    const names = fileNames([
      { name: 'h' },
      { name: 'x:22', host: 'x', port: 22 },
      { name: 'x:23', host: 'x', port: 23 },
      { name: 'u@x', host: 'X', user: 'u', port: 22 },
      { name: '../../etc/passwd' },
      { name: '..' },
      { name: '::1' },
      { name: '_:1' },
      { name: 'xn--bcher-kva_1' },
    ]);
    expect(names.slice(0, 4)).toEqual(['h', 'x_22', 'x_23', 'u@X_22']);
    expect(names.slice(4)).toEqual(['_._.._etc_passwd', '_.', '__1', '__1_2', 'xn--bcher-kva_1']);
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
  });
});
