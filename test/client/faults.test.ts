// Servers that break off, go silent, lie or crawl: each failure has a type, and none of them takes long.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { connect } from '../../client/connect.ts';
import { Disconnect, SshError } from '../../protocol/index.ts';
import { type DemoServerOptions, type FaultPoint, type Faults, startDemoServer } from '../demo-server/index.ts';
import { alice, failure, login, run, to, within } from './harness.ts';

const serve = (faults: Faults, more: Partial<DemoServerOptions> = {}) =>
  startDemoServer({ users: [alice], faults, ...more });

/** Connects and runs `true`: the whole way past every point of failure. */
async function whole(server: Awaited<ReturnType<typeof serve>>, signal?: AbortSignal): Promise<void> {
  const connection = await connect(to(server, signal && { signal }));
  try {
    await (await connection.exec('true', signal && { signal })).exit;
  } finally {
    connection.driver.destroy();
  }
}

describe('a server that hangs up', () => {
  it.each<[FaultPoint | { afterBytes: number }, string | undefined]>([
    ['banner', 'identification'],
    ['kexinit', 'kex'],
    ['newkeys', 'auth'],
    ['auth', 'auth'],
    ['open', 'connected'],
    ['exec', 'connected'],
    [{ afterBytes: 10 }, 'identification'],
    [{ afterBytes: 100 }, 'kex'],
    [{ afterBytes: 1800 }, undefined],
  ])('at %j', async (closeAt, phase) => {
    await using server = await serve({ closeAt });
    const error = await failure(whole(server));
    expect(error.code).toBe('lost');
    if (phase !== undefined) expect(error.detail).toMatchObject({ phase });
  });

  it.each<FaultPoint>(['kexinit', 'newkeys', 'auth', 'open', 'exec'])('with a reason, at %s', async (point) => {
    await using server = await serve({
      disconnectAt: { point, reason: Disconnect.tooManyConnections, text: 'not now' },
    });
    const error = await failure(whole(server));
    expect(error).toMatchObject({ code: 'disconnected', by: 'peer', detail: { reason: 12, text: 'not now' } });
  });
});

describe('a server that goes silent', () => {
  it.each<FaultPoint>(['banner', 'kexinit'])('at %s runs into the time limit of the handshake', async (stallAt) => {
    await using server = await serve({ stallAt });
    const error = await failure(connect(to(server, { handshakeTimeout: 100 })));
    expect(error).toMatchObject({ code: 'timeout', detail: { what: stallAt === 'banner' ? 'banner' : 'kex' } });
    await within(3000, server.sessions[0]!.closed);
  });

  it.each<FaultPoint>(['banner', 'kexinit', 'newkeys', 'auth', 'open', 'exec'])(
    'at %s is left when the signal fires',
    async (stallAt) => {
      await using server = await serve({ stallAt });
      const error = await failure(whole(server, AbortSignal.timeout(200)), 1000);
      expect(error.code).toBe('aborted');
    },
  );

  it('after the log-in is noticed by keepalives', async () => {
    await using server = await serve({ stallAt: 'exec' });
    const connection = await login(server, { keepalive: { interval: 40, count: 2 } });
    const error = await failure(connection.exec('true'));
    expect(error).toMatchObject({ code: 'timeout', detail: { what: 'keepalive' } });
    expect(await within(1000, connection.closed)).toBe(error);
  });

  it('whose bytes are lost on the way is noticed too', async () => {
    await using server = await serve({ dropAfter: 4000 });
    const connection = await login(server, { keepalive: { interval: 40, count: 2 } });
    const error = await failure(run(connection, 'zeros 1000000'));
    expect(error).toMatchObject({ code: 'timeout', detail: { what: 'keepalive' } });
  });

  it('and never speaks', async () => {
    await using server = await serve({ neverSpeak: true });
    const error = await failure(connect(to(server, { handshakeTimeout: 50 })));
    expect(error).toMatchObject({ code: 'timeout', detail: { what: 'banner' } });
  });
});

describe('bytes that change on the way', () => {
  // Bits of the identification, of KEXINIT, of the key exchange's reply, and of packets under keys.
  it.each([1, 20, 40, 300, 700, 1100, 1300, 1500, 1700, 2000])('at byte %i', async (flipBitAt) => {
    await using server = await serve({ flipBitAt });
    const error = await failure(
      (async () => {
        const connection = await connect(to(server, { handshakeTimeout: 300 }));
        await run(connection, 'zeros 100000');
      })(),
    );
    expect(error).toBeInstanceOf(SshError);
    expect(['usage', 'aborted']).not.toContain(error.code);
  });

  it('under keys fail their integrity check', async () => {
    const { byteLength } = await lengthOfLogin();
    await using server = await serve({ flipBitAt: byteLength + 100 });
    const connection = await login(server);
    expect(await failure(run(connection, 'zeros 100000'))).toMatchObject({
      code: expect.stringMatching(/^(mac|packet-length)$/),
      by: 'peer',
    });
  });
});

/** Bytes a server sends until the client is logged in. */
async function lengthOfLogin(): Promise<{ byteLength: number }> {
  let byteLength = 0;
  await using server = await serve({});
  const stream = server.connect();
  const start = stream.start.bind(stream);
  stream.start = (handlers) =>
    start({
      ...handlers,
      data(chunk) {
        byteLength += chunk.length;
        handlers.data(chunk);
      },
    });
  await login(server, { dial: () => stream });
  return { byteLength };
}

describe('bytes that come as they like', () => {
  it.each<Faults>([
    { splitBytes: 1 },
    { splitBytes: 17 },
    { delayMs: 10 },
    { trickle: { bytes: 500, everyMs: 1 } },
    { preamble: 50 },
  ])('%j changes nothing', async (faults) => {
    await using server = await serve(faults);
    const connection = await login(server);
    expect(await run(connection, 'seq 300; exit 4')).toMatchObject({ exit: { status: 4 } });
    await connection.close();
  });
});

describe('a server that says too much', () => {
  it('before its identification', async () => {
    await using server = await serve({ preamble: 2000 });
    expect((await failure(connect(to(server)))).code).toBe('version');
  });

  it('in its banner', async () => {
    await using server = await serve({ hugeBanner: 200_000 });
    const banners: Uint8Array[] = [];
    const connection = await login(server, { onBanner: (message) => void banners.push(message) });
    expect(banners.map((banner) => banner.length)).toEqual([200_000]);
    await connection.close();
  });
});

describe('a server that is no server', () => {
  it('but something else', async () => {
    const other = createServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await using server = await serve({});
    expect((await failure(connect({ ...to(server), port }))).code).toMatch(/^(lost|version)$/);
    other.close();
    expect((await failure(connect({ ...to(server), port }))).code).toBe('refused');
  });

  it('with too many starting already', async () => {
    await using server = await serve({ stallAt: 'kexinit' }, { maxStartups: 1 });
    const first = failure(connect(to(server, { handshakeTimeout: 500 })));
    await within(
      1000,
      (async () => {
        while (server.sessions.length === 0) await new Promise(setImmediate);
      })(),
    );
    const error = await failure(connect(to(server)));
    expect(error).toMatchObject({ code: 'lost', detail: { phase: 'identification' } });
    expect((await first).code).toBe('timeout');
  });
});

describe('channels and commands', () => {
  it('are refused with a reason', async () => {
    await using server = await serve({ refuseChannels: 1 });
    const connection = await login(server);
    expect(await failure(connection.exec('true'))).toMatchObject({
      code: 'channel-open',
      detail: { reason: 1, text: 'no channels today' },
    });
    expect(connection.isClosed).toBe(false);
    await connection.close();
  });

  it('beyond what the server allows at a time', async () => {
    await using server = await startDemoServer({ users: [alice], maxSessions: 1 });
    const connection = await login(server);
    const first = await connection.exec('cat');
    expect((await failure(connection.exec('true'))).code).toBe('channel-open');
    first.end();
    expect(await first.exit).toEqual({ status: 0 });
    expect((await run(connection, 'true')).exit).toEqual({ status: 0 });
  });

  it('whose request is refused', async () => {
    await using server = await serve({ refuseRequests: true });
    const connection = await login(server);
    expect(await failure(connection.exec('true'))).toMatchObject({
      code: 'channel-request',
      detail: { request: 'exec' },
    });
    expect((await failure(connection.subsystem('sftp'))).code).toBe('channel-request');
  });

  it('whose end is told before the output, not at all, or without EOF', async () => {
    for (const [faults, exit] of [
      [{ exitBeforeEof: true }, { status: 7 }],
      [{ noExitStatus: true }, {}],
      [{ noEof: true }, { status: 7 }],
    ] as const) {
      await using server = await serve(faults);
      const connection = await login(server);
      expect(await within(2000, run(connection, 'echo all of it; exit 7'))).toEqual({
        stdout: 'all of it\n',
        stderr: '',
        exit,
      });
    }
  });

  it('that print without end are left when the signal fires', async () => {
    await using server = await serve({ flood: true });
    const connection = await login(server);
    const signal = AbortSignal.timeout(100);
    let bytes = 0;
    const handle = await connection.exec('true', {
      signal,
      stdout: (chunk) => {
        bytes += chunk.length;
      },
    });
    expect((await failure(handle.exit)).code).toBe('aborted');
    expect(bytes).toBeGreaterThan(0);
    // The server heard of it: the channel is over there as well, and the connection lives.
    await within(2000, handle.io.closed);
    await within(2000, server.sessions[0]!.channels[0]!.done);
    expect(connection.isClosed).toBe(false);
  });

  it('nobody reads stop the writer, and closing still works', async () => {
    await using server = await serve({ stallReads: true });
    const connection = await login(server);
    const handle = await connection.exec('sleep 60');
    const block = new Uint8Array(1024 * 1024);
    let written = 0;
    for (;;) {
      const busy = handle.write(block);
      written += block.length;
      if (busy !== undefined && (await Promise.race([busy.then(() => 'went'), later(100)])) !== 'went') break;
      expect(written).toBeLessThan(64 * block.length);
    }
    expect(handle.io.channel.peerWindow).toBe(0);
    const pending = failure(handle.write(block)!);
    await within(1000, connection.close());
    expect((await pending).code).toBe('closed');
  });
});

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a connection that dies', () => {
  it('ends everything on it with the cause', async () => {
    await using server = await serve({});
    const connection = await login(server);
    const handle = await connection.exec('cat');
    const waiting = [
      failure(handle.exit),
      failure(connection.openSession()),
      failure(connection.globalRequest('tcpip-forward', new Uint8Array(8))),
    ];
    server.sessions[0]!.destroy();
    for (const error of await Promise.all(waiting)) expect(error.code).toBe('lost');
    expect((await within(1000, connection.closed))?.code).toBe('lost');
    expect((await failure(connection.exec('true'))).code).toBe('lost');
  });

  it('by our own hand ends what is asked for in the same breath', async () => {
    await using server = await serve({});
    const connection = await login(server);
    const closing = connection.close();
    expect((await failure(connection.exec('true'))).code).toBe('closed');
    expect((await failure(connection.globalRequest('x', new Uint8Array(0)))).code).toBe('closed');
    await within(1000, closing);
    await within(1000, server.sessions[0]!.closed);
  });

  it('while a person is asked for a password ends the question', async () => {
    await using server = await startDemoServer({ users: [alice] });
    let dismissed = false;
    const attempt = failure(
      connect(
        to(server, {
          auth: {
            ...to(server).auth,
            password: undefined,
            prompter: {
              tell: () => {},
              ask: (_, signal) => {
                server.sessions[0]!.destroy();
                signal?.addEventListener('abort', () => {
                  dismissed = true;
                });
                return new Promise(() => {});
              },
            },
          },
        }),
      ),
    );
    expect((await attempt).code).toBe('lost');
    expect(dismissed).toBe(true);
  });
});

describe('an AbortSignal', () => {
  it('that fired already keeps everything from starting', async () => {
    await using server = await serve({});
    expect((await failure(connect(to(server, { signal: AbortSignal.abort() })))).code).toBe('aborted');
    expect(server.sessions).toHaveLength(0);
  });

  it('ends a dial that never answers, and drops what it brings later', async () => {
    await using server = await serve({});
    let bring!: () => void;
    const brought = new Promise<void>((resolve) => {
      bring = resolve;
    });
    const stream = server.connect();
    let destroyed = false;
    const late = {
      ...stream,
      destroy: () => {
        destroyed = true;
      },
    };
    const attempt = connect(
      to(server, { signal: AbortSignal.timeout(50), dial: () => brought.then(() => late as typeof stream) }),
    );
    expect((await failure(attempt)).code).toBe('aborted');
    bring();
    await new Promise(setImmediate);
    expect(destroyed).toBe(true);
  });

  it('ends a question about the host key', async () => {
    await using server = await serve({});
    const attempt = connect(to(server, { signal: AbortSignal.timeout(100), hostKey: () => new Promise(() => {}) }));
    expect((await failure(attempt)).code).toBe('aborted');
    await within(3000, server.sessions[0]!.closed);
  });

  it('gives its own reason when that is one of ours', async () => {
    await using server = await serve({ stallAt: 'auth' });
    const controller = new AbortController();
    const why = new SshError('timeout', 'late', { detail: { what: 'host' } });
    setTimeout(() => controller.abort(why), 50);
    expect(await failure(connect(to(server, { signal: controller.signal })))).toBe(why);
  });
});
