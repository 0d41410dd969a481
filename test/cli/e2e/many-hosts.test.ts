import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startDemoServer } from '../../demo-server/index.ts';
import { freePort, requireServer, startSshd } from '../../interop/servers.ts';
import { Bssh, lines, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('many hosts', () => {
  const bssh = served(new Bssh());
  let closedPort: number;
  beforeAll(async () => {
    closedPort = await freePort();
  });

  const running = (command: string): boolean =>
    execFileSync('ps', ['-eo', 'args']).toString().split('\n').includes(command);
  const hosts = (n: number): string => `127.0.0.[1-${n}]`;

  it('runs a command everywhere and prefixes each line with its host', async () => {
    const { code, out, err } = await bssh.on('-H', hosts(3), 'echo one; echo two');
    expect(code).toBe(0);
    expect(lines(out).sort()).toEqual([
      '127.0.0.1: one',
      '127.0.0.1: two',
      '127.0.0.2: one',
      '127.0.0.2: two',
      '127.0.0.3: one',
      '127.0.0.3: two',
    ]);
    expect(err).toContain('3 ok  127.0.0.[1-3]');
  });

  it('gives each failure its class, and the worst its exit code', async () => {
    const targets = `127.0.0.1,127.0.0.2,127.0.0.3:${closedPort},nosuch.invalid`;
    const { code, out, err } = await bssh.on(
      '-H',
      targets,
      '--parallel',
      '2',
      'case $SSH_CONNECTION in *127.0.0.2*) echo bad >&2; exit 3;; esac; echo fine',
    );
    expect(code).toBe(4);
    expect(out).toBe('127.0.0.1: fine\n');
    expect(err).toMatch(/^1 ok +127\.0\.0\.1$/m);
    expect(err).toMatch(/^1 exit 3 +127\.0\.0\.2$/m);
    expect(err).toMatch(/^1 refused +127\.0\.0\.3$/m);
    expect(err).toMatch(/^1 dns +nosuch\.invalid$/m);
    expect(err).toMatch(/^127\.0\.0\.2: exit 3: bad$/m);
  });

  it('connects, logs in, runs the command and has a result, in this order; one handshake at a time when told to', async () => {
    const { code, out } = await bssh.on('-H', hosts(6), '--parallel', '0', '--handshakes', '1', '--json', 'echo x');
    expect(code).toBe(0);
    const events = lines(out).map((line) => JSON.parse(line) as { type: string; host: string; phase?: string });
    const shaking = new Set<string>();
    let most = 0;
    for (const { type, host, phase } of events) {
      if (type === 'state' && phase === 'handshake') shaking.add(host);
      else if (type === 'state') shaking.delete(host);
      most = Math.max(most, shaking.size);
    }
    expect(most).toBe(1);
    for (const host of [1, 2, 3, 4, 5, 6].map((n) => `127.0.0.${n}`)) {
      const own = events.filter((event) => event.host === host && event.phase !== 'wait');
      const steps = own.map(({ type, phase = type }) => phase).filter((step, i, all) => step !== all[i - 1]);
      expect(steps).toEqual(['connect', 'handshake', 'auth', 'command', 'output', 'result']);
    }
  });

  it('has a class for a server that lets in and then opens no session', async () => {
    await using closed = await startSshd({ config: ['MaxSessions 0'] });
    const { code, err } = await new Bssh(closed).on('-H', '127.0.0.1', 'true');
    expect(code).toBe(1);
    expect(err).toMatch(/^1 channel +127\.0\.0\.1$/m);
  });

  it('exits 1 when a command failed and nothing worse happened', async () => {
    expect((await bssh.on('-H', hosts(2), 'exit 7')).code).toBe(1);
  });

  it('shows output while it comes', async () => {
    let first: number | undefined;
    const started = Date.now();
    await bssh.run([...bssh.common, '-H', '127.0.0.1', 'echo early; sleep 3; echo late'], {
      started: (child) => child.stdout!.once('data', () => void (first = Date.now())),
    });
    // The end is three seconds after the first line, whatever the machine's pace.
    expect(first).toBeDefined();
    expect(Date.now() - first!).toBeGreaterThan(2000);
    expect(first!).toBeGreaterThan(started);
  });

  it('keeps bytes: CR, NUL, broken UTF-8 and a missing last newline', async () => {
    const { stdout } = await bssh.on('-H', '127.0.0.1', `printf 'a\\rb\\n\\000c\\n\\377\\376\\nlast'`);
    expect(stdout).toEqual(
      Buffer.concat([
        Buffer.from('127.0.0.1: a\rb\n127.0.0.1: \0c\n127.0.0.1: '),
        Buffer.from([0xff, 0xfe]),
        Buffer.from('\n127.0.0.1: last\n'),
      ]),
    );
  });

  it('ends remote processes at a timeout, and says so', async () => {
    const mark = `31${process.pid}`;
    const { code, err } = await bssh.on('-H', '127.0.0.1', '--timeout', '1', `exec sleep ${mark}`);
    expect(code).toBe(3);
    expect(err).toMatch(/^1 command-timeout +127\.0\.0\.1$/m);
    expect(running(`sleep ${mark}`)).toBe(false);
    expect(err).not.toContain('may still run');
  });

  it('a timeout of 0 is none', async () => {
    expect((await bssh.on('-H', '127.0.0.1', '--timeout', '0', 'sleep 2; echo done')).out).toBe('127.0.0.1: done\n');
  });

  it('takes the timeout of the configuration when none is given', async () => {
    const config = bssh.write(
      'timeouts.yaml',
      'defaults: { timeout: 1 }\nclusters:\n  short: { nodes: [127.0.0.1] }\n  long: { nodes: [127.0.0.2], timeout: 0 }\n',
    );
    const { code, out, err } = await bssh.on(
      ...['--config', config, '-C', 'short', '-C', 'long', '-H', '127.0.0.3'],
      'sleep 2.5; echo done',
    );
    expect([code, out]).toEqual([3, '127.0.0.2: done\n']);
    expect(err).toMatch(/^2 command-timeout +127\.0\.0\.\[1,3\]$/m);
    expect((await bssh.on('--config', config, '-C', 'short', '--timeout', '0', 'sleep 1.5')).code).toBe(0);
  });

  it('Ctrl-C twice ends the remote processes and exits 130', async () => {
    const mark = `32${process.pid}`;
    const { code, err } = await bssh.run([...bssh.common, '-H', hosts(2), `echo up; exec sleep ${mark}`], {
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
    expect(code).toBe(130);
    expect(err).toMatch(/^2 cancelled +127\.0\.0\.\[1,2\]$/m);
    expect(running(`sleep ${mark}`)).toBe(false);
    expect(err).not.toContain('may still run');
  });

  it('Ctrl-C once starts no further hosts, and lets those at work end', async () => {
    const go = join(bssh.home, 'go-on');
    const work = `echo up; until test -e ${go}; do sleep 0.1; done; echo done`;
    const { code, out, err } = await bssh.run([...bssh.common, '-H', hosts(3), '--parallel', '1', work], {
      started: (child) => {
        child.stdout!.once('data', () => child.kill('SIGINT'));
        let said = '';
        child.stderr!.on('data', (chunk: Buffer) => {
          said += chunk.toString();
          if (said.includes('no further hosts')) bssh.write('go-on', '');
        });
      },
    });
    expect(out).toBe('127.0.0.1: up\n127.0.0.1: done\n');
    expect(err).toMatch(
      /^Interrupted: no further hosts are started; .*\n0 done, 1 running, 0 pending, 0 failed \| 127\.0\.0\.1 \ds\n/m,
    );
    expect(err).toMatch(/^1 ok +127\.0\.0\.1\n2 not-started +127\.0\.0\.\[2,3\]$/m);
    expect(code).toBe(130);
  });

  it('stops launching with --fail-fast', async () => {
    const { code, err } = await bssh.on(
      '-H',
      `127.0.0.1:${closedPort},127.0.0.[2-9]`,
      '--parallel',
      '1',
      '--fail-fast',
      'true',
    );
    expect(code).toBe(5);
    expect(err).toMatch(/^8 not-started +127\.0\.0\.\[2-9\]$/m);
  });

  it('reads clusters from the configuration', async () => {
    const config = bssh.write(
      'config.yaml',
      `clusters:\n  web:\n    nodes: ['127.0.0.[1-2]']\n  db:\n    nodes: [{host: 127.0.0.3, port: ${bssh.server.port}}]\n`,
    );
    const list = await bssh.run(['--config', config, 'list']);
    expect(list.out).toBe(`db (1 node)\n  127.0.0.3:${bssh.server.port}\nweb (2 nodes)\n  127.0.0.1\n  127.0.0.2\n`);
    const json = await bssh.run(['--config', config, 'list', '--json']);
    expect(lines(json.out).map((line) => JSON.parse(line))).toEqual([
      { version: 1, cluster: 'db', nodes: [`127.0.0.3:${bssh.server.port}`] },
      { version: 1, cluster: 'web', nodes: ['127.0.0.1', '127.0.0.2'] },
    ]);
    const run = await bssh.on(
      '--config',
      config,
      '-C',
      'web',
      '-C',
      'db',
      '-f',
      '*.2',
      'echo $SSH_CONNECTION | cut -d" " -f3',
    );
    expect(run.out).toBe('127.0.0.2: 127.0.0.2\n');
    const unknown = await bssh.run(['--config', config, '--cluster', 'wbe', 'true']);
    expect(unknown.code).toBe(2);
    expect(unknown.err).toMatch(/unknown cluster 'wbe' \(did you mean web\?\): the configured clusters are db, web/);
  });

  it('waits for the answers of a log-in as long as --connect-timeout says', async () => {
    for (const stallAt of ['newkeys', 'auth'] as const) {
      await using mute = await startDemoServer({ users: [{ name: 'alice', open: true }], faults: { stallAt } });
      const from = ['-p', String(mute.port), '-l', 'alice', '-H', mute.host, '--connect-timeout', '1'];
      const { code, err } = await bssh.run(['-F', 'none', '-o', 'UserKnownHostsFile=/dev/null', ...from, 'true']);
      expect({ stallAt, code }).toEqual({ stallAt, code: 4 });
      expect(err).toMatch(/1 connect-timeout {2}127\.0\.0\.1\n.*: the server did not answer the log-in in time\n/);
    }
  });

  it('names the line of a configuration that is wrong', async () => {
    const config = bssh.write('broken.yaml', 'clusters:\n  web:\n    noodes: [a]\n');
    const { code, err } = await bssh.run(['--config', config, '-C', 'web', 'true']);
    expect(code).toBe(2);
    expect(err).toContain(`${config}:3:5`);
    expect(err).toContain('nodes');
  });

  it('says at -v that a ./config.yaml is passed over, and wants one that is named to exist', async () => {
    const cwd = join(bssh.home, 'another-project');
    mkdirSync(cwd);
    bssh.write('another-project/config.yaml', 'title: something else\n');
    const args = [...bssh.common, '-H', '127.0.0.1', '--dry-run', 'true'];
    const note = `${cwd}/config.yaml belongs to another program: passed over`;
    expect((await bssh.run(args, { cwd })).err).not.toContain(note);
    expect((await bssh.run(['-v', ...args], { cwd })).err).toContain(note);
    const missing = await bssh.run(['--config', join(cwd, 'nowhere.yaml'), ...args], { cwd });
    expect([missing.code, missing.out]).toEqual([2, '']);
    expect(missing.err).toContain(`${cwd}/nowhere.yaml: no such file`);
  });

  it('takes a setting from the flag, the node, the cluster, the defaults, ssh_config, and else what is built in', async () => {
    const sshConfig = bssh.write('layers-ssh', 'Host n*\n  Port 5\n  User ssh-config\n');
    const yaml = (defaults: string, cluster: string, node: string): string =>
      bssh.write(
        'layers.yaml',
        `defaults: { ${defaults} }\nclusters:\n  c: { nodes: [{ host: n1${node} }], ${cluster} }\n`,
      );
    const port = async (config: string, ...flags: readonly string[]): Promise<number> => {
      const args = ['-F', sshConfig, '--config', config, '-C', 'c', '--dry-run', '--json', ...flags, 'true'];
      return (JSON.parse((await bssh.run(args)).out) as { port: number }).port;
    };
    expect(await port(yaml('port: 4', 'port: 3', ', port: 2'), '-p', '1')).toBe(1);
    expect(await port(yaml('port: 4', 'port: 3', ', port: 2'))).toBe(2);
    expect(await port(yaml('port: 4', 'port: 3', ''))).toBe(3);
    expect(await port(yaml('port: 4', '', ''))).toBe(4);
    expect(await port(yaml('', '', ''))).toBe(5);
    bssh.write('layers-ssh', '');
    expect(await port(yaml('', '', ''))).toBe(22);
  });

  it('has one connection for each distinct way through jump hosts, whoever is behind it', async () => {
    const hop = (n: number): string => `${bssh.server.user}@127.0.8.${n}:${bssh.server.port}`;
    const config = bssh.write(
      'jumps.yaml',
      `clusters:
  one: { nodes: ['127.0.0.[1-3]'], jump_host: '${hop(1)}' }
  two: { nodes: [127.0.0.4, 127.0.0.5, { host: 127.0.0.6, jump_host: [${hop(2)}, ${hop(1)}] }], jump_host: '${hop(2)}' }
`,
    );
    const from = ['--config', config, '-C', 'one', '-C', 'two'];
    const plan = lines((await bssh.on(...from, '--dry-run', '--json', 'true')).out).map((line) => JSON.parse(line));
    expect(plan.map(({ host, jump }) => `${host} via ${jump}`)).toEqual([
      ...[1, 2, 3].map((n) => `127.0.0.${n} via 127.0.8.1`),
      ...[4, 5].map((n) => `127.0.0.${n} via 127.0.8.2`),
      '127.0.0.6 via 127.0.8.2,127.0.8.1',
    ]);
    const log = bssh.server.log().length;
    const { code, out } = await bssh.on(...from, 'echo in');
    expect([code, lines(out)]).toEqual([0, expect.arrayContaining([1, 2, 3, 4, 5, 6].map((n) => `127.0.0.${n}: in`))]);
    const logins = bssh.server
      .log()
      .slice(log)
      .match(/Accepted publickey/g);
    // Six hosts; the two ways that begin at a host of their own, and the one that goes on from there.
    expect(logins).toHaveLength(6 + 3);
  });

  it('gives --stdin to every host, late ones too, and nothing without it', async () => {
    const input = 'x'.repeat(300_000);
    const { code, out } = await bssh.run([...bssh.common, '-H', hosts(3), '--parallel', '1', '--stdin', 'wc -c'], {
      input,
    });
    expect([code, lines(out).sort()]).toEqual([0, [1, 2, 3].map((n) => `127.0.0.${n}: 300000`)]);
    const early = await bssh.run([...bssh.common, '-H', hosts(2), '--stdin', 'head -c 3; echo'], { input });
    expect([early.code, lines(early.out).sort()]).toEqual([0, ['127.0.0.1: xxx', '127.0.0.2: xxx']]);
    expect((await bssh.run([...bssh.common, '-H', hosts(1), 'wc -c'], { input })).out).toBe('127.0.0.1: 0\n');
  });

  it('leaves standard input to others without --stdin', async () => {
    const { out } = await bssh.run(
      ['-c', '"$0" "$@"; cat', bssh.file, ...bssh.common, '-H', hosts(2), '--quiet', 'cat'],
      { program: '/bin/sh', input: 'for the next one\n' },
    );
    expect(out).toBe('for the next one\n');
  });

  it('pings: says how long each step took', async () => {
    const { code, out } = await bssh.on('-H', hosts(2), 'ping');
    expect(code).toBe(0);
    for (const line of lines(out))
      expect(line).toMatch(/^127\.0\.0\.\d: alive: connect \d+ ms, handshake \d+ ms, auth \d+ ms$/);
    expect(lines(out)).toHaveLength(2);
    const json = lines((await bssh.on('-H', hosts(1), '--json', 'ping')).out).map((line) => JSON.parse(line));
    const { phases } = json.find(({ type }) => type === 'result') as { phases: object };
    expect(Object.keys(phases)).toEqual(expect.arrayContaining(['connect', 'handshake', 'auth']));
    // What differs from host to host would keep apart who answers alike.
    const gathered = await bssh.on('-H', hosts(2), '--gather', 'ping');
    expect(gathered.out).toBe('==> 127.0.0.[1,2] (2): ok <==\nalive\n');
  });

  it('pings: 0 for all, 1 for some, 255 for none', async () => {
    expect((await bssh.on('-H', hosts(2), 'ping')).code).toBe(0);
    expect((await bssh.on('-H', `127.0.0.1,127.0.0.2:${closedPort}`, 'ping')).code).toBe(1);
    expect((await bssh.on('-H', `127.0.0.1:${closedPort}`, 'ping')).code).toBe(255);
  });

  it('gathers identical output under folded names', async () => {
    const { out } = await bssh.on(
      '-H',
      hosts(3),
      '--gather',
      'case $SSH_CONNECTION in *127.0.0.2*) echo other;; *) echo same;; esac',
    );
    expect(out).toContain('same');
    expect(lines(out).filter((line) => line === 'same')).toHaveLength(1);
    expect(out).toContain('127.0.0.[1,3]');
  });

  it('prints one JSON object a host', async () => {
    const { out } = await bssh.on('-H', hosts(2), '--json=result', 'echo hi; exit 2');
    const results = lines(out).map((line) => JSON.parse(line) as { host: string; class: string; exitStatus?: number });
    expect(results.map((r) => r.host).sort()).toEqual(['127.0.0.1', '127.0.0.2']);
    expect(results.every((r) => r.class === 'exit' && r.exitStatus === 2)).toBe(true);
  });

  it('writes files with headers', async () => {
    const dir = join(bssh.home, 'out');
    mkdirSync(dir);
    const { code } = await bssh.on(
      '-H',
      `127.0.0.1,127.0.0.2:${closedPort}`,
      '--output-dir',
      dir,
      'echo to stdout; echo to stderr >&2',
    );
    expect(code).toBe(4);
    const names = readdirSync(dir)
      .map((name) => name.replace(/_\d{8}_\d{6}/, '_STAMP'))
      .sort();
    expect(names).toContain('127.0.0.1_STAMP.stdout');
    expect(names).toContain('127.0.0.1_STAMP.stderr');
    expect(names).toContain('summary_STAMP.txt');
    expect(names.some((name) => name.startsWith('127.0.0.2') && name.endsWith('.error'))).toBe(true);
    const stdout = readdirSync(dir).find((name) => /^127\.0\.0\.1_.*\.stdout$/.test(name))!;
    expect(readFileSync(join(dir, stdout), 'utf8')).toMatch(
      /^# Command: echo to stdout.*\n# Host: 127\.0\.0\.1\n# User: .*\n# Exit Status: 0 *\n# Timestamp: \d{8}_\d{6}\n\nto stdout\n$/,
    );
  });

  it('shows the plan with --dry-run and connects to nobody', async () => {
    const { code, out } = await bssh.on('-H', 'u@a[1-2]:22', '--dry-run', 'reboot');
    expect(code).toBe(0);
    expect(lines(out)).toEqual(['a1: u@a1:22: reboot', 'a2: u@a2:22: reboot']);
  });

  it('stops quietly when its reader leaves', async () => {
    const { code, err } = await bssh.run([...bssh.common, '-H', '127.0.0.1', 'yes'], {
      started: (child) => child.stdout!.once('data', () => child.stdout!.destroy()),
    });
    expect(code).not.toBe(null);
    expect(err).not.toContain('EPIPE');
  });

  it('works inside a Backend.AI session with nothing but the environment', async () => {
    const env = {
      BACKENDAI_CLUSTER_HOSTS: '127.0.0.1,127.0.0.2',
      BACKENDAI_CLUSTER_HOST: '127.0.0.1',
      BACKENDAI_CLUSTER_ROLE: 'main',
    };
    const { code, out } = await bssh.run([...bssh.common, 'echo on all'], { env });
    expect(code).toBe(0);
    expect(lines(out).sort()).toEqual(['127.0.0.1: on all', '127.0.0.2: on all']);
    expect(existsSync(join(bssh.home, 'known_hosts'))).toBe(true);
  });

  it('takes a Host of ssh_config for a host inside a Backend.AI session, whatever is said of it', async () => {
    const env = { BACKENDAI_CLUSTER_HOSTS: 'main1,sub1', BACKENDAI_CLUSTER_HOST: 'main1' };
    const config = bssh.write(
      'session-hosts',
      'Host addressed\n  HostName 127.0.0.9\nHost named\n  User me\nHost lab-*\n  User me\nHost *\n  Port 1\n',
    );
    for (const [word, host] of [
      ['addressed', '127.0.0.9'],
      ['named', 'named'],
      ['lab-7', 'lab-7'],
    ] as const) {
      const { out } = await bssh.run(['-F', config, '-G', word], { env });
      expect(lines(out)).toContain(`hostname ${host}`);
      const { err } = await bssh.run(['-F', config, '-o', 'ProxyCommand=false', word, 'true'], { env });
      expect(err).toContain(`Connection closed by ${host} port 1`);
    }
    const command = await bssh.run(['-F', config, '--dry-run', 'uptime'], { env });
    expect(lines(command.out).map((line) => line.split(': ')[0])).toEqual(['main1', 'sub1']);
  });
});
