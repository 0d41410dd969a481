// Jump hosts, agents and displays through OpenSSH's own programs: several sshd in a row, ssh-agent and ssh, Xvfb.
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Connection } from '../../client/connection.ts';
import { type AgentForwarding, forwardAgent } from '../../client/forward/agent.ts';
import { forwardX11, type X11Options } from '../../client/forward/x11.ts';
import { JumpPool } from '../../client/jump.ts';
import { KeyStore } from '../../client/key-store.ts';
import type { OpenContext } from '../../client/open.ts';
import { bothWays, failure, node, open, planFor, run, within } from './client.ts';
import { COOKIE, type Display, startDisplay } from './display.ts';
import { findProgram, freshDir, makeKey, requireServer, type Server, startAgent, startSshd } from './servers.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const agentKey = requireServer('ssh-keygen') ? makeKey('ed25519', { purpose: 'agent' }) : undefined!;
const known = (server: Server): string[] => [
  `UserKnownHostsFile=${server.knownHosts}`,
  'GlobalKnownHostsFile=none',
  'StrictHostKeyChecking=yes',
  'BatchMode=yes',
];

describe.skipIf(!requireServer('sshd'))('jump hosts', () => {
  const servers: Server[] = [];
  beforeAll(async () => {
    for (let i = 0; i < 6; i++)
      servers.push(await startSshd({ hostKeys: [makeKey('ed25519', { purpose: `hop${i}` })] }));
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  const context: Omit<OpenContext, 'jump'> = { crypto: node, keys: new KeyStore({ crypto: node }), shell: '/bin/sh' };
  const pool = (): JumpPool => {
    const made = new JumpPool({
      resolve: ({ host, port }) => {
        const server = servers.find((each) => each.host === host && each.port === port);
        if (server === undefined) throw new Error(`no server at ${port}`);
        return planFor(server);
      },
      context: () => context,
    });
    cleanups.push(() => made.close());
    return made;
  };
  const via = (hops: readonly Server[]): string =>
    `ProxyJump=${hops.map(({ user, host, port }) => `${user}@${host}:${port}`).join(',')}`;

  it.each([1, 2, 5])('%i of them, each with its own host key, and data both ways', async (count) => {
    const jumps = pool();
    const options = [via(servers.slice(0, count))];
    const target = servers[count]!;
    const { connection } = await open(target, { options, context: { jump: jumps.jump } });
    cleanups.push(() => connection.close());
    expect((await run(connection, 'echo $SSH_CONNECTION')).stdout.trim().split(' ').at(-1)).toBe(String(target.port));
    await bothWays(connection, 4 * 1024 * 1024);
    expect(jumps.size).toBe(count);
  });

  it('one connection carries 20 targets', async () => {
    const jumps = pool();
    const [bastion, target] = servers as [Server, Server];
    const before = bastion.log().match(/^Accepted publickey/gm)?.length ?? 0;
    const one = async (): Promise<string> => {
      const { connection } = await open(target, { options: [via([bastion])], context: { jump: jumps.jump } });
      const { stdout } = await run(connection, 'echo here');
      await connection.close();
      return stdout;
    };
    expect(await Promise.all(Array.from({ length: 20 }, one))).toEqual(Array(20).fill('here\n'));
    expect(bastion.log().match(/^Accepted publickey/gm)?.length).toBe(before + 1);
  });

  it('a hop whose host key is another is refused, by name', async () => {
    const [bastion, target] = servers as [Server, Server];
    const jumps = new JumpPool({
      resolve: () => planFor({ ...bastion, knownHosts: target.knownHosts }),
      context: () => context,
    });
    cleanups.push(() => jumps.close());
    const opening = open(target, { options: [via([bastion])], context: { jump: jumps.jump } });
    const error = await failure(opening, 10_000);
    expect(error).toMatchObject({ code: 'proxy', cause: { code: 'host-key' } });
    expect(error.detail).toEqual({ hop: `${bastion.user}@127.0.0.1:${bastion.port}` });
  });

  it('waits for a bastion that is beyond its MaxStartups', async () => {
    await using bastion = await startSshd({ config: ['MaxStartups 1', 'LoginGraceTime 2'] });
    const idle = connect(bastion.port, bastion.host);
    cleanups.push(() => idle.destroy());
    idle.on('error', () => {});
    await new Promise((resolve) => idle.once('data', resolve));
    const jumps = new JumpPool({ resolve: () => planFor(bastion), context: () => context, backoff: 200 });
    cleanups.push(() => jumps.close());
    const { connection } = await open(servers[0]!, {
      options: [`ProxyJump=${bastion.user}@${bastion.host}:${bastion.port}`],
      context: { jump: jumps.jump },
    });
    expect((await run(connection, 'echo through')).stdout).toBe('through\n');
    await connection.close();
  });

  it('a jump host that allows no forwarding is said to be the reason', async () => {
    await using bastion = await startSshd({ config: ['AllowTcpForwarding no'] });
    const jumps = new JumpPool({ resolve: () => planFor(bastion), context: () => context });
    cleanups.push(() => jumps.close());
    const options = [`ProxyJump=${bastion.user}@${bastion.host}:${bastion.port}`];
    const error = await failure(open(servers[0]!, { options, context: { jump: jumps.jump } }), 10_000);
    expect(error).toMatchObject({ code: 'proxy', cause: { code: 'channel-open', detail: { reason: 1 } } });
  });
});

describe.skipIf(!requireServer('sshd', 'ssh', 'ssh-agent', 'ssh-add'))('agent forwarding', () => {
  it('logs in two hops on with a key that exists in the agent only', async () => {
    const copy = join(freshDir('agent-key'), 'key');
    copyFileSync(agentKey.path, copy);
    execFileSync('chmod', ['600', copy]);
    await using agent = await startAgent([copy]);
    rmSync(copy);
    await using first = await startSshd({ authorizedKeys: [agentKey.publicLine] });
    await using second = await startSshd({ authorizedKeys: [agentKey.publicLine] });
    const { connection } = await open(first);
    cleanups.push(() => connection.close());
    const forwarding: AgentForwarding = forwardAgent(connection, agent.socket);
    // Only who asks for it gets it; the last line: and only while it is allowed.
    expect((await run(connection, 'echo "[$SSH_AUTH_SOCK]"')).stdout).toBe('[]\n');
    const options = [...known(second), 'IdentityFile=none', `Port=${second.port}`].flatMap((option) => ['-o', option]);
    const command = `ssh-add -L; ssh -A ${options.join(' ')} ${second.user}@127.0.0.1 'ssh-add -L; exit 7'`;
    const { stdout, stderr, exit } = await within(10_000, run(connection, command, { before: forwarding.request }));
    const material = agentKey.publicLine.split(' ')[1]!;
    const told = { keys: stdout.split('\n').map((line) => line.split(' ')[1]), exit, stderr };
    expect(told).toMatchObject({ keys: [material, material, undefined], exit: { status: 7 } });
    await expect.poll(() => forwarding.connections).toBe(0);
    forwarding.close();
    expect((await run(connection, 'ssh-add -L', { before: forwarding.request })).exit.status).not.toBe(0);
  });

  it('a key that is meant for one way only works on that way', async () => {
    await using agent = await startAgent();
    await using first = await startSshd({ hostKeys: [makeKey('ed25519', { purpose: 'way1' })] });
    const other = [makeKey('ed25519', { purpose: 'way2' })];
    await using second = await startSshd({ hostKeys: other, authorizedKeys: [agentKey.publicLine] });
    const [near, far] = [`[127.0.0.1]:${first.port}`, `[127.0.0.1]:${second.port}`];
    const keys = [first, second].flatMap(({ knownHosts }) => ['-H', knownHosts]);
    agent.add(agentKey.path, ...keys, '-h', `${near}>${far}`, '-h', near);
    const { connection } = await open(first);
    cleanups.push(() => connection.close());
    const forwarding = forwardAgent(connection, agent.socket);
    const ask = (command: string): ReturnType<typeof run> => run(connection, command, { before: forwarding.request });
    // What the agent lists depends on where it is asked from.
    expect((await ask('ssh-add -L')).stdout.split(' ')[1]).toBe(agentKey.publicLine.split(' ')[1]);
    const options = [...known(second), 'IdentityFile=none', `Port=${second.port}`].flatMap((option) => ['-o', option]);
    const { stdout, stderr } = await ask(`ssh ${options.join(' ')} ${second.user}@127.0.0.1 echo there`);
    expect(stdout, stderr).toBe('there\n');
    // Over an unbound connection to another server it is not there at all.
    await using elsewhere = await startSshd({ hostKeys: [makeKey('ed25519', { purpose: 'way3' })] });
    const stranger = await open(elsewhere);
    cleanups.push(() => stranger.connection.close());
    const before = forwardAgent(stranger.connection, agent.socket).request;
    expect((await run(stranger.connection, 'ssh-add -L', { before })).stdout).toBe('The agent has no identities.\n');
  });

  it('an agent that is gone is a refusal, not the end of the connection', async () => {
    await using server = await startSshd();
    const { connection } = await open(server);
    cleanups.push(() => connection.close());
    const forwarding = forwardAgent(connection, '/nonexistent/agent');
    // It fails with a word or dies of SIGPIPE, as the refusal comes before or after its question.
    const { exit } = await run(connection, 'ssh-add -L', { before: forwarding.request });
    expect(exit.status).not.toBe(0);
    expect((await run(connection, 'echo alive')).stdout).toBe('alive\n');
  });
});

describe.skipIf(!requireServer('sshd', 'Xvfb', 'xauth', 'xdpyinfo'))('X11 forwarding', () => {
  let x: Display;
  let server: Server;
  let display: string;
  const before = process.env.XAUTHORITY;
  beforeAll(async () => {
    x = await startDisplay();
    display = x.name;
    process.env.XAUTHORITY = x.authority;
    server = await startSshd({ config: ['X11Forwarding yes', 'X11UseLocalhost yes'] });
  });
  afterAll(async () => {
    await server?.stop();
    await x?.stop();
    if (before === undefined) delete process.env.XAUTHORITY;
    else process.env.XAUTHORITY = before;
  });

  async function forwarded(more: Partial<X11Options> = {}): Promise<{
    said: string[];
    ask(command: string): ReturnType<typeof run>;
    connection: Connection;
    on: boolean;
  }> {
    const { connection } = await open(server);
    cleanups.push(() => connection.close());
    const said: string[] = [];
    const forwarding = await forwardX11(connection, {
      display,
      xauth: findProgram('xauth')!,
      trusted: true,
      timeout: 0,
      warn: (text) => void said.push(text),
      ...more,
    });
    const ask = (command: string): ReturnType<typeof run> =>
      within(15_000, run(connection, command, forwarding ? { before: forwarding.request } : {}));
    return { said, ask, connection, on: forwarding !== undefined };
  }

  it('reaches the display with a cookie that is not the one the server knows', async () => {
    const { ask, said } = await forwarded();
    const { stdout, stderr } = await ask('xauth list "$DISPLAY"; xdpyinfo');
    expect(stdout, stderr).toMatch(/dimensions: +640x480 pixels/);
    expect(stdout).toMatch(/MIT-MAGIC-COOKIE-1 +[0-9a-f]{32}/);
    expect(stdout).not.toContain(COOKIE);
    expect(said).toEqual([]);
  });

  it('rejects a wrong cookie', async () => {
    const { ask, said } = await forwarded();
    const { exit } = await ask('xauth add "$DISPLAY" . 0123456789abcdef0123456789abcdef; xdpyinfo');
    expect(exit.status).not.toBe(0);
    expect(said).toContain('X11 connection rejected because of wrong authentication.');
  });

  it('untrusted: a cookie made for it, until the time is over', async () => {
    const { ask, said } = await forwarded({ trusted: false, timeout: 1 });
    const { stdout, stderr } = await ask('xdpyinfo');
    expect(stdout, stderr).toMatch(/dimensions: +640x480 pixels/);
    await sleep(2100);
    expect((await ask('xdpyinfo')).exit.status).not.toBe(0);
    expect(said).toEqual([]);
  });

  it('says why there is none', async () => {
    expect(await forwarded({ display: 'no display' })).toMatchObject({
      on: false,
      said: ['DISPLAY "no display" invalid; disabling X11 forwarding'],
    });
    expect(await forwarded({ display: ':99', trusted: false })).toMatchObject({
      on: false,
      said: ['Warning: untrusted X11 forwarding setup failed: xauth key data not generated'],
    });
    const { ask, said } = await forwarded({ display: 'localhost:9' });
    expect((await ask('xdpyinfo')).exit.status).not.toBe(0);
    expect(said).toEqual([
      'Warning: No xauth data; using fake authentication data for X11 forwarding.',
      'connect localhost port 6009: Connection refused',
    ]);
  });
});
