/** Servers that are slow, far, old, forgetful or hostile, and calls that are given up. */

import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BLOCK_BYTES, takeBlock } from '../../../client/sftp/blocks.ts';
import { download } from '../../../client/sftp/download.ts';
import { Sftp } from '../../../client/sftp/sftp.ts';
import { Lanes, type TransferProgress } from '../../../client/sftp/transfer.ts';
import { downloadTree } from '../../../client/sftp/tree-download.ts';
import { uploadTree } from '../../../client/sftp/tree-upload.ts';
import { upload } from '../../../client/sftp/upload.ts';
import type { SftpRequest } from '../../../protocol/sftp/server.ts';
import { type MemoryFiles, node } from '../../protocol/sftp/memory-files.ts';
import { FakeTransport, fakeServer } from './servers.ts';

let dir: string;
const inside = (name: string): string => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sftp-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const turn = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const stored = (found: { data: Uint8Array; size: number } | undefined): Buffer =>
  Buffer.from(found!.data.subarray(0, found!.size));

describe('reading', () => {
  test('short answers are asked for again until the file is whole', async () => {
    const { sftp, files } = await fakeServer();
    const data = randomBytes(200_001);
    files.nodes.set('/f', node('file', { data }));
    for (const readSize of [777, 16384, 32767]) {
      files.readSize = readSize;
      expect(await download(sftp, '/f', inside('f'))).toMatchObject({ size: 200_001, moved: 200_001 });
      expect(readFileSync(inside('f')).equals(data)).toBe(true);
    }
    files.readSize = 1000;
    const file = await sftp.open('/f');
    expect(Buffer.concat(await file.readable().toArray()).equals(data)).toBe(true);
  });

  test('a long file is asked for several requests at a time', async () => {
    const { sftp, files, transport } = await fakeServer({ extensions: ['limits'] });
    files.nodes.set('/f', node('file', { data: Buffer.alloc(30_000_000) }));
    let reads = 0;
    let sent = 0;
    const held: SftpRequest[] = [];
    files.intercept = (_, request) => request.request === 'read' && ++reads > 0 && held.push(request) > 0;
    const send = transport.send.bind(transport);
    transport.send = (chunks) => {
      sent++;
      return send(chunks);
    };
    let isOver = false;
    const whole = download(sftp, '/f', inside('f')).then(() => void (isOver = true));
    while (!isOver) {
      const next = held.shift();
      if (next) files.answer(transport.server, next);
      transport.flush();
      await new Promise(setImmediate);
    }
    await whole;
    expect(reads).toBeGreaterThan(100);
    expect(sent).toBeLessThan(reads * 0.4);
  });

  test('without a known end: in order while answers are short, ahead when they are whole', async () => {
    const { sftp, files, transport } = await fakeServer();
    const data = randomBytes(3_000_000);
    files.nodes.set('/f', node('file', { data }));
    const stat = { ...(await sftp.stat('/f')), size: 0 };
    const offsets: number[] = [];
    const held: SftpRequest[] = [];
    files.intercept = (_, request) =>
      request.request === 'read' && offsets.push(Number(request.offset)) + held.push(request) > 0;
    for (const readSize of [20_000, Number.POSITIVE_INFINITY]) {
      files.readSize = readSize;
      offsets.length = 0;
      let most = 0;
      let isOver = false;
      const whole = download(sftp, '/f', inside('f'), { stat }).then(() => void (isOver = true));
      while (!isOver) {
        most = Math.max(most, held.length);
        const next = held.shift();
        if (next) files.answer(transport.server, next);
        transport.flush();
        await new Promise(setImmediate);
      }
      await whole;
      expect(readFileSync(inside('f')).equals(data)).toBe(true);
      if (readSize > data.length) expect(most).toBeGreaterThan(4);
      else expect([most, offsets]).toEqual([1, offsets.toSorted((a, b) => a - b)]);
    }
  });

  test('a file that is shorter than its size says ends where it ends', async () => {
    const { sftp, files } = await fakeServer();
    files.nodes.set('/f', node('file', { data: randomBytes(100_000) }));
    const stat = await sftp.stat('/f');
    expect(await download(sftp, '/f', inside('f'), { stat: { ...stat, size: 5_000_000 } })).toMatchObject({
      size: 100_000,
    });
    expect(lstatSync(inside('f')).size).toBe(100_000);
  });

  test('a small file comes by one request, and by as many as it takes when answers are short', async () => {
    const { sftp, files } = await fakeServer();
    const data = randomBytes(5000);
    files.nodes.set('/f', node('file', { data }));
    let reads = 0;
    files.intercept = (_, request) => request.request === 'read' && ++reads < 0;
    for (const [readSize, most] of [
      [32_768, 1],
      [4999, 4],
      [700, 12],
    ] as const) {
      files.readSize = readSize;
      reads = 0;
      const told: number[] = [];
      const onProgress = ({ done }: TransferProgress): void => void told.push(done);
      expect(await download(sftp, '/f', inside('f'), { onProgress })).toMatchObject({ size: 5000, moved: 5000 });
      expect(readFileSync(inside('f')).equals(data)).toBe(true);
      expect(reads).toBeLessThanOrEqual(most);
      expect([told.at(-1), told]).toEqual([5000, told.toSorted((a, b) => a - b)]);
    }
    const stat = await sftp.stat('/f');
    // It became shorter, or nothing, since it was listed.
    expect(await download(sftp, '/f', inside('f'), { stat: { ...stat, size: 9000 } })).toMatchObject({ size: 5000 });
    files.nodes.set('/f', node('file', { data: new Uint8Array(0) }));
    expect(await download(sftp, '/f', inside('f'), { stat })).toMatchObject({ size: 0 });
    expect(lstatSync(inside('f')).size).toBe(0);
    files.intercept = (server, request) => {
      if (request.request !== 'read') return false;
      server.status(request.id, 4);
      return true;
    };
    await expect(download(sftp, '/f', inside('g'), { stat })).rejects.toMatchObject({ code: 'sftp' });
    expect(readdirSync(dir)).toEqual(['f']);
  });

  test('an end in the middle of data is no file', async () => {
    const { sftp, files } = await fakeServer();
    files.nodes.set('/f', node('file', { data: randomBytes(200_000) }));
    files.intercept = (server, request) => {
      if (request.request !== 'read' || request.offset !== 65536n) return false;
      server.status(request.id, 1);
      return true;
    };
    await expect(download(sftp, '/f', inside('f'))).rejects.toMatchObject({ code: 'sftp', message: /changed/ });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('files that the server calls empty share the room of a tree, too', async () => {
    const { sftp, files, transport } = await fakeServer();
    files.nodes.set('/t', node('directory'));
    for (let i = 0; i < 8; i++) files.nodes.set(`/t/${i}`, node('file', { data: randomBytes(5000), size: 0 }));
    const held: SftpRequest[] = [];
    files.intercept = (_, request) => request.request === 'read' && held.push(request) > 0;
    const done = downloadTree(sftp, '/t', inside('t'), { files: 8 });
    await vi.waitFor(() => expect(held.length).toBeGreaterThan(0), 10_000);
    await turn(50);
    const reading = new Set(
      held.map((request) => request.request === 'read' && Buffer.from(request.handle).toString()),
    );
    expect(reading.size).toBe(2);
    files.intercept = () => false;
    for (const each of files.nodes.values()) each.size = each.data.length;
    for (const request of held) files.answer(transport.server, request);
    transport.flush();
    expect(await done).toMatchObject({ files: 8, bytes: 40_000 });
  });

  /** Holds back requests of one kind and answers all that came together; gives how many these were, each time. */
  async function inBatches(
    files: MemoryFiles,
    transport: FakeTransport,
    kind: string,
    work: Promise<unknown>,
  ): Promise<number[]> {
    const batches: number[] = [];
    const held: SftpRequest[] = [];
    let over = false;
    files.intercept = (_, request) => request.request === kind && held.push(request) > 0;
    const done = work.finally(() => {
      over = true;
    });
    while (!over) {
      const before = held.length;
      await turn(10);
      if (held.length === 0 || held.length > before) continue;
      batches.push(held.length);
      for (const request of held.splice(0)) files.answer(transport.server, request);
      transport.flush();
    }
    await done;
    return batches;
  }

  test('many requests are in flight before the first answer', async () => {
    const { sftp, files, transport } = await fakeServer({ extensions: ['limits'] });
    files.nodes.set('/f', node('file', { data: randomBytes(4_000_000) }));
    const batches = await inBatches(files, transport, 'read', download(sftp, '/f', inside('f')));
    expect(batches[0]).toBeGreaterThanOrEqual(4);
    expect(batches.reduce((a, b) => a + b)).toBe(16);
  });

  test('a large directory takes few round trips', async () => {
    const { sftp, files, transport } = await fakeServer();
    for (let i = 0; i < 300; i++) files.nodes.set(`/n${i}`, node('file'));
    const list = async (): Promise<void> => {
      let count = 0;
      for await (const _ of sftp.readdir('/')) count++;
      expect(count).toBe(300);
    };
    const batches = await inBatches(files, transport, 'readdir', list());
    // More than a hundred answers.
    expect(batches[0]).toBe(1);
    expect(batches.length).toBeLessThan(20);
    await turn(40);
    expect(files.open.size).toBe(0);
  });
});

describe('writing', () => {
  test('what stands in the way is asked for in a directory that was there, not in a new one', async () => {
    const { sftp, files } = await fakeServer({ extensions: ['posixRename'] });
    files.nodes.set('/old', node('directory'));
    files.nodes.set('/old/f', node('file', { permissions: 0o640 }));
    const asked: string[] = [];
    files.intercept = (_, request) => {
      if (request.request === 'lstat') asked.push(request.path);
      return false;
    };
    writeFileSync(inside('f'), 'new');
    for (const target of ['/old', '/new']) await uploadTree(sftp, dir, target);
    expect(asked).toEqual(['/old/f']);
    expect(stored(files.nodes.get('/new/f')).toString()).toBe('new');
    expect(files.nodes.get('/old/f')!.permissions).toBe(0o640);
  });

  test('without posix-rename an old target is removed first', async () => {
    const { sftp, files } = await fakeServer();
    files.nodes.set('/f', node('file', { data: randomBytes(10), permissions: 0o640 }));
    writeFileSync(inside('f'), 'new');
    await upload(sftp, inside('f'), '/f');
    expect(stored(files.nodes.get('/f')).toString()).toBe('new');
    expect(files.nodes.get('/f')!.permissions).toBe(0o640);
    expect([...files.nodes.keys()]).toEqual(['/', '/f']);
  });

  test('a failed write leaves nothing behind, and the old target', async () => {
    const { sftp, files } = await fakeServer({ extensions: ['posixRename'] });
    files.nodes.set('/f', node('file', { data: Buffer.from('old') }));
    writeFileSync(inside('f'), randomBytes(500_000));
    files.intercept = (server, request) => {
      if (request.request !== 'write' || request.offset < 300_000n) return false;
      server.status(request.id, 4, 'disk full');
      return true;
    };
    await expect(upload(sftp, inside('f'), '/f')).rejects.toMatchObject({
      detail: { text: 'disk full', operation: 'write' },
    });
    expect([...files.nodes.keys()]).toEqual(['/', '/f']);
    expect(stored(files.nodes.get('/f')).toString()).toBe('old');
    expect(files.open.size).toBe(0);
  });

  test('over a distance further sessions share the work', async () => {
    const options = { extensions: ['limits', 'posixRename'] as const, delay: 10, window: 512 * 1024 };
    const { sftp, files } = await fakeServer(options);
    const others: FakeTransport[] = [];
    const lanes = new Lanes(sftp, async () => {
      if (others.length === 2) throw new Error('MaxSessions');
      const next = new FakeTransport(options, files);
      others.push(next);
      return Sftp.start(next);
    });
    const data = randomBytes(24 * 1024 * 1024);
    writeFileSync(inside('f'), data);
    await upload(lanes, inside('f'), '/f');
    expect(stored(files.nodes.get('/f')).equals(data)).toBe(true);
    expect(others.length).toBe(2);
    for (const other of others) expect(other.sent).toBeGreaterThan(1_000_000);
    await turn(50);
    expect(files.open.size).toBe(0);
    await lanes.close();
    expect(others.every((other) => other.closed)).toBe(true);
  });

  test('a slow server nearby is no distant one', async () => {
    const { sftp, files, transport } = await fakeServer({ extensions: ['limits'] });
    files.intercept = (server, request) => {
      if (request.request !== 'write') return false;
      setTimeout(() => {
        files.answer(server, request);
        transport.flush();
      }, 15);
      return true;
    };
    let asked = 0;
    const lanes = new Lanes(sftp, () => {
      asked++;
      throw new Error('not needed');
    });
    // An earlier file was opened as quickly as that; here it may take longer when the machine is busy.
    lanes.shortest = 1;
    writeFileSync(inside('f'), randomBytes(12 * 1024 * 1024));
    await upload(lanes, inside('f'), '/f');
    expect(asked).toBe(0);
  });

  test('streams tell a failure and keep the order', async () => {
    const { sftp, files } = await fakeServer();
    const file = await sftp.open('/f', 'w');
    const data = randomBytes(300_000);
    const out = file.writable();
    for (let at = 0; at < data.length; at += 1000) out.write(data.subarray(at, at + 1000));
    await new Promise<void>((resolve) => out.end(resolve));
    expect(stored(files.nodes.get('/f')).equals(data)).toBe(true);
    files.intercept = (server, request) => {
      if (request.request !== 'write') return false;
      server.status(request.id, 3);
      return true;
    };
    const failing = file.writable();
    const error = new Promise((resolve) => failing.once('error', resolve));
    failing.end(data);
    expect(await error).toMatchObject({ code: 'sftp', detail: { status: 3, operation: 'write', path: '/f' } });
  });
});

describe('a session that dies while progress is told', () => {
  test('gives the memory of a part back once', async () => {
    const { sftp, files, transport } = await fakeServer({ extensions: ['limits'] });
    const data = randomBytes(8 * BLOCK_BYTES);
    files.nodes.set('/f', node('file', { data }));
    // Of the answers that come together, those behind the first are told while the first one is.
    const take = (): Set<Uint8Array> => new Set(Array.from({ length: 40 }, () => takeBlock()));
    take();
    const died = download(sftp, '/f', inside('f'), { onProgress: () => transport.die() });
    await died.catch(() => {});
    expect(take().size).toBe(40);
  });
});

describe('resuming', () => {
  const size = 60 * 1024 * 1024;

  test('a download goes on before where it stopped, an altered source begins anew', async () => {
    const data = randomBytes(size);
    const options = { resume: true } as const;
    const first = await fakeServer({ extensions: ['limits'] });
    first.files.nodes.set('/f', node('file', { data }));
    // However much is asked for at once, it never has all.
    first.files.intercept = (_, request) => request.request === 'read' && request.offset >= 55 * 1024 * 1024;
    const died = download(first.sftp, '/f', inside('f'), {
      ...options,
      onProgress: ({ done }) => done > 50 * 1024 * 1024 && first.transport.die(),
    });
    await expect(died).rejects.toMatchObject({ code: 'lost' });
    expect(existsSync(inside('f'))).toBe(false);
    const [part] = readdirSync(dir);
    expect(lstatSync(inside(part!)).size).toBeGreaterThan(45 * 1024 * 1024);

    const second = await fakeServer({ extensions: ['limits'] });
    second.files.nodes.set('/f', node('file', { data }));
    const result = await download(second.sftp, '/f', inside('f'), options);
    expect(result.moved).toBeLessThan(56 * 1024 * 1024);
    expect(result.size).toBe(size);
    expect(readFileSync(inside('f')).equals(data)).toBe(true);
    expect(readdirSync(dir)).toEqual(['f']);
  });

  test('an upload, too', async () => {
    const data = randomBytes(size);
    writeFileSync(inside('f'), data);
    const first = await fakeServer({ extensions: ['limits', 'posixRename'] });
    const died = upload(first.sftp, inside('f'), '/f', {
      resume: true,
      onProgress: ({ done }) => done > 50 * 1024 * 1024 && first.transport.die(),
    });
    await expect(died).rejects.toMatchObject({ code: 'lost' });
    expect(first.files.nodes.has('/f')).toBe(false);
    const again = new FakeTransport({ extensions: ['limits', 'posixRename'] }, first.files);
    const result = await upload(await Sftp.start(again), inside('f'), '/f', { resume: true });
    expect(result.moved).toBeLessThan(52 * 1024 * 1024);
    expect(stored(first.files.nodes.get('/f')).equals(data)).toBe(true);
    expect([...first.files.nodes.keys()]).toEqual(['/', '/f']);
  });
});

test('one answer that stays out holds back what is far behind it', async () => {
  const { sftp, files, transport } = await fakeServer({ extensions: ['limits', 'posixRename'] });
  const size = 60 * 1024 * 1024;
  const data = Buffer.alloc(size, 'x');
  files.nodes.set('/f', node('file', { data }));
  writeFileSync(inside('up'), data);
  for (const kind of ['read', 'write'] as const) {
    let held: SftpRequest | undefined;
    let furthest = 0n;
    files.intercept = (_, request) => {
      if (request.request !== kind) return false;
      if (request.offset > furthest) furthest = request.offset;
      if (held || request.offset > 0n) return false;
      held = request;
      return true;
    };
    const work = kind === 'read' ? download(sftp, '/f', inside('f')) : upload(sftp, inside('up'), '/g');
    for (let before = -1n; !held || before < furthest; await turn(100)) before = furthest;
    expect(Number(furthest)).toBeGreaterThan(8 * 1024 * 1024);
    expect(Number(furthest)).toBeLessThanOrEqual(40 * 1024 * 1024);
    files.answer(transport.server, held);
    transport.flush();
    expect(await work).toMatchObject({ size });
  }
});

describe('giving up', () => {
  test('an aborted call fails at once; a handle that comes later is closed', async () => {
    const { sftp, files } = await fakeServer({ delay: 15 });
    files.nodes.set('/f', node('file'));
    const open = sftp.open('/f', 'r', { signal: AbortSignal.timeout(5) });
    await expect(open).rejects.toMatchObject({ code: 'aborted' });
    await expect.poll(() => files.seen, { timeout: 10_000 }).toEqual(['open', 'close']);
    expect(files.open.size).toBe(0);
    await expect(sftp.stat('/f', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
    expect(files.seen).toEqual(['open', 'close']);
  });

  test('an aborted transfer leaves nothing, here or there', async () => {
    const { sftp, files } = await fakeServer({ delay: 1 });
    const data = randomBytes(8_000_000);
    files.nodes.set('/f', node('file', { data }));
    writeFileSync(inside('up'), data);
    for (const start of [
      (signal: AbortSignal, onProgress: (p: TransferProgress) => void) =>
        download(sftp, '/f', inside('f'), { signal, onProgress }),
      (signal: AbortSignal, onProgress: (p: TransferProgress) => void) =>
        upload(sftp, inside('up'), '/g', { signal, onProgress }),
    ]) {
      const stop = new AbortController();
      const run = start(stop.signal, ({ done }) => done > 1_000_000 && stop.abort());
      await expect(run).rejects.toMatchObject({ code: 'aborted' });
    }
    await turn(50);
    expect(readdirSync(dir)).toEqual(['up']);
    expect([...files.nodes.keys()]).toEqual(['/', '/f']);
    expect(files.open.size).toBe(0);
    expect(await sftp.stat('/f')).toMatchObject({ size: 8_000_000 });
  });

  test('a lost connection fails whatever waits, and everything after', async () => {
    const { sftp, transport, files } = await fakeServer();
    files.intercept = () => true;
    const waiting = [sftp.stat('/'), sftp.open('/x'), sftp.readdir('/').next()];
    await turn();
    transport.die();
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'lost' });
    await expect(sftp.stat('/')).rejects.toMatchObject({ code: 'lost' });
  });

  test('a session that breaks the protocol is over', async () => {
    const { sftp, transport, files } = await fakeServer();
    files.intercept = (server, request) => {
      server.raw(Uint8Array.of(0, 0, 0, 5, 101, 9, 9, 9, 9), request.id);
      return true;
    };
    await expect(sftp.stat('/')).rejects.toMatchObject({ code: 'protocol', by: 'peer' });
    expect(transport.closed).toBe(true);
  });

  test('no version in time', async () => {
    const transport = new FakeTransport({ delay: 1000 });
    const start = Sftp.start(transport, { signal: AbortSignal.timeout(10) });
    await expect(start).rejects.toMatchObject({ code: 'aborted' });
    expect(transport.closed).toBe(true);
  });
});

describe('hostile trees', () => {
  test('names that lead elsewhere are failures, the rest arrives', async () => {
    const { sftp, files } = await fakeServer();
    files.nodes.set('/t', node('directory'));
    files.nodes.set('/t/good', node('file', { data: Buffer.from('good') }));
    const evil = ['../evil', '..', '/etc/evil', 'a/b', '', 'x\0y'];
    files.intercept = (server, request) => {
      if (request.request !== 'readdir') return false;
      const attrs = { permissions: 0o100644, size: 4n };
      if (files.seen.filter((each) => each === 'readdir').length > 1) {
        server.status(request.id, 1);
        return true;
      }
      server.names(
        request.id,
        [...evil, 'good'].map((name) => ({ name, longName: '', attrs })),
      );
      return true;
    };
    const result = await downloadTree(sftp, '/t', inside('t'));
    // `..` is left out of listings, the others are refused.
    expect(result).toMatchObject({ files: 1, failed: evil.length - 1 });
    for (const { error } of result.failures) expect(error).toMatchObject({ code: 'sftp', by: 'peer' });
    expect(readdirSync(dir)).toEqual(['t']);
    expect(readdirSync(inside('t'))).toEqual(['good']);
  });

  test('links in the local tree are never followed', async () => {
    const { sftp, files } = await fakeServer();
    for (const path of ['/t', '/t/sub']) files.nodes.set(path, node('directory'));
    for (const path of ['/t/sub/f', '/t/file']) files.nodes.set(path, node('file', { data: Buffer.from('theirs') }));
    mkdirSync(inside('outside'));
    mkdirSync(inside('t'));
    writeFileSync(inside('mine'), 'mine');
    symlinkSync('../outside', inside('t/sub'));
    symlinkSync('../mine', inside('t/file'));
    const result = await downloadTree(sftp, '/t', inside('t'));
    expect(result).toMatchObject({ files: 1, failed: 1, failures: [{ path: '/t/sub', error: { code: 'file' } }] });
    expect(readdirSync(inside('outside'))).toEqual([]);
    expect(readFileSync(inside('mine'), 'utf8')).toBe('mine');
    expect(readFileSync(inside('t/file'), 'utf8')).toBe('theirs');
  });

  test('a tree without a bottom ends', async () => {
    const { sftp, files } = await fakeServer();
    let handles = 0;
    const listed = new Set<string>();
    files.intercept = (server, request) => {
      if (request.request === 'stat') server.attrs(request.id, { permissions: 0o040755 });
      else if (request.request === 'opendir') server.handle(request.id, Uint8Array.of(++handles >> 8, handles & 255));
      else if (request.request === 'readdir' && !listed.has(String(request.handle))) {
        listed.add(String(request.handle));
        server.names(request.id, [{ name: 'd', longName: '', attrs: { permissions: 0o040755 } }]);
      } else if (request.request === 'readdir') server.status(request.id, 1);
      else return false;
      return true;
    };
    await expect(downloadTree(sftp, '/', inside('t'))).rejects.toMatchObject({ code: 'limit', by: 'peer' });
  });

  test('links of the server are left out, or followed on the server', async () => {
    const { sftp, files } = await fakeServer();
    files.nodes.set('/t', node('directory'));
    files.nodes.set('/secret', node('file', { data: Buffer.from('x') }));
    files.nodes.set('/t/l', node('link', { target: '/secret' }));
    expect(await downloadTree(sftp, '/t', inside('a'))).toMatchObject({ files: 0, skipped: 1 });
    expect(await downloadTree(sftp, '/t', inside('b'), { links: 'follow' })).toMatchObject({ files: 1, skipped: 0 });
    expect(lstatSync(inside('b/l')).isFile()).toBe(true);
  });

  test('one file that cannot be had does not stop the others; a lost connection does', async () => {
    const { sftp, files, transport } = await fakeServer();
    files.nodes.set('/t', node('directory'));
    for (let i = 0; i < 40; i++) files.nodes.set(`/t/${i}`, node('file', { data: randomBytes(i) }));
    files.intercept = (server, request) => {
      if (request.request !== 'open' || request.path !== '/t/7') return false;
      server.status(request.id, 3, 'no');
      return true;
    };
    const failures: string[] = [];
    const result = await downloadTree(sftp, '/t', inside('t'), { onFailure: ({ path }) => failures.push(path) });
    expect(result).toMatchObject({ files: 39, failed: 1, bytes: (39 * 40) / 2 - 7 });
    expect(failures).toEqual(['/t/7']);
    expect(await uploadTree(sftp, inside('t'), '/u')).toMatchObject({ files: 39, failed: 0 });
    files.intercept = (_, request) => {
      if (request.request !== 'read') return false;
      transport.die();
      return true;
    };
    await expect(downloadTree(sftp, '/t', inside('t2'))).rejects.toMatchObject({ code: 'lost' });
  });
});
