// How a run on many hosts goes: batches with a look in between, time for all of it, and servers that turn some away.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort, requireServer, startSshd } from '../../interop/servers.ts';
import { Bssh, lines, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('a roll-out', () => {
  const bssh = served(new Bssh());

  const hosts = (n: number): string => `127.0.0.[1-${n}]`;

  it('goes batch by batch, the last size for the rest, and asks between them', async () => {
    const log = join(bssh.home, 'health.log');
    const health = `echo "$BSSH_BATCH $BSSH_BATCH_HOSTS $BSSH_BATCH_FAILED $BSSH_HOSTS_DONE $BSSH_HOSTS_LEFT" >> ${log}; echo looks fine`;
    const command = 'case $SSH_CONNECTION in *127.0.0.2*) exit 3;; esac; echo hello';
    const { code, err } = await bssh.on('-H', hosts(6), '--batch', '1,30%', '--health', health, command);
    expect(readFileSync(log, 'utf8')).toBe('1 1 0 1 5\n2 2 1 3 3\n3 2 0 5 1\n');
    expect(lines(err).filter((line) => line === 'looks fine')).toHaveLength(3);
    expect(code).toBe(1);
  });

  it('ends at a health check that fails, and says who was left out', async () => {
    const health = 'echo not well >&2; exit 7';
    const { code, out, err } = await bssh.on('-H', hosts(5), '--batch', '2', '--health', health, 'echo hello');
    expect(lines(out).sort()).toEqual(['127.0.0.1: hello', '127.0.0.2: hello']);
    expect(err).toContain('not well\nThe health check after batch 1 ended with 7: 3 of 5 hosts are left out\n');
    expect(err).toMatch(/^2 ok +127\.0\.0\.\[1,2\]\n3 not-started +127\.0\.0\.\[3-5\]$/m);
    expect(code).toBe(5);
  });

  it('ends the health check, with all it started, when it is interrupted', async () => {
    const mark = `33${process.pid}${Date.now() % 10_000}`;
    const { code, err } = await bssh.run(
      [...bssh.common, '-H', hosts(2), '--batch', '1', '--health', `echo begun; sleep ${mark}; true`, 'true'],
      {
        started: (child) => {
          let seen = '';
          // Once: a second interrupt would end bssh itself at once.
          child.stderr!.on('data', function look(chunk: Buffer) {
            seen += chunk.toString();
            if (!/^begun$/m.test(seen)) return;
            child.stderr!.off('data', look);
            child.kill('SIGINT');
          });
        },
      },
    );
    expect(code).toBe(130);
    expect(err).toMatch(/^1 not-started +127\.0\.0\.2$/m);
    expect(err).not.toContain('health check');
    // A process that was killed may take a moment to be gone.
    const running = (): string => execFileSync('ps', ['-eo', 'args']).toString();
    await expect.poll(running).not.toContain(`sleep ${mark}`);
  });

  it('ends everything at the deadline: what runs, and what had no turn', async () => {
    const { code, err } = await bssh.on(
      '-H',
      hosts(3),
      '--parallel',
      '1',
      '--deadline',
      '3',
      'set -- $SSH_CONNECTION; [ "$3" = 127.0.0.1 ] || exec sleep 60',
    );
    expect(code).toBe(5);
    expect(err).toMatch(/^1 ok +127\.0\.0\.1$/m);
    expect(err).toMatch(/^1 command-timeout +127\.0\.0\.2$/m);
    expect(err).toMatch(/^1 not-started +127\.0\.0\.3$/m);
    expect(err).toContain('(the remote process is gone): the run took too long');
  });

  it('stops starting hosts after too many failures, and lets the others end', async () => {
    const failing = 'case $SSH_CONNECTION in *127.0.0.[12]*) exit 9;; esac';
    const { code, err } = await bssh.on('-H', hosts(6), '--parallel', '1', '--max-failures', '1', failing);
    expect(code).toBe(5);
    expect(err).toMatch(/^2 exit 9 +127\.0\.0\.\[1,2\]$/m);
    expect(err).toMatch(/^4 not-started +127\.0\.0\.\[3-6\]$/m);
    expect((await bssh.on('-H', hosts(6), '--max-failures', '34%', failing)).code).toBe(1);
  });

  it('tries connections again with --retries, and commands never', async () => {
    const closed = await freePort();
    const target = `127.0.0.1,127.0.0.2:${closed}`;
    const { out } = await bssh.on('-H', target, '--retries', '2', '--json', 'exit 4');
    const results = lines(out)
      .map((line) => JSON.parse(line) as { type: string; class?: string; attempts?: number })
      .filter(({ type }) => type === 'result')
      .map((result) => `${result.class} ${result.attempts}`);
    expect(results.sort()).toEqual(['exit 1', 'refused 3']);
  });

  it.each<[args: string[], says: RegExp]>([
    [['--batch', '2,x'], /--batch is a list of sizes such as 1,10%,50%, not '2,x'/],
    [['--batch', '0'], /--batch is a list of sizes/],
    [['--health', 'true'], /--health goes with --batch/],
    [['--batch', '1', '--health', ''], /--health is empty/],
    [['--run', '3'], /--run goes with --rerun/],
    [['--sudo-password', '--stdin'], /sudo-password.*stdin/],
    [['--record', '--no-journal'], /record.*no-journal/],
  ])('says what is wrong with %j', async (args, says) => {
    const { code, err } = await bssh.on('-H', hosts(2), ...args, 'true');
    expect(err).toMatch(says);
    expect(code).toBe(2);
  });

  it('shows the batches in the plan', async () => {
    const args = ['-H', hosts(4), '--batch', '1,2', '--dry-run', '--vars'];
    const { out } = await bssh.on(...args, 'echo {index} of {node}');
    const at = `${bssh.server.user}@127.0.0`;
    expect(lines(out)).toEqual([
      'batch 1 of 3: 1 host',
      `127.0.0.1: ${at}.1:${bssh.server.port}: echo 0 of 127.0.0.1`,
      'batch 2 of 3: 2 hosts',
      `127.0.0.2: ${at}.2:${bssh.server.port}: echo 1 of 127.0.0.2`,
      `127.0.0.3: ${at}.3:${bssh.server.port}: echo 2 of 127.0.0.3`,
      'batch 3 of 3: 1 host',
      `127.0.0.4: ${at}.4:${bssh.server.port}: echo 3 of 127.0.0.4`,
    ]);
    const rows = lines((await bssh.on(...args, '--json', 'true')).out).map((line) => JSON.parse(line) as object);
    expect(rows[3]).toMatchObject({ version: 1, batch: 3, host: '127.0.0.4', command: 'true' });
  });

  it('says beforehand when the system allows too few open files', async () => {
    const bounded = ['-c', `ulimit -n 256; exec "$0" "$@"`, bssh.file, ...bssh.common];
    const run = (parallel: string) =>
      bssh.run([...bounded, '-H', '127.1.0.[1-250],127.1.1.[1-250]', '--parallel', parallel, '--dry-run', 'true'], {
        program: '/bin/sh',
      });
    expect((await run('0')).code).toBe(0);
    const { code, err } = await bssh.run(
      [...bounded, '-H', '127.1.0.[1-250],127.1.1.[1-250]', '--parallel', '0', 'true'],
      { program: '/bin/sh' },
    );
    expect(err).toMatch(
      /500 hosts at a time need \d+ open files, and this process may have 256: allow more \(ulimit -n \d+\) or take fewer hosts at a time \(--parallel 19\d\)/,
    );
    expect(code).toBe(2);
  });
});

describe.skipIf(!requireServer('sshd'))('a server that turns connections away', () => {
  it('gets to serve all of them in the end', async () => {
    await using server = await startSshd({ address: '0.0.0.0', config: ['MaxStartups 3:100:3'] });
    const bssh = new Bssh(server);
    const { code, out, err } = await bssh.on(
      '-H',
      '127.0.0.[1-30]',
      '--parallel',
      '0',
      '--handshakes',
      '0',
      '--json',
      'true',
    );
    const events = lines(out).map((line) => JSON.parse(line) as { type: string; class?: string; classes?: object });
    expect(err).not.toContain('error');
    expect(events.at(-1)).toMatchObject({ type: 'summary', hosts: 30, classes: { ok: 30 } });
    expect(code).toBe(0);
    // Who was turned away was: else this shows nothing.
    expect(events.filter(({ type }) => type === 'retry').every((event) => event.class === 'lost')).toBe(true);
    expect(events.some(({ type }) => type === 'retry')).toBe(true);
    expect(server.log()).toMatch(/MaxStartups|drop connection/);
  });
});
