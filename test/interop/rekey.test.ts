// New keys while data flows: wanted by the client, by OpenSSH's sshd, by both at once, by bytes and by time. Nothing may
// be lost or doubled, and nobody may spin.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { nobleCrypto } from '../../protocol/index.ts';
import { bothWays, digestSink, open, run, testData, testDigest, through, within } from './client.ts';
import { freshDir, requireServer, type Server, startSshd } from './servers.ts';

const MIB = 1 << 20;
const ready = requireServer('sshd', 'ssh-keygen');

describe.skipIf(!ready)('rekey with sshd', () => {
  /** Never of its own accord; every MiB; every second. */
  let patient: Server;
  let eager: Server;
  let punctual: Server;
  beforeAll(async () => {
    [patient, eager, punctual] = await Promise.all([
      startSshd(),
      startSshd({ config: ['RekeyLimit 1M'] }),
      startSshd({ config: ['RekeyLimit default 1'] }),
    ]);
  });
  afterAll(() => Promise.all([patient?.stop(), eager?.stop(), punctual?.stop()]));

  it.each([
    ['the client', () => patient, ['RekeyLimit=1M']],
    ['the server', () => eager, []],
    ['both', () => eager, ['RekeyLimit=1M']],
  ] as const)(
    'every MiB, wanted by %s, 32 MiB each way',
    async (_, server, options) => {
      await using opening = await open(server(), { options });
      await bothWays(opening.connection, 32 * MIB, 60_000);
      // sshd counts blocks, we count bytes; data flows on a little until the other side has answered.
      expect(opening.negotiated.length).toBeGreaterThan(16);
      expect((await run(opening.connection, 'echo still here')).stdout).toBe('still here\n');
    },
    70_000,
  );

  it.each(['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com', 'aes256-ctr'])(
    'one way at a time with %s and compression',
    async (cipher) => {
      const file = join(freshDir('download'), 'data');
      writeFileSync(file, Buffer.concat([...testData(8 * MIB)]));
      const options = ['RekeyLimit=512K', 'Compression=yes', `Ciphers=${cipher}`];
      await using opening = await open(eager, { options });
      const sha256 = testDigest(8 * MIB);
      const out = digestSink();
      const handle = await opening.connection.exec(`cat ${file}`, { stdout: out.take });
      expect(await within(20_000, handle.exit)).toEqual({ status: 0 });
      expect(out.result).toEqual({ bytes: 8 * MIB, sha256 });
      const after = opening.negotiated.length;
      expect(after).toBeGreaterThan(7);
      const upload = await through(opening.connection, 'sha256sum >&2', 8 * MIB);
      expect(upload.stderr.split(' ')[0]).toBe(sha256);
      expect(opening.negotiated.length - after).toBeGreaterThan(7);
    },
  );

  it('with the noble provider', async () => {
    await using opening = await open(eager, { options: ['RekeyLimit=256K'], crypto: nobleCrypto });
    await bothWays(opening.connection, 2 * MIB);
    expect(opening.negotiated.length).toBeGreaterThan(4);
  });

  it('by hand, over and over, while eight commands run', async () => {
    await using opening = await open(patient);
    const { connection } = opening;
    let busy = true;
    const rekeys = (async () => {
      for (; busy; await sleep(20)) connection.rekey();
    })();
    // A quick machine is through before the keys are new three times.
    do await Promise.all(Array.from({ length: 8 }, () => bothWays(connection, MIB)));
    while (opening.negotiated.length <= 3);
    busy = false;
    await rekeys;
  });

  it.each([
    ['the client', () => patient, ['RekeyLimit=default 1']],
    ['the server', () => punctual, []],
  ] as const)('every second, wanted by %s, when there was traffic and not without', async (_, server, options) => {
    await using opening = await open(server(), { options });
    const { connection, negotiated } = opening;
    await expect.poll(() => negotiated.length, { timeout: 5000 }).toBe(2);
    const ticks = vi.spyOn(connection.session, 'tick');
    await sleep(2500);
    // Keys that protected nothing need no successors, as ssh has it, and waiting for traffic costs nothing.
    expect(negotiated.length).toBe(2);
    expect(ticks.mock.calls.length).toBeLessThan(10);
    expect((await run(connection, 'echo awake')).stdout).toBe('awake\n');
    await expect.poll(() => negotiated.length, { timeout: 5000 }).toBeGreaterThan(2);
  });
});
