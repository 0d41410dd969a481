// Dropbear: another stack on the other side, with windows of 24 KiB, few algorithms, and a server for pipes.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExecOptions } from '../../client/index.ts';
import { bothWays, failure, open, providers, run, Script, through } from './client.ts';
import {
  ensureTestUser,
  findProgram,
  freshDir,
  isRoot,
  makeKey,
  requireServer,
  type Server,
  startDropbear,
  startSshd,
  TEST_USER,
} from './servers.ts';

const ready = requireServer('dropbear', 'dropbearconvert', 'ssh-keygen') && isRoot;
const userKeys = ['ed25519', 'rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521'] as const;
const authorized = join(TEST_USER.home, '.ssh', 'authorized_keys');
const mark = `dropbear-${process.pid}`;

describe.skipIf(!ready)('dropbear', () => {
  let server: Server;
  beforeAll(async () => {
    ensureTestUser();
    // It reads no other file than the one at home: our lines are marked, and go when we do.
    const lines = userKeys.map((kind) => `${makeKey(kind).publicLine.split(' ').slice(0, 2).join(' ')} ${mark}\n`);
    appendFileSync(authorized, lines.join(''));
    server = await startDropbear({ hostKeys: ['ed25519', 'rsa', 'ecdsa256'] });
  });
  afterAll(async () => {
    const lines = readFileSync(authorized, 'utf8').split('\n');
    writeFileSync(authorized, lines.filter((line) => !line.endsWith(` ${mark}`)).join('\n'));
    await server?.stop();
  });

  describe.each(providers)('%s', (name, crypto) => {
    it.each(['ssh-ed25519', 'rsa-sha2-256', 'ecdsa-sha2-nistp256'])('host key %s', async (algorithm) => {
      await using opening = await open(server, { options: [`HostKeyAlgorithms=${algorithm}`], crypto });
      expect(opening.negotiated[0]!.hostKey.name).toBe(algorithm);
      expect((await run(opening.connection, 'echo hello; exit 3')).exit).toEqual({ status: 3 });
    });

    it.each(['chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes256-ctr'])('data both ways with %s', async (cipher) => {
      await using opening = await open(server, { options: [`Ciphers=${cipher}`], crypto });
      await bothWays(opening.connection, name === 'node' ? 4 << 20 : 256 << 10);
    });

    it('rekey in the middle', async () => {
      await using opening = await open(server, { options: ['RekeyLimit=256K'], crypto });
      await bothWays(opening.connection, name === 'node' ? 4 << 20 : 1 << 20);
      expect(opening.negotiated.length).toBeGreaterThan(3);
    });
  });

  it.each(userKeys)('log in with %s', async (kind) => {
    await using opening = await open(server, { identities: [makeKey(kind).path] });
    expect((await run(opening.connection, 'id -un')).stdout).toBe(`${TEST_USER.name}\n`);
  });

  it('log in with a password, and not with another', async () => {
    await using opening = await open(server, { identities: [], password: TEST_USER.password });
    expect((await run(opening.connection, 'id -un')).stdout).toBe(`${TEST_USER.name}\n`);
    const error = await failure(
      open(server, { identities: [], prompter: new Script('wrong'), options: ['NumberOfPasswordPrompts=1'] }),
      10_000,
    );
    expect(error).toMatchObject({ code: 'auth', detail: { tried: ['password'] } });
  });

  it('several sessions, streams apart, signals and a terminal', async () => {
    await using opening = await open(server);
    const { connection } = opening;
    // Each waits for a line: Dropbear 2022.83 mixes up the ends of commands of one connection that end while it starts them, and
    // closes the wrong channel or fails an assertion of its own.
    const ended = (command: string, options?: ExecOptions) =>
      run(connection, `read line; ${command}`, { ...options, stdin: '\n' });
    const all = await Promise.all([1, 2, 3, 4].map((n) => ended(`echo ${n}; echo e${n} >&2; exit ${n}`)));
    expect(all).toEqual([1, 2, 3, 4].map((n) => ({ stdout: `${n}\n`, stderr: `e${n}\n`, exit: { status: n } })));
    expect((await ended('kill -TERM $$')).exit).toMatchObject({ signal: 'TERM' });
    const terminal = await ended('stty size', { pty: { term: 'xterm', columns: 90, rows: 33 } });
    // The terminal's echo, too.
    expect(terminal.stdout).toBe('\r\n33 90\r\n');
  });

  it('input larger than its window, read slowly', async () => {
    await using opening = await open(server);
    const { stderr } = await through(opening.connection, 'sleep 0.2; wc -c >&2', 8 << 20);
    expect(stderr.trim()).toBe(String(8 << 20));
  });

  it('over pipes: a proxy command that relays', async () => {
    // Dropbear's own inetd mode wants a socket, under ssh(1) as well.
    const relay = `bash -c 'exec 3<>/dev/tcp/127.0.0.1/%p; cat <&3 & exec cat >&3'`;
    await using opening = await open(server, { options: [`ProxyCommand=${relay}`] });
    await bothWays(opening.connection, 1 << 20);
  });
});

describe.skipIf(!requireServer('sshd', 'ssh-keygen'))('sshd -i', () => {
  it('over pipes: a proxy command that is the server', async () => {
    await using server = await startSshd();
    const config = join(freshDir('inetd'), 'config');
    const lines = readFileSync(join(server.program.dir, 'sshd_config'), 'utf8').split('\n');
    writeFileSync(config, lines.filter((line) => !/^(Port|ListenAddress) /.test(line)).join('\n'));
    const options = [
      `ProxyCommand=${findProgram('sshd')} -i -f ${config} 2>/dev/null`,
      `HostKeyAlias=[127.0.0.1]:${server.port}`,
    ];
    await using opening = await open(server, { options, host: 'pipes.invalid', port: 22 });
    await bothWays(opening.connection, 4 << 20);
  });
});
