import { describe, expect, test } from 'vitest';
import { SshError } from '../../../protocol/errors.ts';
import { SftpClient } from '../../../protocol/sftp/client.ts';
import { extensions } from '../../../protocol/sftp/extensions.ts';
import { frame, init, openFlags, replies, requests, sftpStatus, version } from '../../../protocol/sftp/messages.ts';
import { node } from './memory-files.ts';
import { join, Pair } from './pair.ts';

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

function ready(names: Parameters<SftpClient['supports']>[0][] = [], options = {}): SftpClient {
  const client = new SftpClient(options);
  client.takeOutput();
  const list = names.map((name) => ({ name: extensions[name].name, data: extensions[name].data }));
  client.receive(frame(version, { version: 3, extensions: list }));
  expect(client.poll()).toMatchObject({ kind: 'version', version: 3 });
  return client;
}

const thrown = (act: () => unknown): SshError => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(SshError);
    return error as SshError;
  }
  throw new Error('nothing was thrown');
};

describe.each([1, 5, 13, 1000, 1 << 20])('a client and a server, %d bytes at a time', (piece) => {
  test('write, read back, list, rename, remove', () => {
    const pair = new Pair(piece, { extensions: ['posixRename', 'limits'] });
    const { client } = pair;
    const content = bytes(70_001);
    const open = client.open('/a b', openFlags.read | openFlags.write | openFlags.create, { permissions: 0o600 });
    const handle = pair.handle(open);
    for (let at = 0; at < content.length; at += 32768) client.write(handle, at, content.subarray(at, at + 32768));
    expect(pair.run().map((reply) => reply.kind)).toEqual(['done', 'done', 'done']);

    const into = new Uint8Array(40_000);
    const first = client.read(handle, 0, 40_000, into);
    const second = client.read(handle, 40_000, 40_000);
    const third = client.read(handle, 70_001, 5);
    const got = pair.run();
    expect(got.map((reply) => [(reply as { id: number }).id, reply.kind])).toEqual([
      [first, 'data'],
      [second, 'data'],
      [third, 'eof'],
    ]);
    expect(Buffer.compare(into, content.subarray(0, 40_000))).toBe(0);
    expect(Buffer.compare((got[1] as { data: Uint8Array }).data, content.subarray(40_000))).toBe(0);

    const taken: Uint8Array[] = [];
    const lazily = (): Uint8Array => {
      taken.push(new Uint8Array(20_000));
      return taken[0]!;
    };
    const fourth = client.read(handle, 60_001, 20_000, lazily);
    const fifth = client.read(handle, 70_001, 5, lazily);
    expect(taken).toEqual([]);
    expect(pair.run()).toMatchObject([
      { id: fourth, kind: 'data' },
      { id: fifth, kind: 'eof' },
    ]);
    expect(taken).toHaveLength(1);
    expect(Buffer.compare(taken[0]!.subarray(0, 10_000), content.subarray(60_001))).toBe(0);

    expect(pair.answer(client.fstat(handle))).toMatchObject({ attrs: { size: 70_001n, permissions: 0o100600 } });
    expect(pair.answer(client.close(handle)).kind).toBe('done');
    expect(pair.answer(client.extended('posixRename', { oldPath: '/a b', newPath: '/c' })).kind).toBe('done');
    const directory = pair.handle(client.opendir('/'));
    const names = pair.answer(client.readdir(directory));
    expect(names).toMatchObject({ names: [{ name: '.' }, { name: '..' }, { name: 'c', longName: '- c' }] });
    expect(pair.answer(client.readdir(directory)).kind).toBe('eof');
    expect(pair.answer(client.remove('/c')).kind).toBe('done');
    expect(client.pending).toBe(0);
    expect(pair.server.owed).toBe(0);
  });

  test('names that are not UTF-8 come back as they went', () => {
    const pair = new Pair(piece);
    const name = '/\udcff\udc80 \n"\u00e9\ufffd-';
    pair.files.nodes.set(name, node('file'));
    expect(pair.answer(pair.client.realpath(name))).toMatchObject({ names: [{ name }] });
  });

  test('limits are taken over', () => {
    const pair = new Pair(piece, { extensions: ['limits'] });
    pair.run();
    expect(pair.client.limits).toEqual({ read: 32768, write: 32768, handles: undefined });
    expect(pair.answer(pair.client.extended('limits', {}))).toMatchObject({ values: { read: 261120n } });
    expect(pair.client.limits).toEqual({ read: 261120, write: 261120, handles: 100 });
  });
});

describe('the client alone', () => {
  test('INIT goes first and alone until VERSION is in', () => {
    const client = new SftpClient();
    client.stat('/x');
    expect(join(client.takeOutput())).toEqual(frame(init, { version: 3, extensions: [] }));
    expect(client.takeOutput()).toEqual([]);
    client.receive(frame(version, { version: 3, extensions: [] }));
    expect(join(client.takeOutput())).toEqual(frame(requests.stat, { id: 1, path: '/x' }));
  });

  test('a read of INIT is the bytes of the draft', () => {
    expect(Buffer.from(frame(init, { version: 3, extensions: [] })).toString('hex')).toBe('000000050100000003');
  });

  test('other versions are refused', () => {
    for (const offered of [0, 2, 4, 6]) {
      const client = new SftpClient();
      const error = thrown(() => client.receive(frame(version, { version: offered, extensions: [] })));
      expect(error).toMatchObject({ code: 'version', by: 'peer', detail: { version: offered } });
    }
  });

  test('a status is an error that says what was tried', () => {
    const client = ready();
    const id = client.remove('/etc/shadow');
    client.receive(frame(replies.status, { id, code: sftpStatus.permissionDenied, text: 'Permission denied' }));
    const reply = client.poll();
    expect(reply).toMatchObject({ id, kind: 'failed', error: { code: 'sftp', by: 'peer' } });
    const detail = { status: 3, text: 'Permission denied', path: '/etc/shadow', operation: 'remove' };
    expect((reply as { error: SshError }).error.detail).toEqual(detail);
  });

  test('a status without text, as before version 3', () => {
    const client = ready();
    const id = client.mkdir('/d');
    client.receive(Uint8Array.of(0, 0, 0, 9, 101, 0, 0, 0, id, 0, 0, 0, 4));
    expect((client.poll() as { error: SshError }).error.detail).toMatchObject({ status: 4, text: '' });
  });

  test('OK in answer to a question is a failure, EOF only ends reads and listings', () => {
    const client = ready();
    const [stat, remove] = [client.stat('/'), client.remove('/')];
    client.receive(frame(replies.status, { id: stat, code: 0, text: '' }));
    client.receive(frame(replies.status, { id: remove, code: sftpStatus.eof, text: '' }));
    expect(client.poll()).toMatchObject({ id: stat, kind: 'failed' });
    expect(client.poll()).toMatchObject({ id: remove, kind: 'failed' });
  });

  test('a short read is a reply, an empty one the end', () => {
    const client = ready();
    const [short, empty] = [client.read(bytes(4), 0, 100), client.read(bytes(4), 100, 100)];
    client.receive(frame(replies.data, { id: short, data: bytes(3) }));
    client.receive(frame(replies.data, { id: empty, data: bytes(0) }));
    expect(client.poll()).toEqual({ id: short, kind: 'data', data: bytes(3) });
    expect(client.poll()).toEqual({ id: empty, kind: 'eof' });
  });

  test('data whole in one piece is a view of it, without a copy', () => {
    const client = ready();
    const id = client.read(bytes(4), 0, 100);
    const packet = frame(replies.data, { id, data: bytes(50) });
    client.receive(packet);
    expect((client.poll() as { data: Uint8Array }).data.buffer).toBe(packet.buffer);
  });

  test('handles and attributes outlive the memory they came in, be it a Buffer', () => {
    const client = ready();
    const [open, stat] = [client.open('/x', 1), client.stat('/x')];
    const attrs = { extended: [{ type: 'a@b', data: bytes(3) }] };
    const packets = [frame(replies.handle, { id: open, handle: bytes(8) }), frame(replies.attrs, { id: stat, attrs })];
    const lent = Buffer.concat(packets);
    client.receive(lent);
    lent.fill(0xff);
    expect(client.poll()).toEqual({ id: open, kind: 'handle', handle: bytes(8) });
    expect(client.poll()).toEqual({ id: stat, kind: 'attrs', attrs });
  });

  test('data of a write leaves as it lies, behind its head', () => {
    const client = ready();
    const data = bytes(10_000);
    client.write(bytes(4), 5n, data);
    const output = client.takeOutput();
    expect(output[1]).toBe(data);
    expect(join(output)).toEqual(frame(requests.write, { id: 1, handle: bytes(4), offset: 5n, data }));
  });

  test('a burst of small requests is one piece', () => {
    const client = ready();
    for (let i = 0; i < 100; i++) client.read(bytes(4), i, 1);
    expect(client.takeOutput().length).toBe(1);
  });

  test('symbolic links in both orders', () => {
    for (const symlinkOrder of ['openssh', 'draft'] as const) {
      const client = ready([], { symlinkOrder });
      client.symlink('TARGET', 'LINK');
      const sent = Buffer.from(join(client.takeOutput())).toString('latin1');
      expect(sent.indexOf('TARGET') < sent.indexOf('LINK')).toBe(symlinkOrder === 'openssh');
    }
  });

  test('what ends the session: strange ids, strange types, too much data, strange lengths', () => {
    const packets: ((id: number) => Uint8Array)[] = [
      (id) => frame(replies.data, { id: id + 1, data: bytes(1) }),
      (id) => frame(replies.handle, { id, handle: bytes(1) }),
      (id) => frame(replies.data, { id, data: bytes(101) }),
      () => Uint8Array.of(0, 0, 0, 4, 103, 0, 0, 0),
      () => Uint8Array.of(0xff, 0xff, 0xff, 0xff),
      (id) => Uint8Array.of(0, 0, 0, 10, 103, 0, 0, 0, id, 0, 0, 0, 9, 1),
    ];
    for (const packet of packets) {
      for (const into of [undefined, new Uint8Array(100)]) {
        for (const size of [1, 1000]) {
          const client = ready();
          const id = client.read(bytes(4), 0, 100, into);
          const sent = packet(id);
          const error = thrown(() => {
            for (let at = 0; at < sent.length; at += size) client.receive(sent.slice(at, at + size));
          });
          expect(['malformed', 'protocol']).toContain(error.code);
          expect(error.by).toBe('peer');
          expect(client.poll()).toEqual({ id, kind: 'failed', error });
          expect(thrown(() => client.stat('/'))).toBe(error);
          expect(thrown(() => client.receive(bytes(1)))).toBe(error);
        }
      }
    }
  });

  test('names that cannot be are refused as malformed', () => {
    const client = ready();
    const id = client.readdir(bytes(1));
    const body = Uint8Array.of(0, 0, 0, 13, 104, 0, 0, 0, id, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
    expect(thrown(() => client.receive(body)).code).toBe('malformed');
  });

  test('too many requests, NULs, negative offsets, missing extensions are our own mistakes', () => {
    const client = ready();
    expect(thrown(() => client.stat('/a\0b'))).toMatchObject({ code: 'usage', by: 'local' });
    expect(thrown(() => client.read(bytes(1), -1, 1)).code).toBe('usage');
    expect(thrown(() => client.read(bytes(1), 0.5, 1)).code).toBe('usage');
    expect(thrown(() => client.write(bytes(1), 0, new Uint8Array(300_000))).code).toBe('usage');
    expect(thrown(() => client.setstat('/', { uid: 1 })).code).toBe('usage');
    expect(thrown(() => client.extended('fsync', { handle: bytes(1) })).code).toBe('unsupported');
    expect(client.pending).toBe(0);
    expect(client.takeOutput()).toEqual([]);
    for (let i = 0; i < 4096; i++) client.stat('/');
    expect(thrown(() => client.stat('/')).code).toBe('limit');
  });

  test('an extension in another form than ours does not count', () => {
    const client = new SftpClient();
    client.receive(frame(version, { version: 3, extensions: [{ name: 'statvfs@openssh.com', data: '1' }] }));
    expect(client.supports('statvfs')).toBe(false);
  });

  test('limits of zero leave ours, absurd ones are cut to what fits', () => {
    const cases: [bigint[], object][] = [
      [[0n, 0n, 0n, 0n], { read: 32768, write: 32768, handles: undefined }],
      [[1n << 63n, 1n << 63n, 4096n, 1n << 63n], { read: 262144, write: 4096, handles: undefined }],
      [[34000n, 0n, 65536n, 7n], { read: 32768, write: 32976, handles: 7 }],
      [[1n, 1n, 1n, 1n], { read: 1, write: 1, handles: 1 }],
    ];
    for (const [[packet, read, write, handles], expected] of cases) {
      const client = ready(['limits']);
      const id = client.extended('limits', {});
      const values = { packet: packet!, read: read!, write: write!, handles: handles! };
      client.receive(frame(replies.extended, { id, body: extensions.limits.reply.encode(values) }));
      expect(client.poll()).toMatchObject({ kind: 'extended', extension: 'limits' });
      expect(client.limits).toEqual(expected);
    }
  });

  test('users and groups by id', () => {
    const client = ready(['usersGroupsById']);
    const id = client.extended('usersGroupsById', { uids: [0, 1000], gids: [5] });
    expect(Buffer.from(join(client.takeOutput())).toString('hex')).toMatch(/0000000800000000000003e80000000400000005$/);
    const values = { users: ['root', ''], groups: ['tty'] };
    client.receive(frame(replies.extended, { id, body: extensions.usersGroupsById.reply.encode(values) }));
    expect(client.poll()).toMatchObject({ values });
  });
});
