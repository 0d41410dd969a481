// Every algorithm that OpenSSH's sshd has, with both providers: log in, run a command, move data both ways.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportedAlgorithms } from '../../protocol/index.ts';
import { bothWays, node, type Opening, open, providers, run } from './client.ts';
import { type KeyKind, requireServer, type Server, startSshd } from './servers.ts';

const ready = requireServer('sshd', 'ssh', 'ssh-keygen');
const query = (kind: string): string[] =>
  ready ? execFileSync('ssh', ['-Q', kind], { encoding: 'utf8' }).trim().split('\n') : [];
const [kex, ciphers, macs] = [query('kex'), query('cipher'), query('mac')];

/** Signature algorithm of the host key, and the key that makes it. */
const hostKeys: readonly (readonly [string, KeyKind])[] = [
  ['ssh-ed25519', 'ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa256'],
  ['ecdsa-sha2-nistp384', 'ecdsa384'],
  ['ecdsa-sha2-nistp521', 'ecdsa521'],
  ['rsa-sha2-256', 'rsa'],
  ['rsa-sha2-512', 'rsa'],
  ['ssh-rsa', 'rsa'],
  ['ssh-dss', 'dsa'],
];

describe.skipIf(!ready)('sshd', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startSshd({
      hostKeys: ['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa', 'dsa'],
      config: [
        `KexAlgorithms ${kex.join(',')}`,
        `Ciphers ${ciphers.join(',')}`,
        `MACs ${macs.join(',')}`,
        `HostKeyAlgorithms ${hostKeys.map(([name]) => name).join(',')}`,
        'Compression yes',
      ],
    });
  });
  afterAll(() => server?.stop());

  it('has no key exchange, cipher or MAC that we have not', () => {
    const ours = supportedAlgorithms(node);
    const missing = (theirs: readonly string[], have: readonly string[]) =>
      theirs.filter((name) => !have.includes(name));
    expect({
      kex: missing(kex, ours.kex),
      ciphers: missing(ciphers, ours.ciphers),
      macs: missing(macs, ours.macs),
    }).toEqual({ kex: [], ciphers: [], macs: [] });
  });

  describe.concurrent.each(providers)('%s', (name, crypto) => {
    /** AES in JavaScript moves some 20 MB/s on a good day: enough to see windows and many packets, no more. */
    const amount = name === 'node' ? 3 << 20 : 192 << 10;

    async function check(options: readonly string[], chosen: (opening: Opening) => unknown, expected: unknown) {
      await using opening = await open(server, { options, crypto });
      expect(chosen(opening)).toEqual(expected);
      const { stdout, exit } = await run(opening.connection, 'printf hello');
      expect({ stdout, exit }).toEqual({ stdout: 'hello', exit: { status: 0 } });
      return opening.connection;
    }

    it.each(kex)('key exchange %s', async (method) => {
      await using opening = await open(server, { options: [`KexAlgorithms=${method}`], crypto });
      expect(opening.negotiated.map((algorithms) => algorithms.kex.name)).toEqual([method]);
      await bothWays(opening.connection, 64 << 10);
    });

    it.each(hostKeys)('host key %s', async (algorithm) => {
      await check([`HostKeyAlgorithms=${algorithm}`], ({ negotiated }) => negotiated[0]!.hostKey.name, algorithm);
    });

    it.each(ciphers)('cipher %s', async (cipher) => {
      await using opening = await open(server, { options: [`Ciphers=${cipher}`], crypto });
      expect(opening.negotiated[0]!.clientToServer.cipher.name).toBe(cipher);
      expect(opening.negotiated[0]!.serverToClient.cipher.name).toBe(cipher);
      await bothWays(opening.connection, amount);
    });

    it.each(macs)('MAC %s', async (mac) => {
      await using opening = await open(server, { options: ['Ciphers=aes128-ctr', `MACs=${mac}`], crypto });
      expect(opening.negotiated[0]!.clientToServer.mac?.name).toBe(mac);
      expect(opening.negotiated[0]!.serverToClient.mac?.name).toBe(mac);
      await bothWays(opening.connection, name === 'node' ? 1 << 20 : 192 << 10);
    });

    it.each([
      ['no', 'none'],
      ['yes', 'zlib@openssh.com'],
    ])('Compression=%s: %s', async (value, expected) => {
      await using opening = await open(server, { options: [`Compression=${value}`], crypto });
      expect(opening.negotiated[0]!.clientToServer.compression.name).toBe(expected);
      expect(opening.negotiated[0]!.serverToClient.compression.name).toBe(expected);
      await bothWays(opening.connection, amount);
      const zeros = await run(opening.connection, `head -c ${4 << 20} /dev/zero | tr '\\0' x`);
      expect(zeros.stdout === 'x'.repeat(4 << 20)).toBe(true);
    });
  });
});
