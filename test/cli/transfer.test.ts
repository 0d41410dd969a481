/** `bssh upload` and `bssh download` against sshd as several hosts. */

import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { isRoot, requireServer } from '../interop/servers.ts';
import { lines } from './e2e/bssh.ts';
import { transfers } from './transfer-place.ts';

const HOSTS = ['-H', '127.0.0.[2-4]'];
const ONE = ['-H', '127.0.0.2'];

describe.skipIf(!requireServer('sshd'))('files to and from hosts', () => {
  const { bssh, at, run, put, get, tree, there } = transfers();
  beforeAll(async () => {
    await bssh.on(...HOSTS, 'ping');
  });

  it('uploads a file to every host and says so', async () => {
    put('local.txt', 'hello\n', 0o640);
    const { code, out, err } = await run(...HOSTS, 'upload', 'local.txt', there());
    expect(err).toMatch(/^3 files, 18 bytes in .*\n3 ok {2}127\.0\.0\.\[2-4\]\n$/);
    expect(code).toBe(0);
    expect(lines(out).sort()).toEqual(
      [2, 3, 4].map((n) => `127.0.0.${n}: local.txt -> ${there('local.txt')}, 6 bytes`),
    );
    expect(get('there/local.txt')).toBe('hello\n');
    expect(statSync(there('local.txt')).mode & 0o777).toBe(0o640);
    expect(tree('there')).toEqual(['local.txt']);
  });

  it('downloads under the names of the hosts, directories below them', async () => {
    put('there/tree/sub/b', 'b');
    put('there/tree/a', 'a');
    put('there/one.conf', '1');
    put('there/two.conf', '2');
    put('there/.hidden.conf', '3');
    const { code } = await run(...HOSTS, 'download', '-r', there('*.conf'), there('tree'), './backups/');
    expect(code).toBe(0);
    const each = [2, 3, 4].flatMap((n) => [
      `127.0.0.${n}`,
      ...['tree', 'tree/a', 'tree/sub', 'tree/sub/b'].map((name) => `127.0.0.${n}/${name}`),
      `127.0.0.${n}_one.conf`,
      `127.0.0.${n}_two.conf`,
    ]);
    expect(tree('backups')).toEqual(each.sort());
    expect(get('backups/127.0.0.3/tree/sub/b')).toBe('b');
    expect(get('backups/127.0.0.4_two.conf')).toBe('2');
  });

  it('is scp with one host', async () => {
    put('there/a', 'A');
    expect((await run(...ONE, 'download', there('a'), 'named')).code).toBe(0);
    expect((await run(...ONE, 'download', there('a'), 'into/')).code).toBe(0);
    put('dir/x/y', 'Y');
    expect((await run(...ONE, 'upload', '-r', 'dir', there('new'))).code).toBe(0);
    expect((await run(...ONE, 'upload', '-r', 'dir', there('new'))).code).toBe(0);
    expect([get('named'), get('into/a')]).toEqual(['A', 'A']);
    expect(tree('there/new')).toEqual(['dir', 'dir/x', 'dir/x/y', 'x', 'x/y']);
  });

  it('takes wildcards that no shell has seen, and names that look like some', async () => {
    put('a1.log', '1');
    put('a2.log', '2');
    put('b.txt', 'b');
    put('[x].log', 'x');
    expect((await run(...ONE, 'upload', 'a?.log', '[x].log', there())).code).toBe(0);
    expect(tree('there')).toEqual(['[x].log', 'a1.log', 'a2.log']);
    expect((await run(...ONE, 'download', there('[x].log'), there('a[!1].*'), 'got/')).code).toBe(0);
    expect(tree('got')).toEqual(['[x].log', 'a2.log']);
    const { code, err } = await run(...ONE, 'upload', '*.nothing', there());
    expect([code, err]).toEqual([2, 'bssh: *.nothing: no file matches\n']);
  });

  it.skipIf(!isRoot)('names host and path of what goes wrong, and goes on with the rest', async () => {
    put('local.txt', 'x');
    const denied = await run(...HOSTS, 'upload', 'local.txt', '/etc/');
    expect(denied.code).toBe(1);
    expect(denied.err).toContain('127.0.0.3: /etc/local.txt: Permission denied\n');
    expect(denied.err).toMatch(/^3 exit 1 {2}127\.0\.0\.\[2-4\]$/m);
    expect(denied.err).toMatch(/^127\.0\.0\.\[2-4\]: exit 1: \/etc\/local\.txt: Permission denied$/m);
    put('there/good', 'g');
    const missing = await run(...ONE, 'download', there('gone'), there('good'), there('dir'), 'got/');
    expect(missing.code).toBe(1);
    expect(missing.err).toContain(`127.0.0.2: ${there('gone')}: No such file or directory\n`);
    expect(tree('got')).toEqual(['good']);
    mkdirSync(there('folder'));
    const folder = await run(...ONE, 'download', there('folder'), 'got/');
    expect([folder.code, folder.err]).toEqual([1, expect.stringContaining('is a directory (-r copies it)')]);
    const nowhere = await run(...ONE, 'upload', 'local.txt', there('no/such/'));
    expect([nowhere.code, nowhere.err]).toEqual([
      1,
      expect.stringContaining(`${there('no/such/')}: no such directory`),
    ]);
  });

  it('refuses at once what cannot work', async () => {
    put('a/same', '1');
    put('b/same', '2');
    put('file', 'f');
    for (const [args, said] of [
      [['upload', 'nothing', there()], 'nothing: no such file or directory'],
      [['upload', 'a', there()], 'a is a directory (-r copies it)'],
      [['upload', 'a/same', 'b/same', there()], 'a/same and b/same would both become same'],
      [['download', '/etc/hosts', 'file'], 'file is no directory'],
      [['upload', '--delete', 'file', there()], '--delete goes with --sync'],
      [['upload', '--bandwidth', 'fast', 'file', there()], '--bandwidth is a number of bytes such as 512K or 10M'],
      [['--resume', 'uptime'], '--resume belongs to upload and download'],
    ] as const) {
      const { code, err, out } = await run(...HOSTS, ...args);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(said);
    }
    expect(tree('there')).toEqual([]);
  });

  it('keeps two files of one name from writing over each other', async () => {
    put('there/a/same', '1');
    put('there/b/same', '2');
    const { code, err } = await run(...ONE, 'download', there('*/same'), 'got');
    expect(code).toBe(1);
    expect(err).toContain('got/same is already there from another source');
    expect(get('got/same')).toBe('1');
  });

  it('fills in what differs from host to host, both ways', async () => {
    for (const n of [2, 3, 4]) {
      put(`conf/127.0.0.${n}.conf`, `for ${n}`);
      put(`there/127.0.0.${n}/x`, '');
      chmodSync(there(`127.0.0.${n}`), 0o777);
    }
    const up = await run(...HOSTS, 'upload', 'conf/{host}.conf', there('{host}/{user}.conf'));
    expect(up.code).toBe(0);
    const user = bssh.common[bssh.common.indexOf('-l') + 1]!;
    for (const n of [2, 3, 4]) expect(get(`there/127.0.0.${n}/${user}.conf`)).toBe(`for ${n}`);
    const down = await run(...HOSTS, 'download', there('{host}/*.conf'), 'got/{host}/');
    expect(down.code).toBe(0);
    expect(tree('got')).toEqual([2, 3, 4].flatMap((n) => [`127.0.0.${n}`, `127.0.0.${n}/${user}.conf`]));
    const plan = await run(...HOSTS, '--dry-run', 'download', '/etc/hosts', 'got/{host}/{port}/');
    expect(lines(plan.out)[1]).toMatch(/^127\.0\.0\.3: download \/etc\/hosts -> got\/127\.0\.0\.3\/\d+\/hosts$/);
    const missing = await run('-H', '127.0.0.[2-5]', 'upload', 'conf/{host}.conf', there());
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('conf/127.0.0.5.conf: no such file')]);
  });

  it('prints the plan without a connection', async () => {
    put('local.txt', 'x');
    const stopped = ['-H', '127.0.0.2,u@[::1]:1', '--dry-run'];
    const { code, out } = await bssh.run(['-F', 'none', ...stopped, 'upload', 'local.txt', '/tmp/'], { cwd: at('') });
    expect(code).toBe(0);
    expect(lines(out)[0]).toBe('127.0.0.2: upload local.txt -> /tmp/local.txt');
    const json = await bssh.run(['-F', 'none', ...stopped, '--json', 'download', '/etc/hosts', 'x/'], { cwd: at('') });
    expect(JSON.parse(lines(json.out)[0]!)).toMatchObject({
      host: '127.0.0.2',
      from: '/etc/hosts',
      to: 'x/127.0.0.2_hosts',
    });
    expect(existsSync(at('x'))).toBe(false);
  });

  it('tells programs every file', async () => {
    put('dir/a', 'aa');
    put('dir/b', 'bbb');
    const { code, out } = await run(...HOSTS, '--json', 'upload', '-r', 'dir', there());
    expect(code).toBe(0);
    const events = lines(out).map((line) => JSON.parse(line));
    const files = events.filter(({ type }) => type === 'file');
    expect(files).toHaveLength(6);
    expect(files).toContainEqual(
      expect.objectContaining({ v: 1, host: '127.0.0.4', from: 'dir/b', to: there('dir/b'), bytes: 3 }),
    );
    expect(events.filter(({ type }) => type === 'tree')[0]).toMatchObject({
      files: 2,
      directories: 1,
      bytes: 5,
      failed: 0,
    });
    expect(events.some(({ type }) => type === 'progress')).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: 'summary', classes: { ok: 3 } });
    const failed = await run(...ONE, '--json', 'download', there('gone'), 'x');
    expect(lines(failed.out).map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        type: 'failure',
        path: there('gone'),
        message: `${there('gone')}: No such file or directory`,
      }),
    );
  });

  it('leaves links out, or follows them', async () => {
    put('dir/a', 'a');
    symlinkSync('a', at('dir/link'));
    const plain = await run(...ONE, 'upload', '-r', 'dir', there('plain'));
    expect(plain.out).toContain('1 left out');
    expect((await run(...ONE, 'upload', '-r', '--follow', 'dir', there('followed'))).code).toBe(0);
    expect([tree('there/plain'), tree('there/followed')]).toEqual([['a'], ['a', 'link']]);
  });

  it('keeps times and permissions when asked to, and says little when asked to', async () => {
    put('a', 'a', 0o604);
    utimesSync(at('a'), 1_000_000_000, 1_000_000_000);
    const { code, out, err } = await run(...ONE, '--quiet', 'upload', '--preserve', 'a', there());
    expect([code, out, err]).toEqual([0, '', '']);
    expect(statSync(there('a')).mtimeMs).toBe(1e12);
    expect(statSync(there('a')).mode & 0o777).toBe(0o604);
  });

  it('makes a directory like another one, and only then', async () => {
    put('src/same', 's');
    put('src/changed', 'old');
    put('src/sub/deep', 'd');
    expect((await run(...ONE, 'upload', '--sync', 'src', there('copy'))).code).toBe(0);
    const idle = await run(...ONE, 'upload', '--sync', 'src', there('copy'));
    expect(idle.out).toContain('0 files, 2 directories, 0 bytes, 3 unchanged, 0 deleted');
    put('src/changed', 'newer');
    put('there/copy/extra/x', 'x');
    for (const path of ['there/copy', 'there/copy/extra']) chmodSync(at(path), 0o777);
    const plan = await run(...ONE, 'upload', '--sync', '--delete', '--dry-run', 'src', there('copy'));
    expect(lines(plan.out).slice(0, 2).sort()).toEqual([
      `127.0.0.2: copy src/changed -> ${there('copy/changed')}`,
      `127.0.0.2: delete ${there('copy/extra')}`,
    ]);
    expect([get('there/copy/changed'), existsSync(there('copy/extra/x'))]).toEqual(['old', true]);
    expect((await run(...ONE, 'upload', '--sync', '--delete', 'src', there('copy'))).code).toBe(0);
    expect(tree('there/copy')).toEqual(['changed', 'same', 'sub', 'sub/deep']);
    expect(get('there/copy/changed')).toBe('newer');
  });

  it('mirrors directories of hosts here; contents count when asked to', async () => {
    put('there/src/a', 'aaa');
    put('there/src/sub/b', 'b');
    expect((await run(...HOSTS, 'download', '--sync', there('src'), 'mirror')).code).toBe(0);
    expect(tree('mirror/127.0.0.3')).toEqual(['a', 'sub', 'sub/b']);
    // Same size, same time, other bytes: only the contents tell.
    const { mtimeMs } = statSync(there('src/a'));
    put('mirror/127.0.0.3/a', 'xxx');
    utimesSync(at('mirror/127.0.0.3/a'), mtimeMs / 1000, mtimeMs / 1000);
    put('mirror/127.0.0.3/sub/extra', 'x');
    await run(...HOSTS, 'download', '--sync', '--delete', there('src'), 'mirror');
    expect([get('mirror/127.0.0.3/a'), existsSync(at('mirror/127.0.0.3/sub/extra'))]).toEqual(['xxx', false]);
    await run(...HOSTS, 'download', '--sync', '--checksum', there('src'), 'mirror');
    expect(get('mirror/127.0.0.3/a')).toBe('aaa');
  });

  it('ends at Ctrl-C without leaving anything half', async () => {
    put('big', 'x'.repeat(4_000_000));
    let signalled = false;
    const outcome = await bssh.run([...bssh.common, ...ONE, '--bandwidth', '500K', 'upload', 'big', there()], {
      cwd: at(''),
      started: (child) => {
        const timer = setInterval(() => {
          if (!readdirSync(there()).some((name) => name.endsWith('.part'))) return;
          clearInterval(timer);
          signalled = child.kill('SIGINT') && child.kill('SIGTERM');
        }, 50);
        child.on('exit', () => clearInterval(timer));
      },
    });
    expect(signalled).toBe(true);
    // Both were sent at once; which one came first is the system's choice.
    expect([130, 143]).toContain(outcome.code);
    expect(tree('there')).toEqual([]);
  });
});
