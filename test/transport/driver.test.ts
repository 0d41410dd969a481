// The pump: turns, back-pressure of the stream, parking, the timer, last words.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { nobleCrypto } from '../../protocol/crypto/noble.ts';
import { generateKey } from '../../protocol/keys/generate.ts';
import { Session, type SessionEvent, type SessionOptions } from '../../protocol/session.ts';
import type { ByteStream, ByteStreamHandlers } from '../../transport/byte-stream.ts';
import { Driver, monotonicNow } from '../../transport/driver.ts';
import { memoryPair } from '../../transport/memory-pair.ts';

/** A loaded machine may take its time; what never comes still fails the test. */
const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 20_000 });

const hostKey = { key: generateKey(nobleCrypto, 'ed25519') };

/** A stream that notes what is done to it and drains when told. */
class Recorder implements ByteStream {
  readonly #under: ByteStream;
  readonly calls: string[] = [];
  handlers!: ByteStreamHandlers;
  willing = true;
  written = 0;

  constructor(under: ByteStream) {
    this.#under = under;
  }
  start(handlers: ByteStreamHandlers): void {
    this.handlers = handlers;
    this.#under.start(handlers);
  }
  write(chunk: Uint8Array): boolean {
    this.written += chunk.length;
    this.#under.write(chunk);
    return this.willing;
  }
  pause(): void {
    this.calls.push('pause');
    this.#under.pause();
  }
  resume(): void {
    this.calls.push('resume');
    this.#under.resume();
  }
  end(): void {
    this.calls.push('end');
    this.#under.end();
  }
  destroy(): void {
    this.calls.push('destroy');
    this.#under.destroy();
  }
}

function setup(
  more: Partial<SessionOptions> = {},
  onEvent: (event: SessionEvent, session: Session) => void = () => {},
) {
  const [left, right] = memoryPair();
  const stream = new Recorder(left);
  const now = monotonicNow();
  const client = new Session({ role: 'client', crypto: nobleCrypto, now, ...more });
  const server = new Session({ role: 'server', crypto: nobleCrypto, now, hostKeys: [hostKey] });
  const events: SessionEvent[] = [];
  const driver = new Driver(client, stream, (event) => {
    events.push(event);
    onEvent(event, client);
  });
  const accept = (event: SessionEvent): void => {
    if (event.type === 'auth-request') server.serverAuth.accept();
    if (event.type === 'channel-open') server.mux.accept(event.open);
  };
  const serverDriver = new Driver(server, right, accept);
  const until = (type: SessionEvent['type']) =>
    eventually(() => {
      const found = events.find((event) => event.type === type);
      if (found === undefined) throw new Error(`no ${type}`);
      return found;
    });
  return { stream, client, server, driver, serverDriver, events, until };
}

const welcome = (event: SessionEvent, session: Session): void => {
  if (event.type === 'host-key') session.answerHostKey(true);
  if (event.type === 'ready' && !event.rekey) session.auth.none('someone');
};

afterEach(() => vi.useRealTimers());

describe('a driver', () => {
  it('stops reading while the host key is judged', async () => {
    const { stream, client, driver, until } = setup();
    await until('host-key');
    expect(stream.calls).toEqual(['pause']);
    client.answerHostKey(true);
    driver.wake();
    await until('ready');
    expect(stream.calls).toEqual(['pause', 'resume']);
    driver.destroy();
  });

  it('takes no output while the stream is unwilling, and goes on at drain', async () => {
    const { stream, client, driver, until } = setup({}, welcome);
    await until('auth-success');
    const channel = client.mux.open('session', new Uint8Array(0));
    driver.wake();
    await eventually(() => expect(channel.state).toBe('open'));
    stream.willing = false;
    const before = stream.written;
    channel.write(new Uint8Array(1024 * 1024));
    driver.wake();
    await new Promise(setImmediate);
    const first = stream.written - before;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(300_000);
    stream.willing = true;
    stream.handlers.drain();
    await eventually(() => expect(stream.written - before).toBeGreaterThan(1024 * 1024));
    driver.destroy();
  });

  it('lets several commands of one tick share a turn', async () => {
    const { stream, client, driver, until } = setup({}, welcome);
    await until('auth-success');
    const write = vi.spyOn(stream, 'write');
    for (let i = 0; i < 10; i++) {
      client.globalRequest('x', false, new Uint8Array(0));
      driver.wake();
    }
    await new Promise(setImmediate);
    expect(write).toHaveBeenCalledTimes(1);
    driver.destroy();
  });

  it('says its last words and then closes', async () => {
    const { stream, client, driver, server, until } = setup({}, welcome);
    await until('auth-success');
    client.disconnect();
    driver.wake();
    await until('closed');
    await eventually(() => expect(server.closed).toBe(true));
    expect(server.failure).toBeUndefined();
    expect(stream.calls).toContain('end');
  });

  it('lets go of a stream that never takes the last words', async () => {
    const { stream, client, driver, until } = setup({}, welcome);
    await until('auth-success');
    vi.useFakeTimers();
    stream.willing = false;
    client.globalRequest('x', false, new Uint8Array(0));
    driver.wake();
    await Promise.resolve();
    client.disconnect();
    driver.wake();
    await Promise.resolve();
    expect(stream.calls).not.toContain('destroy');
    vi.advanceTimersByTime(2000);
    expect(stream.calls).toContain('destroy');
  });

  it('holds output for the answer to an event, so that both leave at once', async () => {
    const writes: number[] = [];
    const { stream, client, driver, until } = setup({}, welcome);
    await until('auth-success');
    const write = stream.write.bind(stream);
    stream.write = (chunk) => {
      writes.push(chunk.length);
      return write(chunk);
    };
    client.globalRequest('first', false, new Uint8Array(0));
    driver.hold();
    driver.wake();
    await Promise.resolve();
    expect(writes).toEqual([]);
    client.globalRequest('second', false, new Uint8Array(0));
    driver.wake();
    await eventually(() => expect(writes).toHaveLength(1));
    driver.hold();
    // The last words wait for nobody: the process may be about to exit.
    client.disconnect();
    driver.wake();
    await Promise.resolve();
    expect(writes).toHaveLength(2);
    expect(stream.calls).toContain('end');
  });

  it('tells how the stream ended', async () => {
    const cause = new Error('reset');
    const { stream, client, until } = setup({}, welcome);
    await until('auth-success');
    stream.handlers.error(cause);
    expect(await until('closed')).toMatchObject({ error: { code: 'lost', cause, detail: { phase: 'connected' } } });
    expect(client.failure?.code).toBe('lost');
    expect(stream.calls).toContain('destroy');
  });

  it('sets no new timer for a deadline that every sign of life puts off', async () => {
    const { driver, client, server, serverDriver, until } = setup(
      { keepalive: { interval: 3_600_000, count: 2 } },
      welcome,
    );
    await until('auth-success');
    const deadline = (): number => client.deadline() ?? 0;
    const first = deadline();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    for (let i = 0; i < 10; i++) {
      server.globalRequest(`sign-${i}@example.com`, false, new Uint8Array(0));
      serverDriver.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => expect(deadline()).toBeGreaterThan(first));
    expect(timers.mock.calls.filter(([, wait]) => Number(wait) > 1_000_000)).toEqual([]);
    timers.mockRestore();
    driver.destroy();
  });

  it('wakes by itself when a keepalive is due', async () => {
    const { driver, until, serverDriver } = setup({ keepalive: { interval: 20, count: 2 } }, welcome);
    await until('auth-success');
    serverDriver.session.receive = () => {};
    expect(await until('closed')).toMatchObject({ error: { code: 'timeout', detail: { what: 'keepalive' } } });
    driver.destroy();
  });
});

describe('a handler that finds the peer wrong', () => {
  it('ends the session with that error; its own mistakes are thrown', async () => {
    const { SshError } = await import('../../protocol/errors.ts');
    const wrong = new SshError('malformed', 'bad body', { by: 'peer', disconnect: 2 });
    const { server, until } = setup({}, (event, session) => {
      welcome(event, session);
      if (event.type === 'auth-success') throw wrong;
    });
    expect(await until('closed')).toEqual({ type: 'closed', error: wrong });
    await eventually(() => expect(server.failure).toMatchObject({ code: 'disconnected', detail: { reason: 2 } }));
  });
});
