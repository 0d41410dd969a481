// The examples people know bssh by, for clusters, filters, timeouts, files and Backend.AI: each as it is typed, on real
// hosts. Commands that would need their programs (nginx, pg_dump, nvidia-smi) find stand-ins in the hosts' PATH.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ensureTestUser,
  freePort,
  isRoot,
  makeKey,
  requireServer,
  type Server,
  startAgent,
  startSshd,
} from '../../interop/servers.ts';
import { hasPty, Pty } from '../session/pty.ts';
import { lines, type Outcome } from './bssh.ts';
import { NamedHosts } from './named-hosts.ts';

/** Of the description: defaults, a cluster with its own key and timeout, nodes as mappings. */
const configuration = (port: number, user: string, key: string): string => `defaults:
  user: ${user}
  port: ${port}
  ssh_key: ${key}
  parallel: 10
  timeout: 300
interactive:
  default_mode: multiplex
  prompt_format: "[{node}] $ "
  history_file: ~/.bssh_history
clusters:
  production:
    nodes:
      - web1
      - web2
      - ${user}@db1:${port}
    ssh_key: ${key}
    timeout: 600
  staging:
    nodes:
      - host: db1
        port: ${port}
        user: ${user}
      - db2
  monitoring:
    nodes: ['web[1-2]']
`;

describe.skipIf(!requireServer('sshd'))('the examples of the description', () => {
  let server: Server;
  let bssh: NamedHosts;
  let tools: string;
  let production: string[];

  /** `bssh ...` in a shell, as it stands in the description. */
  const sh = async (script: string, env: Record<string, string> = {}): Promise<Outcome> =>
    bssh.with({ env }, ...words(script));

  beforeAll(async () => {
    const bin = (name: string): string => join(tools, name);
    server = await startSshd({ address: '0.0.0.0', config: ['SetEnv PATH=/tmp/bssh-example-tools:/usr/bin:/bin'] });
    bssh = new NamedHosts(server, { web: 6, db: 7 });
    tools = '/tmp/bssh-example-tools';
    mkdirSync(tools, { recursive: true });
    for (const name of ['systemctl', 'pg_dump', 'nvidia-smi', 'python', 'backup-database.sh', 'sudo']) {
      writeFileSync(bin(name), `#!/bin/sh\necho "${name}" "$@"\n`);
      chmodSync(bin(name), 0o755);
    }
    const config = configuration(server.port, server.user, server.identity);
    mkdirSync(join(bssh.home, '.config/bssh'), { recursive: true });
    bssh.write('.config/bssh/config.yaml', config);
    production = ['db1', 'web1', 'web2'];
    await bssh.on('-H', 'web[1-4],db[1-2]', 'true');
  });
  afterAll(() => server?.stop());

  /** What each host of the output says. */
  const said = (out: string): Record<string, string> =>
    Object.fromEntries(
      lines(out).map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
    );
  const hostsIn = ({ out }: Outcome): string[] => [...new Set(lines(out).map((line) => line.split(': ')[0]!))].sort();

  it('runs on hosts that are listed, with users and ports', async () => {
    const where = `${server.user}@web1,${server.user}@web2:${server.port}`;
    const { code, out } = await sh(`-H "${where}" "echo up"`);
    expect([code, said(out)]).toEqual([0, { web1: 'up', web2: 'up' }]);
  });

  it('runs on a cluster of the configuration, with -C, -c and --cluster', async () => {
    for (const option of ['-C', '-c', '--cluster']) {
      const run = await sh(`${option} production "df -h"`);
      expect([run.code, hostsIn(run)]).toEqual([0, production]);
    }
  });

  it('filters by pattern', async () => {
    const status = await sh('-H "web1,web2,db1,db2" -f "web*" "systemctl status nginx"');
    expect(said(status.out)).toEqual({ web1: 'systemctl status nginx', web2: 'systemctl status nginx' });
    expect(said((await sh('-C production -f "db*" "pg_dump --version"')).out)).toEqual({ db1: 'pg_dump --version' });
  });

  it('keeps the quoting of a command', async () => {
    const update = await sh('-C production "sudo apt update && sudo apt upgrade -y"');
    expect(lines(update.out).filter((line) => line.startsWith('web1'))).toEqual([
      'web1: sudo apt update',
      'web1: sudo apt upgrade -y',
    ]);
    const disks = await sh(`-H "web1,web2" "df -h | grep -E '^(/dev|overlay|tmpfs)'"`);
    expect([disks.code, hostsIn(disks)]).toEqual([0, ['web1', 'web2']]);
  });

  it('limits the number of connections at a time', async () => {
    const { code, out } = await sh('-C production --parallel 1 "date +%s.%N; sleep 0.3; date +%s.%N"');
    expect(code).toBe(0);
    const times = lines(out).map((line) => Number(line.split(': ')[1]));
    // One host after the other: as they are printed they are in order.
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times).toHaveLength(6);
  });

  it('has timeouts: ten seconds, none, half an hour, and that of the cluster', async () => {
    const slow = await sh('-C production --timeout 1 "sleep 60"');
    expect(slow.code).toBe(3);
    expect(slow.err).toMatch(/^3 command-timeout +db1,web\[1,2\]$/m);
    for (const rest of ['--timeout 10', '--timeout 0', '--timeout 1800', '']) {
      const run = await sh(`-C staging ${rest} "sleep 1.2; backup-database.sh"`);
      expect([run.code, said(run.out)]).toEqual([0, { db1: 'backup-database.sh', db2: 'backup-database.sh' }]);
    }
  });

  it('pings clusters and hosts, lists clusters', async () => {
    expect((await sh('-C production ping')).code).toBe(0);
    const answers = lines((await sh('-H "web1,web2" ping')).out).map((line) => line.split(': ').slice(0, 2).join(': '));
    expect(answers.sort()).toEqual(['web1: alive', 'web2: alive']);
    const list = await sh('list');
    expect(lines(list.out).filter((line) => !line.startsWith(' '))).toEqual([
      'monitoring (2 nodes)',
      'production (3 nodes)',
      'staging (2 nodes)',
    ]);
  });

  it('goes through a jump host', async () => {
    const log = server.log().length;
    const run = await sh(`-J ${server.user}@db2 -C production "uptime"`);
    expect([run.code, hostsIn(run)]).toEqual([0, production]);
    // The three came from the jump host's own connection.
    expect(
      server
        .log()
        .slice(log)
        .match(/Accepted publickey/g),
    ).toHaveLength(4);
  });

  it('forwards ports while a cluster works', async () => {
    const port = await freePort();
    const inside: NetServer = createServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\ninternal\n'));
    await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
    const { port: target } = inside.address() as { port: number };
    try {
      const fetch = `python3 -c 'import urllib.request as r; print(r.urlopen("http://localhost:${port}").read().decode(), end="")'`;
      const run = await bssh.on('-C', 'production', '-f', 'web1', '-L', `${port}:127.0.0.1:${target}`, fetch);
      expect(said(run.out).web1).toBe('internal');
    } finally {
      inside.close();
    }
  });

  it('copies files to a cluster and from hosts', async () => {
    bssh.write('local.txt', 'text\n');
    // One after the other: these hosts have one file system.
    mkdirSync('/tmp/bssh-example-up', { recursive: true });
    chmodSync('/tmp/bssh-example-up', 0o777);
    const up = await sh('-C production --parallel 1 upload local.txt /tmp/bssh-example-up/');
    expect(up.code, up.err).toBe(0);
    expect(readFileSync('/tmp/bssh-example-up/local.txt', 'utf8')).toBe('text\n');
    const down = await sh('-H "web1,web2" download /etc/hosts ./backups/');
    expect(down.code).toBe(0);
    expect(readdirSync(join(bssh.home, 'backups'))).toHaveLength(2);
  });

  it('saves outputs to a directory that it makes', async () => {
    const stamp = execFileSync('date', ['+%Y%m%d']).toString().trim();
    const run = await sh(`-C production --output-dir ./results/${stamp} "ps aux | head -10"`);
    expect([run.code, run.out]).toEqual([0, '']);
    const dir = join(bssh.home, 'results', stamp);
    const names = readdirSync(dir).map((name) => name.replace(/_\d{8}_\d{6}/, '_STAMP'));
    expect(names.sort()).toEqual([
      '127.0.6.1_STAMP.stdout',
      '127.0.6.2_STAMP.stdout',
      '127.0.7.1_STAMP.stdout',
      'summary_STAMP.txt',
    ]);
    const text = readFileSync(join(dir, readdirSync(dir)[0]!), 'utf8');
    expect(text).toMatch(
      /^# Command: ps aux \| head -10\n# Host: 127\.0\.6\.1\n# User: .+\n# Exit Status: 0 *\n# Timestamp: /,
    );
    expect(text.split('\n\n')[1]).toContain('PID');
    const mixed = await bssh.on(
      ...['-H', `web1,web2,db1:${await freePort()}`, '--output-dir', './debug'],
      'case $SSH_CONNECTION in *127.0.6.1*) echo bad >&2; exit 1;; esac',
    );
    expect(mixed.code).toBe(4);
    const kinds = readdirSync(join(bssh.home, 'debug')).map((name) => name.replace(/_\d{8}_\d{6}/, ''));
    expect(kinds.sort()).toEqual(['127.0.6.1.stderr', '127.0.6.2.empty', '127.0.7.1.error', 'summary.txt']);
  });

  it('opens an interactive session on a cluster and on hosts', async () => {
    for (const [select, prompt] of [
      ['-C production interactive', 'echo me'],
      ['-H web1,web2 interactive --work-dir /tmp', 'pwd'],
      ['-C production interactive --single-node -f web1', 'echo me'],
    ] as const) {
      const run = await bssh.with({ input: `${prompt}\n` }, ...words(select));
      expect(run.code, run.err).toBe(0);
      expect(run.out).toContain(prompt === 'pwd' ? '/tmp' : 'me');
    }
  });

  describe('log in', () => {
    /** Nothing but what is given: the configuration above names a key for every host. */
    const bare = (): string[] => ['--config', bssh.write('empty.yaml', 'clusters: {}\n')];

    it('with a key that is named', async () => {
      const other = bssh.sshConfig('nokey', 'Host web*\n  HostName 127.0.6.1\n', '/nonexistent');
      const without = await bssh.run([...bare(), '-F', other, '-H', 'web1', 'true']);
      expect(without.code).toBe(4);
      const run = await bssh.run([...bare(), '-F', other, '-i', server.identity, '-H', 'web1', 'echo in']);
      expect([run.code, run.out]).toEqual([0, 'web1: in\n']);
    });

    it('with the agent alone', async () => {
      await using agent = await startAgent();
      agent.add(server.identity);
      const other = bssh.sshConfig('agent', 'Host web*\n  HostName 127.0.6.1\n', '/nonexistent');
      const env = { SSH_AUTH_SOCK: agent.socket };
      const run = await bssh.run([...bare(), '-F', other, '-o', 'IdentitiesOnly=no', '-A', '-H', 'web1', 'echo in'], {
        env,
      });
      expect([run.code, run.out]).toEqual([0, 'web1: in\n']);
    });

    it.skipIf(!hasPty)('with an encrypted key, whose passphrase is asked for once', async () => {
      const key = makeKey('ed25519', { passphrase: 'open sesame' });
      await using locked = await startSshd({ address: '0.0.0.0', authorizedKeys: [key.publicLine] });
      const config = new NamedHosts(locked, { web: 6 }).sshConfig(
        'encrypted',
        'Host web1\n  HostName 127.0.6.1\nHost web2\n  HostName 127.0.6.2\n',
        '/nonexistent',
      );
      const env = { PATH: process.env.PATH, HOME: bssh.home, TERM: 'xterm' };
      using pty = new Pty([bssh.file, ...bare(), '-F', config, '-i', key.path, '-H', 'web1,web2', 'echo in'], { env });
      await pty.expect(/passphrase/i, 20_000);
      pty.type('open sesame\n');
      expect(await pty.exit).toBe(0);
      expect(pty.output.match(/passphrase/gi)).toHaveLength(1);
      expect(pty.output.match(/: in/g)).toHaveLength(2);
    });

    it.skipIf(!isRoot || !hasPty)('with a password, asked for once, -P and --password', async () => {
      const user = ensureTestUser();
      const config = bssh.sshConfig('password', 'Host web*\n  HostName 127.0.6.1\n', '/nonexistent');
      const env = { PATH: process.env.PATH, HOME: bssh.home, TERM: 'xterm' };
      for (const option of ['-P', '--password']) {
        const where = `${user.name}@web1,${user.name}@web2`;
        using pty = new Pty([bssh.file, ...bare(), '-F', config, option, '-H', where, 'echo in'], { env });
        await pty.expect(/password/i, 20_000);
        pty.type(`${user.password}\n`);
        expect(await pty.exit).toBe(0);
        expect(pty.output.match(/password/gi)).toHaveLength(1);
        expect(pty.output.match(/: in/g)).toHaveLength(2);
      }
    });
  });

  describe('inside a Backend.AI session', () => {
    const session = {
      BACKENDAI_CLUSTER_HOSTS: 'web1,web2',
      BACKENDAI_CLUSTER_HOST: 'web1',
      BACKENDAI_CLUSTER_ROLE: 'main',
    };
    const port = (): string => `-p ${server.port} -i ${server.identity} -l ${server.user}`;

    it('runs a command on all nodes, with nothing but its name', async () => {
      expect(said((await sh(`${port()} "nvidia-smi"`, session)).out)).toEqual({
        web1: 'nvidia-smi',
        web2: 'nvidia-smi',
      });
      const query = 'nvidia-smi --query-gpu=name,memory.total --format=csv';
      expect(said((await sh(`${port()} "${query}"`, session)).out)).toEqual({ web1: query, web2: query });
      const train = 'python train.py --distributed';
      expect(said((await sh(`${port()} "${train}"`, session)).out)).toEqual({ web1: train, web2: train });
    });

    it('takes port 2200 by itself', async () => {
      const plan = await bssh.run(['-F', 'none', '--dry-run', 'uptime'], { env: session });
      expect(lines(plan.out)).toEqual(['web1: root@web1:2200: uptime', 'web2: root@web2:2200: uptime']);
    });

    it('opens an interactive session on all nodes', async () => {
      const run = await bssh.with({ env: session, input: 'echo me\n' }, ...words(`${port()} interactive`));
      expect([run.code, lines(run.out).sort()]).toEqual([0, ['[node1] me', '[node2] me']]);
    });

    it('is left by -C and -H', async () => {
      expect(hostsIn(await sh('-C staging "uptime"', session))).toEqual(['db1', 'db2']);
      expect(hostsIn(await sh('-H web3 "uptime"', session))).toEqual(['web3']);
    });
  });

  it('has left nothing but what it was asked for', () => {
    expect(existsSync(join(bssh.home, '.bssh_history'))).toBe(false);
  });
});

/** The words of a line, with double quotes as a shell has them. */
const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
