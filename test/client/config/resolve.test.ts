import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigReader } from '../../../client/config/evaluate.ts';
import { ConfigFiles, globPaths } from '../../../client/config/files.ts';
import { keywordNames, lookUpKeyword } from '../../../client/config/keywords.ts';
import type { HostPlan } from '../../../client/config/plan.ts';
import {
  type ResolveEnv,
  type ResolveRequest,
  resolveHost,
  resolveHostCanonical,
} from '../../../client/config/resolve.ts';
import { parseConfig } from '../../../client/config/ssh-config.ts';
import type { ParseContext } from '../../../client/config/values.ts';
import { SshError } from '../../../protocol/index.ts';

const set = (...names: string[]): { supported: string[]; defaults: string[] } => ({
  supported: names,
  defaults: names,
});
const context: ParseContext = {
  algorithms: {
    kex: set('curve25519-sha256'),
    cipher: set('aes128-ctr', 'aes256-ctr'),
    mac: set('hmac-sha2-256'),
    key: set('ssh-ed25519', 'ssh-rsa'),
    signature: set('ssh-ed25519'),
  },
  env: { SSH_AUTH_SOCK: '/agent', OTHER: '/other', EMPTY: '' },
};

/** Files held in memory. */
const memory = (files: Readonly<Record<string, string>>, unsafe: readonly string[] = []): ConfigReader => ({
  load: (path) =>
    files[path] === undefined
      ? { missing: true, reason: 'No such file or directory' }
      : { file: parseConfig(files[path], path, context), safe: !unsafe.includes(path) },
  glob: (pattern) => Object.keys(files).filter((path) => path === pattern),
});

const environment = (files: Readonly<Record<string, string>>, more: Partial<ResolveEnv> = {}): ResolveEnv => ({
  home: '/home/me',
  user: 'me',
  uid: 1000,
  hostName: 'box.example.org',
  context,
  files: memory(files),
  ...more,
});

const user = '/home/me/.ssh/config';
const system = '/etc/ssh/ssh_config';
const resolve = (
  files: Readonly<Record<string, string>>,
  request: Partial<ResolveRequest> = {},
  more: Partial<ResolveEnv> = {},
): HostPlan => resolveHost({ destination: 'h', ...request }, environment(files, more));
const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof SshError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
};

describe('precedence', () => {
  const files = { [user]: 'Host h\n Port 5\n User fromuser\n', [system]: 'Port 6\nUser fromsystem\nCompression yes\n' };
  const layers = [
    { name: 'node', settings: { port: '3' } },
    { name: 'cluster', settings: { port: '4', user: 'cluster', identityfile: ['~/c1', '~/c2'] } },
    { name: 'defaults', settings: { user: 'defaults', identityfile: '~/d' } },
  ];

  it('is flag, node, cluster, defaults, user file, system file, built-in', () => {
    expect(resolve(files, { overrides: ['Port=1'], layers })).toMatchObject({ port: 1, user: 'cluster' });
    expect(resolve(files, { layers })).toMatchObject({ port: 3, user: 'cluster', algorithms: { compression: true } });
    expect(resolve(files, { layers: layers.slice(2) })).toMatchObject({ port: 5, user: 'defaults' });
    expect(resolve(files)).toMatchObject({ port: 5, user: 'fromuser', tcpKeepAlive: true });
    expect(resolve({})).toMatchObject({ port: 22, user: 'me' });
  });

  it('takes identities of the nearest level, then those of the files', () => {
    const plan = resolve(
      { [user]: 'IdentityFile ~/f\n' },
      { layers, overrides: [{ keyword: 'identityfile', args: ['~/flag'] }] },
    );
    expect(plan.auth.identityFiles.map(({ path }) => path)).toEqual(
      ['flag', 'c1', 'c2', 'f'].map((name) => `/home/me/${name}`),
    );
    expect(plan.auth.identityFiles.every(({ explicit }) => explicit)).toBe(true);
  });

  it('puts fallbacks below the files', () => {
    const fallback = { name: 'cluster mode', settings: { stricthostkeychecking: 'accept-new', port: '9' } };
    expect(resolve(files, { fallback })).toMatchObject({ port: 5, hostKey: { mode: 'accept-new' } });
    expect(resolve({ [user]: 'StrictHostKeyChecking yes\n' }, { fallback }).hostKey.mode).toBe('yes');
    expect(resolve({}).hostKey.mode).toBe('ask');
  });

  it('lets a forced flag replace an earlier option', () => {
    const yes = { keyword: 'compression', args: ['yes'], force: true } as const;
    expect(resolve({}, { overrides: ['Compression=no', yes] }).algorithms.compression).toBe(true);
    expect(resolve({}, { overrides: [yes, 'Compression=no'] }).algorithms.compression).toBe(true);
  });

  it('counts the user of the destination where it stands', () => {
    const plan = (request: Partial<ResolveRequest>): string => resolve({}, { destination: 'd@h', ...request }).user;
    expect(plan({ overrides: [{ user: 'l' }] })).toBe('l');
    expect(plan({ laterOverrides: [{ user: 'l' }, 'User=o'] })).toBe('d');
    expect(plan({ overrides: ['User=o'], laterOverrides: [{ user: 'l' }] })).toBe('o');
  });

  it('says where each value came from', () => {
    const { origins } = resolve(files, { layers, overrides: ['Port=1'] });
    expect(origins).toMatchObject({ port: 'command-line', user: 'cluster', compression: `${system}:3` });
  });
});

describe('files', () => {
  it('replaces both files by -F, reads none for none', () => {
    const files = { [user]: 'Port 5\n', [system]: 'Port 6\n', '/x': 'User x\n' };
    expect(resolve(files, { configFile: '/x' })).toMatchObject({ port: 22, user: 'x' });
    expect(resolve(files, { configFile: 'NONE' })).toMatchObject({ port: 22, user: 'me' });
    expect(failure(() => resolve(files, { configFile: '/nope' }))).toBe(
      "config: Can't open user config file /nope: No such file or directory",
    );
  });

  it('refuses files others may write, except -F itself', () => {
    const more = { files: memory({ [user]: 'Port 5\n', '/x': 'Port 4\n' }, [user, '/x']) };
    expect(failure(() => resolve({}, {}, more))).toBe(`config: Bad owner or permissions on ${user}`);
    expect(resolve({}, { configFile: '/x' }, more).port).toBe(4);
  });

  it('collects every error with file and line', () => {
    try {
      resolve({ [user]: 'Port x\nHost other\n Junk 1\n Compression maybe\n' });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'config', detail: { file: user, line: 1, problems: { length: 4 } } });
      expect((error as SshError).message.split('\n')).toEqual([
        `${user} line 1: Bad port 'x'.`,
        `${user}: line 3: Bad configuration option: junk`,
        `${user} line 4: unsupported option "maybe".`,
        `${user}: terminating, 3 bad configuration options`,
      ]);
    }
  });

  it('keeps ~ out of the system file and finds relative includes', () => {
    expect(failure(() => resolve({ [system]: 'Include ~/x\n' }))).toContain('bad include path ~/x.');
    const files = {
      [user]: 'Include more\n',
      '/home/me/.ssh/more': 'Port 7\n',
      [system]: 'Include sys\n',
      '/etc/ssh/sys': 'User s\n',
    };
    expect(resolve(files)).toMatchObject({ port: 7, user: 's' });
  });

  it('does not run commands of an include that does not hold', () => {
    const commands: string[] = [];
    const run = (command: string): number => {
      commands.push(command);
      return 0;
    };
    const files = {
      [user]: 'Host other\n Include /x\nMatch host h exec "ask %h %p"\n Port 8\n',
      '/x': 'Match exec "never"\n Port 9\n',
    };
    expect(resolve(files, {}, { run }).port).toBe(8);
    expect(commands).toEqual(['ask h 22']);
  });

  it('knows UseKeychain on a Mac only', () => {
    const mac = { ...context, platform: 'darwin' };
    const files: ConfigReader = {
      load: (path) =>
        path === user
          ? { file: parseConfig('UseKeychain yes\nPort 3\n', path, mac), safe: true }
          : { missing: true, reason: '' },
      glob: () => [],
    };
    expect(resolve({}, {}, { files, context: mac }).port).toBe(3);
    expect(failure(() => resolve({ [user]: 'UseKeychain yes\n' }))).toContain('Bad configuration option: usekeychain');
  });
});

describe('Match of newer releases', () => {
  const port = (match: string, request: Partial<ResolveRequest> = {}, more: Partial<ResolveEnv> = {}): number =>
    resolve({ [user]: `Match ${match}\n Port 9\n` }, request, more).port;
  it.each([
    ['tagged web', { overrides: ['Tag=web'] }, 9],
    ['tagged web', {}, 22],
    ['tagged ""', {}, 9],
    ['tagged w*,!web', { overrides: ['Tag=web'] }, 22],
    ['command "uptime*"', { command: 'uptime -p' }, 9],
    ['command ""', {}, 9],
    ['command uptime', { command: 'ls' }, 22],
    ['sessiontype exec', { command: 'ls' }, 9],
    ['sessiontype shell', {}, 9],
    ['sessiontype none', { overrides: ['SessionType=none'] }, 9],
    ['!sessiontype shell', {}, 22],
  ] as const)('%s with %j', (match, request, expected) => expect(port(match, request)).toBe(expected));

  it('localnetwork and version', () => {
    const addresses = (): string[] => ['127.0.0.1', '192.168.7.9'];
    expect(port('localnetwork 192.168.0.0/16', {}, { addresses })).toBe(9);
    expect(port('localnetwork 10.0.0.0/8', {}, { addresses })).toBe(22);
    expect(port('version bssh_*', {}, { version: 'bssh_1.0' })).toBe(9);
    expect(failure(() => port('localnetwork 192.168.1.1/8'))).toContain('Inconsistent mask');
  });
});

describe('the plan', () => {
  it('expands late what belongs to connecting', () => {
    const plan = resolve({
      [user]:
        'Hostname %h.example\nPort 2200\nUser u\nIdentityFile ~/.ssh/%r@%h\nCertificateFile ${OTHER}/c\nProxyCommand nc %h %p %%\nUserKnownHostsFile ~/k-%n\nKnownHostsCommand /bin/k %H\nRevokedHostKeys ~/rev\nLocalCommand echo %T\nPermitLocalCommand yes\n',
    });
    expect(plan).toMatchObject({
      host: 'h',
      hostName: 'h.example',
      proxyCommand: 'nc h.example 2200 %',
      proxyJump: [],
      auth: {
        identityFiles: [{ path: '/home/me/.ssh/u@h.example', explicit: true }],
        certificateFiles: [{ path: '/other/c' }],
      },
      hostKey: { userFiles: ['/home/me/k-h'], command: '/bin/k %H', revokedFile: '/home/me/rev' },
      session: { localCommand: 'echo %T' },
      tokens: { L: 'box', l: 'box.example.org', i: '1000', d: '/home/me', k: 'h' },
    });
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  it('expands tokens in User, but not in the user of the command line', () => {
    expect(resolve({ [user]: 'User %u-%n-${OTHER}\n' }).user).toBe('me-h-/other');
    expect(resolve({ [user]: 'User %r\n' }, { overrides: [{ user: 'a%u' }] }).user).toBe('a%u');
    expect(failure(() => resolve({ [user]: 'User %r\n' }))).toContain('unknown key %r');
  });

  it.each([
    ['', '/agent'],
    ['IdentityAgent none\n', undefined],
    ['IdentityAgent SSH_AUTH_SOCK\n', '/agent'],
    ['IdentityAgent $OTHER\n', '/other'],
    ['IdentityAgent ${OTHER}/x\n', '/other/x'],
    ['IdentityAgent $EMPTY\n', undefined],
    ['IdentityAgent ~/a-%n\n', '/home/me/a-h'],
  ])('finds the agent: %j', (text, expected) => expect(resolve({ [user]: text }).auth.agentSocket).toBe(expected));

  it('lists the usual identities, id_dsa only where it is allowed', () => {
    const names = (text: string): string[] =>
      resolve({ [user]: text }).auth.identityFiles.map(({ path }) => path.slice('/home/me/.ssh/'.length));
    expect(names('')).toEqual(['id_ed25519', 'id_ed25519_sk', 'id_rsa', 'id_ecdsa', 'id_ecdsa_sk']);
    expect(names('IdentityFile none\n')).toEqual([]);
    const dsa = { ...context, algorithms: { ...context.algorithms, key: set('ssh-ed25519', 'ssh-dss') } };
    expect(resolve({}, {}, { context: dsa }).auth.identityFiles.at(-1)?.path).toBe('/home/me/.ssh/id_dsa');
  });

  it('names set keywords that have no effect', () => {
    expect(resolve({ [user]: 'Port 1\nTunnelDevice 1\nGSSAPIAuthentication yes\n' }).withoutEffect).toEqual([
      'tunneldevice',
      'gssapiauthentication',
    ]);
  });

  it('clears on none', () => {
    const plan = resolve({
      [user]:
        'ProxyCommand none\nControlPath none\nRemoteCommand NONE\nUserKnownHostsFile none\nGlobalKnownHostsFile none\nProxyJump x\n',
    });
    expect(plan.proxyCommand ?? plan.control.path ?? plan.session.remoteCommand).toBeUndefined();
    expect([plan.hostKey.userFiles, plan.hostKey.globalFiles, plan.proxyJump]).toEqual([[], [], []]);
  });

  it('reads jumps, tokens included', () => {
    expect(resolve({ [user]: 'ProxyJump %r@gw-%n:2200,[::1]:3\nUser u\n' }).proxyJump).toEqual([
      { user: 'u', host: 'gw-h', port: 2200 },
      { host: '::1', port: 3 },
    ]);
  });

  it('refuses what a shell would act on', () => {
    expect(failure(() => resolve({}, { destination: 'a`b' }))).toBe('usage: hostname contains invalid characters');
    expect(failure(() => resolve({}, { destination: '$(x)@h' }))).toBe(
      'usage: remote username contains invalid characters',
    );
    expect(failure(() => resolve({}, { destination: '@h' }))).toContain('usage');
    expect(failure(() => resolve({}, { command: 'ls', overrides: ['RemoteCommand=x'] }))).toContain(
      'Cannot execute command-line and remote command.',
    );
    expect(failure(() => resolve({}, { overrides: ['ForkAfterAuthentication=yes'] }))).toContain(
      'Cannot fork into background',
    );
    expect(failure(() => resolve({}, { overrides: ['SessionType=subsystem'] }))).toContain(
      'You must specify a subsystem',
    );
  });
});

describe('canonical names', () => {
  const names: Record<string, { cname?: string }> = {
    'h.b.example': {},
    'alias.b.example': { cname: 'real.b.example' },
    'full.example.': {},
  };
  const lookup = async (name: string): Promise<{ cname?: string } | undefined> => names[name];
  const config = (more: string): Record<string, string> => ({
    [user]: `CanonicalizeHostname yes\nCanonicalDomains a.example b.example\nCanonicalizePermittedCNAMEs *.b.example:*.b.example\n${more}\nHost *.b.example\n Port 7\nMatch canonical\n User c\n`,
  });
  const run = (more = '', destination = 'h'): Promise<HostPlan> =>
    resolveHostCanonical({ destination }, environment(config(more)), lookup);

  it('searches the domains, follows permitted CNAMEs, reads the files again', async () => {
    expect(await run()).toMatchObject({ host: 'h', hostName: 'h.b.example', port: 7, user: 'c' });
    expect(await run('', 'alias')).toMatchObject({ hostName: 'real.b.example', port: 7 });
    expect(await run('', 'full.example.')).toMatchObject({ hostName: 'full.example' });
  });

  it('leaves dotted names, addresses and proxied hosts alone', async () => {
    expect(await run('', 'x.y.z')).toMatchObject({ hostName: 'x.y.z', user: 'c' });
    expect(await run('', '10.0.0.1')).toMatchObject({ hostName: '10.0.0.1' });
    expect(await run('ProxyJump gw')).toMatchObject({ hostName: 'h' });
    expect(
      await resolveHostCanonical(
        { destination: 'h', overrides: ['CanonicalizeHostname=always'] },
        environment(config('ProxyJump gw')),
        lookup,
      ),
    ).toMatchObject({ hostName: 'h.b.example' });
  });

  it('fails only when it may not fall back', async () => {
    expect(await run('', 'nowhere')).toMatchObject({ hostName: 'nowhere' });
    await expect(run('CanonicalizeFallbackLocal no', 'nowhere')).rejects.toMatchObject({ code: 'dns' });
  });
});

describe('the cache', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'cache-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('reads once, looks again after its time, parses again when the file changed', () => {
    const path = join(dir, 'config');
    let clock = 0;
    writeFileSync(path, 'Port 1\n');
    const files = new ConfigFiles({ context, uid: process.getuid?.() ?? 0, ttl: 100, now: () => clock });
    const port = (): number => resolve({}, { configFile: path }, { files }).port;
    expect([port(), port(), port()]).toEqual([1, 1, 1]);
    expect(files.statistics).toEqual({ parsed: 1, hits: 2, revalidated: 0 });
    clock = 200;
    expect(port()).toBe(1);
    expect(files.statistics).toMatchObject({ parsed: 1, revalidated: 1 });
    writeFileSync(path, 'Port 2\n');
    utimesSync(path, 1, 1);
    expect(port()).toBe(1);
    clock = 400;
    expect(port()).toBe(2);
    expect(files.statistics.parsed).toBe(2);
  });

  it('resolves a thousand hosts of a hundred blocks quickly', () => {
    const path = join(dir, 'big');
    writeFileSync(
      path,
      `${Array.from({ length: 100 }, (_, n) => `Host node${n} *.zone${n}\n Hostname 10.0.0.${n}\n User u${n}\n Port ${2000 + n}\n`).join('')}Host *\n IdentityFile ~/.ssh/%h\n`,
    );
    const files = new ConfigFiles({ context, uid: process.getuid?.() ?? 0, ttl: 60_000 });
    const env = environment({}, { files });
    resolveHost({ destination: 'node1', configFile: path }, env);
    const start = process.cpuUsage();
    for (let n = 0; n < 1000; n++) resolveHost({ destination: `node${n}`, configFile: path }, env);
    const each = process.cpuUsage(start).user / 1000;
    expect(files.statistics.parsed).toBe(1);
    // Far above the usual 50 microseconds: the code may not be warm and the machine busy.
    expect(each).toBeLessThan(500);
    console.info(`resolveHost: ${each.toFixed(0)} us a host`);
  });

  it('globs like a shell', () => {
    for (const name of ['b.conf', 'a.conf', '.h.conf', 'c.txt']) writeFileSync(join(dir, name), '');
    const names = (pattern: string): string[] =>
      globPaths(join(dir, pattern)).map((path) => path.slice(dir.length + 1));
    expect(names('*.conf')).toEqual(['a.conf', 'b.conf']);
    expect(names('[!a].conf')).toEqual(['b.conf']);
    expect(names('?.t[a-z]t')).toEqual(['c.txt']);
    expect(names('.*.conf')).toEqual(['.h.conf']);
    expect(names('none*')).toEqual([]);
    expect(names('a.conf')).toEqual(['a.conf']);
    expect(names('[z-a].conf')).toEqual([]);
  });
});

it('every keyword is found under its own name', () => {
  for (const name of keywordNames) expect(lookUpKeyword(name)).toBe(name);
  expect(lookUpKeyword('challengeresponseauthentication')).toBe('kbdinteractiveauthentication');
  expect(lookUpKeyword('nonsense')).toBeUndefined();
});
