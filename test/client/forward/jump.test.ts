// Jump hosts against demo servers: who is dialled, how often, and what everyone who waits is told.
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Destination } from '../../../client/config/destination.ts';
import { algorithmSets, localResolveEnv } from '../../../client/config/local-env.ts';
import type { HostPlan } from '../../../client/config/plan.ts';
import { resolveHost } from '../../../client/config/resolve.ts';
import type { Connection } from '../../../client/connection.ts';
import { JumpPool, type JumpPoolOptions } from '../../../client/jump.ts';
import { KeyStore } from '../../../client/key-store.ts';
import { type OpenContext, openHost } from '../../../client/open.ts';
import { defaultAlgorithms, type SshError, supportedAlgorithms } from '../../../protocol/index.ts';
import { type DemoServer, type DemoServerOptions, startDemoServer } from '../../demo-server/index.ts';
import { alice, crypto, failure, run, within } from '../harness.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const bob = { name: 'bob', password: 'wonderland' };

async function server(options: DemoServerOptions = {}): Promise<DemoServer> {
  const started = await startDemoServer({ users: [alice, bob], forwarding: true, ...options });
  cleanups.push(() => started.close());
  return started;
}

const env = localResolveEnv({
  algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
  version: 'test',
  env: {},
});

function planOf(to: Destination, ...options: readonly string[]): HostPlan {
  const fixed = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'GlobalKnownHostsFile=none'];
  const overrides = [...options, ...fixed, 'IdentityFile=none', 'LogLevel=QUIET', `Port=${to.port ?? 22}`];
  return resolveHost(
    { destination: `${to.user ?? 'alice'}@${to.host}`, overrides, configFile: 'none' },
    { ...env, home: '/nonexistent' },
  );
}

const base: OpenContext = {
  crypto,
  keys: new KeyStore({ crypto }),
  shell: '/bin/sh',
  password: async () => 'wonderland',
};

function poolOf(options: Partial<JumpPoolOptions> = {}): JumpPool {
  const pool = new JumpPool({ resolve: (hop) => planOf(hop), context: () => base, linger: 300, ...options });
  cleanups.push(() => pool.close());
  return pool;
}

const at = ({ host, port }: { host: string; port: number }, user = 'alice'): Destination => ({ user, host, port });
const viaText = (hops: readonly Destination[]): string =>
  `ProxyJump=${hops.map(({ user, host, port }) => `${user}@${host}:${port}`).join(',')}`;

async function through(
  pool: JumpPool,
  hops: readonly Destination[],
  target: Destination,
  more: Partial<OpenContext> = {},
): Promise<Connection> {
  const plan = planOf(target, viaText(hops));
  const { connection } = await within(15_000, openHost(plan, { ...base, jump: pool.jump, ...more }));
  cleanups.push(() => connection.close());
  return connection;
}

const open = (one: DemoServer): number => one.sessions.filter((session) => !session.isClosed).length;
const hello = async (connection: Connection): Promise<string> => (await run(connection, 'echo hello')).stdout;

describe('jump hosts', () => {
  it('goes through one, two and five hops with users of their own', async () => {
    const servers = await Promise.all(Array.from({ length: 6 }, () => server()));
    const pool = poolOf();
    for (const count of [1, 2, 5]) {
      const hops = servers.slice(0, count).map((one, i) => at(one, i % 2 === 0 ? 'alice' : 'bob'));
      const connection = await through(pool, hops, at(servers[count]!));
      expect(await hello(connection)).toBe('hello\n');
    }
    // Chains that begin alike share what they have in common.
    expect(servers.slice(0, 5).map(open)).toEqual([1, 2, 2, 1, 1]);
    expect(pool.size).toBe(5);
  });

  it('dials once for 60 targets, and again after it was unused for a while', async () => {
    const bastion = await server();
    const target = await server();
    const pool = poolOf();
    const work = async (): Promise<string> => {
      const connection = await through(pool, [at(bastion)], at(target));
      const said = await hello(connection);
      await connection.close();
      return said;
    };
    const waves = [];
    for (let wave = 0; wave < 3; wave++) waves.push(...(await Promise.all(Array.from({ length: 20 }, work))));
    expect(waves).toEqual(Array(60).fill('hello\n'));
    expect(bastion.sessions.length).toBe(1);
    await expect.poll(() => pool.size, { timeout: 3000 }).toBe(0);
    await expect.poll(() => open(bastion), { timeout: 3000 }).toBe(0);
    expect(await work()).toBe('hello\n');
    expect(bastion.sessions.length).toBe(2);
  }, 60_000);

  it('keeps users and ways apart', async () => {
    const bastion = await server();
    const target = await server();
    const pool = poolOf();
    for (const user of ['alice', 'bob', 'alice']) await through(pool, [at(bastion, user)], at(target));
    expect(open(bastion)).toBe(2);
  });

  it('tells all who wait which hop failed and why, and does not ask for a password again', async () => {
    const bastion = await server();
    const target = await server();
    let asked = 0;
    let password = 'wrong';
    const pool = poolOf({
      context: () => ({
        ...base,
        password: async () => {
          asked++;
          return password;
        },
      }),
    });
    const attempt = (): Promise<SshError> => failure(through(pool, [at(bastion)], at(target)), 10_000);
    const errors = await Promise.all(Array.from({ length: 20 }, attempt));
    errors.push(await attempt());
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'proxy', cause: { code: 'auth' } });
      expect(error.detail).toEqual({ hop: `alice@127.0.0.1:${bastion.port}` });
    }
    expect(bastion.sessions.length).toBe(1);
    expect(asked).toBe(1);
    password = 'wonderland';
    pool.forgetFailures();
    expect(await hello(await through(pool, [at(bastion)], at(target)))).toBe('hello\n');
  });

  it('names the hop that failed, not the one behind it', async () => {
    const [first, target] = [await server(), await server()];
    const pool = poolOf();
    const closed = { host: '127.0.0.1', port: 1 };
    const hops = [at(first), at(closed), at(first, 'bob')];
    const error = await failure(through(pool, hops, at(target)), 10_000);
    expect(error).toMatchObject({ code: 'proxy', cause: { code: 'channel-open', detail: { reason: 2 } } });
    expect(error.detail).toEqual({ hop: `alice@127.0.0.1:${first.port}`, host: '127.0.0.1', port: 1 });
  });

  it('dials anew for later targets when a gateway died', async () => {
    const bastion = await server();
    const target = await server();
    const pool = poolOf();
    const first = await through(pool, [at(bastion)], at(target));
    bastion.sessions[0]!.destroy();
    await within(3000, first.closed);
    expect(await hello(await through(pool, [at(bastion)], at(target)))).toBe('hello\n');
    expect(bastion.sessions.length).toBe(2);
  });

  it('waits and tries again when the gateway sheds load', async () => {
    const bastion = await server({
      faults: (connection) => (connection < 2 ? { closeAt: 'banner' } : undefined),
    });
    const target = await server();
    const pool = poolOf({ backoff: 20 });
    const done = await Promise.all(Array.from({ length: 5 }, () => through(pool, [at(bastion)], at(target))));
    expect(await hello(done[4]!)).toBe('hello\n');
    expect(bastion.sessions.length).toBe(3);
  });

  it('backs off while the gateway has no channel to spare, and says so in the end', async () => {
    const bastion = await server({ faults: { refuseChannels: 4 } });
    const target = await server();
    const pool = poolOf({ retries: 3, backoff: 20 });
    const begun = performance.now();
    const error = await failure(through(pool, [at(bastion)], at(target)));
    expect(error).toMatchObject({ code: 'proxy', cause: { code: 'channel-open', detail: { reason: 4 } } });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(20 + 40 + 80 - 5);
    expect(bastion.sessions.length).toBe(1);
  });

  it('one waiter may leave; the last one ends the dialling', async () => {
    const bastion = await server({ faults: { neverSpeak: true } });
    const target = await server();
    const pool = poolOf();
    const [one, two] = [new AbortController(), new AbortController()];
    const errors = [one, two].map(({ signal }) => failure(through(pool, [at(bastion)], at(target), { signal })));
    await expect.poll(() => open(bastion)).toBe(1);
    one.abort();
    expect((await errors[0]!).code).toBe('aborted');
    expect(pool.size).toBe(1);
    expect(open(bastion)).toBe(1);
    two.abort();
    expect((await errors[1]!).code).toBe('aborted');
    expect(pool.size).toBe(0);
    await expect.poll(() => open(bastion), { timeout: 4000 }).toBe(0);
  });

  it('finds circles in the configuration, from wherever they are entered', async () => {
    const target = await server();
    const pool = poolOf({
      resolve: (hop, via) => {
        const next = { a: 'b', b: 'c', c: 'a', own: 'own' }[hop.host];
        return planOf(hop, ...(next === undefined || via.length > 0 ? [] : [`ProxyJump=${next}`]));
      },
    });
    const enter = (host: string): Promise<SshError> =>
      failure(through(pool, [{ host, user: 'alice', port: 22 }], at(target)));
    const errors = await Promise.all(['a', 'b', 'c', 'own'].map(enter));
    for (const error of errors) expect(error).toMatchObject({ code: 'config', detail: { reason: 'jump-loop' } });
  });

  it("follows the first hop's own ProxyJump", async () => {
    const [outer, inner, target] = [await server(), await server(), await server()];
    const pool = poolOf({
      resolve: (hop, via) =>
        planOf(hop, ...(hop.port === inner.port && via.length === 0 ? [viaText([at(outer)])] : [])),
    });
    expect(await hello(await through(pool, [at(inner)], at(target)))).toBe('hello\n');
    expect([open(outer), open(inner)]).toEqual([1, 1]);
  });

  it('ends what runs through it when it is closed, and then refuses', async () => {
    const bastion = await server();
    const target = await server();
    const pool = poolOf();
    const connection = await through(pool, [at(bastion)], at(target));
    await within(3000, pool.close());
    await within(3000, connection.closed);
    expect((await failure(through(pool, [at(bastion)], at(target)))).code).toBe('closed');
  });

  it('does not wait for ever for a hop that never speaks', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const pool = poolOf({ resolve: (hop) => planOf(hop, 'ConnectTimeout=1') });
    const target = await server();
    const error = await failure(through(pool, [{ host: '127.0.0.1', port, user: 'alice' }], at(target)), 10_000);
    expect(error).toMatchObject({ code: 'proxy', cause: { code: 'timeout' } });
  });
});
