// SSHFP questions to a resolver of our own: answers whole, cut off, late, forged and broken.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeQuery, lookUpSshfp, readAnswer } from '../../../client/sshfp.ts';
import { freePort } from '../../interop/process.ts';
import { within } from '../harness.ts';

const digest = Buffer.alloc(32, 7);

interface Shape {
  readonly flags?: number;
  readonly records?: readonly Buffer[];
  readonly id?: number;
}

/** A record that points at the question's name. */
function record(data: Buffer, type = 44): Buffer {
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length]);
  return Buffer.concat([head, data]);
}
const sshfp = (algorithm: number, type: number, bytes = digest): Buffer =>
  record(Buffer.concat([Buffer.from([algorithm, type]), bytes]));

function answer(query: Buffer, { flags = 0x8180, records = [sshfp(4, 2)], id }: Shape = {}): Buffer {
  const question = query.subarray(0, query.length - 11);
  const message = Buffer.concat([question, ...records]);
  if (id !== undefined) message.writeUInt16BE(id, 0);
  message.writeUInt16BE(flags, 2);
  message.writeUInt16BE(records.length, 6);
  message.writeUInt16BE(0, 10);
  return message;
}

let udp: Socket | undefined;
let tcp: Server | undefined;
afterEach(() => {
  udp?.close();
  tcp?.close();
  udp = tcp = undefined;
});

async function resolver(
  reply: (query: Buffer) => readonly Buffer[],
  overTcp?: (query: Buffer) => Buffer,
): Promise<string> {
  const socket = createSocket('udp4');
  udp = socket;
  socket.on('message', (query, from) => {
    for (const message of reply(query)) socket.send(message, from.port, from.address);
  });
  // One port for both: any port that is free for datagrams may be the near end of some other test's connection.
  const port = await freePort();
  await once(socket.bind(port, '127.0.0.1'), 'listening');
  if (overTcp !== undefined) {
    const server = createServer((client) => {
      client.once('data', (data) => {
        const message = overTcp(data.subarray(2));
        const length = Buffer.alloc(2);
        length.writeUInt16BE(message.length);
        const whole = Buffer.concat([length, message]);
        client.write(whole.subarray(0, 5));
        setTimeout(() => client.end(whole.subarray(5)), 20);
      });
    });
    tcp = server;
    await once(server.listen(port, '127.0.0.1'), 'listening');
  }
  return `127.0.0.1:${port}`;
}

const ask = (servers: readonly string[], more: object = {}) =>
  within(3000, lookUpSshfp('box.example', { servers, timeout: 300, trustAd: true, ...more }));

describe('SSHFP', () => {
  it('reads the records, past an alias and records of other types', async () => {
    const alias = record(Buffer.from([1, 0x78, 0]), 5);
    const server = await resolver((query) => [
      answer(query, { records: [alias, sshfp(4, 2), sshfp(1, 1, Buffer.alloc(20))] }),
    ]);
    expect(await ask([server])).toEqual({
      secure: false,
      records: [
        { algorithm: 4, digestType: 2, digest: new Uint8Array(digest) },
        { algorithm: 1, digestType: 1, digest: new Uint8Array(20) },
      ],
    });
  });

  it('is secure only with the AD bit of a resolver that is trusted', async () => {
    const server = await resolver((query) => [answer(query, { flags: 0x81a0 })]);
    expect(await ask([server])).toMatchObject({ secure: true });
    expect(await ask([server], { trustAd: false })).toMatchObject({ secure: false });
    // On this machine: nobody is in between.
    expect(await ask([server], { trustAd: undefined })).toMatchObject({ secure: true });
  });

  it('comes over TCP when it was cut off', async () => {
    const server = await resolver(
      (query) => [answer(query, { flags: 0x8380, records: [] })],
      (query) => answer(query, { records: [sshfp(3, 2)] }),
    );
    expect(await ask([server])).toMatchObject({ records: [{ algorithm: 3 }] });
  });

  it('is not taken from an answer to another question', async () => {
    const server = await resolver((query) => [answer(query, { id: query.readUInt16BE(0) ^ 1 }), answer(query)]);
    expect(await ask([server])).toMatchObject({ records: [{ algorithm: 4 }] });
    const other = encodeQuery('evil.example')!;
    const query = encodeQuery('box2.example')!;
    other.copy(other, 0);
    const forged = answer(other);
    query.copy(forged, 0, 0, 2);
    expect(() => readAnswer(forged, query)).toThrow('the resolver talks nonsense');
  });

  it('goes to the next resolver when one is silent or broken, and ends without an answer in time', async () => {
    const broken = await resolver((query) => [answer(query).subarray(0, query.length)]);
    expect(await ask([broken])).toEqual({ failure: 'DNS lookup error: the resolver talks nonsense' });
    udp?.close();
    const silent = createSocket('udp4');
    await once(silent.bind(0, '127.0.0.1'), 'listening');
    const good = await resolver((query) => [answer(query)]);
    const mute = `127.0.0.1:${silent.address().port}`;
    expect(await ask([mute, good])).toMatchObject({ records: [{ algorithm: 4 }] });
    expect(await ask([mute])).toEqual({ failure: 'DNS lookup error: no answer in time' });
    silent.close();
  });

  it('says why there is nothing to be had', async () => {
    const server = await resolver((query) => [answer(query, { flags: 0x8183, records: [] })]);
    expect(await ask([server])).toEqual({ failure: 'DNS lookup error: name does not exist' });
    expect(await lookUpSshfp('192.0.2.1')).toEqual({ failure: 'skipped DNS lookup for numerical hostname' });
    expect(await lookUpSshfp(`${'a'.repeat(64)}.example`)).toMatchObject({
      failure: expect.stringContaining('no domain name'),
    });
  });

  it('never reads past its message, wherever it is cut', () => {
    const query = encodeQuery('box.example')!;
    const whole = answer(query, { records: [sshfp(4, 2), sshfp(1, 1)] });
    for (let length = 12; length < whole.length; length++) {
      expect(() => readAnswer(whole.subarray(0, length), query)).toThrow(/nonsense/);
    }
  });
});
