// Hosts that the configuration file does not list, on real servers: Ansible inventories, ssh_config, commands, batch jobs.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireServer } from '../../interop/servers.ts';
import { Bssh, lines, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('hosts from elsewhere', () => {
  const bssh = served(new Bssh());
  const address = 'echo $SSH_CONNECTION | cut -d" " -f3';

  it('of an Ansible inventory go by its names and settings', async () => {
    const inventory = bssh.write(
      'hosts.ini',
      `[web]\nweb[1:2] ansible_user=${bssh.server.user}\nother ansible_connection=local\n[web:vars]\nansible_port=${bssh.server.port}\n` +
        `ansible_ssh_private_key_file=${bssh.server.identity}\nansible_become=no\n[db]\ndb1 ansible_host=127.0.4.9 ansible_user=nobody\n`,
    );
    const vars = join(bssh.home, 'host_vars');
    mkdirSync(vars);
    for (const n of [1, 2]) writeFileSync(join(vars, `web${n}.yml`), `ansible_host: 127.0.4.${n}\n`);
    const known = `UserKnownHostsFile=${bssh.write('known', '')}`;
    const run = (...args: string[]) => bssh.run(['-F', 'none', '-o', known, '--inventory', inventory, ...args]);
    const good = await run('-H', '@web', '--exclude', 'other', address);
    expect(lines(good.out).sort()).toEqual(['web1: 127.0.4.1', 'web2: 127.0.4.2']);
    expect(good.err).toContain(`${inventory}: ansible_become has no effect here (3 hosts)\n`);
    expect(good.code).toBe(0);
    const bad = await run(address);
    expect(bad).toMatchObject({ code: 2, out: '' });
    expect(bad.err).toBe(
      `bssh: other: ${inventory}:3: ansible_connection=local is no ssh: leave such hosts out with --exclude\n`,
    );
  });

  it('of ssh_config are @ssh, and the parsed files are shared by all', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `h${i}`);
    const config = bssh.write(
      'ssh_config',
      `${names.map((name, i) => `Host ${name}\n  HostName 127.0.5.${i + 1}\n`).join('')}Host *\n  Port ${bssh.server.port}\n` +
        `  User ${bssh.server.user}\n  IdentityFile ${bssh.server.identity}\n  UserKnownHostsFile ${bssh.write('known2', '')}\n`,
    );
    const args = ['-F', config, '-H', '@ssh!h1', '-f', 'h1*', address];
    const { out, code, err } = await bssh.run(['-vv', ...args]);
    expect(code).toBe(0);
    expect(lines(out).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `h1${i}: 127.0.5.${i + 11}`));
    const [, parsed, hits, looks] =
      /^debug2: ssh_config: (\d+) files parsed, (\d+) times from memory, (\d+) times after a look at size and time$/m
        .exec(err)!
        .map(Number);
    expect(parsed).toBe(1);
    expect(hits! + looks!).toBeGreaterThanOrEqual(9);
  });

  it('that a command prints are kept as long as the configuration says', async () => {
    const config = bssh.write(
      'config.yaml',
      `clusters:\n  cloud:\n    port: ${bssh.server.port}\n    nodes:\n      command: echo run >>${bssh.home}/runs; echo "127.0.6.[1-$GROUP]"\n      cache: 1h\n`,
    );
    const base = bssh.common.filter((word, i, all) => word !== '-p' && all[i - 1] !== '-p');
    for (const _ of [1, 2]) {
      const { out, code } = await bssh.run([...base, '--config', config, '-C', 'cloud:3', address]);
      expect(lines(out).sort()).toEqual([1, 2, 3].map((n) => `127.0.6.${n}: 127.0.6.${n}`));
      expect(code).toBe(0);
    }
    expect(readFileSync(join(bssh.home, 'runs'), 'utf8')).toBe('run\n');
    expect(readdirSync(join(bssh.home, '.cache/bssh'))).toHaveLength(1);
  });

  it('of a batch job are @slurm and @pbs', async () => {
    const nodes = bssh.write('nodes', '127.0.7.9\n127.0.7.9\n127.0.7.1\n');
    const env = { SLURM_JOB_NODELIST: '127.0.7.[1-3],127.0.7.8', PBS_NODEFILE: nodes };
    const { out, code } = await bssh.run([...bssh.common, '-H', '@slurm,@pbs', 'echo x'], { env });
    expect(lines(out).sort()).toEqual([1, 2, 3, 8, 9].map((n) => `127.0.7.${n}: x`));
    expect(code).toBe(0);
  });

  it('are picked at random, and again with the seed', async () => {
    const pick = (...args: string[]) => bssh.on('-v', '--pick', '3', ...args, '-H', '127.0.8.[1-50]', 'echo x');
    const first = await pick();
    expect(lines(first.out)).toHaveLength(3);
    const [, seed] = /--seed (\d+)/.exec(first.err)!;
    expect(lines((await pick('--seed', seed!)).out).sort()).toEqual(lines(first.out).sort());
  });
});
