// AsyncSSH, which has every algorithm that its cryptography knows, certificates of either kind, and a server's view of
// its own on windows and ends. (Files are in sftp.test.ts.)
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportedAlgorithms } from '../../protocol/index.ts';
import { bothWays, failure, node, open, providers, run, Script } from './client.ts';
import { requireAsyncssh, startAsyncssh } from './more-servers.ts';
import { certify, freshDir, makeKey, type Server, TEST_USER } from './servers.ts';

const ready = requireAsyncssh();
const userKeys = ['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa', 'dsa'] as const;
const ca = ready ? makeKey('ed25519', { purpose: 'ca' }) : undefined;

/**
 * All of ours, but for the exchanges after quantum computers, for which it lacks a library, and those with the largest
 * groups, which take it ten seconds each.
 */
const ours = supportedAlgorithms(node);
const kex = ours.kex.filter((name) => !/^(mlkem|sntrup)|group-exchange|group1[68]/.test(name));
const { ciphers, macs } = ours;

const hostKeys = [
  ['ssh-ed25519', 'ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa256'],
  ['ecdsa-sha2-nistp384', 'ecdsa384'],
  ['ecdsa-sha2-nistp521', 'ecdsa521'],
  ['rsa-sha2-512', 'rsa'],
  ['rsa-sha2-256', 'rsa'],
  ['ssh-rsa', 'rsa'],
  ['ssh-dss', 'dsa'],
] as const;

describe.skipIf(!ready)('asyncssh', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startAsyncssh({
      hostKeys: userKeys.map((kind) => makeKey(kind, { purpose: 'host' })),
      authorizedKeys: [
        ...userKeys.map((kind) => makeKey(kind).publicLine),
        `cert-authority,principals="someone" ${ca!.publicLine}`,
      ],
    });
    // Making twelve keys takes its time on a busy machine.
  }, 120_000);
  afterAll(() => server?.stop());

  // One after the other: all its connections share a host key's choice of hash.
  describe.each(providers)('%s', (name, crypto) => {
    const amount = name === 'node' ? 1 << 20 : 100_000;

    it.each(kex)('key exchange %s', async (method) => {
      await using opening = await open(server, { options: [`KexAlgorithms=${method}`], crypto });
      expect(opening.negotiated.map((algorithms) => algorithms.kex.name)).toEqual([method]);
      expect((await run(opening.connection, 'echo hello; exit 3')).exit).toEqual({ status: 3 });
    });

    it.each(hostKeys)('host key %s', async (algorithm) => {
      await using opening = await open(server, { options: [`HostKeyAlgorithms=${algorithm}`], crypto });
      expect(opening.negotiated[0]!.hostKey.name).toBe(algorithm);
      expect((await run(opening.connection, 'echo hello')).stdout).toBe('hello\n');
    });

    it.each(ciphers)('data both ways with %s', async (cipher) => {
      await using opening = await open(server, { options: [`Ciphers=${cipher}`], crypto });
      expect(opening.negotiated[0]!.serverToClient.cipher.name).toBe(cipher);
      await bothWays(opening.connection, amount);
    });

    it.each(macs)('data both ways with %s', async (mac) => {
      await using opening = await open(server, { options: ['Ciphers=aes128-ctr', `MACs=${mac}`], crypto });
      expect(opening.negotiated[0]!.clientToServer.mac?.name).toBe(mac);
      await bothWays(opening.connection, amount);
    });

    it('compressed', async () => {
      await using opening = await open(server, { options: ['Compression=yes'], crypto });
      expect(opening.negotiated[0]!.clientToServer.compression.name).toBe('zlib@openssh.com');
      await bothWays(opening.connection, amount);
    });

    it('rekey in the middle', async () => {
      await using opening = await open(server, { options: ['RekeyLimit=128K'], crypto });
      // One after the other: much of a single one can pass while a slow server is at its first rekey.
      for (let i = 0; i < 4; i++) await bothWays(opening.connection, 1 << 18);
      expect(opening.negotiated.length).toBeGreaterThan(2);
    });
  });

  it.each(userKeys)('log in with %s', async (kind) => {
    const options = ['PubkeyAcceptedAlgorithms=+ssh-dss'];
    await using opening = await open(server, { identities: [makeKey(kind).path], options });
    expect((await run(opening.connection, 'echo in')).stdout).toBe('in\n');
  });

  it.each(userKeys.filter((kind) => kind !== 'dsa'))('log in with a certificate for %s', async (kind) => {
    const key = certify(makeKey(kind, { purpose: 'certified' }), { ca: ca!, principals: ['someone'] });
    await using opening = await open(server, { identities: [key.path] });
    expect((await run(opening.connection, 'echo in')).stdout).toBe('in\n');
    const other = certify(makeKey(kind, { purpose: 'certified' }), { ca: ca!, principals: ['nobody'] });
    const error = await failure(open(server, { identities: [other.path], options: ['BatchMode=yes'] }), 10_000);
    expect(error).toMatchObject({ code: 'auth' });
  });

  it('host certificates of a known authority, and of none', async () => {
    const host = makeKey('ecdsa256', { purpose: 'certified-host' });
    const { path } = certify(host, { ca: ca!, host: true, principals: ['127.0.0.1'] });
    await using other = await startAsyncssh({ hostKeys: [{ path, publicLine: host.publicLine }] });
    const dir = freshDir('authority');
    const [knownHosts, nobody] = [join(dir, 'known_hosts'), join(dir, 'empty')];
    writeFileSync(knownHosts, `@cert-authority * ${ca!.publicLine}\n`);
    writeFileSync(nobody, '');
    await using opening = await open(other, { knownHosts });
    expect(opening.negotiated[0]!.hostKey.name).toBe('ecdsa-sha2-nistp256-cert-v01@openssh.com');
    expect(await failure(open(other, { knownHosts: nobody }))).toMatchObject({ code: 'host-key' });
  });

  it('log in with a password, and not with another', async () => {
    await using opening = await open(server, { identities: [], password: TEST_USER.password });
    expect((await run(opening.connection, 'echo in')).stdout).toBe('in\n');
    const options = ['NumberOfPasswordPrompts=1', 'PreferredAuthentications=password'];
    const error = await failure(open(server, { identities: [], prompter: new Script('wrong'), options }), 10_000);
    expect(error).toMatchObject({ code: 'auth', detail: { tried: ['password'] } });
  });

  it('several sessions at once, streams apart', async () => {
    await using opening = await open(server);
    const all = await Promise.all(
      [1, 2, 3, 4].map((n) => run(opening.connection, `echo ${n}; echo e${n} >&2; exit ${n}`)),
    );
    expect(all).toEqual([1, 2, 3, 4].map((n) => ({ stdout: `${n}\n`, stderr: `e${n}\n`, exit: { status: n } })));
  });
});
