// The proxy's faults, each against an echo server.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyOptions, startProxy } from './proxy.ts';

let echo: Server;
let target: { host: string; port: number };

beforeAll(async () => {
  echo = createServer((socket) => socket.pipe(socket).on('error', () => undefined));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const bound = echo.address();
  if (!bound || typeof bound !== 'object') throw new Error('no address');
  target = { host: '127.0.0.1', port: bound.port };
});
afterAll(() => void echo.close());

interface Outcome {
  readonly bytes: Buffer;
  readonly chunks: number;
  readonly firstAfter: number;
}

/** Sends `bytes` through the proxy and gathers what comes back until the end, or for `patience` ms. */
async function roundTrip(bytes: Buffer, faults: Omit<ProxyOptions, 'target'>, patience = 5000): Promise<Outcome> {
  await using proxy = await startProxy({ target, ...faults });
  const socket: Socket = connect(proxy.port, proxy.host);
  const started = performance.now();
  const got: Buffer[] = [];
  let firstAfter = Number.NaN;
  socket.on('data', (chunk: Buffer) => {
    if (got.length === 0) firstAfter = performance.now() - started;
    got.push(chunk);
  });
  socket.end(bytes);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, patience);
    socket.on('error', () => undefined).on('close', () => resolve(clearTimeout(timer)));
  });
  socket.destroy();
  return { bytes: Buffer.concat(got), chunks: got.length, firstAfter };
}

const sample = (length: number) => Buffer.from(Array.from({ length }, (_, index) => (index * 7) & 0xff));

describe('startProxy', () => {
  it('passes bytes and the end of both directions unchanged', async () => {
    const bytes = Buffer.concat(Array.from({ length: 40 }, () => sample(65_536)));
    expect((await roundTrip(bytes, {})).bytes.equals(bytes)).toBe(true);
  });

  it('delays each way', async () => {
    const outcome = await roundTrip(sample(100), { up: { delay: 60 }, down: { delay: 40 } });
    expect(outcome.bytes).toEqual(sample(100));
    expect(outcome.firstAfter).toBeGreaterThan(98);
  });

  it('holds to a rate', async () => {
    const started = performance.now();
    expect((await roundTrip(sample(50_000), { up: { rate: 250_000 } })).bytes.length).toBe(50_000);
    expect(performance.now() - started).toBeGreaterThan(190);
  });

  it('cuts after a byte', async () => {
    expect((await roundTrip(sample(1000), { down: { cutAt: 123 } })).bytes).toEqual(sample(123));
  });

  it('stalls after a byte without closing', async () => {
    const started = performance.now();
    expect((await roundTrip(sample(1000), { up: { stallAt: 50 } }, 300)).bytes).toEqual(sample(50));
    expect(performance.now() - started).toBeGreaterThan(290);
  });

  it('turns one bit', async () => {
    const expected = sample(1000);
    expected[700]! ^= 1;
    expect((await roundTrip(sample(1000), { up: { flipAt: 700 } })).bytes).toEqual(expected);
  });

  it('breaks the stream into crumbs', async () => {
    const outcome = await roundTrip(sample(64), { down: { pieces: 1, rate: 1000 } });
    expect(outcome.bytes).toEqual(sample(64));
    expect(outcome.chunks).toBeGreaterThan(4);
  });

  it('counts, and resets what is open', async () => {
    await using proxy = await startProxy({ target });
    const socket = connect(proxy.port, proxy.host);
    const failure = new Promise<string>((resolve) => socket.on('error', (error) => resolve(error.message)));
    await new Promise<void>((resolve) => socket.once('data', () => resolve()).write('hello'));
    expect(proxy.connections).toBe(1);
    expect(proxy.passed).toEqual({ up: 5, down: 5 });
    proxy.reset();
    expect(await failure).toContain('ECONNRESET');
  });
});
