/** Streams over remote files: order, memory, errors in their turn, and chunks that are their owner's again. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Stream, Writable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ExtensionName } from '../../../protocol/sftp/extensions.ts';
import type { SftpRequest } from '../../../protocol/sftp/server.ts';
import { node } from '../../protocol/sftp/memory-files.ts';
import { fakeServer } from './servers.ts';

type SftpRead = Extract<SftpRequest, { request: 'read' }>;

const turn = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const closed = (stream: Stream): Promise<void> => new Promise((resolve) => stream.once('close', resolve));
const write = (out: Writable, chunk: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => out.write(chunk, (error) => (error ? reject(error) : resolve())));

test.each([[100_000], [261_120], [1_000_000], [100, 261_120, 300_000, 261_119, 1, 522_240, 700_000]])(
  'a chunk is its owner’s again once it is written: %s, ...',
  async (...lengths) => {
    const { sftp, files } = await fakeServer({ extensions: ['limits'], delay: 3, window: 1000 });
    const file = await sftp.open('/f', 'w');
    const out = file.writable();
    const data = randomBytes(3_000_000);
    const memory = Buffer.alloc(1_000_000);
    for (let at = 0, n = 0; at < data.length; n++) {
      const chunk = memory.subarray(0, Math.min(lengths[n % lengths.length]!, data.length - at));
      data.copy(chunk, 0, at);
      await write(out, chunk);
      memory.fill(0);
      at += chunk.length;
    }
    out.end();
    await once(out, 'finish');
    const { data: stored, size } = files.nodes.get('/f')!;
    expect(Buffer.from(stored.subarray(0, size)).equals(data)).toBe(true);
  },
);

test('a chunk is not given back before it has left, not even when the stream is aborted', async () => {
  const { sftp, files } = await fakeServer({ extensions: ['limits'] });
  const file = await sftp.open('/f', 'w');
  const aborting = new AbortController();
  const out = file.writable({ signal: aborting.signal });
  const errors: unknown[] = [];
  out.on('error', (error) => errors.push(error));
  await write(out, Buffer.alloc(1));
  const chunk = Buffer.alloc(500_000, 7);
  const isWritten = write(out, chunk).catch(() => chunk.fill(1));
  const isClosed = closed(out);
  aborting.abort();
  await isClosed;
  expect(errors).toEqual([expect.objectContaining({ code: 'aborted' })]);
  await isWritten;
  await expect.poll(() => files.nodes.get('/f')!.size).toBeGreaterThan(250_000);
  const { data, size } = files.nodes.get('/f')!;
  expect(new Set(data.subarray(1, size))).toEqual(new Set([7]));
});

test('short chunks travel in long requests, and one alone does not wait', async () => {
  const { sftp, files } = await fakeServer({ extensions: ['limits'] });
  const file = await sftp.open('/f', 'w');
  const out = file.writable({ start: 3 });
  await write(out, Buffer.from('now'));
  await expect.poll(() => files.nodes.get('/f')!.size).toBe(6);
  files.seen.length = 0;
  for (let n = 0; n < 10_000; n++) out.write(Buffer.alloc(100, n));
  out.end();
  await once(out, 'finish');
  expect(files.nodes.get('/f')!.size).toBe(1_000_006);
  expect(files.seen.length).toBeLessThan(10);
});

test('one huge chunk is sent within the window', async () => {
  const { sftp, files, transport } = await fakeServer({ extensions: ['limits'] });
  const held: SftpRequest[] = [];
  files.intercept = (_, request) => request.request === 'write' && held.push(request) > 0;
  const file = await sftp.open('/f', 'w');
  const out = file.writable();
  const data = randomBytes(20_000_000);
  out.end(data);
  for (let before = -1; before < held.length; await turn(50)) before = held.length;
  expect(transport.sent).toBeLessThan(6_000_000);
  files.intercept = () => false;
  for (const request of held) files.answer(transport.server, request);
  transport.flush();
  await once(out, 'finish');
  const { data: stored, size } = files.nodes.get('/f')!;
  expect(Buffer.from(stored.subarray(0, size)).equals(data)).toBe(true);
});

test.each(['limits', undefined] as const)('answers out of order come out in order, with %s', async (extension) => {
  const { sftp, files, transport } = await fakeServer({ extensions: extension ? [extension] : [] });
  const data = randomBytes(5_000_000);
  files.nodes.set('/f', node('file', { data }));
  const held: SftpRequest[] = [];
  files.intercept = (_, request) => request.request === 'read' && held.push(request) > 0;
  const file = await sftp.open('/f');
  const whole = file.readable().toArray();
  let isRead = false;
  const done = whole.then(() => void (isRead = true));
  while (!isRead) {
    await turn();
    for (const request of held.splice(0).reverse()) files.answer(transport.server, request);
    transport.flush();
  }
  await done;
  expect(Buffer.concat(await whole).equals(data)).toBe(true);
});

test('short answers in any order give what is there, of any range', async () => {
  const size = 1_500_000;
  const data = randomBytes(size);
  const place = fc.nat(size + 300_000);
  const range = fc.record({ start: place, end: place }, { requiredKeys: [] });
  const lengths = fc.array(fc.integer({ min: 1000, max: 300_000 }), { minLength: 1 });
  const picks = fc.array(fc.nat(20), { minLength: 1, maxLength: 20 });
  const run = async (extensions: ExtensionName[], { start = 0, end = size }, short: number[], picked: number[]) => {
    const { sftp, files, transport } = await fakeServer({ extensions });
    files.nodes.set('/f', node('file', { data }));
    const held: SftpRequest[] = [];
    files.intercept = (_, request) => request.request === 'read' && held.push(request) > 0;
    const whole = (await sftp.open('/f')).readable({ start, end }).toArray();
    let isRead = false;
    const done = whole.finally(() => void (isRead = true));
    for (let n = 0; !isRead; ) {
      await new Promise(setImmediate);
      // All that there is, the last first, or one.
      const pick = picked[n % picked.length]!;
      const due = pick === 0 ? held.splice(0).reverse() : held.splice(pick % held.length, 1);
      for (const request of due as SftpRead[])
        files.answer(transport.server, { ...request, length: Math.min(request.length, short[n++ % short.length]!) });
      transport.flush();
    }
    await done;
    expect(Buffer.concat(await whole).equals(data.subarray(start, Math.max(start, end)))).toBe(true);
  };
  const extensions = fc.constantFrom<ExtensionName[]>([], ['limits']);
  await fc.assert(fc.asyncProperty(extensions, range, lengths, picks, run), { numRuns: 60 });
});

test('who does not read is not sent the file', async () => {
  const { sftp, files } = await fakeServer({ extensions: ['limits'] });
  files.nodes.set('/f', node('file', { data: Buffer.alloc(50_000_000) }));
  const file = await sftp.open('/f');
  const stream = file.readable();
  stream.read(0);
  for (let before = -1; before < files.seen.length; await turn(50)) before = files.seen.length;
  expect(stream.readableLength).toBeGreaterThan(0);
  expect(stream.readableLength).toBeLessThan(4_000_000);
  let length = 0;
  for await (const chunk of stream) length += chunk.length;
  expect(length).toBe(50_000_000);
});

test('who keeps the little there is keeps no more', async () => {
  const { sftp, files } = await fakeServer({ extensions: ['limits'] });
  files.nodes.set('/f', node('file', { data: randomBytes(100) }));
  const [chunk] = await (await sftp.open('/f')).readable().toArray();
  expect(chunk).toHaveLength(100);
  expect(chunk.buffer.byteLength).toBe(100);
});

test('a failure further on is told after what is before it, and not at all behind the end', async () => {
  const { sftp, files } = await fakeServer({ extensions: ['limits'] });
  files.nodes.set('/f', node('file', { data: randomBytes(900_000) }));
  let from = 600_000n;
  files.intercept = (server, request) => {
    if (request.request !== 'read' || request.offset < from) return false;
    server.status(request.id, 4);
    return true;
  };
  const file = await sftp.open('/f');
  let length = 0;
  const reading = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = file.readable();
      stream.on('data', (chunk: Uint8Array) => void (length += chunk.length));
      stream.on('error', reject).on('end', resolve);
    });
  await expect(reading()).rejects.toMatchObject({ code: 'sftp', detail: { status: 4, path: '/f' } });
  expect(length).toBeGreaterThan(500_000);
  length = 0;
  from = 1_100_000n;
  await reading();
  expect(length).toBe(900_000);
});

test.each([0, 261_120, 522_240, 783_360])('a failure at byte %i is no end, and an end there is one', async (at) => {
  const { sftp, files } = await fakeServer({ extensions: ['limits'] });
  files.nodes.set('/f', node('file', { data: randomBytes(2_000_000) }));
  let status = 4;
  // What is behind it is there.
  files.intercept = (server, request) => {
    if (request.request !== 'read' || request.offset !== BigInt(at)) return false;
    server.status(request.id, status);
    return true;
  };
  const read: Uint8Array[] = [];
  const reading = async (): Promise<void> => {
    for await (const chunk of (await sftp.open('/f')).readable()) read.push(chunk);
  };
  await expect(reading()).rejects.toMatchObject({ code: 'sftp', detail: { status: 4 } });
  status = 1;
  read.length = 0;
  await reading();
  expect(Buffer.concat(read).length).toBe(at);
});

test('an abort ends both at once, also a write that waits', async () => {
  const { sftp, files } = await fakeServer();
  files.nodes.set('/f', node('file', { data: randomBytes(900_000) }));
  const file = await sftp.open('/f', 'r+');
  files.intercept = () => true;
  const aborting = new AbortController();
  const stream = file.readable({ signal: aborting.signal });
  stream.resume();
  const out = file.writable({ signal: aborting.signal });
  const ends = Promise.all([closed(stream), closed(out)]);
  const errors: unknown[] = [];
  for (const each of [stream, out]) each.on('error', (error) => errors.push(error));
  const written = write(out, Buffer.alloc(5_000_000));
  await turn();
  aborting.abort();
  await expect(written).rejects.toMatchObject({ code: 'aborted' });
  await ends;
  expect(errors).toMatchObject([{ code: 'aborted' }, { code: 'aborted' }]);
  const late = file.readable({ signal: aborting.signal });
  late.on('error', (error) => errors.push(error));
  await closed(late);
  expect(errors).toHaveLength(3);
});
