// Sockets: dialling and its errors, listening, and the byte streams that both give.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import type { ByteStream } from '../../transport/byte-stream.ts';
import { listen, socketStream } from '../../transport/listener.ts';
import { memoryPair } from '../../transport/memory-pair.ts';
import { byteStream } from '../../transport/socket-stream.ts';
import { dial } from '../../transport/tcp.ts';
import { failure, within } from '../client/harness.ts';

/** A loaded machine may take its time; what never comes still fails the test. */
const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 20_000 });

const host = '127.0.0.1';

/** Collects what a stream says. */
function collect(stream: ByteStream) {
  const seen = { text: '', end: false, error: undefined as unknown, drains: 0 };
  stream.start({
    data: (chunk) => {
      seen.text += Buffer.from(chunk).toString('latin1');
    },
    drain: () => {
      seen.drains++;
    },
    end: () => {
      seen.end = true;
    },
    error: (error) => {
      seen.error = error;
    },
  });
  return seen;
}

describe('dial', () => {
  it('joins two byte streams', async () => {
    let server!: ReturnType<typeof collect>;
    const listening = await listen({ host, port: 0 }, (socket) => {
      const stream = socketStream(socket);
      server = collect(stream);
      stream.write(Buffer.from('from the server'));
    });
    const stream = await dial({ host, port: listening.port });
    expect([stream.remoteAddress, stream.remotePort]).toEqual([host, listening.port]);
    const client = collect(stream);
    stream.write(Buffer.from('from the client'));
    await eventually(() => expect([client.text, server.text]).toEqual(['from the server', 'from the client']));
    stream.end();
    await eventually(() => expect(server.end).toBe(true));
    await listening.close();
    await eventually(() => expect(client.end).toBe(true));
  });

  it('reads nothing before somebody listens', async () => {
    const listening = await listen({ host, port: 0 }, (socket) => void socket.end('early'));
    const stream = await dial({ host, port: listening.port });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const client = collect(stream);
    await eventually(() => expect(client).toMatchObject({ text: 'early', end: true }));
    await listening.close();
  });

  it('tells once that a chunk has left, at once when the system took all of it', async () => {
    let peer: Socket | undefined;
    const listening = await listen({ host, port: 0 }, (socket) => void (peer = socket));
    const stream = await dial({ host, port: listening.port });
    collect(stream);
    await eventually(() => expect(peer).toBeDefined());
    const little = vi.fn();
    expect(stream.write(new Uint8Array(65_536), little)).toBe(true);
    expect(little).toHaveBeenCalledTimes(1);
    // More than the system takes while nobody reads.
    const much = vi.fn();
    expect(stream.write(new Uint8Array(64 << 20), much)).toBe(false);
    expect(much).not.toHaveBeenCalled();
    peer!.resume();
    await eventually(() => expect(much).toHaveBeenCalledTimes(1));
    expect(little).toHaveBeenCalledTimes(1);
    stream.destroy();
    await listening.close();
  });

  it('goes through the addresses, and tells each that failed', async () => {
    const listening = await listen({ host, port: 0 }, () => {});
    await listening.close();
    const tried: string[] = [];
    const error = await failure(
      dial({
        host: 'localhost',
        port: listening.port,
        onAttempt: (address) => void tried.push(`try ${address}`),
        onFailure: (address, _, { code }) => void tried.push(`${code} ${address}`),
      }),
    );
    expect(error.code).toMatch(/refused|unreachable/);
    expect(tried).toContain('try 127.0.0.1');
    expect(tried).toContain('refused 127.0.0.1');
  });

  it('knows a name that does not resolve, and a family that does not fit', async () => {
    expect((await failure(dial({ host: 'no-such-host.invalid', port: 1 }), 10_000)).code).toBe('dns');
    expect(await failure(dial({ host, port: 1, family: 6 }))).toMatchObject({
      code: 'dns',
      detail: { reason: 'family' },
    });
  });

  it('gives up at the time limit or the signal', async () => {
    // A listener whose queue is full answers no more SYNs: nothing on loopback is as silent.
    const listening = await listen({ host, port: 0, backlog: 1 }, () => {});
    expect((await failure(dial({ host, port: listening.port, signal: AbortSignal.abort() }))).code).toBe('aborted');
    const late = new AbortController();
    const attempt = dial({ host, port: listening.port, signal: late.signal });
    late.abort();
    expect((await failure(attempt)).code).toBe('aborted');
    await listening.close();
  });
});

describe('listen', () => {
  it('rejects with the reason when the port is taken', async () => {
    const listening = await listen({ host, port: 0 }, () => {});
    await expect(listen({ host, port: listening.port }, () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await listening.close();
  });

  it('ends what is open when it is closed', async () => {
    const listening = await listen({ host, port: 0 }, (socket) => void socket.on('error', () => {}));
    const socket = connect(listening.port, host);
    await once(socket, 'connect');
    const gone = once(socket, 'close');
    socket.on('error', () => {});
    await within(2000, listening.close());
    await within(2000, gone);
  });
});

describe('a byte stream over Node streams', () => {
  it('says when to wait, and drains', async () => {
    const output = new PassThrough();
    const stream = byteStream(new PassThrough(), output);
    const seen = collect(stream);
    expect(stream.write(new Uint8Array(1000))).toBe(true);
    expect(stream.write(new Uint8Array(1024 * 1024))).toBe(false);
    output.resume();
    await eventually(() => expect(seen.drains).toBeGreaterThan(0));
  });

  it('tells an end once, and an error in place of it', async () => {
    const input = new PassThrough();
    const ended = collect(byteStream(input, new PassThrough()));
    input.end('last');
    await eventually(() => expect(ended).toMatchObject({ text: 'last', end: true, error: undefined }));
    const broken = new PassThrough();
    const seen = collect(byteStream(broken, new PassThrough()));
    const cause = new Error('broken');
    broken.destroy(cause);
    await eventually(() => expect(seen).toMatchObject({ end: false, error: cause }));
  });

  it('takes writes after its end for nothing', () => {
    const output = new PassThrough();
    const stream = byteStream(new PassThrough(), output);
    stream.end();
    expect(stream.write(new Uint8Array(1))).toBe(true);
  });
});

describe('a pair in memory', () => {
  it('delivers in pieces, in order, and then the end', async () => {
    const [left, right] = memoryPair({ pieces: 3, delay: 1 });
    const pieces: string[] = [];
    let ended = false;
    right.start({
      data: (chunk) => void pieces.push(Buffer.from(chunk).toString()),
      drain: () => {},
      end: () => {
        ended = true;
      },
      error: () => {},
    });
    left.write(Buffer.from('abcdefgh'));
    left.write(Buffer.from('ij'));
    left.end();
    await eventually(() => expect(ended).toBe(true));
    expect(pieces).toEqual(['abc', 'def', 'gh', 'ij']);
  });

  it('holds everything while it is paused', async () => {
    const [left, right] = memoryPair();
    const seen = collect(right);
    right.pause();
    left.write(Buffer.from('x'));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(seen.text).toBe('');
    right.resume();
    await eventually(() => expect(seen.text).toBe('x'));
  });
});
