// What hosts answer, compared and told to programs; and the hosts that make it hard: one that prints much, one that is
// silent for long, one that dies, one that floods stderr with control sequences. In every mode, on real connections.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireServer, type Server, startSshd } from '../../interop/servers.ts';
import { checkLines } from '../json-schema.ts';
import { hasPty, Pty } from '../session/pty.ts';
import { lines } from './bssh.ts';
import { NamedHosts, WHO } from './named-hosts.ts';

const MUCH = 2_000_000;
const FLOOD = 500_000;

/** web1 prints much, web2 says nothing for a while, web3's server process dies, web4 floods; web5 is as hosts are. */
const HARD = `${WHO} case $n in
1) yes ${'x'.repeat(99)} | head -c ${MUCH};;
2) sleep 3; echo woke;;
3) echo before; sleep 1; kill -9 $PPID;;
4) yes "$(printf '\\033[2J\\033]0;title\\007\\033[31mred')" | head -c ${FLOOD} >&2;;
5) echo fine;;
esac`;

describe.skipIf(!requireServer('sshd'))('the output of many hosts', () => {
  let server: Server;
  let bssh: NamedHosts;

  beforeAll(async () => {
    server = await startSshd({ address: '0.0.0.0' });
    bssh = new NamedHosts(server, { web: 5 });
    // The host keys become known here, and need no word later.
    await bssh.on('-H', 'web[1-5]', 'true');
  });
  afterAll(() => server?.stop());

  describe('of hard hosts', () => {
    const SUMMARY = '4 ok    web[1,2,4,5]\n1 lost  web3\nweb3: lost: ';

    it('comes as lines', async () => {
      const { code, out, err } = await bssh.on('-H', 'web[1-5]', HARD);
      expect(code).toBe(4);
      const said = lines(out);
      expect(said.filter((line) => line === `web1: ${'x'.repeat(99)}`)).toHaveLength(MUCH / 100);
      expect(said.filter((line) => !line.startsWith('web1: ')).sort()).toEqual([
        'web2: woke',
        'web3: before',
        'web5: fine',
      ]);
      // What others say is there long before the silent one.
      expect(said.at(-1)).toBe('web2: woke');
      const flood = lines(err).filter((line) => line.startsWith('web4: '));
      // The bytes as they came, in a pipe.
      expect(flood[0]).toBe('web4: \x1b[2J\x1b]0;title\x07\x1b[31mred');
      expect(flood.reduce((sum, line) => sum + line.length - 'web4: '.length + 1, 0)).toBeGreaterThanOrEqual(FLOOD);
      expect(err).toContain(SUMMARY);
    });

    it.each(['--group', '--gather', '--diff'])('comes as blocks with %s', async (mode) => {
      const { code, out, err } = await bssh.on('-H', 'web[1-5]', mode, HARD);
      expect(code).toBe(4);
      const headings = lines(out).filter((line) => line.startsWith('==> '));
      expect(headings.sort()).toEqual([
        '==> web1: ok <==',
        '==> web2: ok <==',
        '==> web3: lost <==',
        '==> web4: ok <==',
        '==> web5: ok <==',
      ]);
      expect(out.length).toBeGreaterThan(MUCH);
      expect(err).toContain(SUMMARY);
      if (mode !== '--diff') {
        expect(out).toContain(`==> web1: ok <==\n${`${'x'.repeat(99)}\n`.repeat(MUCH / 100)}==> `);
        expect(out).toContain('==> web3: lost <==\nbefore\n');
      }
    });

    it.each(['--json', '--json=result'])('comes as objects that fit the schema with %s', async (mode) => {
      const { code, out, err } = await bssh.on('-H', 'web[1-5]', mode, '--expect-same', HARD);
      expect([code, err]).toEqual([4, '']);
      const { objects, wrong } = checkLines(out);
      expect(wrong).toEqual([]);
      const results = objects.filter(({ type }) => type === 'result');
      expect(results.map(({ host, class: end }) => `${host} ${end}`).sort()).toEqual([
        'web1 ok',
        'web2 ok',
        'web3 lost',
        'web4 ok',
        'web5 ok',
      ]);
      expect(results.find(({ host }) => host === 'web1')!.bytes).toEqual({ stdout: MUCH, stderr: 0 });
      expect(results.at(-1)!.host).toBe('web2');
      expect(objects.find(({ type }) => type === 'same')!.same).toBe(false);
    });

    it('comes as files with --output-dir', async () => {
      const { code } = await bssh.on('-H', 'web[1-5]', '--output-dir', 'hard', HARD);
      expect(code).toBe(4);
      const dir = join(bssh.home, 'hard');
      const file = (name: string): string =>
        readFileSync(join(dir, readdirSync(dir).find((one) => one.replace(/_\d{8}_\d{6}/, '') === name)!), 'latin1');
      const body = (name: string): string => file(name).slice(file(name).indexOf('\n\n') + 2);
      expect(body('127.0.5.1.stdout')).toBe(`${'x'.repeat(99)}\n`.repeat(MUCH / 100));
      expect(body('127.0.5.3.stdout')).toBe('before\n');
      expect(file('127.0.5.3.stdout')).toMatch(/^# Exit Status: lost *$/m);
      expect(file('127.0.5.3.error')).toContain('lost: ');
      expect(body('127.0.5.4.stderr')).toHaveLength(FLOOD);
      expect(file('summary.txt')).toContain('# Hosts: 5, ok: 4, failed: 1, not finished: 0');
    });

    it.each([
      ['a stream without an end of line', [], (size: number) => size + 'web1: \n'.length],
      ['--group', ['--group'], (size: number) => size + '==> web1: ok <==\n\n'.length],
      ['--gather', ['--gather'], (size: number) => size + '==> web1: ok <==\n\n'.length],
      ['--json=result', ['--json=result'], (size: number) => size],
      ['--output-dir', ['--output-dir', 'much'], (size: number) => size],
    ])(
      'never takes more memory than its budget and what the program is: %s',
      async (_, mode, length) => {
        const much = 250_000_000;
        let peak = 0;
        let held = 0;
        const { code } = await bssh.with(
          {
            limit: 110_000,
            started: (child) => {
              // Not kept: it is this process that would need the memory.
              child.stdout!.removeAllListeners('data').on('data', (chunk: Buffer) => void (held += chunk.length));
              const timer = setInterval(() => {
                try {
                  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
                  if (kib !== undefined) peak = Math.max(peak, Number(kib) * 1024);
                } catch {
                  clearInterval(timer);
                }
              }, 20);
              child.once('exit', () => clearInterval(timer));
            },
          },
          ...['-H', 'web1', ...mode, `head -c ${much} /dev/zero | tr '\\0' x`],
        );
        const dir = join(bssh.home, 'much');
        for (const name of mode.includes('much') ? readdirSync(dir) : []) held += statSync(join(dir, name)).size;
        rmSync(dir, { recursive: true, force: true });
        expect(code).toBe(0);
        expect(held).toBeGreaterThanOrEqual(length(much));
        // Held: 64 MiB; the rest is Node and what is on its way.
        expect(peak).toBeGreaterThan(0);
        expect(peak).toBeLessThan(260 * 1024 * 1024);
      },
      120_000,
    );

    it.skipIf(!hasPty)('leaves a terminal as it is, with a status line that goes again', async () => {
      using pty = new Pty([bssh.file, ...bssh.known, '-H', 'web[1-5]', HARD], {
        env: { PATH: process.env.PATH, HOME: bssh.home, TERM: 'xterm', LANG: 'C.UTF-8' },
      });
      expect(await pty.exit).toBe(4);
      expect(pty.end).toEqual(pty.begin);
      // Colours and the status line are ours; nothing else reaches the terminal.
      const left = pty.output.replace(/\x1b\[\d+m|\r\x1b\[K/g, '');
      expect(left).not.toContain('\x1b');
      expect(left).toContain('^[]0;title^G');
      expect(pty.output).toMatch(/\r\x1b\[K4 done, 1 running, 0 pending, 0 failed|3 done, .*web2 \ds/);
      expect(pty.output.trimEnd().split('\n').at(-1)).toMatch(/^web3: lost: /);
    });
  });

  describe.skipIf(!hasPty)('on a terminal', () => {
    const env = { PATH: process.env.PATH, HOME: '', TERM: 'xterm', LANG: 'C.UTF-8' };
    const open = (argv: readonly string[], more: NodeJS.ProcessEnv = {}): Pty =>
      new Pty(argv, { env: { ...env, HOME: bssh.home, ...more } });

    it('is there as soon as it is said, under aligned names in colour, or without one for NO_COLOR', async () => {
      for (const [colour, name] of [
        [{}, '\x1b\\[\\d+mweb1\x1b\\[0m'],
        [{ NO_COLOR: '1' }, 'web1'],
      ] as const) {
        const go = join(bssh.home, `go-${Object.keys(colour).length}`);
        const work = `${WHO} echo early; until test -e ${go}; do sleep 0.1; done; echo late`;
        using pty = open([bssh.file, ...bssh.known, '-H', 'web1,127.0.5.22', work], colour);
        await pty.expect(new RegExp(`${name}: {7}early\\r\\n`), 20_000);
        writeFileSync(go, '');
        await pty.expect(new RegExp(`${name}: {7}late\\r\\n`), 20_000);
        expect(await pty.exit).toBe(0);
        expect(/\x1b\[\d+m/.test(pty.output)).toBe(!('NO_COLOR' in colour));
      }
    });

    it('has no colour and no progress when standard output goes elsewhere, and the summary stays', async () => {
      const script = '"$0" "$@" > seen; cat seen';
      const work = 'echo said; echo bad >&2; sleep 1';
      using pty = open(['/bin/sh', '-c', `cd && ${script}`, bssh.file, ...bssh.known, '-H', 'web[1-2]', work]);
      expect(await pty.exit).toBe(0);
      const shown = pty.output.split('\r\n').filter((line) => line !== '');
      expect(shown.slice(0, 2).sort()).toEqual(['web1: bad', 'web2: bad']);
      expect(shown[2]).toBe('2 ok  web[1,2]');
      expect(shown.slice(3).sort()).toEqual(['web1: said', 'web2: said']);
      expect(readFileSync(join(bssh.home, 'seen'), 'utf8')).not.toContain('\x1b');
    });
  });

  describe('compared', () => {
    const DRIFT = `${WHO} case $n in 3) echo new;; *) echo old;; esac; echo "host web$n, $n users"`;

    it('shows the answer of most and how others differ with --diff', async () => {
      const { code, out } = await bssh.on('-H', 'web[1-4]', '--diff', '--mask', 'host,number', DRIFT);
      expect(code).toBe(0);
      expect(out).toBe(`==> web[1,2,4] (3): ok <==
old
host <host>, <n> users
==> web3: ok <==
--- web[1,2,4] (3)
+++ web3
@@ -1,2 +1,2 @@
-old
+new
 host <host>, <n> users
`);
    });

    it('is shown once with --gather where only masked things differ', async () => {
      const { out } = await bssh.on(
        '-H',
        'web[1-4]',
        '--gather',
        '--mask',
        'all',
        `${WHO} echo "web$n at $(date)"; exit 3`,
      );
      expect(out).toBe('==> web[1-4] (4): exit 3 <==\n<host> at <time>\n');
    });

    it('decides over the exit code with --expect-same', async () => {
      const same = await bssh.on('-H', 'web[1-4]', '--expect-same', 'echo old');
      expect([same.code, same.err.includes('different')]).toEqual([0, false]);
      const drift = await bssh.on('-H', 'web[1-4]', '--expect-same', '--mask', 'host,number', DRIFT);
      expect(drift.code).toBe(1);
      expect(drift.err).toMatch(/^2 different answers: web\[1,2,4\] \(3\); web3$/m);
    });

    it('has a class for hosts that did not say what was expected', async () => {
      const { code, out, err } = await bssh.on('-H', 'web[1-4]', '--expect', '^old$', '--expect', '/WEB/i', DRIFT);
      expect(code).toBe(1);
      expect(err).toMatch(/^3 ok +web\[1,2,4\]$/m);
      expect(err).toMatch(/^1 unexpected +web3$/m);
      expect(err).toMatch(/^web3: unexpected: no line of its output matches \^old\$$/m);
      expect(out).toContain('web3: new\n');
      // A failure as any other.
      const fast = await bssh.on('-H', 'web[3,4]', '--parallel', '1', '--fail-fast', '--expect', 'old', DRIFT);
      expect(fast.code).toBe(5);
      expect(fast.err).toMatch(/^1 not-started +web4$/m);
      // The command's own failure comes first.
      expect((await bssh.on('-H', 'web1', '--expect', 'x', 'exit 7')).err).toMatch(/^1 exit 7 +web1$/m);
    });

    it('shows what changed since an earlier run', async () => {
      const before = await bssh.on('-H', 'web[2-4]', '--record', `${WHO} echo old; echo "host web$n, 77 users"`);
      expect(before.code).toBe(0);
      const drift = ['--baseline', 'last', '--diff', '--mask', 'host,number', DRIFT];
      const { code, out, err } = await bssh.on('-H', 'web[1-4]', ...drift);
      expect(code).toBe(1);
      const [, run] = /^compared with (run \d+): the same: web\[2,4\] \(2\); changed: web3; not in it: web1$/m.exec(
        err,
      )!;
      expect(out).toContain(`==> web[2,4] (2): ok, as in ${run} <==\n`);
      expect(out).toContain(`==> web1: ok, not in ${run} <==\nold\n`);
      expect(out).toContain(`--- web3, ${run}\n+++ web3\n@@ -1,2 +1,2 @@\n-old\n+new\n host <host>, <n> users\n`);
      // Digests are enough to see that nothing changed.
      const again = await bssh.on('-H', 'web[1-4]', '--quiet', '--baseline', 'last', DRIFT);
      expect(again.code).toBe(0);
      const unknown = await bssh.on('-H', 'web1', '--baseline', '777', 'true');
      expect([unknown.code, unknown.out]).toEqual([2, '']);
      expect(unknown.err).toMatch(/run 777 is not recorded/);
    });

    it('is refused what cannot mean anything', async () => {
      const wrong = async (...args: string[]) => {
        const { code, out, err } = await bssh.on('-H', 'web1', ...args);
        expect([code, out]).toEqual([2, '']);
        return err.trimEnd();
      };
      expect(await wrong('--expect', '(', 'true')).toMatch(/^bssh: --expect: Invalid regular expression/);
      expect(await wrong('--mask', 'host', 'true')).toBe(
        'bssh: --mask goes with --gather, --diff, --tui, --expect-same or --baseline',
      );
      expect(await wrong('--gather', '--mask', 'hots', 'true')).toBe(
        "bssh: --mask is a list of host, ip, time and number, or all, not 'hots'",
      );
      expect(await wrong('--expect-same', 'ping')).toBe('bssh: --expect-same goes with a command, not with ping');
    });
  });

  it('leaves with the status that --exit asks for', async () => {
    const statuses = { worst: 1, main: 0, first: 7, max: 9, any: 0, all: 1 };
    for (const [rule, status] of Object.entries(statuses)) {
      const run = await bssh.on('-H', 'web[1-3]', '--exit', rule, `${WHO} case $n in 2) exit 7;; 3) exit 9;; esac`);
      expect(`${rule} ${run.code}`).toBe(`${rule} ${status}`);
    }
    // Of Backend.AI's main node, wherever it stands; else of the first.
    const session = { BACKENDAI_CLUSTER_HOSTS: 'web1,web2,web3', BACKENDAI_CLUSTER_HOST: 'web2' };
    for (const [env, status] of [
      [{ ...session, BACKENDAI_CLUSTER_ROLE: 'main' }, 7],
      [{ ...session, BACKENDAI_CLUSTER_ROLE: 'sub' }, 5],
    ] as const) {
      const command = `${WHO} case $n in 1) exit 5;; 2) exit 7;; 3) exit 9;; esac`;
      const run = await bssh.with({ env }, '-p', String(server.port), '-l', server.user, '--exit', 'main', command);
      expect(`${env.BACKENDAI_CLUSTER_ROLE} ${run.code}`).toBe(`${env.BACKENDAI_CLUSTER_ROLE} ${status}`);
    }
  });

  it('has no names and no summary when none are wanted, and colours only when asked', async () => {
    const bare = await bssh.on('-H', 'web[1-2]', '--no-prefix', '--quiet', 'echo same');
    expect([bare.out, bare.err]).toEqual(['same\nsame\n', '']);
    const always = await bssh.on('-H', 'web1', '--color=always', 'echo x');
    expect(always.out).toContain('\x1b[');
    expect((await bssh.on('-H', 'web1', 'echo x')).out).toBe('web1: x\n');
  });

  it('goes to files of their own for two nodes of one host', async () => {
    const twice = `web1,${server.user}@127.0.5.1:${server.port}`;
    const { code } = await bssh.on('-H', twice, '--output-dir', 'twice', 'echo x');
    expect(code).toBe(0);
    const names = readdirSync(join(bssh.home, 'twice')).filter((name) => name.endsWith('.stdout'));
    expect(names).toHaveLength(2);
    for (const name of names) expect(readFileSync(join(bssh.home, 'twice', name), 'utf8')).toMatch(/\n\nx\n$/);
  });

  it('of copies goes where the words name the host, its place and its user', async () => {
    const { user } = bssh.server;
    for (const n of [0, 1]) writeFileSync(join(bssh.home, `own-${n}`), `for ${n}`);
    const open = join(bssh.home, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const up = ['upload', join(bssh.home, 'own-{index}'), join(open, 'up-{node}-{user}')];
    expect(await bssh.on('-H', 'web[1-2]', ...up)).toMatchObject({ code: 0 });
    for (const n of [0, 1]) {
      expect(readFileSync(join(open, `up-web${n + 1}-${user}`), 'utf8')).toBe(`for ${n}`);
    }
    const down = ['download', join(open, 'up-{host}-{user}'), join(bssh.home, 'down-{index}')];
    expect(await bssh.on('-H', 'web[1-2]', ...down)).toMatchObject({ code: 0 });
    for (const n of [0, 1]) expect(readFileSync(join(bssh.home, `down-${n}`), 'utf8')).toBe(`for ${n}`);
  });

  it('of files that are copied fits the schema too', async () => {
    const [site, a, missing, here] = ['site', 'site/a.txt', 'missing', 'here/'].map((name) => join(bssh.home, name));
    mkdirSync(site!);
    writeFileSync(a!, 'a');
    const up = await bssh.on('-H', 'web[1-2]', '--json', '-r', 'upload', site!, join(bssh.home, 'copy-{host}'));
    const down = await bssh.on('-H', 'web[1-2]', '--json', 'download', a!, missing!, here!);
    for (const { out } of [up, down]) expect(checkLines(out).wrong).toEqual([]);
    const types = new Set([...checkLines(up.out).objects, ...checkLines(down.out).objects].map(({ type }) => type));
    for (const type of ['start', 'state', 'result', 'summary', 'file', 'tree', 'failure'])
      expect([...types]).toContain(type);
  });
});
