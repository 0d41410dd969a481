/**
 * SFTP under any bytes. Invariant: a client or a server fed anything, whole or byte by byte, gives replies, requests or
 * one SshError, the same either way, and holds no more than one packet.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SshError } from '../protocol/errors.ts';
import { attrs } from '../protocol/sftp/attrs.ts';
import { SftpClient } from '../protocol/sftp/client.ts';
import { type ExtensionName, extensionPairs, extensions } from '../protocol/sftp/extensions.ts';
import { frame, init, replies, requests, version } from '../protocol/sftp/messages.ts';
import { decodeName, encodeName } from '../protocol/sftp/names.ts';
import { Output } from '../protocol/sftp/output.ts';
import { SftpServer } from '../protocol/sftp/server.ts';

const all = Object.keys(extensions) as ExtensionName[];
const handle = Uint8Array.of(1, 2, 3);
const show = (value: unknown): string =>
  JSON.stringify(value, (_, each) =>
    typeof each === 'bigint'
      ? `${each}n`
      : each instanceof SshError
        ? each.message
        : each instanceof Uint8Array
          ? [...each]
          : each,
  );

/** Packets that look right from outside, with any inside, mixed with plain noise. */
const packets = fc
  .array(
    fc.oneof(
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
      {
        weight: 8,
        arbitrary: fc
          .tuple(
            fc.oneof(
              fc.integer({ min: 0, max: 255 }),
              fc.constantFrom(1, 3, 5, 6, 11, 101, 102, 103, 104, 105, 200, 201),
            ),
            fc.integer({ min: 0, max: 14 }),
            fc.oneof(
              fc.uint8Array({ maxLength: 60 }),
              fc.uint8Array({ maxLength: 20 }).map((data) => Uint8Array.of(0, 0, 0, data.length, ...data)),
            ),
          )
          .map(([type, id, body]) => Uint8Array.of(0, 0, 0, body.length + 5, type, 0, 0, 0, id, ...body)),
      },
    ),
    { maxLength: 12 },
  )
  .map((list) => Uint8Array.from(list.flatMap((each) => [...each])));

function feed(receive: (bytes: Uint8Array) => void, poll: () => unknown, bytes: Uint8Array, size: number): string[] {
  const seen: string[] = [];
  const drain = (): void => {
    for (let each = poll(); each; each = poll()) seen.push(show(each));
  };
  try {
    for (let at = 0; at < bytes.length; at += size) {
      receive(bytes.slice(at, at + size));
      drain();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(SshError);
    seen.push((error as SshError).message);
  }
  drain();
  // An error cuts the polling of what came in the same piece, never the order.
  return seen.sort();
}

function askingClient(): SftpClient {
  const client = new SftpClient();
  client.receive(frame(version, { version: 3, extensions: extensionPairs(all) }));
  client.poll();
  client.open('/a', 1);
  client.close(handle);
  client.read(handle, 0, 30, new Uint8Array(30));
  client.read(handle, 0, 30);
  client.stat('/a');
  client.readdir(handle);
  client.realpath('.');
  client.extended('limits', {});
  client.extended('statvfs', { path: '/' });
  client.extended('usersGroupsById', { uids: [1], gids: [2] });
  client.extended('expandPath', { path: '~' });
  client.remove('/a');
  return client;
}

test('any bytes to a client: replies or one SshError, whole or byte by byte', () => {
  fc.assert(
    fc.property(packets, (bytes) => {
      const results = [1, 3, bytes.length + 1].map((size) => {
        const client = askingClient();
        const seen = feed(
          (piece) => client.receive(piece),
          () => client.poll(),
          bytes,
          size,
        );
        expect(seen.length).toBeLessThanOrEqual(13);
        return seen;
      });
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    }),
    { numRuns: 2000 },
  );
});

test('any bytes to a fresh client', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const client = new SftpClient();
      feed(
        (piece) => client.receive(piece),
        () => client.poll(),
        bytes,
        7,
      );
    }),
  );
});

test('any bytes to a server: requests or one SshError, whole or byte by byte', () => {
  fc.assert(
    fc.property(packets, (bytes) => {
      const results = [1, bytes.length + 1].map((size) => {
        const server = new SftpServer({ extensions: all });
        server.receive(frame(init, { version: 3, extensions: [] }));
        return feed(
          (piece) => server.receive(piece),
          () => server.poll(),
          bytes,
          size,
        );
      });
      expect(results[1]).toEqual(results[0]);
    }),
    { numRuns: 2000 },
  );
});

const attributes = fc
  .record({
    size: fc.option(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { nil: undefined }),
    owner: fc.option(fc.tuple(fc.nat(), fc.nat()), { nil: undefined }),
    permissions: fc.option(fc.nat({ max: 0o177777 }), { nil: undefined }),
    times: fc.option(fc.tuple(fc.nat(), fc.nat()), { nil: undefined }),
  })
  .map(({ size, owner, permissions, times }) => ({
    ...(size === undefined ? {} : { size }),
    ...(owner ? { uid: owner[0], gid: owner[1] } : {}),
    ...(permissions === undefined ? {} : { permissions }),
    ...(times ? { atime: times[0], mtime: times[1] } : {}),
  }));

test('what is written is what is read: attributes, names, listings', () => {
  const name = fc.uint8Array({ maxLength: 30 }).map(decodeName);
  const entry = fc.record({ name, longName: name, attrs: attributes });
  fc.assert(
    fc.property(fc.nat(), fc.array(entry, { maxLength: 20 }), (id, names) => {
      expect(replies.names.decode(replies.names.encode({ id, names }))).toEqual({ id, names });
    }),
  );
  fc.assert(
    fc.property(fc.nat(), name, attributes, (id, path, values) => {
      const open = { id, path, flags: 3, attrs: values };
      expect(requests.open.decode(requests.open.encode(open))).toEqual(open);
      expect(attrs.kind).toBe('attrs');
    }),
  );
});

test('any bytes are a name and back', () => {
  const tricky = fc.constantFrom(
    0x00,
    0x2f,
    0x80,
    0xbf,
    0xc2,
    0xe2,
    0x82,
    0xac,
    0xed,
    0xa0,
    0xef,
    0xbd,
    0xf0,
    0x9f,
    0xff,
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(tricky, fc.nat({ max: 255 })), { maxLength: 40 }), (list) => {
      expect([...encodeName(decodeName(Uint8Array.from(list)))]).toEqual(list);
    }),
    { numRuns: 3000 },
  );
});

test('what is to be sent is packet behind packet, whenever it is taken, and stays as it was taken', () => {
  const path = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 1000, maxLength: 1100 }));
  const step = fc.oneof(
    fc.record({ kind: fc.constant('rename' as const), path }),
    fc.record({ kind: fc.constant('write' as const), size: fc.constantFrom(0, 1, 4095, 4096, 5000) }),
    fc.record({ kind: fc.constantFrom('take' as const, 'wrong' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const output = new Output();
      const expected: Uint8Array[] = [];
      const taken: Uint8Array[] = [];
      for (const [id, each] of steps.entries()) {
        if (each.kind === 'take') taken.push(...output.take());
        else if (each.kind === 'rename') {
          const values = { id, oldPath: each.path, newPath: 'to' };
          output.packet(requests.rename, values);
          expected.push(frame(requests.rename, values));
        } else if (each.kind === 'write') {
          const data = new Uint8Array(each.size).fill(id);
          output.packetWithData(requests.write.number, id, (writer) => writer.string(handle).u64(7n), data);
          expected.push(frame(requests.write, { id, handle, offset: 7n, data }));
        } else {
          const wrong = { id, oldPath: 'from', newPath: undefined as unknown as string };
          expect(() => output.packet(requests.rename, wrong)).toThrow();
        }
      }
      taken.push(...output.take());
      expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true);
      expect(output.take()).toEqual([]);
    }),
  );
});
