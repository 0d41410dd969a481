// ProFTPD's mod_sftp: a third stack with its own packets, key exchange and SFTP. It runs no commands: what works is seen
// by files that go there and come back. (The trees and sizes are in sftp.test.ts.)
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { download } from '../../client/sftp/download.ts';
import { openLanes } from '../../client/sftp/open.ts';
import { upload } from '../../client/sftp/upload.ts';
import { failure, type Opening, open, providers, Script, testData } from './client.ts';
import { proftpdAlgorithms, requireProftpd, startProftpd } from './more-servers.ts';
import { freshDir, makeKey, type Server, TEST_USER } from './servers.ts';

const userKeys = ['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa'] as const;
const hostKeys = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] as const;

/** A file there and back. */
async function roundTrip({ connection }: Opening, size: number): Promise<void> {
  const dir = freshDir('proftpd');
  chmodSync(dir, 0o777);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
  writeFileSync(a, Buffer.concat([...testData(size)]), { mode: 0o644 });
  const lanes = await openLanes(connection);
  await upload(lanes, a, b);
  await download(lanes.first, b, c);
  expect(readFileSync(c).equals(readFileSync(a))).toBe(true);
  await lanes.close();
}

describe.skipIf(!requireProftpd())('proftpd', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startProftpd({ userKeys });
    // Making eight keys takes its time on a busy machine.
  }, 120_000);
  afterAll(() => server?.stop());

  describe.concurrent.each(providers)('%s', (name, crypto) => {
    const amount = name === 'node' ? 1 << 20 : 100_000;

    it.each(proftpdAlgorithms.kex)('key exchange %s', async (kex) => {
      await using opening = await open(server, { options: [`KexAlgorithms=${kex}`], crypto });
      expect(opening.negotiated.map((algorithms) => algorithms.kex.name)).toEqual([kex]);
      await roundTrip(opening, 1000);
    });

    it.each(hostKeys)('host key %s', async (algorithm) => {
      await using opening = await open(server, { options: [`HostKeyAlgorithms=${algorithm}`], crypto });
      expect(opening.negotiated[0]!.hostKey.name).toBe(algorithm);
      await roundTrip(opening, 1000);
    });

    it.each(proftpdAlgorithms.ciphers)('files both ways with %s', async (cipher) => {
      await using opening = await open(server, { options: [`Ciphers=${cipher}`], crypto });
      expect(opening.negotiated[0]!.clientToServer.cipher.name).toBe(cipher);
      await roundTrip(opening, amount);
    });

    it.each(proftpdAlgorithms.macs)('files both ways with %s', async (mac) => {
      await using opening = await open(server, { options: ['Ciphers=aes128-ctr', `MACs=${mac}`], crypto });
      expect(opening.negotiated[0]!.serverToClient.mac?.name).toBe(mac);
      await roundTrip(opening, amount);
    });

    it('compressed', async () => {
      await using opening = await open(server, { options: ['Compression=yes'], crypto });
      expect(opening.negotiated[0]!.clientToServer.compression.name).toBe('zlib@openssh.com');
      await roundTrip(opening, amount);
    });

    it('rekey in the middle', async () => {
      await using opening = await open(server, { options: ['RekeyLimit=128K'], crypto });
      // One after the other: much of a single one can pass while a slow server is at its first rekey.
      for (let i = 0; i < 4; i++) await roundTrip(opening, 1 << 18);
      expect(opening.negotiated.length).toBeGreaterThan(2);
    });
  });

  it.each(userKeys)('log in with %s', async (kind) => {
    await using opening = await open(server, { identities: [makeKey(kind).path] });
    await roundTrip(opening, 1);
  });

  it('log in with a password, and not with another', async () => {
    await using opening = await open(server, { identities: [], password: TEST_USER.password });
    await roundTrip(opening, 1);
    const options = ['NumberOfPasswordPrompts=1'];
    const error = await failure(open(server, { identities: [], prompter: new Script('wrong'), options }), 10_000);
    expect(error).toMatchObject({ code: 'auth', detail: { tried: ['password'] } });
  });

  it('a command is refused, and the connection lives on', async () => {
    await using opening = await open(server);
    expect(await failure(opening.connection.exec('id'))).toMatchObject({ code: 'channel-request' });
    await roundTrip(opening, 1);
  });

  it('a key that is not in its file', async () => {
    const other = makeKey('ed25519', { purpose: 'stranger' });
    const error = await failure(open(server, { identities: [other.path], options: ['BatchMode=yes'] }), 10_000);
    expect(error).toMatchObject({ code: 'auth', detail: { tried: [other.path] } });
  });
});
