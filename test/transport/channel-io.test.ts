// A channel's promises over a pair of sessions in memory: sinks and their pace, ends, refusals.
import { describe, expect, it } from 'vitest';
import { ChannelIo } from '../../transport/channel-io.ts';
import { ChannelStream } from '../../transport/channel-stream.ts';
import { Pair, pattern, readAll } from '../protocol/session/pair.ts';

/** A channel whose client end is a ChannelIo; `settle` moves bytes until nothing moves, promises included. */
function setup(window = 64 * 1024) {
  const pair = new Pair().login();
  const { client, server } = pair.openChannel({ window, maxWindow: window, writeMark: 1024 });
  const io = new ChannelIo(client, () => {});
  pair.onClient = (event) => {
    if (event.type === 'channel') io.signal(event.signal);
  };
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      pair.run();
      await new Promise(setImmediate);
    }
  };
  return { pair, io, client, server, settle };
}

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const no = Symbol();
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, no))])) !== no;
}

describe('reading', () => {
  it('gives a sink what came before it and after it, stderr apart', async () => {
    const { io, server, settle } = setup();
    server.write(Buffer.from('early '));
    await settle();
    const seen = ['', ''];
    io.sink(false, (chunk) => {
      seen[0] += Buffer.from(chunk).toString();
    });
    io.sink(true, (chunk) => {
      seen[1] += Buffer.from(chunk).toString();
    });
    server.write(Buffer.from('late'));
    server.write(Buffer.from('err'), 1);
    await settle();
    expect(seen).toEqual(['early late', 'err']);
  });

  it('credits nothing while a sink is busy, and tells EOF and the end after it', async () => {
    const { io, server, settle } = setup(8 * 1024);
    const order: string[] = [];
    const releases: (() => void)[] = [];
    let bytes = 0;
    io.sink(false, (chunk) => {
      bytes += chunk.length;
      return new Promise<void>((resolve) => releases.push(resolve));
    });
    io.onEof = () => void order.push('eof');
    void io.closed.then(() => order.push('closed'));
    server.write(pattern(20_000));
    server.eof();
    server.close();
    await settle();
    expect(bytes).toBe(8 * 1024);
    expect(server.peerWindow).toBe(0);
    expect(order).toEqual([]);
    while (releases.length > 0) {
      releases.shift()!();
      await settle();
    }
    expect(bytes).toBe(20_000);
    expect(order).toEqual(['eof', 'closed']);
  });

  it('goes on with the other output when one sink fails, rejecting or throwing', async () => {
    for (const fail of [
      () => Promise.reject(new Error('no')),
      () => {
        throw new Error('no');
      },
    ]) {
      const { io, server, settle } = setup(8 * 1024);
      let err = '';
      io.sink(false, fail);
      io.sink(true, (chunk) => {
        err += Buffer.from(chunk).toString();
      });
      server.write(pattern(50_000));
      server.write(Buffer.from('still here'), 1);
      await settle();
      await settle();
      expect(err).toBe('still here');
      expect(server.buffered).toBe(0);
    }
  });

  it('does not wait for stderr that nobody wants', async () => {
    const { io, server, settle } = setup();
    io.sink(false, () => undefined);
    server.write(Buffer.from('unheard'), 1);
    server.close();
    await settle();
    expect(await settled(io.closed)).toBe(true);
  });

  it('does not wait for a stuck sink once it is thrown away', async () => {
    const { io, server, settle } = setup();
    io.sink(false, () => new Promise(() => {}));
    server.write(pattern(1000));
    server.close();
    await settle();
    expect(await settled(io.closed)).toBe(false);
    io.discard();
    expect(await settled(io.closed)).toBe(true);
  });
});

describe('writing', () => {
  it('waits at the mark and goes on when the window opens', async () => {
    const { io, client, server, settle } = setup(4096);
    expect(io.write(pattern(500))).toBeUndefined();
    const busy = io.write(pattern(10_000));
    await settle();
    expect(client.peerWindow).toBe(0);
    expect(await settled(busy!)).toBe(false);
    let got = readAll(server).length;
    for (let i = 0; i < 5; i++) {
      await settle();
      got += readAll(server).length;
    }
    expect(await settled(busy!)).toBe(true);
    expect(got).toBe(10_500);
  });

  it('fails with the cause when the channel ends', async () => {
    const { io, server, settle } = setup(4096);
    const busy = io.write(pattern(10_000))!;
    server.close();
    await settle();
    await expect(busy).rejects.toMatchObject({ code: 'closed', by: 'peer' });
    await expect(io.write(pattern(1))).rejects.toMatchObject({ code: 'closed' });
    await expect(io.request('exec', new Uint8Array(0))).rejects.toMatchObject({ code: 'closed' });
    // A write that nobody waits for may fail unseen.
    void io.write(pattern(1));
    io.notify('signal', new Uint8Array(0));
    io.eof();
    io.close();
  });
});

describe('a write while the end of the channel is still on its way to us', () => {
  it('fails like one after it', async () => {
    const { pair, io, server } = setup();
    let failed: Promise<unknown> | undefined;
    io.sink(false, () => {
      failed = io.write(pattern(1));
    });
    server.write(pattern(10));
    server.close();
    // Data and CLOSE come in one piece: when the data is taken the channel is over already.
    pair.client.receive(pair.server.takeOutput()!);
    pair.run();
    await expect(failed).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('requests', () => {
  it('are answered in order, and refused ones say which', async () => {
    const { pair, io, server, settle } = setup();
    const asked: string[] = [];
    pair.onServer = (event) => {
      if (event.type !== 'channel' || event.signal.what !== 'request') return;
      asked.push(event.signal.request);
      if (event.signal.wantReply) server.reply(event.signal.request !== 'b');
    };
    const [a, b, c] = ['a', 'b', 'c'].map((name) => io.request(name, new Uint8Array(0)));
    const refused = expect(b).rejects.toMatchObject({ code: 'channel-request', detail: { request: 'b' } });
    io.notify('d', new Uint8Array(0));
    await settle();
    await refused;
    await Promise.all([a, c]);
    expect(asked).toEqual(['a', 'b', 'c', 'd']);
  });

  it('of the peer are understood or refused', async () => {
    const { pair, io, server, settle } = setup();
    const replies: boolean[] = [];
    pair.onServer = (event) => {
      if (event.type === 'channel' && event.signal.what === 'reply') replies.push(event.signal.ok);
    };
    io.onRequest = ({ request }) => request === 'known';
    server.request('known', true, new Uint8Array(0));
    server.request('other', true, new Uint8Array(0));
    await settle();
    expect(replies).toEqual([true, false]);
  });
});

describe('a channel as a stream', () => {
  it('ends both outputs, and closes when both ways are over', async () => {
    const { pair, io, client, server, settle } = setup();
    const stream = new ChannelStream(io);
    const [out, err] = [stream.toArray(), stream.stderr.toArray()];
    server.write(pattern(3000));
    server.write(Buffer.from('err'), 1);
    server.eof();
    stream.end('in');
    await settle();
    expect(Buffer.concat(await out)).toEqual(Buffer.from(pattern(3000)));
    expect(Buffer.concat(await err).toString()).toBe('err');
    expect(Buffer.from(readAll(server)).toString()).toBe('in');
    await settle();
    expect(server.eofReceived && server.closeReceived).toBe(true);
    server.close();
    pair.run();
    expect(client.state).toBe('closed');
  });

  it('made after the end still gives everything', async () => {
    const { io, server, settle } = setup();
    server.write(Buffer.from('err'), 1);
    server.write(Buffer.from('out'));
    server.close();
    await settle();
    const stream = new ChannelStream(io);
    const [out, err] = [stream.toArray(), stream.stderr.toArray()];
    await settle();
    expect([Buffer.concat(await out).toString(), Buffer.concat(await err).toString()]).toEqual(['out', 'err']);
  });

  it('is held back by its reader', async () => {
    const { io, server, settle } = setup(32 * 1024);
    const stream = new ChannelStream(io);
    server.write(pattern(2 * 1024 * 1024));
    await settle();
    for (let i = 0; i < 50; i++) await settle();
    expect(stream.readableLength).toBeLessThanOrEqual(stream.readableHighWaterMark + 32 * 1024);
    expect(server.buffered).toBeGreaterThan(1024 * 1024);
    let bytes = 0;
    stream.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length;
    });
    for (let i = 0; i < 200 && bytes < 2 * 1024 * 1024; i++) await settle();
    expect(bytes).toBe(2 * 1024 * 1024);
  });

  it('says why a write failed', async () => {
    const { io, server, settle } = setup();
    const stream = new ChannelStream(io);
    server.close();
    await settle();
    const failed = new Promise((resolve) => stream.once('error', resolve));
    stream.write('x');
    expect(await failed).toMatchObject({ code: 'closed' });
  });
});
