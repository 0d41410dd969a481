import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Output } from '../../../cli/render/output.ts';
import { settle } from '../../client/fleet/fake-clock.ts';
import { Kept } from './harness.ts';

/** Takes a chunk only when told to. */
class Slow extends Writable {
  readonly chunks: Buffer[] = [];
  private pending: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk));
    this.pending = done;
  }

  async takeAll(): Promise<void> {
    for (let idle = 0; idle < 5; ) {
      const { pending } = this;
      this.pending = undefined;
      pending?.();
      idle = pending ? 0 : idle + 1;
      await settle();
    }
  }
}

const failing = (code: string): Writable =>
  new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })) });

describe('Output', () => {
  it('makes one write of all that is written in a tick', async () => {
    const stream = new Kept();
    const output = new Output(stream);
    for (let i = 0; i < 1000; i++) output.writeText(`line ${i}\n`);
    await settle();
    expect(stream.chunks).toHaveLength(1);
    output.writeText('more');
    await output.end();
    expect(stream.text).toMatch(/^line 0\nline 1\n[\s\S]*line 999\nmore$/);
  });

  it('writes again into the block that the stream has written, and into no other', async () => {
    // Looks at what it was given only when it is done with it, as a pipe does.
    const given: Buffer[] = [];
    const texts: string[] = [];
    let done: (() => void) | undefined;
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, callback) => {
        given.push(chunk);
        done = () => {
          done = undefined;
          texts.push(chunk.toString());
          callback();
        };
      },
    });
    const output = new Output(stream);
    for (const text of ['one', 'two']) {
      output.writeText(text);
      await settle();
    }
    output.room(5).set(Buffer.from('three'));
    await settle();
    // The second and third wait behind the first.
    for (; done; await settle()) done();
    output.writeText('four');
    await settle();
    done!();
    expect(texts).toEqual(['one', 'two', 'three', 'four']);
    expect(given.map((chunk) => chunk.byteOffset - given[0]!.byteOffset)).toEqual([0, 3, 6, 0]);
    expect(new Set(given.map((chunk) => chunk.buffer)).size).toBe(1);
  });

  it('gives room of any size, also when nobody reads any more', async () => {
    const stream = new Kept();
    const output = new Output(stream);
    const sizes = [1, 60_000, 10_000, 200_000, 65_536, 3, 0];
    sizes.forEach((size, i) => {
      const room = output.room(size);
      expect(room).toHaveLength(size);
      room.fill(97 + i);
    });
    await output.end();
    expect(stream.text).toBe(sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size)).join(''));
    const gone = new Output(failing('EPIPE'));
    gone.writeText('x');
    await settle();
    expect(gone.closed).toBe(true);
    expect(gone.room(10)).toHaveLength(10);
    await gone.end();
  });

  it('keeps the order of small pieces, large ones and sources', async () => {
    const stream = new Slow();
    const output = new Output(stream);
    const want: Buffer[] = [];
    const put = (piece: Buffer): void => {
      output.write(piece);
      want.push(piece);
    };
    for (let i = 0; i < 50; i++) {
      put(Buffer.from(`${i},`));
      put(Buffer.alloc(20_000, i));
      const parts = [Buffer.from('<'), Buffer.alloc(5_000, 'p'), Buffer.from('>')];
      output.writeAll(parts);
      want.push(...parts);
      put(Buffer.alloc(15_000, i));
    }
    const end = output.end();
    await stream.takeAll();
    await end;
    expect(Buffer.concat(stream.chunks).equals(Buffer.concat(want))).toBe(true);
  });

  it('asks to wait when the stream is behind, and to go on when it caught up', async () => {
    const stream = new Slow();
    const output = new Output(stream);
    expect(output.ready()).toBeUndefined();
    for (let i = 0; i < 40; i++) output.write(Buffer.alloc(20_000));
    let released = false;
    const wait = output.ready()!.then(() => {
      released = true;
    });
    await settle();
    expect(released).toBe(false);
    await stream.takeAll();
    await wait;
    expect(output.ready()).toBeUndefined();
  });

  it('reads a source no faster than the stream takes it', async () => {
    const stream = new Slow();
    const output = new Output(stream);
    let read = 0;
    output.writeAll(
      (function* () {
        for (let i = 0; i < 100; i++) {
          read++;
          yield Buffer.alloc(64 * 1024);
        }
      })(),
    );
    await settle();
    expect(read).toBe(1);
    const end = output.end();
    await stream.takeAll();
    await end;
    expect(read).toBe(100);
  });

  it('lets others have their turn while a stream that is never full takes a long source', async () => {
    const greedy = new Writable({ highWaterMark: 2 ** 30, write: (_chunk, _encoding, done) => done() });
    const output = new Output(greedy);
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns++;
      if (!over) setImmediate(count);
    };
    output.writeAll(
      (function* () {
        // About a quarter of a second of work.
        for (let i = 0; i < 250; i++) {
          const until = performance.now() + 1;
          while (performance.now() < until);
          yield i % 2 === 0 ? new Uint8Array(0) : Buffer.alloc(64 * 1024);
        }
      })(),
    );
    setImmediate(count);
    await output.end();
    over = true;
    expect(turns).toBeGreaterThan(10);
  });

  it('lets others have their turn while somebody writes without end to such a stream', async () => {
    const greedy = new Writable({ highWaterMark: 2 ** 30, write: (_chunk, _encoding, done) => done() });
    const output = new Output(greedy);
    let over = false;
    setTimeout(() => {
      over = true;
    }, 50);
    const piece = Buffer.alloc(64 * 1024);
    while (!over) {
      output.write(piece);
      await output.ready();
    }
    await output.end();
  });

  it('takes a reader that left quietly, once', async () => {
    let told = 0;
    const output = new Output(failing('EPIPE'), { onClosed: () => told++ });
    output.writeText('x');
    await settle();
    await settle();
    expect(output.closed).toBe(true);
    output.writeText('y');
    output.writeAll([Buffer.from('z')]);
    expect(output.ready()).toBeUndefined();
    await output.end();
    expect(told).toBe(1);
  });

  it('frees writers that wait when the reader leaves', async () => {
    const stream = new Slow();
    const output = new Output(stream);
    for (let i = 0; i < 40; i++) output.write(Buffer.alloc(20_000));
    const wait = output.ready();
    stream.destroy(Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
    await wait;
    await output.end();
  });

  it('reports any other failure to writers and at the end', async () => {
    const output = new Output(failing('ENOSPC'), { onClosed: () => expect.unreachable() });
    output.writeText('x');
    await settle();
    await settle();
    await expect(output.ready()).rejects.toThrow('ENOSPC');
    await expect(output.end()).rejects.toThrow('ENOSPC');
  });

  it('calls around each burst', async () => {
    const calls: string[] = [];
    const stream = new Writable({
      write: (chunk, _encoding, done) => {
        calls.push(String(chunk));
        done();
      },
    });
    const output = new Output(stream, { before: () => calls.push('before'), after: () => calls.push('after') });
    output.writeText('text');
    await settle();
    expect(calls).toEqual(['before', 'text', 'after']);
  });
});
