// The compiled code that one run of the bundle leaves for the next: taken up, replaced when it is no use, never needed.
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshDir } from '../../interop/servers.ts';
import { Bssh } from './bssh.ts';

const bssh = new Bssh();
const keptIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('code-')) : [];

/** Runs something that needs most of the command, with code kept in this folder; what it says is the same every time. */
async function run(env: Readonly<Record<string, string>>): Promise<void> {
  const { code, out, err } = await bssh.run(['-F', 'none', '-G', 'somewhere'], { env });
  expect(err).toBe('');
  expect(out).toContain('hostname somewhere\n');
  expect(code).toBe(0);
}

/** A folder that a first run has left its code in, and that file. */
async function filled(): Promise<{ env: Record<string, string>; file: string }> {
  const folder = freshDir('code');
  const env = { NODE_COMPILE_CACHE: folder };
  await run(env);
  const [name, ...more] = keptIn(folder);
  expect(more).toEqual([]);
  return { env, file: join(folder, name as string) };
}

const identity = (file: string): string => `${statSync(file).ino} ${statSync(file).mtimeMs}`;

describe('compiled code', () => {
  test('is kept for its user alone and taken up by the next run', async () => {
    const { env, file } = await filled();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(file).size).toBeGreaterThan(50_000);
    const before = identity(file);
    await run(env);
    expect(identity(file)).toBe(before);
  });

  test('grows when another run needs more', async () => {
    const { env, file } = await filled();
    const before = statSync(file).size;
    const { code } = await bssh.run(['--dry-run', '-H', 'a,b', 'true'], { env });
    expect(code).toBe(0);
    expect(statSync(file).size).toBeGreaterThan(before);
  });

  test.each([
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (whole: Buffer) => whole.subarray(0, whole.length - 1)],
    ['of zeros', (whole: Buffer) => Buffer.alloc(whole.length)],
    ['damaged', (whole: Buffer) => Buffer.from(whole).fill(0, whole.length >> 1, (whole.length >> 1) + 64)],
    [
      'of another build',
      (whole: Buffer) => Buffer.from(whole.toString('latin1').replace(/"build":"./, '"build":"_'), 'latin1'),
    ],
  ])('that is %s is replaced', async (_what, spoil) => {
    const { env, file } = await filled();
    const whole = readFileSync(file);
    writeFileSync(file, spoil(whole));
    await run(env);
    expect(statSync(file).size).toBeGreaterThan(whole.length / 2);
    const before = identity(file);
    await run(env);
    expect(identity(file)).toBe(before);
  });

  test('that others may write to is not read', async () => {
    const { env, file } = await filled();
    chmodSync(file, 0o666);
    await run(env);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('made with other flags of V8 is replaced', async () => {
    const { env, file } = await filled();
    const before = identity(file);
    await run({ ...env, NODE_OPTIONS: '--stack-trace-limit=11' });
    await run(env);
    expect(identity(file)).not.toBe(before);
  });

  test('of a run on many hosts, which changes flags, is taken up by any other', async () => {
    const folder = freshDir('code');
    const refused = async (hosts: string) => {
      const { code } = await bssh.run(['-F', 'none', '-p', '1', '-H', hosts, 'true'], {
        env: { NODE_COMPILE_CACHE: folder },
      });
      expect(code).toBe(4);
      return identity(join(folder, keptIn(folder)[0] as string));
    };
    const first = await refused('127.0.1.[1-100]');
    expect(await refused('127.0.1.[1-2]')).toBe(first);
    expect(await refused('127.0.1.[1-100]')).toBe(first);
  });

  test('goes to ~/.cache/bssh, or where XDG_CACHE_HOME says', async () => {
    const home = freshDir('home');
    await run({ HOME: home, NODE_COMPILE_CACHE: '' });
    expect(keptIn(join(home, '.cache', 'bssh'))).toHaveLength(1);
    const cache = freshDir('cache');
    await run({ XDG_CACHE_HOME: cache, NODE_COMPILE_CACHE: '' });
    expect(keptIn(join(cache, 'bssh'))).toHaveLength(1);
  });

  test('that no run has replaced for a month is removed', async () => {
    const folder = freshDir('code');
    const [old, recent, other] = ['code-0-old', 'code-0-recent', 'nodes-0'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    for (const file of [old, recent, other]) writeFileSync(file, '');
    const month = new Date(Date.now() - 31 * 86_400_000);
    for (const file of [old, other]) utimesSync(file, month, month);
    await run({ NODE_COMPILE_CACHE: folder });
    expect([old, recent, other].map((file) => existsSync(file))).toEqual([false, true, true]);
  });

  test('is not kept when it is not wanted or there is no place for it', async () => {
    const folder = freshDir('code');
    await run({ NODE_COMPILE_CACHE: folder, NODE_DISABLE_COMPILE_CACHE: '1' });
    expect(readdirSync(folder)).toEqual([]);
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await run({ NODE_COMPILE_CACHE: file });
    await run({ HOME: '/nonexistent', NODE_COMPILE_CACHE: '' });
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});
