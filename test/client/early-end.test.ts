// A server that turned us away before we looked: the channel of a jump host has then ended when it becomes the stream.
import { describe, expect, it } from 'vitest';
import { connect, SshError } from '../../client/index.ts';
import type { ByteStream } from '../../transport/index.ts';

const stream = (first: string): ByteStream => ({
  start(handlers) {
    if (first !== '') handlers.data(new TextEncoder().encode(first));
    handlers.end();
  },
  write: () => true,
  pause: () => {},
  resume: () => {},
  end: () => {},
  destroy: () => {},
});

describe('a stream that ends as soon as it is read', () => {
  it.each(['', 'Exceeded MaxStartups\r\n', 'SSH-2.0-x\r\n'])(
    'after %j is a lost connection, no fault of ours',
    async (first) => {
      const attempt = connect({
        host: 'target',
        user: 'u',
        hostKey: async () => false,
        dial: async () => stream(first),
        auth: { methods: [] } as never,
      });
      await expect(attempt).rejects.toThrow(SshError);
      await expect(attempt).rejects.toMatchObject({ code: 'lost' });
    },
  );
});
