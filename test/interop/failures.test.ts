// What can go wrong between a client and a real server: nobody there, somebody else there, a line that cuts, stalls or
// turns bits, a server killed in the middle. Each is one typed error within a bound, and nothing is left waiting.
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../protocol/index.ts';
import { bothWays, failure, open, run, type Target, type Way, within } from './client.ts';
import { type ProxyOptions, startProxy } from './proxy.ts';
import { freePort, requireServer, type Server, startSshd } from './servers.ts';

const nowhere: Omit<Target, 'port'> = { host: '127.0.0.1', user: 'nobody', knownHosts: '/nonexistent' };
const BOUND = 5000;

/** A TCP server that treats each connection as told. */
async function impostor(greet: (socket: Socket) => void): Promise<Target & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    ...nowhere,
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('instead of a server', () => {
  it('a closed port', async () => {
    const port = await freePort();
    const error = await failure(open({ ...nowhere, port }), BOUND);
    expect(error).toMatchObject({ code: 'refused', by: 'local', detail: { host: '127.0.0.1', port } });
  });

  it('a name that does not exist', async () => {
    const error = await failure(open({ ...nowhere, host: 'no-such-host.invalid', port: 22 }), 15_000);
    expect(error).toMatchObject({ code: 'dns', detail: { host: 'no-such-host.invalid' } });
  });

  it('silence, and silence after the identification', async () => {
    for (const [text, what] of [
      ['', 'banner'],
      ['SSH-2.0-Mute\r\n', 'kex'],
    ] as const) {
      await using target = await impostor((socket) => void (text && socket.write(text)));
      const error = await failure(open(target, { options: ['ConnectTimeout=1'] }), BOUND);
      expect(error).toMatchObject({ code: 'timeout', detail: { what, after: 1000 } });
    }
  });

  const garbage: readonly (readonly [string, (socket: Socket) => void, readonly ErrorCode[]])[] = [
    [
      'a web server',
      (s) => s.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nwhat?\r\n'),
      ['lost', 'version'],
    ],
    ['a hang-up at once', (s) => s.end(), ['lost']],
    ['a reset', (s) => setTimeout(() => s.resetAndDestroy(), 50), ['lost']],
    ['SSH 1', (s) => s.write('SSH-1.5-Antique\r\n'), ['version']],
    ['zeros', (s) => s.write(Buffer.alloc(4096)), ['version']],
    ['a line without an end', (s) => s.write('x'.repeat(100_000)), ['version', 'limit']],
    ['lines without an end', (s) => s.write('hello\r\n'.repeat(5000)), ['version', 'limit']],
    ['an impossible packet', (s) => s.write(`SSH-2.0-Odd\r\n${'\xff'.repeat(64)}`, 'latin1'), ['packet-length']],
    ['text for a packet', (s) => s.write(`SSH-2.0-Odd\r\n${'garbage '.repeat(64)}`), ['packet-length']],
    [
      'zeros for a packet',
      (s) => s.write(Buffer.concat([Buffer.from('SSH-2.0-Odd\r\n'), Buffer.alloc(64)])),
      ['packet-length'],
    ],
    [
      'a packet that is no KEXINIT',
      (s) =>
        s.write(
          Buffer.concat([Buffer.from('SSH-2.0-Odd\r\n'), Buffer.from([0, 0, 0, 12, 10, 50, ...Array(10).fill(0)])]),
        ),
      ['protocol', 'malformed'],
    ],
    [
      'DISCONNECT',
      (s) =>
        s.write(
          Buffer.concat([
            Buffer.from('SSH-2.0-Odd\r\n'),
            Buffer.from([0, 0, 0, 28, 10, 1, 0, 0, 0, 12, 0, 0, 0, 4]),
            Buffer.from('full'),
            Buffer.alloc(4 + 10),
          ]),
        ),
      ['disconnected'],
    ],
  ];
  it.each(garbage)('%s', async (_, greet, codes) => {
    await using target = await impostor(greet);
    const error = await failure(open(target), BOUND);
    expect(codes).toContain(error.code);
    expect(error.by).toBe('peer');
    if (error.code === 'disconnected') expect(error.detail).toMatchObject({ reason: 12, text: 'full', phase: 'kex' });
  });

  it('a proxy command that fails, says nothing, or does not exist', async () => {
    for (const [command, codes] of [
      ['exit 3', ['lost', 'proxy']],
      ['echo not ssh', ['lost', 'version']],
      ['/nonexistent/program', ['lost', 'proxy']],
    ] as const) {
      const error = await failure(
        open({ ...nowhere, port: 22 }, { options: [`ProxyCommand=${command} 2>/dev/null`] }),
        BOUND,
      );
      expect(codes).toContain(error.code);
    }
    const mute = await failure(
      open({ ...nowhere, port: 22 }, { options: ['ProxyCommand=sleep 30', 'ConnectTimeout=1'] }),
    );
    expect(mute).toMatchObject({ code: 'timeout', detail: { what: 'banner' } });
  });
});

describe.skipIf(!requireServer('sshd', 'ssh-keygen'))('on the way to sshd', () => {
  let server: Server;
  let handshake = { up: 0, down: 0 };
  const via = (proxy: Pick<Target, 'host' | 'port'>, way: Way = {}): [Target, Way] => {
    const { options = [], ...rest } = way;
    const alias = [`HostKeyAlias=[127.0.0.1]:${server.port}`];
    return [server, { ...rest, host: proxy.host, port: proxy.port, options: [...options, ...alias] }];
  };

  beforeAll(async () => {
    server = await startSshd();
    await using proxy = await startProxy({ target: server });
    await using _opening = await open(...via(proxy));
    handshake = { ...proxy.passed };
  });
  afterAll(() => server?.stop());

  /** From the first byte to shortly before we are in, all phases among them. */
  const steps = [0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9] as const;
  const lanes = ['up', 'down'] as const;
  const cases = lanes.flatMap((lane) => steps.map((step) => [lane, step] as const));

  async function attempt(faults: Omit<ProxyOptions, 'target'>, options: readonly string[] = []) {
    await using proxy = await startProxy({ target: server, ...faults });
    return await failure(open(...via(proxy, { options })), BOUND);
  }

  describe.concurrent('a line', () => {
    it.each(cases)('that is cut %s at %d of the log-in', async (lane, step) => {
      const error = await attempt({ [lane]: { cutAt: Math.floor(handshake[lane] * step) } });
      expect(error).toMatchObject({ code: 'lost', by: 'peer' });
    });

    it.each(cases)('that stalls %s at %d of the log-in', async (lane, step) => {
      const faults = { [lane]: { stallAt: Math.floor(handshake[lane] * step) } };
      await using proxy = await startProxy({ target: server, ...faults });
      // After the keys only the caller's patience bounds the log-in: a person may be typing.
      const signal = AbortSignal.timeout(1500);
      const error = await failure(open(...via(proxy, { options: ['ConnectTimeout=1'], context: { signal } })), BOUND);
      expect(error.code).toMatch(/^(timeout|aborted)$/);
    });

    it.each(cases)('that turns a bit %s at %d of the log-in', async (lane, step) => {
      const error = await attempt({ [lane]: { flipAt: Math.floor(handshake[lane] * step) } }, ['ConnectTimeout=2']);
      expect([
        'lost',
        'disconnected',
        'version',
        'mac',
        'packet-length',
        'padding',
        'malformed',
        'protocol',
        'kex',
        'host-key',
        'host-key-signature',
        'no-common-algorithm',
        'strict-kex',
        'timeout',
      ]).toContain(error.code);
    });
  });

  it('a line of crumbs carries everything', async () => {
    await using proxy = await startProxy({ target: server, up: { pieces: 7 }, down: { pieces: 5 } });
    await using opening = await open(...via(proxy));
    await bothWays(opening.connection, 64 << 10);
  });

  /** A command that never ends by itself, and what it said first. */
  async function running(target: Target, way: Way = {}, command = 'echo $PPID; exec cat /dev/zero') {
    const opening = await open(target, way);
    let first!: (text: string) => void;
    const said = new Promise<string>((resolve) => void (first = resolve));
    const handle = await opening.connection.exec(command, { stdout: (chunk) => first(Buffer.from(chunk).toString()) });
    return { ...opening, handle, said: await within(BOUND, said) };
  }

  it.each([
    ['up', { cutAt: 200_000 }],
    ['down', { cutAt: 200_000 }],
  ] as const)('cut %s in the middle of a stream: what runs ends with the error', async (lane, faults) => {
    await using proxy = await startProxy({ target: server, [lane]: faults });
    const { connection, handle } = await running(...via(proxy));
    const feed = (async () => {
      for (;;) await handle.write(Buffer.alloc(65_536));
    })();
    const errors = await Promise.all([failure(handle.exit, BOUND), failure(feed, BOUND)]);
    for (const error of errors) expect(error).toMatchObject({ code: 'lost', detail: { phase: 'connected' } });
    expect(await within(BOUND, connection.closed)).toMatchObject({ code: 'lost' });
    expect(await failure(connection.exec('true'))).toMatchObject({ code: 'lost' });
    expect(await failure(connection.globalRequest('x', new Uint8Array()))).toMatchObject({ code: 'lost' });
  });

  it('a bit turned in the middle of a stream: the MAC sees it', async () => {
    for (const cipher of ['aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes128-ctr']) {
      await using proxy = await startProxy({ target: server, down: { flipAt: 400_000 } });
      const { handle } = await running(...via(proxy, { options: [`Ciphers=${cipher}`] }));
      const error = await failure(handle.exit, BOUND);
      expect(['mac', 'packet-length']).toContain(error.code);
      expect(error.by).toBe('peer');
    }
  });

  it('a bit turned on the way up: the server says so', async () => {
    await using proxy = await startProxy({ target: server, up: { flipAt: 100_000 } });
    const { handle } = await running(...via(proxy), 'echo; exec cat >/dev/null');
    const feed = (async () => {
      for (;;) await handle.write(Buffer.alloc(65_536));
    })();
    const errors = await Promise.all([failure(handle.exit, BOUND), failure(feed, BOUND)]);
    for (const error of errors) expect(['lost', 'disconnected']).toContain(error.code);
  });

  it('a peer that is gone without a word: keepalive notices', async () => {
    // Far behind the first answer: it may come in one packet with 32 KiB of zeros.
    await using proxy = await startProxy({ target: server, down: { stallAt: 200_000 } });
    const options = ['ServerAliveInterval=1', 'ServerAliveCountMax=1'];
    const { connection, handle } = await running(...via(proxy, { options }));
    const error = await failure(handle.exit, BOUND);
    expect(error).toMatchObject({ code: 'timeout', detail: { what: 'keepalive' } });
    expect(await within(BOUND, connection.closed)).toBe(error);
  });

  it('a reset', async () => {
    await using proxy = await startProxy({ target: server });
    const { connection, handle } = await running(...via(proxy), 'echo; exec sleep 100');
    proxy.reset();
    expect(await failure(handle.exit, BOUND)).toMatchObject({ code: 'lost' });
    expect(await within(BOUND, connection.closed)).toMatchObject({ code: 'lost' });
  });

  it('the process that serves us killed, streaming or idle', async () => {
    for (const command of ['echo $PPID; exec cat /dev/zero', 'echo $PPID; exec sleep 100']) {
      const { connection, handle, said } = await running(server, {}, command);
      const idle = await connection.exec('exec sleep 100');
      process.kill(Number.parseInt(said, 10), 'SIGKILL');
      for (const waiting of [handle.exit, idle.exit]) {
        expect(await failure(waiting, BOUND)).toMatchObject({ code: 'lost', detail: { phase: 'connected' } });
      }
      expect(await within(BOUND, connection.closed)).toMatchObject({ code: 'lost' });
      expect(connection.isClosed).toBe(true);
    }
  });

  it('an abort: while connecting, logging in, running', async () => {
    for (const delay of [0, 5, 20, 60, 500]) {
      const signal = AbortSignal.timeout(delay);
      const late = async () => {
        await using opening = await open(server, { context: { signal } });
        const command = await opening.connection.exec('exec sleep 100', { signal });
        // Awaited here: what follows closes the connection.
        return await command.exit;
      };
      expect(await failure(late(), BOUND)).toMatchObject({ code: 'aborted', by: 'local' });
    }
  });

  it('a close of ours: everything that runs ends, in peace', async () => {
    const { connection, handle } = await running(server);
    await within(BOUND, connection.close());
    expect(await failure(handle.exit)).toMatchObject({ code: 'closed' });
    expect(await connection.closed).toBe(undefined);
    expect(await failure(connection.exec('true'))).toMatchObject({ code: 'closed' });
  });

  it('and the server still serves', async () => {
    await using opening = await open(server);
    expect((await run(opening.connection, 'echo fine')).stdout).toBe('fine\n');
  });
});
