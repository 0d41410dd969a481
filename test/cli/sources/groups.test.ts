// Where hosts come from besides the configuration file: commands and their cache, batch jobs, ssh_config, the names that
// stand for them in host lists, and what is said when one of them has nothing to say.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { completionNames } from '../../../cli/completion-names.ts';
import { loadConfig } from '../../../cli/config/load.ts';
import { type ClusterIntent, parseCommandLine } from '../../../cli/grammar.ts';
import { pickHosts } from '../../../cli/hosts/pick.ts';
import { pbsHosts, slurmHosts } from '../../../cli/sources/batch-job.ts';
import { commandHosts } from '../../../cli/sources/command.ts';
import { freshDir } from '../../interop/servers.ts';

let home = '';
beforeEach(() => {
  home = freshDir('sources');
});

const names = (hosts: readonly { readonly host: string }[]): string => hosts.map(({ host }) => host).join(' ');

describe('a command', () => {
  const ask = (command: string, extra: { cache?: number; timeout?: number; group?: string; env?: object } = {}) =>
    commandHosts(
      'c',
      extra.group ?? '',
      { kind: 'command', command, cache: extra.cache ?? 0, timeout: extra.timeout ?? 30 },
      { env: { PATH: process.env.PATH, ...extra.env }, home, cwd: home },
    );
  const cached = (): string[] => (existsSync(join(home, '.cache/bssh')) ? readdirSync(join(home, '.cache/bssh')) : []);

  it('prints hosts as a host file has them', async () => {
    const { hosts, note } = await ask(`echo '# all'; echo 'a[1-2],u@b:22'; echo c d`);
    expect(names(hosts)).toBe('a1 a2 b c d');
    expect(note).toMatch(/^cluster c: 5 hosts from its command in \d+ ms$/);
    expect(cached()).toEqual([]);
  });

  it('knows its group', async () => {
    expect(names((await ask('echo "all$GROUP"')).hosts)).toBe('all');
    await ask('echo a # $GROUP', { group: 'w\ntouch here' });
    await expect(ask('echo "x-$GROUP"', { group: '$(touch here);' })).rejects.toMatchObject({ code: 'usage' });
    expect(readdirSync(home)).toEqual([]);
  });

  it('is asked again when its answer is too old, by its own measure', async () => {
    const command = 'echo x >>runs; wc -l <runs | tr -d " "';
    const count = async (extra = {}) => names((await ask(command, { cache: 60, ...extra })).hosts);
    expect(await count()).toBe('1');
    expect(await count()).toBe('1');
    expect((await ask(command, { cache: 60 })).note).toMatch(/^cluster c: 1 hosts, kept for \d+ s$/);
    expect(await count({ group: 'other' })).toBe('2');
    expect(await count({ cache: 0 })).toBe('3');
    expect(cached()).toHaveLength(2);
    for (const name of cached()) {
      const file = join(home, '.cache/bssh', name);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      utimesSync(file, new Date(), new Date(Date.now() - 61_000));
    }
    expect(await count()).toBe('4');
    // a clock that was set back makes no answer last for ever
    for (const name of cached()) utimesSync(join(home, '.cache/bssh', name), new Date(), new Date(Date.now() + 61_000));
    expect(await count()).toBe('5');
  });

  it('is kept in the very millisecond in which it was given, whatever digits the file system adds', async () => {
    const now = 1_700_000_000_000;
    const command = 'echo x >>runs; wc -l <runs | tr -d " "';
    const source = { kind: 'command', command, cache: 60, timeout: 30 } as const;
    const context = { env: { PATH: process.env.PATH }, home, cwd: home, now: () => now };
    const count = async () => names((await commandHosts('c', '', source, context)).hosts);
    expect(await count()).toBe('1');
    for (const name of cached()) utimesSync(join(home, '.cache/bssh', name), now / 1000, now / 1000 + 0.0009);
    expect(await count()).toBe('1');
  });

  it('has an answer for each value of a variable it names', async () => {
    const count = async (env: object) =>
      names((await ask('echo x >>runs; echo "$P-$(wc -l <runs | tr -d " ")"', { cache: 60, env })).hosts);
    expect(await count({ P: 'a' })).toBe('a-1');
    expect(await count({ P: 'b' })).toBe('b-2');
    expect(await count({ P: 'a', Q: 'c' })).toBe('a-1');
  });

  it('needs no place to keep anything', async () => {
    writeFileSync(join(home, '.cache'), '');
    expect((await ask('echo a', { cache: 60 })).note).toMatch(/from its command.*cannot be written$/);
  });

  it.each<[string, RegExp]>([
    ['echo no such account >&2; exit 3', /^cluster 'c': its command ended with status 3: no such account \(echo/],
    ['kill -9 $$', /^cluster 'c': its command was killed by SIGKILL/],
    ['echo "<html>"', /^cluster 'c': its command printed something else than hosts: '<html>' is not a host name/],
    ['echo @web', /printed something else than hosts: @ means nothing in it/],
    ['echo ^file', /printed something else than hosts: \^ means nothing in it/],
    ['yes host-with-a-long-name-to-be-done-sooner', /prints too much for a list of hosts/],
  ])('%s', async (command, message) => {
    await expect(ask(command, { cache: 60 })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
    expect(cached()).toEqual([]);
  });

  it('is ended with all it started when it takes too long', async () => {
    const mark = `34${process.pid}`;
    await expect(ask(`sleep ${mark} & sleep ${mark}; echo a`, { timeout: 0.2 })).rejects.toMatchObject({
      message: expect.stringMatching(/did not end within 0\.2 s/),
    });
    expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain(`sleep ${mark}\n`);
  });
});

describe('a batch job', () => {
  it.each([
    ['node1', 'node1'],
    ['node[001-003,007],gpu-[1-2]', 'node001 node002 node003 node007 gpu-1 gpu-2'],
    ['r[1-2]n[08-10]', 'r1n08 r1n09 r1n10 r2n08 r2n09 r2n10'],
    ['a[9-11],b', 'a9 a10 a11 b'],
  ])('of Slurm has the nodes %s', (list, expected) => {
    expect(names(slurmHosts({ SLURM_JOB_NODELIST: list }))).toBe(expected);
    expect(names(slurmHosts({ SLURM_NODELIST: list }))).toBe(expected);
  });

  it.each<[string | undefined, RegExp]>([
    [undefined, /^@slurm: this is no Slurm job: SLURM_JOB_NODELIST is not set$/],
    ['node[1-', /^SLURM_JOB_NODELIST: 'node\[1-' has a \[ without a \]/],
    ['a!b', /^SLURM_JOB_NODELIST: '!' means nothing in a list of nodes/],
    ['a@b', /'@' means nothing/],
  ])('of Slurm with %j is an error', (list, message) => {
    expect(() => slurmHosts({ SLURM_JOB_NODELIST: list })).toThrow(message);
  });

  it('of PBS has a line for each processor', () => {
    const read = () => 'n1\nn1\nn2.example.com\n\nn2.example.com\nn1\n';
    expect(names(pbsHosts({ PBS_NODEFILE: '/f' }, read))).toBe('n1 n2.example.com');
    expect(() => pbsHosts({}, read)).toThrow(/^@pbs: this is no PBS job: PBS_NODEFILE is not set$/);
    expect(() => pbsHosts({ PBS_NODEFILE: '/f' }, () => 'a b;c\n')).toThrow(/^PBS_NODEFILE \/f: /);
  });
});

describe('names in host lists', () => {
  const config = `
clusters:
  web: { nodes: ['web[1-4]'] }
  cloud: { user: admin, nodes: { command: 'echo "c[1-2]$GROUP"' } }
  broken: { nodes: { command: 'exit 1' } }
  inv: { port: 2200, nodes: { inventory: hosts.ini, group: a } }
`;
  const inventory = '[a]\nx1\nx2 ansible_port=9\n[b]\nx2\nx3 ansible_connection=local\nx4 ansible_host=10.0.0.4\n';
  const parse = async (args: readonly string[], env: Record<string, string> = {}): Promise<ClusterIntent> => {
    writeFileSync(join(home, 'config.yaml'), config);
    writeFileSync(join(home, 'hosts.ini'), inventory);
    writeFileSync(join(home, 'nodes'), 'p1\np1\np2\n');
    const intent = await parseCommandLine(args, {
      program: 'bssh',
      env: { PATH: process.env.PATH as string, ...env },
      cwd: home,
      home,
      sshHosts: () => ['s1', 's2'],
    });
    expect(intent.kind).toBe('cluster');
    return intent as ClusterIntent;
  };
  const job = { SLURM_JOB_NODELIST: 'n[1-3]', PBS_NODEFILE: 'nodes' };

  it.each<[string, string]>([
    ['-H @ssh', 's1 s2'],
    ['-H @slurm', 'n1 n2 n3'],
    ['-H @slurm!n2,@pbs', 'n1 n3 p1 p2'],
    ['-H @slurm&n[2-9],@web&web2', 'web2'],
    ['-H @ssh,@ssh,s1,@web', 's1 s2 web1 web2 web3 web4'],
    ['-H @web^web[3-5]', 'web1 web2 web5'],
    ['-H @cloud', 'c1 c2'],
    ['-C cloud', 'c1 c2'],
    ['-C cloud:x', 'c1x c2x'],
    ['-H @cloud:x,@cloud:y,@cloud:x', 'c1x c2x c1y c2y'],
    ['-C inv', 'x1 x2'],
    ['-C inv:b --exclude x3', 'x2 x4'],
    ['-H @inv:all!@inv:b', 'x1'],
    ['-H @inv:x1', 'x1'],
    ['--inventory hosts.ini --exclude x3', 'x1 x2 x4'],
    ['--inventory hosts.ini -H @b&@a', 'x2'],
    ['--inventory hosts.ini -H @a,@x4,@web&@web', 'web1 web2 web3 web4'],
    ['--inventory hosts.ini -H @ansible:a', 'x1 x2'],
    ['--inventory hosts.ini -H @x1', 'x1'],
    ['--inventory hosts.ini -C web', 'web1 web2 web3 web4'],
    ['-H ^nodes', 'p1 p2'],
    ['--pick 99 -C web', 'web1 web2 web3 web4'],
  ])('%s', async (line, expected) => {
    const { selection } = await parse([...line.split(' '), 'true'], job);
    expect(selection?.hosts.map(({ name }) => name).join(' ')).toBe(expected);
  });

  it('of a host file are known too', async () => {
    writeFileSync(join(home, 'list'), '@slurm\n^more\n');
    writeFileSync(join(home, 'more'), '@cloud:z # of today\n');
    const { selection } = await parse(['--hostfile', 'list', 'true'], job);
    expect(names(selection!.hosts)).toBe('n1 n2 n3 c1z c2z');
  });

  it('keep the settings of their cluster and their host', async () => {
    const { selection } = await parse(['-C', 'inv', '-C', 'cloud:x', '-H', '@inv:x4', 'true']);
    expect(selection?.hosts.map(({ name, host, user, port }) => [name, host, user, port])).toEqual([
      ['x1', 'x1', undefined, 2200],
      ['x2', 'x2', undefined, 9],
      ['c1x', 'c1x', 'admin', undefined],
      ['c2x', 'c2x', 'admin', undefined],
      ['x4', '10.0.0.4', undefined, 2200],
    ]);
  });

  it('of ansible are those of its own variable', async () => {
    const { selection } = await parse(['-H', '@ansible:a', 'true'], { ANSIBLE_INVENTORY: 'hosts.ini' });
    expect(names(selection!.hosts)).toBe('x1 x2');
  });

  it.each<[string, RegExp]>([
    ['-H @nope', /unknown cluster 'nope': the configured clusters are broken, cloud, inv, web/],
    ['-H @slrm', /unknown cluster 'slrm' \(did you mean slurm\?\)/],
    ['-H @web:x', /unknown cluster 'web:x'/],
    ['-C inv:c', /hosts\.ini: there is no group or host 'c'.*: the groups are a, all, b, ungrouped/],
    ['-H @slurm', /this is no Slurm job/],
    ['-H a,@broken', /cluster 'broken': its command ended with status 1/],
    ['-C inv:b', /^x3: .*hosts\.ini:6: ansible_connection=local is no ssh: leave such hosts out with --exclude$/],
    ['--inventory other.ini', /other\.ini: cannot be read \(ENOENT\)/],
    ['--pick 0 -C web', /--pick 0 leaves no host/],
    ['--seed 1 -C web', /--seed goes with --pick/],
  ])('%s is an error', async (line, message) => {
    await expect(parse([...line.split(' '), 'true'])).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });

  it('that mean two things mean nothing', async () => {
    writeFileSync(join(home, 'two.ini'), '[web]\nother\n');
    await expect(parse(['--inventory', 'two.ini', '-H', '@web', 'true'])).rejects.toMatchObject({
      message: expect.stringMatching(/'@web' means two things: it is in two\.ini, and a cluster of .* @ansible:web$/),
    });
    expect(names((await parse(['--inventory', 'two.ini', '-H', '@ansible:web', 'true'])).selection!.hosts)).toBe(
      'other',
    );
  });

  it('ask nobody who was not named', async () => {
    const intent = await parse(['list']);
    expect(intent.selection).toBeUndefined();
    expect(intent.config.clusters.get('broken')?.nodes).toEqual([]);
  });
});

describe('names for completion', () => {
  const ask = (what: string, text: string, env: Record<string, string> = {}) => {
    writeFileSync(join(home, 'config.yaml'), text);
    const sshHosts = () => ['s1', 'web1'];
    return completionNames(what, { program: 'bssh', env, cwd: home, home, sshHosts });
  };
  const config = "clusters:\n  web: { nodes: ['web[1-2]'] }\n  ask: { nodes: { command: 'touch asked' } }\n";

  it('are those of the configuration and of ssh_config, and no source is asked', async () => {
    expect(await ask('names-clusters', config)).toEqual(['ask', 'web']);
    expect(await ask('names-hosts', config)).toEqual(['s1', 'web1', 'web2']);
    expect(await ask('names-targets', config, { SLURM_JOB_NODELIST: 'n1' })).toEqual([
      's1',
      'web1',
      'web2',
      '@web',
      '@ask',
      '@ssh',
      '@slurm',
    ]);
    expect(existsSync(join(home, 'asked'))).toBe(false);
  });

  it('are fewer when the configuration is wrong', async () => {
    expect(await ask('names-hosts', 'clusters: 3\n')).toEqual(['s1', 'web1']);
    expect(await ask('names-clusters', 'clusters: 3\n')).toEqual([]);
  });
});

describe('--pick', () => {
  const hosts = Array.from({ length: 100 }, (_, i) => ({ host: `n${i}` }));
  it('takes so many, in their order, and the same for a seed', () => {
    const picked = pickHosts(hosts, { count: 10, seed: 'a' });
    expect(picked).toHaveLength(10);
    expect([...picked].sort((a, b) => hosts.indexOf(a) - hosts.indexOf(b))).toEqual(picked);
    expect(names(pickHosts(hosts, { count: 10, seed: 'a' }))).toBe(names(picked));
    expect(names(pickHosts([...hosts].reverse(), { count: 10, seed: 'a' }).toReversed())).toBe(names(picked));
    expect(names(pickHosts(hosts, { count: 10, seed: 'b' }))).not.toBe(names(picked));
  });

  it('gives every host its turn', () => {
    const turns = new Map(hosts.map(({ host }) => [host, 0]));
    for (let seed = 0; seed < 400; seed++) {
      for (const { host } of pickHosts(hosts, { count: 10, seed: String(seed) })) turns.set(host, turns.get(host)! + 1);
    }
    // 40 on the average; seven standard deviations
    for (const count of turns.values()) {
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThan(85);
    }
  });
});

describe('the configuration of a source', () => {
  const load = (text: string) => {
    const file = join(home, 'c.yaml');
    writeFileSync(file, text);
    return loadConfig(file, { env: {}, home, cwd: home });
  };

  it('has times and a group', async () => {
    const { clusters } = await load(
      'clusters:\n  a: { nodes: { command: "x $Y", cache: 5m, timeout: 0 } }\n  b: { nodes: { command: x } }\n  c: { nodes: { inventory: ~/h } }\n',
    );
    expect(clusters.get('a')?.source).toEqual({ kind: 'command', command: 'x $Y', cache: 300, timeout: 0 });
    expect(clusters.get('b')?.source).toEqual({ kind: 'command', command: 'x', cache: 0, timeout: 30 });
    expect(clusters.get('c')?.source).toEqual({ kind: 'inventory', file: `${home}/h`, group: 'all' });
    expect(readFileSync(join(home, 'c.yaml'), 'utf8')).toContain('command');
  });

  it.each<[string, string]>([
    ['{ comand: x }', "2:17: the source of nodes has no key 'comand' (did you mean command?)"],
    ['{ cache: 1 }', '2:15: nodes is a list, or has a command or an inventory'],
    ['{ command: x, inventory: y }', "2:17: 'command' does not go with 'inventory'"],
    ['{ command: x, group: y }', "2:29: 'group' does not go with 'command'"],
    ['{ command: x, cache: soon }', '2:36: cache is a time'],
    ['{ command: " " }', '2:26: command is empty'],
  ])('%s is an error at its place', async (nodes, message) => {
    await expect(load(`clusters:\n  a: { nodes: ${nodes} }\n`)).rejects.toMatchObject({
      message: `${home}/c.yaml:${message}`.replace('2:13', '2:15').replace('2:17: the', '2:17: the'),
    });
  });
});
