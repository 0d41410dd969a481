import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backendAiCluster } from '../../cli/config/backendai.ts';
import { loadConfig } from '../../cli/config/load.ts';
import type { Config } from '../../cli/config/model.ts';
import { formatHostSpec } from '../../cli/hosts/spec.ts';

let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'bssh-config-'));
  mkdirSync(join(home, 'cwd'));
});
afterEach(() => rmSync(home, { recursive: true }));

const write = (path: string, text: string): string => {
  const file = join(home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};

const load = (named?: string, env: Record<string, string> = {}): Promise<Config> =>
  loadConfig(named, { cwd: join(home, 'cwd'), home, env });

const read = (text: string, env: Record<string, string> = {}): Promise<Config> => load(write('c.yaml', text), env);

const nodes = (config: Config, name: string): string =>
  (config.clusters.get(name)?.nodes ?? []).map(formatHostSpec).join(' ');

describe('the search', () => {
  const named = (name: string): string => `clusters: { ${name}: { nodes: [h] } }\n`;
  const found = async (...args: Parameters<typeof load>): Promise<string> =>
    [...(await load(...args)).clusters.keys()].join();

  it('goes from the working directory to XDG to the home directory', async () => {
    expect((await load()).file).toBeUndefined();
    write('.bssh/config.yaml', named('home'));
    expect(await found()).toBe('home');
    write('.config/bssh/config.yaml', named('xdg'));
    expect(await found()).toBe('xdg');
    write('other/bssh/config.yaml', named('other'));
    expect(await found(undefined, { XDG_CONFIG_HOME: join(home, 'other') })).toBe('other');
    expect(await found(undefined, { XDG_CONFIG_HOME: 'other' })).toBe('xdg');
    write('cwd/config.yaml', named('cwd'));
    expect(await found()).toBe('cwd');
    expect(await found(write('n.yaml', named('named')))).toBe('named');
    expect(await found('~/n.yaml')).toBe('named');
    expect(await found('../n.yaml')).toBe('named');
  });

  it.each([
    'server:\n  port: 80\n',
    'title: my clusters\n',
    '- a\n- b\n',
    'just text\n',
    '',
    '# nothing about clusters\n',
    'a: b: c\n  - [\n',
    '{{ .Values.clusters }}: x: [',
    // another program's list of parts
    'defaults:\n  - db: mysql\n  - _self_\n',
  ])("passes over somebody else's ./config.yaml: %j", async (text) => {
    write('cwd/config.yaml', text);
    write('.bssh/config.yaml', named('home'));
    const config = await load();
    expect([...config.clusters.keys()]).toEqual(['home']);
    expect(config.notes).toEqual([`${join(home, 'cwd/config.yaml')} belongs to another program: passed over`]);
  });

  it('passes over a directory of that name', async () => {
    mkdirSync(join(home, 'cwd/config.yaml'));
    expect((await load()).notes[0]).toMatch(/is no file: passed over/);
  });

  it('wants a named file to exist', async () => {
    await expect(load('/nonexistent/x.yaml')).rejects.toMatchObject({
      code: 'config',
      message: '/nonexistent/x.yaml: no such file',
      detail: { file: '/nonexistent/x.yaml' },
    });
    await expect(load(home)).rejects.toMatchObject({ message: `${home}: is a directory` });
    write('cwd/config.yaml', 'clusters: [\n');
    await expect(load()).rejects.toMatchObject({ code: 'config', detail: { line: 2 } });
  });
});

describe('what a file says', () => {
  it('becomes keywords, limits and nodes', async () => {
    const config = await read(
      `
defaults: { user: $ME, port: 2022, ssh_key: [~/a, /b], parallel: 5, timeout: 10m, jump_host: [j1, "\${ME}@j2:22"] }
clusters:
  c:
    nodes: [h1, "u@h2:22", "n[01-03]", "[::1]:2200", { host: "x[1-2]", user: v, port: 9, ssh_key: ~/k, jump_host: none }]
    strict_host_key_checking: no
    connect_timeout: 5
`,
      { ME: 'me' },
    );
    expect(config).toMatchObject({ parallel: 5, timeout: 600 });
    expect(config.settings).toEqual([
      { keyword: 'User', value: 'me' },
      { keyword: 'Port', value: '2022' },
      { keyword: 'IdentityFile', value: `${home}/a` },
      { keyword: 'IdentityFile', value: '/b' },
      { keyword: 'ProxyJump', value: 'j1,me@j2:22' },
    ]);
    expect(nodes(config, 'c')).toBe('h1 u@h2:22 n01 n02 n03 [::1]:2200 v@x1:9 v@x2:9');
    expect(config.clusters.get('c')?.settings).toEqual([
      { keyword: 'StrictHostKeyChecking', value: 'no' },
      { keyword: 'ConnectTimeout', value: '5' },
    ]);
    expect(config.clusters.get('c')?.nodes.at(-1)?.settings).toEqual([
      { keyword: 'IdentityFile', value: `${home}/k` },
      { keyword: 'ProxyJump', value: 'none' },
    ]);
  });

  it('has variables in hosts, users and paths, wherever these stand', async () => {
    const config = await read(
      `
clusters:
  c:
    nodes: ["$DC-web[1-2]", "\${ME}@\${DC}-db:22", { host: "\${DC}-gw", user: $ME, ssh_key: $KEYS/gw, jump_host: "$ME@$DC-jump" }]
    user: \${ME}
    ssh_key: \${KEYS}/id
`,
      { DC: 'east', ME: 'me', KEYS: '/keys' },
    );
    expect(nodes(config, 'c')).toBe('east-web1 east-web2 me@east-db:22 me@east-gw');
    expect(config.clusters.get('c')?.settings).toEqual([
      { keyword: 'User', value: 'me' },
      { keyword: 'IdentityFile', value: '/keys/id' },
    ]);
    expect(config.clusters.get('c')?.nodes.at(-1)?.settings).toEqual([
      { keyword: 'IdentityFile', value: '/keys/gw' },
      { keyword: 'ProxyJump', value: 'me@east-jump' },
    ]);
  });

  it('may use anchors, aliases and merges', async () => {
    const config = await read(`
clusters:
  a: &a { nodes: &n [h1, h2], user: x, port: 1 }
  b: { <<: *a, user: y }
  c: { nodes: *n }
`);
    expect(nodes(config, 'b')).toBe('h1 h2');
    expect(nodes(config, 'c')).toBe('h1 h2');
    expect(config.clusters.get('b')?.settings).toEqual([
      { keyword: 'User', value: 'y' },
      { keyword: 'Port', value: '1' },
    ]);
  });

  it('keeps names that look like numbers, and empty sections', async () => {
    const config = await read('defaults:\nclusters:\n  007: { nodes: [1.10, 8] }\n');
    expect(nodes(config, '007')).toBe('1.10 8');
    expect((await read('')).clusters.size).toBe(0);
  });

  it('keeps the remote work_dir as it is', async () => {
    const { interactive } = await read('interactive: { work_dir: ~/x$Y, history_file: ~/h, colors: { n1: red } }');
    expect(interactive).toEqual({ work_dir: '~/x$Y', history_file: `${home}/h`, colors: { n1: 'red' } });
  });

  it.each<[string, string, number, number]>([
    ['default:\n', "the configuration has no key 'default' (did you mean defaults?)", 1, 1],
    ['defaults:\n  usr: x\n', "defaults has no key 'usr' (did you mean user?)", 2, 3],
    ['defaults:\n  sshkey: x\n', "defaults has no key 'sshkey' (did you mean ssh_key?)", 2, 3],
    ['defaults:\n  port: abc\n', 'port is a number from 1 to 65535', 2, 9],
    ['defaults:\n  port: 0\n', 'port is a number from 1 to 65535', 2, 9],
    ['defaults:\n  port: [1]\n', 'port is a text', 2, 9],
    ['defaults:\n  parallel: -1\n', 'parallel is a whole number', 2, 13],
    ['defaults:\n  timeout: soon\n', 'timeout is a number of seconds', 2, 12],
    ['defaults:\n  user:\n', 'user is a text', 2, 8],
    ['defaults:\n  user: $NOBODY\n', '$NOBODY is not set', 2, 9],
    ['defaults: 3\n', 'defaults is a mapping', 1, 11],
    [
      'defaults:\n  strict_host_key_checking: yep\n',
      "strict_host_key_checking is one of yes, accept-new, ask, no, off, not 'yep' (did you mean yes?)",
      2,
      29,
    ],
    ['clusters:\n  a:\n', "cluster 'a' has no nodes", 2, 3],
    ['clusters:\n  a: { node: [x] }\n', "cluster 'a' has no key 'node' (did you mean nodes?)", 2, 8],
    ['clusters:\n  a: { nodes: x }\n', 'nodes is a list', 2, 15],
    ['clusters:\n  a:\n    nodes:\n      - x\n      - u@\n', 'the host name is empty', 5, 9],
    ['clusters:\n  a: { nodes: ["n[1-"] }\n', "'n[1-' has a [ without a ]", 2, 16],
    ['clusters:\n  a: { nodes: ["a,b"] }\n', "'a,b': one host, or a range, to an entry", 2, 16],
    ['clusters:\n  a: { nodes: [{ port: 1 }] }\n', 'a node needs a host', 2, 16],
    ['clusters:\n  a: { nodes: [{ host: h, prot: 1 }] }\n', "a node has no key 'prot' (did you mean port?)", 2, 27],
    ['clusters:\n  a: { nodes: [h], nodes: [i] }\n', 'this key stands here twice', 2, 20],
    ['clusters:\n  a: { nodes: [h] }\n  a: { nodes: [i] }\n', 'this key stands here twice', 3, 3],
    ['interactive:\n  default_mode: single\n', "default_mode is one of single_node, multiplex, not 'single'", 2, 17],
    ['interactive:\n  show_timestamps: 1\n', 'show_timestamps is true or false', 2, 20],
    ['interactive:\n  colors: { n: rde }\n', 'the colour of n is one of', 2, 16],
    ['interactive:\n  keybindings: { quit: Q }\n', 'quit is a key such as Ctrl+N or Alt+N', 2, 24],
    ['interactive:\n  keybindings: { exit: Ctrl+Q }\n', "keybindings has no key 'exit'", 2, 18],
    ['interactive:\n  node_switch_prefix: ""\n', 'node_switch_prefix is empty', 2, 23],
    ['clusters: [a\n', 'Flow sequence in block collection must be', 2, 1],
    ['clusters: *nope\n', 'the alias *nope stands for nothing', 1, 11],
  ])('%j is an error at its place', async (text, message, line, column) => {
    const error = await read(text).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'config', detail: { file: join(home, 'c.yaml'), line, column } });
    expect((error as Error).message.startsWith(`${join(home, 'c.yaml')}:${line}:${column}: ${message}`)).toBe(true);
  });

  it('is not blown up by aliases of aliases', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `  l${i + 1}: &l${i + 1} { nodes: [${Array(9).fill(`*l${i}`).join(', ')}] }`,
    );
    const bomb = `clusters:\n  l0: &l0 { nodes: [h] }\n${levels.join('\n')}\n`;
    await expect(read(bomb)).rejects.toMatchObject({ code: 'config' });
    const hosts = Array.from({ length: 1000 }, (_, i) => `h${i}`).join(', ');
    const many = Array.from({ length: 1000 }, (_, i) => `  c${i}: { nodes: *n }`).join('\n');
    await expect(read(`clusters:\n  a: { nodes: &n [${hosts}] }\n${many}\n`)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/too many values/),
    });
  });

  it('does not follow an alias that stands for itself', async () => {
    await expect(read('clusters: &a\n  b: *a\n')).rejects.toMatchObject({ code: 'config' });
    await expect(read('clusters:\n  b: &b\n    <<: *b\n    nodes: [h]\n')).rejects.toMatchObject({ code: 'config' });
  });
});

describe('Backend.AI', () => {
  const env = {
    BACKENDAI_CLUSTER_HOSTS: 'sub1, main1,sub1,',
    BACKENDAI_CLUSTER_HOST: 'sub1',
    BACKENDAI_CLUSTER_ROLE: 'sub',
  };
  it('describes a cluster in its environment', () => {
    const cluster = backendAiCluster({
      env,
      user: 'work',
      keyExists: (path) => path === '/home/config/ssh/id_cluster',
    });
    expect(cluster).toMatchObject({ name: 'backendai', main: 'main1' });
    expect(cluster?.nodes.map(({ host }) => host)).toEqual(['sub1', 'main1']);
    expect(cluster?.settings).toEqual([
      { keyword: 'Port', value: '2200' },
      { keyword: 'User', value: 'work' },
      { keyword: 'IdentityFile', value: '/home/config/ssh/id_cluster' },
    ]);
  });

  it('needs both variables, and its key only if it is there', () => {
    expect(backendAiCluster({ env: { BACKENDAI_CLUSTER_HOSTS: 'a' } })).toBeUndefined();
    expect(backendAiCluster({ env: { BACKENDAI_CLUSTER_HOST: 'a' } })).toBeUndefined();
    expect(backendAiCluster({ env: { ...env, BACKENDAI_CLUSTER_ROLE: 'main' }, keyExists: () => false })).toMatchObject(
      {
        main: 'sub1',
        settings: [{ keyword: 'Port', value: '2200' }],
      },
    );
  });
});
