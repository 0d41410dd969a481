// A large run that goes wrong in many ways, and runs that are cut short: what is said, what programs are told, and what
// is left on the hosts.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { freePort, makeKey, requireServer, startSshd } from '../../interop/servers.ts';
import { Bssh, lines, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('200 hosts, 20 of them bad', () => {
  const bssh = served(new Bssh(), () =>
    startSshd({
      address: '0.0.0.0',
      // Nobody's key will do on three of them.
      match: [
        'Match LocalAddress 127.0.4.1,127.0.4.2,127.0.4.3',
        'AuthorizedKeysFile none',
        'PasswordAuthentication no',
      ],
    }),
  );
  let hosts: string;
  beforeAll(async () => {
    const other = makeKey('ed25519', { purpose: 'impostor' }).publicLine.split(' ').slice(0, 2).join(' ');
    // Three of them had another key before.
    const known = ['127.0.5.1', '127.0.5.2', '127.0.5.3'].map((host) => `[${host}]:${bssh.server.port} ${other}\n`);
    writeFileSync(join(bssh.home, 'known_hosts'), known.join(''));
    const closed = await freePort();
    hosts = `127.0.1.[1-180],127.0.2.[1-4],127.0.3.[1-3],127.0.4.[1-3],127.0.5.[1-3],127.0.6.[1-4]:${closed},127.0.7.[1-3]`;
  });

  // exit 4, signal 3, auth 3, host-key 3, refused 4, lost 3
  const command =
    'set -- $SSH_CONNECTION; case $3 in 127.0.2.*) echo broken >&2; exit 4;; 127.0.3.*) kill -9 $$;; 127.0.7.*) kill -9 $PPID; sleep 20;; esac; echo fine';
  const known = (): string => join(bssh.home, 'known_hosts');

  it('ends in one class each: summary, JSON and exit status agree', { timeout: 150_000 }, async () => {
    const trusted = readFileSync(known(), 'utf8');
    const { code, out, err } = await bssh.run([...bssh.common, '-H', hosts, '--parallel', '24', command], {
      limit: 140_000,
    });
    const summary = lines(err).filter((line) => /^ *\d+ \S/.test(line));
    expect(summary.map((line) => line.trim().replace(/ +/g, ' '))).toEqual([
      '180 ok 127.0.1.[1-180]',
      '4 exit 4 127.0.2.[1-4]',
      '4 refused 127.0.6.[1-4]',
      '3 signal KILL 127.0.3.[1-3]',
      '3 auth 127.0.4.[1-3]',
      '3 host-key 127.0.5.[1-3]',
      '3 lost 127.0.7.[1-3]',
    ]);
    expect(err).toMatch(/^127\.0\.2\.\[1-4\]: exit 4: broken$/m);
    expect(lines(out)).toHaveLength(180);
    expect(code).toBe(4);
    writeFileSync(known(), trusted);
  });

  it('is told the same as JSON', { timeout: 150_000 }, async () => {
    const { code, out } = await bssh.run([...bssh.common, '-H', hosts, '--parallel', '24', '--json', command], {
      limit: 140_000,
    });
    const events = lines(out).map((line) => JSON.parse(line) as Record<string, unknown>);
    const classes = { ok: 180, exit: 4, signal: 3, auth: 3, 'host-key': 3, refused: 4, lost: 3 };
    expect(events.at(-1)).toMatchObject({ v: 1, type: 'summary', hosts: 200, classes });
    const results = events.filter(({ type }) => type === 'result');
    expect(results).toHaveLength(200);
    const of = (host: string) => results.find((result) => result.host === host);
    expect(of('127.0.2.3')).toMatchObject({ class: 'exit', exitStatus: 4 });
    expect(of('127.0.3.1')).toMatchObject({ class: 'signal', signal: 'KILL' });
    expect(of('127.0.4.2')).toMatchObject({ class: 'auth', error: { code: 'auth' } });
    expect(of('127.0.5.2')).toMatchObject({ class: 'host-key', error: { code: 'host-key' } });
    expect(of('127.0.6.4')).toMatchObject({ class: 'refused', error: { code: 'refused' } });
    expect(of('127.0.7.1')).toMatchObject({ class: 'lost', error: { code: 'lost' } });
    expect(code).toBe(4);
    const again = await bssh.run(['--rerun', 'exit,signal', '--color=never', '--', 'echo again'], {});
    expect(lines(again.out).sort()).toEqual(
      ['2.1', '2.2', '2.3', '2.4', '3.1', '3.2', '3.3'].map((end) => `127.0.${end}: again`),
    );
  });
});

describe.skipIf(!requireServer('sshd'))('a run that is cut short', () => {
  const bssh = served(new Bssh());

  /** Processes whose command line has the mark, those of bssh itself left out. */
  const left = (mark: string): string[] =>
    execFileSync('ps', ['-eo', 'args'])
      .toString()
      .split('\n')
      .filter((line) => line.includes(mark) && !line.includes('bssh.mjs'));
  // Each is another way not to be ended easily.
  const commands: readonly (readonly [name: string, command: (mark: string) => string])[] = [
    ['one process', (mark) => `echo up; exec sleep ${mark}`],
    ['a pipeline in a subshell', (mark) => `echo up; (sleep ${mark} | sleep ${mark}; true) & wait; true`],
    ['processes that ignore TERM', (mark) => `echo up; sh -c "trap '' TERM; sleep ${mark}; sleep ${mark}"; true`],
    ['a background process with other output', (mark) => `sleep ${mark} >/dev/null 2>&1 & echo up; sleep ${mark}`],
  ];

  it.each(commands)('by a timeout leaves nothing of %s', async (name, command) => {
    const mark = `36${process.pid}${commands.findIndex(([each]) => each === name)}`;
    const { code, err } = await bssh.on('-H', '127.0.0.[1-2]', '--timeout', '2', command(mark));
    expect(err).toMatch(/^2 command-timeout +127\.0\.0\.\[1,2\]$/m);
    expect(err).toContain('(the remote process is gone)');
    expect(left(mark)).toEqual([]);
    expect(code).toBe(3);
  });

  it.each(commands)('by Ctrl-C leaves nothing of %s', async (name, command) => {
    const mark = `37${process.pid}${commands.findIndex(([each]) => each === name)}`;
    const { code, err } = await bssh.run([...bssh.common, '-H', '127.0.0.[1-2]', command(mark)], {
      started: (child) => {
        let seen = '';
        child.stdout!.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
          if (lines(seen).length !== 2) return;
          child.kill('SIGINT');
          setTimeout(() => child.kill('SIGINT'), 300);
        });
      },
    });
    expect(err).toMatch(/^2 cancelled +127\.0\.0\.\[1,2\]$/m);
    expect(err).toContain('(the remote process is gone)');
    expect(left(mark)).toEqual([]);
    expect(code).toBe(130);
  });

  it.each(commands)('by --fail-fast leaves nothing of %s', async (name, command) => {
    const mark = `39${process.pid}${commands.findIndex(([each]) => each === name)}`;
    const go = join(bssh.home, mark);
    const fails = `until test -e ${go}; do sleep 0.1; done; exit 6`;
    const { code, err } = await bssh.run(
      [
        ...[...bssh.common, '-H', '127.0.0.[1-3]', '--fail-fast'],
        `case $SSH_CONNECTION in *127.0.0.3*) ${fails};; esac; ${command(mark)}`,
      ],
      {
        started: (child) => {
          let seen = '';
          child.stdout!.on('data', (chunk: Buffer) => {
            seen += chunk.toString();
            if (lines(seen).length === 2) bssh.write(mark, '');
          });
        },
      },
    );
    expect(err).toMatch(/^1 exit 6 +127\.0\.0\.3$/m);
    expect(err).toMatch(/^2 cancelled +127\.0\.0\.\[1,2\]$/m);
    expect(err).toContain('(the remote process is gone)');
    expect(left(mark)).toEqual([]);
    expect(code).toBe(5);
  });

  it('asks what runs to end before it is killed', async () => {
    const cleanUp = `trap 'echo cleaned up; exit 9' TERM; echo up; while :; do sleep 0.1; done`;
    const { code, out, err } = await bssh.run([...bssh.common, '-H', '127.0.0.1', cleanUp], {
      started: (child) => child.stdout!.once('data', () => child.kill('SIGTERM')),
    });
    expect(out).toBe('127.0.0.1: up\n127.0.0.1: cleaned up\n');
    expect(err).toMatch(/^127\.0\.0\.1: cancelled \(the remote process is gone\)/m);
    expect(code).toBe(143);
  });

  it('says who survived: what made itself a daemon', async () => {
    const mark = `38${process.pid}`;
    const { err } = await bssh.on('-H', '127.0.0.1', '--timeout', '2', `setsid sleep ${mark} & wait`);
    expect(err).toContain('127.0.0.1: command-timeout (the remote process may still run): the command took too long');
    expect(left(mark)).toHaveLength(1);
    execFileSync('pkill', ['-f', `^sleep ${mark}$`]);
  });
});
