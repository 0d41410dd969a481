/** `bssh upload` and `bssh download` on servers without SFTP: the same over SCP, as far as SCP goes. */

import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { canHide, isRoot, requireServer, type Server, startDropbear, startSshd } from '../interop/servers.ts';
import { lines } from './e2e/bssh.ts';
import { transfers } from './transfer-place.ts';

const NOTE = /the server offers no SFTP: using SCP/;

const kinds: readonly (readonly [string, boolean, string, () => Promise<Server>])[] = [
  [
    'sshd without the subsystem',
    requireServer('sshd', 'scp'),
    '127.0.0.[2-4]',
    () => startSshd({ address: '0.0.0.0', sftp: false }),
  ],
  [
    'Dropbear without sftp-server',
    isRoot && requireServer('dropbear', 'dropbearconvert', 'scp') && canHide(),
    '127.0.0.1',
    () => startDropbear({ sftp: false }),
  ],
];

describe.each(kinds)('%s', (_, isHere, hosts, start) => {
  describe.skipIf(!isHere)('takes and gives files over SCP', () => {
    const { bssh, at, run, put, get, tree, there } = transfers(start);
    const all = ['-H', hosts];
    const count = hosts.includes('[') ? 3 : 1;
    const one = ['-H', hosts.replace('[2-4]', '2')];

    beforeAll(async () => {
      await bssh.on(...all, 'ping');
    });

    it('says that it does, and carries every size there and back', async () => {
      for (const size of [0, 1, 32_767, 32_769, 522_240, 3_000_001]) {
        put(`s${size}`, Buffer.alloc(size, size + 1));
        const up = await run(...one, 'upload', `s${size}`, there());
        expect([up.code, up.err]).toEqual([0, expect.stringMatching(NOTE)]);
        expect((await run(...one, 'download', there(`s${size}`), `back${size}`)).code).toBe(0);
        expect(readFileSync(at(`back${size}`)).equals(readFileSync(at(`s${size}`)))).toBe(true);
      }
      expect(readdirSync(there()).filter((name) => name.endsWith('.part'))).toEqual([]);
    });

    it('carries trees, to every host and back', async () => {
      const odd = ['plain', 'a b', "it's", '"q"', '-dash', '$(touch x)', 'é', 'back\\slash', '*'];
      for (const name of odd) put(`src/sub/${name}`, name);
      put('src/top', 'top');
      mkdirSync(at('src/empty'));
      chmodSync(at('src/sub'), 0o755);
      symlinkSync('top', at('src/link'));
      const up = await run(...one, 'upload', '-r', 'src', there());
      expect([up.code, up.out]).toEqual([0, expect.stringContaining('1 left out (links, devices)')]);
      const wanted = ['empty', 'sub', ...odd.map((name) => `sub/${name}`), 'top'].sort();
      expect(tree('there/src')).toEqual(wanted);
      expect((await run(...all, 'download', '-r', there('src'), 'got')).code).toBe(0);
      const places = count === 1 ? ['got'] : ['got/127.0.0.2/src', 'got/127.0.0.4/src'];
      for (const place of places) {
        expect(tree(place)).toEqual(wanted);
        for (const name of odd) expect(get(`${place}/sub/${name}`)).toBe(name);
      }
      const followed = await run(...one, 'upload', '-r', '--follow', 'src', there('new'));
      expect([followed.code, tree('there/new')]).toEqual([0, ['link', ...wanted].sort()]);
    });

    it('goes where it is told to: new names, directories, wildcards, several sources', async () => {
      put('a1.log', '1');
      put('a2.log', '2');
      expect((await run(...one, 'upload', 'a1.log', there('named'))).code).toBe(0);
      expect((await run(...one, 'upload', 'a?.log', there())).code).toBe(0);
      expect(tree('there')).toEqual(['a1.log', 'a2.log', 'named']);
      put('there/[x] y.log', 'x');
      put('there/.hidden.log', 'h');
      const down = await run(...all, 'download', there('a*.log'), there('[x] y.log'), './backups/');
      expect([down.code, down.err]).toEqual([0, expect.anything()]);
      const names = ['[x] y.log', 'a1.log', 'a2.log'];
      expect(tree('backups')).toEqual(
        count === 1 ? names : [2, 3, 4].flatMap((n) => names.map((name) => `127.0.0.${n}_${name}`)).sort(),
      );
      const nowhere = await run(...one, 'upload', 'a1.log', there('no/such/'));
      expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringContaining('no/such/: no such directory')]);
    });

    it('keeps times and permissions when asked to, and those of a file that is replaced otherwise', async () => {
      put('src/a', 'a', 0o604);
      utimesSync(at('src/a'), 1_000_000_000, 1_000_000_000);
      utimesSync(at('src'), 1_100_000_000, 1_100_000_000);
      expect((await run(...one, 'upload', '-r', '--preserve', 'src', there())).code).toBe(0);
      expect([statSync(there('src/a')).mtimeMs, statSync(there('src')).mtimeMs]).toEqual([1e12, 1.1e12]);
      expect(statSync(there('src/a')).mode & 0o777).toBe(0o604);
      expect((await run(...one, 'download', '-r', '--preserve', there('src'), 'back')).code).toBe(0);
      expect([statSync(at('back/a')).mtimeMs, statSync(at('back')).mtimeMs]).toEqual([1e12, 1.1e12]);
      expect(statSync(at('back/a')).mode & 0o777).toBe(0o604);
      put('there/secret', 'old', 0o600);
      put('new', 'new', 0o666);
      chmodSync(there('secret'), 0o602);
      expect((await run(...one, 'upload', 'new', there('secret'))).code).toBe(0);
      expect([get('there/secret'), statSync(there('secret')).mode & 0o777]).toEqual(['new', 0o602]);
    });

    it('names what goes wrong, and goes on with the rest', async () => {
      put('there/good', 'g');
      put('there/dir/x', 'x');
      const { code, err } = await run(...one, 'download', there('gone'), there('good'), there('dir'), 'got/');
      expect([code, tree('got')]).toEqual([1, ['good']]);
      expect(err).toContain(`${there('gone')}: No such file or directory`);
      expect(err).toContain('is a directory (-r copies it)');
      put('local', 'l');
      const denied = await run(...one, 'upload', 'local', '/proc/');
      expect([denied.code, denied.err]).toEqual([1, expect.stringMatching(/: .*\/proc\/local.*/)]);
      for (const option of ['--resume', '--sync']) {
        mkdirSync(at('folder'), { recursive: true });
        const more = await run(...one, 'upload', option, 'folder', ...(option === '--resume' ? ['-r'] : []), there());
        expect([more.code, more.err]).toEqual([1, expect.stringContaining(`${option} needs SFTP`)]);
      }
    });

    it('tells programs every file', async () => {
      put('src/a', 'aa');
      put('src/b', 'bbb');
      const { code, out } = await run(...all, '--json', 'upload', '-r', 'src', there());
      const events = lines(out).map((line) => JSON.parse(line));
      expect(code).toBe(0);
      expect(events.filter(({ type }) => type === 'file')).toHaveLength(2 * count);
      expect(events.filter(({ type }) => type === 'tree')[0]).toMatchObject({ files: 2, directories: 1, bytes: 5 });
    });

    it('ends at Ctrl-C without leaving anything half', async () => {
      put('big', Buffer.alloc(4_000_000, 1));
      let signalled = false;
      const slow = ['--bandwidth', '500K', 'upload', 'big', there()];
      const outcome = await bssh.run([...bssh.common, ...one, ...slow], {
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
      expect([130, 143]).toContain(outcome.code);
      expect(readdirSync(there()).filter((name) => !name.endsWith('.part'))).toEqual([]);
    });
  });
});
