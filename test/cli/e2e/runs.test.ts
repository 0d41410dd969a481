// The journal: what is kept of runs, who may read it, and running them again.
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, freshDir, requireServer } from '../../interop/servers.ts';
import { Bssh, lines, type Outcome, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('the journal of runs', () => {
  const bssh = served(new Bssh());
  let closed: number;
  let state: string;
  beforeAll(async () => {
    closed = await freePort();
  });
  beforeEach(() => {
    state = freshDir('state');
  });

  const run = (args: readonly string[], more: { cwd?: string; input?: string } = {}): Promise<Outcome> =>
    bssh.run(args, { env: { XDG_STATE_HOME: state, TZ: 'UTC' }, ...more });
  const on = (...args: readonly string[]): Promise<Outcome> => run([...bssh.common, ...args]);
  const dir = (): string => join(state, 'bssh', 'runs');
  const third = 'set -- $SSH_CONNECTION; [ $3 != 127.0.0.3 ] || exit 3; echo fine';

  it('lists runs and shows one', async () => {
    await on('-H', `127.0.0.[1-3],127.0.0.4:${closed}`, third);
    await on('-H', '127.0.0.1', 'ping');
    const { out, code } = await run(['runs']);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^1 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}exit 4: 2 ok, 1 exit, 1 refused {2}set -- .*\n2 {2}[-0-9]+ [:0-9]+ {2}1 ok {2}ping\n$/,
    );
    const one = await run(['runs', '1']);
    expect(lines(one.out).slice(1)).toEqual([
      '  ok       127.0.0.[1,2]',
      '  exit 3   127.0.0.3',
      '  refused  127.0.0.4',
    ]);
    const [head] = lines((await run(['runs', '--json'])).out).map((line) => JSON.parse(line) as object);
    expect(head).toMatchObject({ version: 1, run: 1, hosts: 4, exit: 4, classes: { ok: 2, exit: 1, refused: 1 } });
    const rows = lines((await run(['runs', 'last', '--json'])).out).map((line) => JSON.parse(line) as object);
    expect(rows).toEqual([expect.objectContaining({ version: 1, run: 2, host: '127.0.0.1', class: 'ok' })]);
    const missing = await run(['runs', '7']);
    expect([missing.code, missing.err]).toEqual([2, 'bssh: run 7 is not recorded: those of 1 to 2 are\n']);
  });

  it('is for the user alone, and keeps output only when told to', async () => {
    await on('-H', '127.0.0.1', 'echo secret');
    await on('-H', '127.0.0.1', '--record', 'echo kept');
    await on('-H', '127.0.0.1', '--no-journal', 'echo x');
    expect(readdirSync(dir()).sort()).toEqual(['1.json', '2.json', '2.out']);
    expect(readFileSync(join(dir(), '1.json'), 'utf8')).not.toContain(Buffer.from('secret\n').toString('base64'));
    expect(readFileSync(join(dir(), '2.out'), 'utf8')).toBe('kept\n');
    expect(statSync(dir()).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dir())) expect(statSync(join(dir(), name)).mode & 0o777).toBe(0o600);
  });

  it('does not fail a run that it has no room for, unless the record was asked for', async () => {
    const env = { XDG_STATE_HOME: '/dev/null/nowhere' };
    const plain = await bssh.run([...bssh.common, '-H', '127.0.0.1', 'echo x'], { env });
    expect([plain.code, plain.out]).toEqual([0, '127.0.0.1: x\n']);
    expect(plain.err).not.toContain('recorded');
    const asked = await bssh.run([...bssh.common, '-H', '127.0.0.1', '--record', 'echo x'], { env });
    expect(asked.err).toMatch(/the run could not be recorded: ENOTDIR/);
  });

  it('repeats a run on the hosts that failed, with what is new in front', async () => {
    await on('-H', `127.0.0.[1-3],127.0.0.4:${closed}`, '--group', third);
    const failed = await run(['--rerun', 'failed', '--json=result']);
    expect(lines(failed.out).map((line) => JSON.parse(line) as object)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ host: '127.0.0.3', class: 'exit' }),
        expect.objectContaining({ host: '127.0.0.4', class: 'refused' }),
      ]),
    );
    expect(lines(failed.out)).toHaveLength(2);
    // That was a run, too: of two hosts.
    const again = await run(['--rerun', 'exit', '--no-prefix', '--', 'echo', 'another command']);
    expect([again.code, again.out]).toEqual([0, 'another command\n']);
    const first = await run(['--rerun', 'all', '--run', '1', '--filter', '127.0.0.[1-2]']);
    // --group was said then.
    expect(lines(first.out).sort()).toEqual(['==> 127.0.0.1: ok <==', '==> 127.0.0.2: ok <==', 'fine', 'fine']);
    const none = await run(['--rerun', 'signal', '--run', '1']);
    expect([none.code, none.err]).toEqual([2, 'bssh: run 1 has no host that ended so: 2 ok, 1 exit, 1 refused\n']);
    const typo = await run(['--rerun', 'failled']);
    expect(typo.err).toContain("not 'failled' (did you mean failed?)");
    const both = await run(['--rerun', 'failed', '-H', 'x']);
    expect(both.err).toContain('-H does not go with --rerun');
  });

  it('takes configuration, scripts and host lists from where they were', async () => {
    const here = join(bssh.home, 'work');
    mkdirSync(here);
    bssh.write('work/config.yaml', `clusters:\n  web:\n    nodes: ['127.0.0.[1-2]']\n    port: ${bssh.server.port}\n`);
    bssh.write('work/it.sh', 'set -- "$1" $SSH_CONNECTION; [ $4 != 127.0.0.2 ] || exit 3; echo "$1"');
    const common = bssh.common.filter((_, i) => !['-p', String(bssh.server.port)].includes(bssh.common[i]!));
    const before = await run([...common, '-C', 'web', '--script', 'it.sh', 'a b'], { cwd: here });
    expect([before.code, before.out]).toEqual([1, '127.0.0.1: a b\n']);
    const after = await run(['--rerun', 'failed']);
    expect(after.err).toMatch(/^1 exit 3 +127\.0\.0\.2$/m);
    await run([...bssh.common, '--hostfile', '-', '--', 'false'], { input: '127.0.0.1\n127.0.0.2\n' });
    const piped = await run(['--rerun', 'all', '--', 'echo again']);
    expect(lines(piped.out).sort()).toEqual(['127.0.0.1: again', '127.0.0.2: again']);
    bssh.write('work/nodes', '127.0.0.1');
    await run([...bssh.common, '-H', '^nodes', 'false'], { cwd: here });
    const elsewhere = await run(['--rerun', 'all']);
    expect(elsewhere.err).toContain(`go there first (cd ${here})`);
    expect((await run(['--rerun', 'all'], { cwd: here })).code).toBe(1);
  });
});
