// Forwarding against the demo server: every kind, its ends and its refusals, and what becomes of the sockets.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Forward, parseForward } from '../../../client/config/forward-spec.ts';
import type { HostPlan } from '../../../client/config/plan.ts';
import type { Connection } from '../../../client/connection.ts';
import { type Forwards, setUpForwards, withoutForwarding } from '../../../client/forward/forwards.ts';
import { stdioForward } from '../../../client/forward/stdio.ts';
import { parseDisplay } from '../../../client/forward/x11.ts';
import { type DemoServerOptions, startDemoServer } from '../../demo-server/index.ts';
import { alice, failure, login, within } from '../harness.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: DemoServerOptions = {}): Promise<Connection> {
  const server = await startDemoServer({ users: [alice], forwarding: true, ...options });
  cleanups.push(() => server.close());
  const connection = await login(server);
  cleanups.push(() => connection.close());
  return connection;
}

/** A server of the test's; its address is a port or a path. */
async function serve(onSocket: (socket: Socket) => void, path?: string): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(path ?? { host: '127.0.0.1', port: 0 }, resolve));
  cleanups.push(() => server.close());
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

/** Answers after the end of the question: only half-close lets both get through. */
const echoAtEnd = (socket: Socket): void => {
  const parts: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => parts.push(chunk));
  socket.on('end', () => socket.end(`got ${Buffer.concat(parts)}`));
};

async function ask(to: number | string, question: string): Promise<string> {
  const socket = typeof to === 'string' ? connect(to) : connect(to, '127.0.0.1');
  return talk(socket, question);
}

function talk(socket: Socket, question: string | Uint8Array): Promise<string> {
  return within(
    5000,
    new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => parts.push(chunk));
      socket.once('error', reject);
      socket.once('end', () => resolve(Buffer.concat(parts).toString()));
      socket.end(question);
    }),
  );
}

const spec = (type: 'local' | 'remote' | 'dynamic', text: string): Forward => {
  // Port 0 is for servers to choose; the tests let the system choose for local listeners too.
  const forward = parseForward(type, text.replace(/^PORT0/, '1'));
  if (forward === undefined) throw new Error(`bad specification ${text}`);
  return text.startsWith('PORT0') ? { ...forward, listen: { kind: 'tcp', port: 0 } } : forward;
};

const plan = (list: readonly Forward[], more: Partial<HostPlan['forwards']> = {}): HostPlan['forwards'] => ({
  list,
  exitOnFailure: false,
  gatewayPorts: false,
  permitRemoteOpen: ['any'],
  bindMask: 0o177,
  bindUnlink: false,
  agent: { on: false },
  x11: false,
  x11Trusted: false,
  x11Timeout: 1200,
  xauth: '/usr/bin/xauth',
  ...more,
});

interface SetUp {
  readonly forwards: Forwards;
  readonly said: string[];
}

async function setUp(
  connection: Connection,
  list: readonly Forward[],
  more: Partial<HostPlan['forwards']> = {},
): Promise<SetUp> {
  const said: string[] = [];
  const forwards = await within(
    5000,
    setUpForwards(connection, plan(list, more), { warn: (text) => void said.push(text) }),
  );
  cleanups.push(() => forwards.close());
  return { forwards, said };
}

const folder = (): string => mkdtempSync(join(tmpdir(), 'bssh-forward-'));

/** SOCKS 5: greeting, request by name or address; the reply code and the socket. */
async function socks5(port: number, atyp: number, address: Uint8Array, to: number): Promise<[number, Socket]> {
  const socket = connect(port, '127.0.0.1');
  cleanups.push(() => socket.destroy());
  socket.write(Buffer.from([5, 2, 2, 0]));
  const read = (): Promise<Buffer> => within(3000, new Promise((resolve) => socket.once('data', resolve)));
  expect(await read()).toEqual(Buffer.from([5, 0]));
  socket.write(Buffer.from([5, 1, 0, atyp, ...address, to >> 8, to & 255]));
  const reply = await read();
  expect(reply.length).toBe(10);
  return [reply[1]!, socket];
}
const name = (text: string): Uint8Array => Uint8Array.of(text.length, ...Buffer.from(text));

describe('local forwarding', () => {
  it('carries TCP to TCP with both half-closes', async () => {
    const target = await serve(echoAtEnd);
    const { forwards } = await setUp(await start(), [spec('local', `PORT0:127.0.0.1:${target}`)]);
    const [handle] = forwards.list();
    expect(handle!.address).toBe('::1');
    expect(await ask(handle!.port, 'hello')).toBe('got hello');
    await within(1000, forwards.idle());
  });

  it('takes Unix sockets at both ends, with the mask, and clears one that is in the way', async () => {
    const dir = folder();
    await serve(echoAtEnd, join(dir, 'target'));
    writeFileSync(join(dir, 'listen'), 'old');
    const forward = spec('local', `${dir}/listen:${dir}/target`);
    const connection = await start();
    const refused = await setUp(connection, [forward]);
    expect(refused.said).toEqual([
      `unix_listener: cannot bind to path ${dir}/listen: Address already in use`,
      'Could not request local forwarding.',
    ]);
    const { forwards, said } = await setUp(connection, [forward], { bindUnlink: true, bindMask: 0o117 });
    expect(said).toEqual([]);
    expect(statSync(join(dir, 'listen')).mode & 0o777).toBe(0o660);
    expect(await ask(join(dir, 'listen'), 'hello')).toBe('got hello');
    await forwards.close();
    expect(existsSync(join(dir, 'listen'))).toBe(false);
    // Worker threads may not set the mask.
    const umask = vi.spyOn(process, 'umask').mockImplementation(() => {
      throw new Error('not here');
    });
    await setUp(connection, [forward], { bindMask: 0o177 });
    umask.mockRestore();
    expect(statSync(join(dir, 'listen')).mode & 0o777).toBe(0o600);
  });

  it('says as ssh does when it cannot listen, and ends what it began when that is fatal', async () => {
    const target = await serve(echoAtEnd);
    const connection = await start();
    const taken = await setUp(connection, [spec('local', `127.0.0.1:${target}:x:1`)]);
    expect(taken.said).toEqual([
      `bind [127.0.0.1]:${target}: Address already in use`,
      `channel_setup_fwd_listener_tcpip: cannot listen to port: ${target}`,
      'Could not request local forwarding.',
    ]);
    expect(taken.forwards.failed.map(({ error }) => error.detail.errno)).toEqual(['EADDRINUSE']);
    expect(taken.forwards.fatal).toBe(false);
    const list = [spec('local', 'PORT0:x:1'), spec('local', `127.0.0.1:${target}:x:1`)];
    const partly = await setUp(connection, list);
    expect(partly.said).not.toContain('Could not request local forwarding.');
    expect(partly.forwards.list().length).toBe(1);
    const fatal = await setUp(connection, list, { exitOnFailure: true });
    expect(fatal.said.at(-1)).toBe('Could not request local forwarding.');
    expect(fatal.forwards.fatal).toBe(true);
    expect(fatal.forwards.list()).toEqual([]);
  });

  it('resets a connection whose target refuses, and says why', async () => {
    const { forwards, said } = await setUp(await start(), [spec('local', 'PORT0:127.0.0.1:1')]);
    const error = await ask(forwards.list()[0]!.port, 'x').catch((reason: NodeJS.ErrnoException) => reason.code);
    expect(error).toBe('ECONNRESET');
    expect(said[0]).toMatch(/^channel \d+: open failed: connect failed: /);
  });

  it('binds to loopback, or to everything where that is asked for', async () => {
    const connection = await start();
    const addresses = async (text: string, gatewayPorts = false): Promise<string> => {
      const forward = { ...spec('local', text), listen: { ...spec('local', text).listen, port: 0 } } as Forward;
      const { forwards } = await setUp(connection, [forward], { gatewayPorts });
      return forwards.list()[0]!.address;
    };
    expect(await addresses('1:h:1')).toBe('::1');
    expect(await addresses('localhost:1:h:1', true)).toBe('::1');
    expect(await addresses('127.0.0.2:1:h:1')).toBe('127.0.0.2');
    expect(await addresses('[::1]:1:h:1')).toBe('::1');
    expect(await addresses('*:1:h:1')).toBe('0.0.0.0');
    expect(await addresses(':1:h:1')).toBe('0.0.0.0');
    expect(await addresses('1:h:1', true)).toBe('0.0.0.0');
  });

  it('cancels a listener while what it carries goes on, and takes new ones', async () => {
    const target = await serve((socket) => socket.pipe(socket));
    const { forwards } = await setUp(await start(), [spec('local', `PORT0:127.0.0.1:${target}`)]);
    const handle = forwards.list()[0]!;
    const socket = connect(handle.port, '127.0.0.1');
    cleanups.push(() => socket.destroy());
    const heard = (): Promise<string> =>
      within(2000, new Promise((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))));
    socket.write('one');
    expect(await heard()).toBe('one');
    expect(await forwards.cancel(handle.forward)).toBe(true);
    expect(await forwards.cancel(handle.forward)).toBe(false);
    expect(forwards.list()).toEqual([]);
    expect(await ask(handle.port, 'x').catch((error: NodeJS.ErrnoException) => error.code)).toBe('ECONNREFUSED');
    socket.write('two');
    expect(await heard()).toBe('two');
    expect(forwards.connections).toBe(1);
    const added = await forwards.add(spec('local', `PORT0:127.0.0.1:${target}`));
    expect(await ask(added.port, 'three')).toBe('three');
    await forwards.close();
    await within(1000, added.done);
    await within(1000, handle.done);
  });
});

describe('remote forwarding', () => {
  it('reports the port the server chose, carries both ways, and cancels', async () => {
    const target = await serve(echoAtEnd);
    const connection = await start();
    const { forwards, said } = await setUp(connection, [spec('remote', `0:127.0.0.1:${target}`)]);
    const [handle] = forwards.list();
    expect(said).toEqual([`Allocated port ${handle!.port} for remote forward to 127.0.0.1:${target}`]);
    expect(await ask(handle!.port, 'hello')).toBe('got hello');
    expect(await forwards.cancel(spec('remote', `${handle!.port}:x:1`))).toBe(true);
    await within(1000, handle!.done);
    expect(await ask(handle!.port, 'x').catch((error: NodeJS.ErrnoException) => error.code)).toBe('ECONNREFUSED');
  });

  it('takes Unix sockets at both ends', async () => {
    const dir = folder();
    await serve(echoAtEnd, join(dir, 'target'));
    const { said } = await setUp(await start(), [spec('remote', `${dir}/listen:${dir}/target`)]);
    expect(said).toEqual([]);
    expect(await ask(join(dir, 'listen'), 'hello')).toBe('got hello');
  });

  it('speaks SOCKS to the far end when no target is named, within what is permitted', async () => {
    const target = await serve(echoAtEnd);
    const connection = await start();
    const open = await setUp(connection, [spec('remote', '0')]);
    const [granted, socket] = await socks5(open.forwards.list()[0]!.port, 3, name('localhost'), target);
    expect(granted).toBe(0);
    expect(await talk(socket, 'hello')).toBe('got hello');
    const [failed] = await socks5(open.forwards.list()[0]!.port, 1, Uint8Array.of(127, 0, 0, 1), 1);
    expect(failed).toBe(5);
    const bounded = await setUp(connection, [spec('remote', '0')], { permitRemoteOpen: [`127.0.0.1:${target}`] });
    const [allowed] = await socks5(bounded.forwards.list()[0]!.port, 1, Uint8Array.of(127, 0, 0, 1), target);
    expect(allowed).toBe(0);
    const [denied] = await socks5(bounded.forwards.list()[0]!.port, 3, name('localhost'), target);
    expect(denied).toBe(2);
    expect(bounded.said.at(-1)).toBe(
      `Received request to connect to host localhost port ${target}, but the request was denied.`,
    );
  });

  it('warns when the server refuses, and is fatal where asked', async () => {
    const connection = await start({ forwarding: false });
    const warned = await setUp(connection, [spec('remote', '8080:h:1'), spec('remote', '/tmp/x:h:1')]);
    expect(warned.said.sort()).toEqual([
      'Warning: remote port forwarding failed for listen path /tmp/x',
      'Warning: remote port forwarding failed for listen port 8080',
    ]);
    expect(warned.forwards.fatal).toBe(false);
    const fatal = await setUp(connection, [spec('remote', '8080:h:1')], { exitOnFailure: true });
    expect(fatal.said).toEqual(['Error: remote port forwarding failed for listen port 8080']);
    expect(fatal.forwards.fatal).toBe(true);
  });

  it('refuses the channel when the near end cannot be reached', async () => {
    const { forwards, said } = await setUp(await start(), [spec('remote', '0:127.0.0.1:1')]);
    await ask(forwards.list()[0]!.port, 'x').catch(() => {});
    expect(said.at(-1)).toBe('connect_to 127.0.0.1 port 1: failed: Connection refused');
  });
});

describe('dynamic forwarding', () => {
  it('serves SOCKS 4, 4a and 5, names as they come', async () => {
    const target = await serve(echoAtEnd);
    const hosts: string[] = [];
    const connection = await start({
      forwarding: (host, port) => {
        hosts.push(host);
        return { host: '127.0.0.1', port };
      },
    });
    const { forwards } = await setUp(connection, [spec('dynamic', 'PORT0')]);
    const { port } = forwards.list()[0]!;
    for (const [atyp, address] of [
      [1, Uint8Array.of(10, 0, 0, 1)],
      [3, name('no.such.name.invalid')],
      [4, Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7)],
    ] as const) {
      const [reply, socket] = await socks5(port, atyp, address, target);
      expect(reply).toBe(0);
      expect(await talk(socket, 'hello')).toBe('got hello');
    }
    const four = Buffer.from([4, 1, target >> 8, target & 255]);
    for (const tail of [
      Buffer.from([10, 0, 0, 9, 0x6d, 0x65, 0]),
      Buffer.from('\0\0\0\x01me\0four.invalid\0', 'latin1'),
    ]) {
      const socket = connect(port, '127.0.0.1');
      const answer = await talk(socket, Buffer.concat([four, tail, Buffer.from('early')]));
      expect(answer).toBe(`${String.fromCharCode(0, 90, 0, 0, 0, 0, 0, 0)}got early`);
    }
    expect(hosts).toEqual(['10.0.0.1', 'no.such.name.invalid', 'fd00::7', '10.0.0.9', 'four.invalid']);
  });

  it('tells a refusal, and turns away what it cannot serve', async () => {
    const connection = await start({ forwarding: (host, port) => (host === 'no' ? undefined : { host, port }) });
    const { forwards } = await setUp(connection, [spec('dynamic', 'PORT0')]);
    const { port } = forwards.list()[0]!;
    expect((await socks5(port, 3, name('no'), 80))[0]).toBe(2);
    expect((await socks5(port, 1, Uint8Array.of(127, 0, 0, 1), 1))[0]).toBe(5);
    const onlyPassword = connect(port, '127.0.0.1');
    expect(Buffer.from(await talk(onlyPassword, '\x05\x01\x02'), 'utf8').subarray(0, 1)).toEqual(Buffer.from([5]));
    const http = connect(port, '127.0.0.1');
    expect(await talk(http, 'GET / HTTP/1.0\r\n\r\n')).toBe('');
    await within(2000, forwards.idle());
  });
});

describe('stdio forwarding', () => {
  it('joins two streams to the far end, half-close included', async () => {
    const target = await serve(echoAtEnd);
    const connection = await start();
    const input = new PassThrough();
    const output = new PassThrough();
    const parts: Buffer[] = [];
    output.on('data', (chunk: Buffer) => parts.push(chunk));
    const over = stdioForward(connection, { kind: 'tcp', host: '127.0.0.1', port: target }, { input, output });
    input.end('hello');
    await within(3000, over);
    expect(Buffer.concat(parts).toString()).toBe('got hello');
    expect(output.writableEnded).toBe(true);
  });

  it('carries megabytes at the pace of the reader', async () => {
    const target = await serve((socket) => socket.pipe(socket));
    const connection = await start();
    const [input, output] = [new PassThrough(), new PassThrough()];
    const over = stdioForward(connection, { kind: 'tcp', host: '127.0.0.1', port: target }, { input, output });
    const sent = createHash('sha256');
    const received = createHash('sha256');
    void (async () => {
      for (let i = 0; i < 160; i++) {
        const chunk = Buffer.alloc(64 * 1024, i);
        sent.update(chunk);
        if (!input.write(chunk)) await once(input, 'drain');
      }
    })();
    let i = 0;
    let bytes = 0;
    for await (const chunk of output) {
      received.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      // The end is said last: the demo server lets go of what it still holds when both directions are over.
      if (bytes === 160 * 64 * 1024) input.end();
      if (i++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await within(3000, over);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('ends when it is aborted, when the reader has left, and with the connection', async () => {
    const target = await serve((socket) => socket.pipe(socket));
    const connection = await start();
    const begin = async (signal?: AbortSignal): Promise<{ over: Promise<unknown>; output: PassThrough }> => {
      const [input, output] = [new PassThrough(), new PassThrough()];
      const to = { kind: 'tcp', host: '127.0.0.1', port: target } as const;
      const over = stdioForward(connection, to, { input, output, ...(signal && { signal }) }).catch((error) => error);
      input.write('x');
      await within(2000, once(output, 'data'));
      return { over, output };
    };
    const abort = new AbortController();
    const aborted = await begin(abort.signal);
    abort.abort();
    expect(await within(2000, aborted.over)).toMatchObject({ code: 'aborted' });
    const left = await begin();
    left.output.destroy(Object.assign(new Error('left'), { code: 'EPIPE' }));
    expect(await within(2000, left.over)).toBe(undefined);
    const lost = await begin();
    connection.driver.destroy();
    expect(await within(2000, lost.over)).toMatchObject({ code: 'lost' });
  });

  it('fails with the refusal', async () => {
    const connection = await start({ forwarding: false });
    const streams = { input: new PassThrough(), output: new PassThrough() };
    const error = await failure(stdioForward(connection, { kind: 'tcp', host: 'h', port: 1 }, streams));
    expect(error.code).toBe('channel-open');
  });
});

describe('displays', () => {
  it.each([
    [':0', { end: { kind: 'unix', path: '/tmp/.X11-unix/X0' }, screen: 0 }],
    ['unix:12.1', { end: { kind: 'unix', path: '/tmp/.X11-unix/X12' }, screen: 1 }],
    ['localhost:10.0', { end: { kind: 'tcp', host: 'localhost', port: 6010 }, screen: 0 }],
    ['x.example.org:3', { end: { kind: 'tcp', host: 'x.example.org', port: 6003 }, screen: 0 }],
    ['/private/tmp/launch-abc/org.x:0', { end: { kind: 'unix', path: '/private/tmp/launch-abc/org.x:0' }, screen: 0 }],
    ['', undefined],
    ['localhost', undefined],
    [':60000', undefined],
    [':0.999', undefined],
    [':0; touch /tmp/x', undefined],
    ['$(id):0', undefined],
  ])('%s', (text, display) => {
    expect(parseDisplay(text)).toEqual(display);
  });
});

describe('what goes wrong', () => {
  it('a lost connection resets every socket and ends every handle', async () => {
    const server = await startDemoServer({ users: [alice], forwarding: true });
    cleanups.push(() => server.close());
    const connection = await login(server);
    const target = await serve((socket) => socket.pipe(socket));
    const { forwards } = await setUp(connection, [
      spec('local', `PORT0:127.0.0.1:${target}`),
      spec('remote', '0'),
      spec('dynamic', 'PORT0'),
    ]);
    const handles = forwards.list();
    const ports = forwards.list().map(({ forward: { type }, port }) => ({ type, port }));
    const portOf = (type: string): number => ports.find((each) => each.type === type)!.port;
    const sockets = Array.from({ length: 10 }, () => connect(portOf('local'), '127.0.0.1'));
    // One that has not said yet what it wants.
    const asking = connect(portOf('dynamic'), '127.0.0.1');
    const asked = once(asking, 'error');
    asking.write(Uint8Array.of(5, 1));
    await expect.poll(() => forwards.connections).toBe(11);
    const ends = sockets.map(
      (socket) =>
        new Promise<string>((resolve) => {
          socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
          socket.once('end', () => resolve('end'));
          socket.on('data', () => {});
        }),
    );
    for (const socket of sockets) socket.write('x');
    await within(2000, Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve)))));
    server.sessions[0]!.destroy();
    expect(await within(3000, Promise.all(ends))).toEqual(Array(10).fill('ECONNRESET'));
    expect(await within(3000, asked)).toMatchObject([{ code: 'ECONNRESET' }]);
    await within(3000, Promise.all(handles.map(({ done }) => done)));
    expect(forwards.connections).toBe(0);
  });

  it('a changed host key turns everything off, with a word for each', () => {
    const said: string[] = [];
    const full = plan([spec('local', '1:h:1')], { agent: { on: true }, x11: true });
    const none = withoutForwarding(full, (text) => void said.push(text));
    expect(none).toMatchObject({ list: [], agent: { on: false }, x11: false });
    expect(said.map((text) => text.split(' ')[0])).toEqual(['Agent', 'X11', 'Port']);
  });
});
