/** Uploads and downloads cut off at random, and resumed: a hundred of them are `npm run soak -- cuts`. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bsshBundle } from '../bundle.ts';
import { cutTransfer } from './cuts.ts';
import { requireServer, type Server, startSshd } from './servers.ts';

describe.skipIf(!requireServer('sshd'))('cut off at random, resumed', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server?.stop());

  const base = Math.floor(Math.random() * 1e9);
  test.each(Array.from({ length: 6 }, (_, index) => base + index))(
    'seed %d',
    async (seed) => {
      expect(await cutTransfer(seed, { bssh: bsshBundle(), server, size: 3_000_000 })).toContain('bytes');
    },
    120_000,
  );
});
