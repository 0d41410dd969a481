// Forwardings and jump hosts as a user starts them: memory with a thousand connections, what each kind of end comes to,
// chains of hosts with users and ports of their own, a hundred hosts behind one bastion.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort, isRoot, makeKey, requireServer, type Server, startSshd } from '../../interop/servers.ts';
import { Bssh, type Outcome, served } from './bssh.ts';

const LOAD = join(import.meta.dirname, '../../interop/forward-load.js');
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const LIMIT_MIB = 200;

describe.skipIf(!requireServer('sshd'))('a forwarding', () => {
  const bssh = served(new Bssh(), startSshd);
  beforeAll(async () => {
    await bssh.on('127.0.0.1', 'true');
  });

  /** A tunnel that stands, and its end. */
  async function tunnel(port: number, ...args: string[]): Promise<{ child: ChildProcess; ended: Promise<Outcome> }> {
    let child: ChildProcess | undefined;
    const ended = bssh.run(['--ssh', ...bssh.common, '-N', ...args, '127.0.0.1'], {
      limit: 120_000,
      started: (started) => {
        child = started;
      },
    });
    cleanups.push(async () => {
      child?.kill();
      await ended;
    });
    await expect.poll(() => accepts(port), { timeout: 15_000 }).toBe(true);
    return { child: child!, ended };
  }

  const accepts = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });

  async function echo(): Promise<number> {
    const target = spawn(process.execPath, [LOAD, 'echo'], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanups.push(() => target.kill());
    const [port] = await once(target.stdout, 'data');
    return Number(String(port));
  }

  const load = (...args: (string | number)[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      execFile(process.execPath, [LOAD, 'clients', ...args.map(String)], (error, out) =>
        error ? reject(error) : resolve(JSON.parse(out)),
      );
    });

  it('carries a thousand connections at once through -L and -D in bounded memory', { timeout: 150_000 }, async () => {
    const target = await echo();
    const [local, dynamic] = [await freePort(), await freePort()];
    const { child } = await tunnel(local, '-L', `${local}:127.0.0.1:${target}`, '-D', String(dynamic));
    for (const args of [
      [local, 1000, 50_000],
      [dynamic, 1000, 50_000, target],
    ]) {
      expect(await load(...args)).toEqual({ whole: 1000, broken: 0, errors: [] });
    }
    const [, peak] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
    expect(Number(peak) / 1024).toBeLessThan(LIMIT_MIB);
  });

  describe('that is busy', () => {
    const TRANSFERS = 8;
    /** Targets that pour, clients that read: all of them in the middle of it. */
    async function busy(): Promise<{
      near: Socket[];
      far: Set<Socket>;
      target: NetServer;
      child: ChildProcess;
      ended: Promise<Outcome>;
      local: number;
    }> {
      const far = new Set<Socket>();
      const target = createServer((socket) => {
        far.add(socket);
        socket.on('error', () => {}).once('close', () => far.delete(socket));
        const pour = (): void => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
        };
        socket.on('drain', pour);
        pour();
      });
      target.listen(0, '127.0.0.1');
      await once(target, 'listening');
      cleanups.push(() => {
        target.close();
        for (const socket of far) socket.destroy();
      });
      const { port } = target.address() as { port: number };
      const local = await freePort();
      const standing = await tunnel(local, '-L', `${local}:127.0.0.1:${port}`);
      const near = Array.from({ length: TRANSFERS }, () => connect(local, '127.0.0.1').on('error', () => {}));
      cleanups.push(() => {
        for (const socket of near) socket.destroy();
      });
      await Promise.all(near.map((socket) => once(socket, 'data')));
      return { near, far, target, local, ...standing };
    }
    const closed = (sockets: readonly Socket[]): Promise<unknown> =>
      Promise.all(
        sockets.map((socket) => socket.closed || new Promise((resolve) => void socket.once('close', resolve))),
      );

    it('ends with 255 and closes every socket when the server goes', async () => {
      const before = bssh.server.log().length;
      const { near, ended } = await busy();
      near.forEach((socket) => void socket.resume());
      const pid = /User child is on pid (\d+)/.exec(bssh.server.log().slice(before))?.[1];
      process.kill(Number(pid), 'SIGKILL');
      const { code, err } = await ended;
      expect([code, err]).toEqual([255, expect.stringMatching(/closed by remote host|Connection reset|Broken pipe/)]);
      await closed(near);
    });

    it('goes on when the target goes: what it served ends, what comes later is refused', async () => {
      const { near, far, target, child, ended, local } = await busy();
      near.forEach((socket) => void socket.resume());
      target.close();
      for (const socket of far) socket.resetAndDestroy();
      await closed(near);
      const late = connect(local, '127.0.0.1').on('error', () => {});
      await closed([late]);
      expect(child.exitCode).toBe(null);
      child.kill('SIGTERM');
      expect((await ended).code).toBe(255);
    });

    it('goes on when its clients go, and lets go of the targets', async () => {
      const { near, far, child, ended, local } = await busy();
      near.forEach((socket, i) => void (i % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()));
      await expect.poll(() => far.size, { timeout: 10_000 }).toBe(0);
      const late = connect(local, '127.0.0.1').on('error', () => {});
      await once(late, 'data');
      child.kill('SIGINT');
      expect((await ended).code).toBe(255);
      await closed([late]);
    });
  });
});

describe.skipIf(!requireServer('sshd') || !isRoot)('jump hosts', () => {
  const servers: Server[] = [];
  let bssh: Bssh;
  let config: string;
  /** Alternately the two users that a server lets in. */
  const user = (index: number): string => (index % 2 === 0 ? 'root' : servers[index]!.user);
  const at = (index: number): string => `${user(index)}@127.0.0.1:${servers[index]!.port}`;
  beforeAll(async () => {
    for (let i = 0; i < 6; i++)
      servers.push(await startSshd({ hostKeys: [makeKey('ed25519', { purpose: `hop${i}` })], userKey: 'ed25519' }));
    bssh = new Bssh();
    const blocks = servers.map(
      ({ port, identity }, i) => `Host hop${i}
  HostName 127.0.0.1
  Port ${port}
  User ${user(i)}
  IdentityFile ${identity}
${i === 0 ? '' : `Match host hop${i} originalhost hop${i}\n  ProxyJump hop${i - 1}\n`}`,
    );
    // A hop that is given by its address is known by its port.
    const ports = servers.map(
      ({ port, identity }) => `Match exec "test %p = ${port}"
  IdentityFile ${identity}
`,
    );
    config = bssh.write(
      'config',
      `${blocks.join('')}${ports.join('')}Host *
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${servers.map(({ knownHosts }) => knownHosts).join(' ')}
  GlobalKnownHostsFile none
`,
    );
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));
  const run = (...args: string[]): Promise<Outcome> => bssh.run(['--ssh', '-F', config, ...args], { limit: 60_000 });
  const WHERE = 'set -- $SSH_CONNECTION; echo $(id -un) $4; head -c 300000 /dev/zero | wc -c; exit 7';
  const arrived = ({ code, out, err }: Outcome, index: number): void =>
    expect([code, out], err).toEqual([7, `${user(index)} ${servers[index]!.port}\n300000\n`]);

  it.each([1, 2, 5])('-J with %i of them, users and ports mixed, as addresses and as ssh://', async (count) => {
    const hops = servers.slice(0, count).map((_, i) => (i % 2 === 0 ? at(i) : `ssh://${at(i)}`));
    const target = ['-p', String(servers[count]!.port), '-l', user(count), '127.0.0.1'];
    arrived(await run('-J', hops.join(','), ...target, WHERE), count);
  });

  it.each([1, 2, 5])('ProxyJump of the configuration, %i in a row, each with settings of its own', async (count) => {
    arrived(await run(`hop${count}`, WHERE), count);
    expect(servers[0]!.log()).toContain('Accepted publickey for root');
  });

  it('goes straight where told to, and names the hop that fails', async () => {
    arrived(await run('-o', 'ProxyJump=none', 'hop2', WHERE), 2);
    const refused = await run('-J', `127.0.0.1:${await freePort()}`, 'hop1', 'true');
    expect([refused.code, refused.err]).toEqual([255, expect.stringContaining('Connection refused')]);
    const denied = await run('-J', `no.such.user@127.0.0.1:${servers[0]!.port}`, 'hop1', 'true');
    expect([denied.code, denied.err]).toEqual([255, expect.stringContaining('no.such.user@127.0.0.1')]);
  });
});

describe.skipIf(!requireServer('sshd'))('a hundred hosts behind one bastion', () => {
  const STOCK = 'MaxStartups 10:30:100';

  it('are all reached, over one connection to it, with the limits that sshd comes with', {
    timeout: 180_000,
  }, async () => {
    await using bastion = await startSshd({ config: [STOCK] });
    await using targets = await startSshd({ address: '0.0.0.0', config: [STOCK] });
    const bssh = new Bssh();
    const config = bssh.write(
      'config',
      `Host bastion
  HostName 127.0.0.1
  Port ${bastion.port}
  IdentityFile ${bastion.identity}
Host 127.0.1.*
  Port ${targets.port}
  IdentityFile ${targets.identity}
  ProxyJump bastion
Host *
  User ${bastion.user}
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
`,
    );
    const { code, out, err } = await bssh.run(
      ['-F', config, '-H', '127.0.1.[1-100]', '--parallel', '0', '--json', 'echo here'],
      { limit: 170_000 },
    );
    const results = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === 'result');
    expect([code, results.filter((result) => result.class === 'ok').length, results.length], err).toEqual([
      0, 100, 100,
    ]);
    expect(bastion.log().match(/^Accepted publickey/gm)).toHaveLength(1);
    expect(targets.log().match(/^Accepted publickey/gm)?.length).toBeGreaterThanOrEqual(100);
  });
});
