// Forwarding through OpenSSH's sshd: every kind and family, a thousand connections at once, a consumer that does not
// read, and what becomes of the sockets when one of the three processes goes.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Forward, parseForward } from '../../client/config/forward-spec.ts';
import type { Connection } from '../../client/connection.ts';
import { type Forwards, type SetUpOptions, setUpForwards } from '../../client/forward/forwards.ts';
import { collectGarbage } from '../garbage.ts';
import { open, planFor, run, testData, testDigest, within } from './client.ts';
import { freshDir, Program, requireServer, type Server, startSshd } from './servers.ts';

/** A folder in which the server's user may make sockets too. */
function sharedDir(label: string): string {
  const dir = freshDir(label);
  chmodSync(dir, 0o777);
  return dir;
}

const LOAD = new URL('forward-load.js', import.meta.url).pathname;

let server: Server;
let echo: Program;
let echoPort: number;
beforeAll(async () => {
  server = await startSshd({ config: ['GatewayPorts clientspecified', 'StreamLocalBindUnlink yes'] });
  echo = new Program(freshDir('echo'), process.execPath, [LOAD, 'echo']);
  echoPort = Number((await echo.waitFor(/^(\d+)$/m))[1]);
});
afterAll(async () => {
  await server?.stop();
  await echo?.stop();
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Port 0 stands for one of the system's choice, at either end. */
function spec(type: 'local' | 'remote' | 'dynamic', text: string): Forward {
  const forward = parseForward(type, text.replace(/(^|:)ANY\b/, '$11'));
  if (forward === undefined) throw new Error(`bad specification ${text}`);
  if (!/(^|:)ANY\b/.test(text) || forward.listen.kind !== 'tcp') return forward;
  return { ...forward, listen: { ...forward.listen, port: 0 } };
}

interface SetUp {
  readonly connection: Connection;
  readonly forwards: Forwards;
  readonly said: string[];
  readonly ports: number[];
}

async function setUp(list: readonly Forward[], to = server, options: SetUpOptions = {}): Promise<SetUp> {
  const { connection } = await open(to);
  cleanups.push(() => connection.close());
  const said: string[] = [];
  const plan = { ...planFor(to).forwards, list };
  const warn = (text: string): void => void said.push(text);
  const forwards = await within(5000, setUpForwards(connection, plan, { warn, ...options }));
  return { connection, forwards, said, ports: forwards.list().map(({ port }) => port) };
}

/** A server of the test's own, with half-closes of its own making. */
async function serve(
  onSocket: (socket: Socket) => void,
  where: { host?: string; path?: string } = {},
): Promise<number> {
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
    onSocket(socket);
  });
  const at = where.path === undefined ? { host: where.host ?? '127.0.0.1', port: 0 } : { path: where.path };
  await new Promise<void>((resolve) => listener.listen(at, resolve));
  cleanups.push(() => listener.close());
  if (where.path !== undefined) chmodSync(where.path, 0o777);
  return where.path === undefined ? (listener.address() as AddressInfo).port : 0;
}

/** Answers only after the end of the question. */
const answerAtEnd = (socket: Socket): void => {
  const hash = createHash('sha256');
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  socket.on('end', () => socket.end(hash.digest('hex')));
};

const BYTES = 3_000_000;

/** Sends test data, ends, and then still receives. */
async function exchange(to: NetConnectOpts): Promise<string> {
  const socket = connect({ ...to, allowHalfOpen: true });
  const parts: Buffer[] = [];
  const over = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => parts.push(chunk));
    socket.once('error', reject).once('end', resolve);
  });
  for (const chunk of testData(BYTES)) socket.write(chunk);
  socket.end();
  await within(20_000, over);
  return Buffer.concat(parts).toString();
}

const ending = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    socket.once('close', () => resolve('closed'));
  });

const on4 = (port: number): NetConnectOpts => ({ host: '127.0.0.1', port });
const on6 = (port: number): NetConnectOpts => ({ host: '::1', port });

async function load(...args: readonly (string | number)[]): Promise<unknown> {
  const run = promisify(execFile)(process.execPath, [LOAD, 'clients', ...args.map(String)], { timeout: 110_000 });
  return JSON.parse((await run).stdout);
}

describe.skipIf(!requireServer('sshd'))('forwarding through sshd', () => {
  const whole = testDigest(BYTES);

  it('-L: TCP and Unix sockets at both ends, both families', async () => {
    const dir = sharedDir('local');
    const [four, six] = [await serve(answerAtEnd), await serve(answerAtEnd, { host: '::1' })];
    await serve(answerAtEnd, { path: join(dir, 'target') });
    const { ports, said } = await setUp([
      spec('local', `ANY:127.0.0.1:${four}`),
      spec('local', `[::1]:ANY:[::1]:${six}`),
      spec('local', `ANY:${dir}/target`),
      spec('local', `${dir}/tcp:localhost:${four}`),
      spec('local', `${dir}/unix:${dir}/target`),
    ]);
    expect(said).toEqual([]);
    const ways = [
      on4(ports[0]!),
      on6(ports[0]!),
      on6(ports[1]!),
      on4(ports[2]!),
      { path: `${dir}/tcp` },
      { path: `${dir}/unix` },
    ];
    expect(await Promise.all(ways.map(exchange))).toEqual(ways.map(() => whole));
  });

  it('-R: TCP and Unix sockets at both ends, ports of the server, cancelled in peace', async () => {
    const dir = sharedDir('remote');
    const [four, six] = [await serve(answerAtEnd), await serve(answerAtEnd, { host: '::1' })];
    await serve(answerAtEnd, { path: join(dir, 'target') });
    const { ports, said, forwards } = await setUp([
      spec('remote', `0:127.0.0.1:${four}`),
      spec('remote', `[::1]:0:[::1]:${six}`),
      spec('remote', `0:${dir}/target`),
      spec('remote', `${dir}/tcp:localhost:${four}`),
      spec('remote', `${dir}/unix:${dir}/target`),
    ]);
    expect(said.sort()).toEqual(
      [`127.0.0.1:${four}`, `::1:${six}`, `${dir}/target:0`]
        .map((target, i) => `Allocated port ${ports[i]} for remote forward to ${target}`)
        .sort(),
    );
    const ways = [
      on4(ports[0]!),
      on6(ports[0]!),
      on6(ports[1]!),
      on4(ports[2]!),
      { path: `${dir}/tcp` },
      { path: `${dir}/unix` },
    ];
    expect(await Promise.all(ways.map(exchange))).toEqual(ways.map(() => whole));
    for (const { forward } of forwards.list()) expect(await within(2000, forwards.cancel(forward))).toBe(true);
    for (const way of ways) await expect(exchange(way)).rejects.toThrow(/ECONNREFUSED|ENOENT/);
  });

  it('-D and -R without a target: curl, with names resolved at the far end', async () => {
    const web = await serve((socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nhello'));
    });
    const { ports } = await setUp([spec('dynamic', 'ANY'), spec('remote', '0')]);
    for (const port of ports) {
      for (const proxy of ['socks4', 'socks4a', 'socks5', 'socks5h']) {
        const args = ['-sS', '-m', '5', '--proxy', `${proxy}://127.0.0.1:${port}`, `http://localhost:${web}/`];
        expect((await promisify(execFile)('curl', args)).stdout).toBe('hello');
      }
    }
    const six = await serve((socket) => void socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nsix')), {
      host: '::1',
    });
    const args = ['-sS', '-m', '5', '--proxy', `socks5://127.0.0.1:${ports[0]}`, `http://[::1]:${six}/`];
    expect((await promisify(execFile)('curl', args)).stdout).toBe('six');
    const refused = ['-sS', '-m', '5', '--proxy', `socks5h://127.0.0.1:${ports[0]}`, 'http://localhost:1/'];
    await expect(promisify(execFile)('curl', refused)).rejects.toMatchObject({ code: 97 });
  });

  it('resets a connection whose target refuses', async () => {
    const { ports, said } = await setUp([spec('local', 'ANY:127.0.0.1:1')]);
    expect(await within(3000, ending(connect(on4(ports[0]!))))).toBe('ECONNRESET');
    expect(said).toEqual(['channel 0: open failed: connect failed: Connection refused']);
  });

  it('warns when sshd refuses', async () => {
    await using strict = await startSshd({ config: ['AllowTcpForwarding no', 'AllowStreamLocalForwarding no'] });
    const { said, forwards, ports } = await setUp([spec('remote', '8080:h:1'), spec('local', 'ANY:h:1')], strict);
    expect(said).toEqual(['Warning: remote port forwarding failed for listen port 8080']);
    expect(forwards.fatal).toBe(false);
    expect(await within(3000, ending(connect(on4(ports[0]!))))).toBe('ECONNRESET');
    expect(said.at(-1)).toMatch(/^channel \d+: open failed: administratively prohibited: open failed$/);
  });

  it.each([
    ['-L', false],
    ['-D', true],
  ])(
    '%s carries a thousand connections at once in little memory',
    async (_, dynamic) => {
      const forward = dynamic ? spec('dynamic', 'ANY') : spec('local', `ANY:127.0.0.1:${echoPort}`);
      const { ports, forwards, said } = await setUp([forward]);
      const before = process.memoryUsage().rss;
      let peak = 0;
      let most = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss);
        most = Math.max(most, forwards.connections);
      }, 20);
      const result = await load(ports[0]!, 1000, 50_000, ...(dynamic ? [echoPort] : []));
      clearInterval(watch);
      expect({ result, said }).toEqual({ result: { whole: 1000, broken: 0, errors: [] }, said: [] });
      expect(most).toBe(1000);
      expect(peak - before).toBeLessThan(150 * 1024 * 1024);
      await within(5000, forwards.idle());
    },
    120_000,
  );

  it('one consumer that does not read holds up no other, and costs no more than its window', async () => {
    const flood = await serve((socket) => {
      const chunk = Buffer.alloc(64 * 1024);
      const pour = (): void => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on('drain', pour);
      pour();
    });
    const { ports, forwards } = await setUp([
      spec('local', `ANY:127.0.0.1:${flood}`),
      spec('local', `ANY:127.0.0.1:${echoPort}`),
    ]);
    const before = process.memoryUsage();
    const stalled = connect(on4(ports[0]!));
    cleanups.push(() => stalled.destroy());
    stalled.once('data', () => stalled.pause());
    await expect.poll(() => forwards.connections).toBe(1);
    expect(await load(ports[1]!, 20, 1_000_000)).toEqual({ whole: 20, broken: 0, errors: [] });
    // What is held counts, not what waits to be collected.
    collectGarbage();
    const after = process.memoryUsage();
    expect(after.arrayBuffers + after.external - before.arrayBuffers - before.external).toBeLessThan(48 * 1024 * 1024);
    // It was never given up, and goes on where it was.
    const more = new Promise((resolve) => stalled.once('data', resolve));
    stalled.resume();
    await within(20_000, more);
    stalled.destroy();
    await within(20_000, forwards.idle());
  });

  describe('mid-transfer', () => {
    /** Ten sockets that are sent to without end, and send without end. */
    async function busy(
      to: Server,
      target: number,
    ): Promise<SetUp & { readonly ends: Promise<string>[]; sockets: Socket[] }> {
      const set = await setUp([spec('local', `ANY:127.0.0.1:${target}`)], to);
      const sockets = Array.from({ length: 10 }, () => connect(on4(set.ports[0]!)));
      const chunk = Buffer.alloc(16 * 1024);
      for (const socket of sockets) {
        const pour = (): void => {
          while (!socket.destroyed && socket.write(chunk));
        };
        cleanups.push(() => socket.destroy());
        socket.on('drain', pour).on('data', () => {});
        pour();
      }
      const ends = sockets.map(ending);
      await within(5000, Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve)))));
      return { ...set, ends, sockets };
    }

    it('the server goes: every socket is reset', async () => {
      await using other = await startSshd();
      const { ends, forwards, connection } = await busy(other, echoPort);
      // sshd leaves the listener's process group; the parent of what it runs is the one that serves us.
      process.kill(Number((await run(connection, 'echo $PPID')).stdout), 'SIGKILL');
      expect(new Set(await within(5000, Promise.all(ends)))).toEqual(new Set(['ECONNRESET']));
      expect(forwards.connections).toBe(0);
      expect(forwards.list()).toEqual([]);
    });

    it('the target goes: every socket ends, the connection lives', async () => {
      const target = new Program(freshDir('echo'), process.execPath, [LOAD, 'echo']);
      const port = Number((await target.waitFor(/^(\d+)$/m))[1]);
      const { ends, forwards, connection } = await busy(server, port);
      await target.stop();
      await within(5000, Promise.all(ends));
      await within(3000, forwards.idle());
      expect(connection.isClosed).toBe(false);
      expect(connection.session.mux.channelCount).toBe(0);
    });

    it('the near clients go: every channel ends', async () => {
      const { sockets, forwards, connection } = await busy(server, echoPort);
      for (const [i, socket] of sockets.entries()) i % 2 === 0 ? socket.destroy() : socket.resetAndDestroy();
      await within(3000, forwards.idle());
      await expect.poll(() => connection.session.mux.channelCount, { timeout: 3000 }).toBe(0);
      expect(connection.isClosed).toBe(false);
    });

    it('the forwarding is closed: its sockets go, and with a signal all of them', async () => {
      const { ends, forwards, connection } = await busy(server, echoPort);
      await within(3000, forwards.close());
      await within(3000, Promise.all(ends));
      await expect.poll(() => connection.session.mux.channelCount, { timeout: 3000 }).toBe(0);
      const abort = new AbortController();
      const dir = sharedDir('aborted');
      const unix = [spec('local', `${dir}/socket:127.0.0.1:${echoPort}`)];
      const { forwards: others } = await setUp(unix, server, { signal: abort.signal });
      expect(existsSync(`${dir}/socket`)).toBe(true);
      const done = others.list().map((handle) => handle.done);
      abort.abort();
      await within(2000, Promise.all(done));
      expect(existsSync(`${dir}/socket`)).toBe(false);
    });
  });
});
