/** The link: what it lets go of. */

import { expect, test } from 'vitest';
import { SftpLink } from '../../../client/sftp/link.ts';
import type { SftpTransport } from '../../../client/sftp/transport.ts';
import { frame, replies, version } from '../../../protocol/sftp/messages.ts';
import { putU32 } from '../../../protocol/wire/writer.ts';
import { collectYoung } from '../../garbage.ts';

const LENGTH = 256 * 1024;
const IN_FLIGHT = 8;
const MOST_HELD = 24 * 1024 * 1024;

test('what was read and let go of is young garbage, found from no table of requests', () => {
  let take: (bytes: Uint8Array) => boolean = () => false;
  const transport: SftpTransport = { send: () => undefined, onBytes: (to) => void (take = to), onEnd() {}, close() {} };
  const link = new SftpLink(transport, {});
  void link.start();
  take(frame(version, { version: 3, extensions: [] }));
  const answer = frame(replies.data, { id: 0, data: new Uint8Array(LENGTH) });
  const handle = new Uint8Array(4);
  const ids: number[] = [];
  let heard = 0;
  const ask = (): void => {
    const memory = new Uint8Array(LENGTH);
    const id = link.client.read(handle, 0, LENGTH, () => memory);
    link.ask(id, () => void (heard += memory.length));
    ids.push(id);
  };
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let n = 0; n < 400; n++) {
    while (ids.length < IN_FLIGHT) ask();
    putU32(answer, 5, ids.shift()!);
    // In two, so that it goes to the memory that was brought.
    expect(take(answer.subarray(0, 1000)) && take(answer.subarray(1000))).toBe(true);
    if (n % 16 > 0) continue;
    collectYoung();
    // What is there at two collections is old from then on.
    if (n === 16) collectYoung();
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(heard).toBe(400 * LENGTH);
  expect(most).toBeLessThan(MOST_HELD);
});
