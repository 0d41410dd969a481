import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureTestUser, freePort, isRoot, makeKey, requireServer, startSshd } from '../../interop/servers.ts';
import { Bssh, lines, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('one host', () => {
  const bssh = served(new Bssh(), () => startSshd({ address: '0.0.0.0', config: ['AcceptEnv LANG BSSH_*'] }));
  beforeAll(async () => {
    // Remember the key, so that what follows says nothing about it.
    await bssh.on('127.0.0.1', 'true');
  });

  /** A failure of ours: one line (or what is told), 255, and nothing on stdout. */
  const failure = async (args: readonly string[], options: Parameters<Bssh['run']>[1] = {}): Promise<string> => {
    const { code, out, err } = await bssh.run(args, options);
    expect(out).toBe('');
    expect(code).toBe(255);
    expect(err).not.toMatch(/undefined|\bat .*\(|Error:/);
    return err;
  };

  it('passes the exit status on, and nothing but the remote bytes', async () => {
    for (const status of [0, 1, 3, 254, 255]) {
      const { code, out, err } = await bssh.on('127.0.0.1', `echo out; echo err >&2; exit ${status}`);
      expect([code, out, err]).toEqual([status, 'out\n', 'err\n']);
    }
  });

  it('says 255 for a command that a signal ended', async () => {
    expect((await bssh.on('127.0.0.1', 'kill -9 $$')).code).toBe(255);
  });

  it('carries megabytes through stdin and stdout unchanged', async () => {
    const input = randomBytes(24 * 1024 * 1024);
    const { code, stdout } = await bssh.run([...bssh.common, '127.0.0.1', 'cat'], { input });
    expect(code).toBe(0);
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(createHash('sha256').update(input).digest('hex'));
  });

  it('works on either provider', async () => {
    for (const provider of ['node', 'noble']) {
      const { out } = await bssh.run([...bssh.common, '127.0.0.1', 'echo fine'], { env: { BSSH_CRYPTO: provider } });
      expect(out).toBe('fine\n');
    }
    expect(await failure(['-F', 'none', '127.0.0.1'], { env: { BSSH_CRYPTO: 'openssl' } })).toContain(
      "BSSH_CRYPTO is node or noble, not 'openssl'",
    );
  });

  it('sends environment variables that were asked for', async () => {
    const { out } = await bssh.run(
      [
        ...bssh.common,
        '-o',
        'SendEnv=BSSH_A*',
        '-o',
        'SetEnv=BSSH_B=two',
        '127.0.0.1',
        'echo $BSSH_AA $BSSH_B $BSSH_C',
      ],
      {
        env: { BSSH_AA: 'one', BSSH_C: 'three' },
      },
    );
    expect(out).toBe('one two\n');
  });

  it('runs subsystems, and a shell that reads stdin', async () => {
    const shell = await bssh.run([...bssh.common, '-T', '127.0.0.1'], { input: 'echo from a shell\n' });
    expect(shell.out).toContain('from a shell\n');
    const sftp = await bssh.run([...bssh.common, '-s', '127.0.0.1', 'sftp'], {
      // sftp-server drops its answer when it finds the end of its input beside the question.
      keepOpen: 3000,
      input: Uint8Array.of(0, 0, 0, 5, 1, 0, 0, 0, 3),
    });
    expect([...sftp.stdout.subarray(4, 9)]).toEqual([2, 0, 0, 0, 3]);
  });

  it('stops when its reader leaves, without a word', async () => {
    const { err } = await bssh.run([...bssh.common, '127.0.0.1', 'yes | head -c 100000000'], {
      started: (child) => child.stdout!.once('data', () => child.stdout!.destroy()),
    });
    expect(err).not.toContain('EPIPE');
  });

  it('explains a closed port and an unknown host', async () => {
    const port = await freePort();
    expect(await failure(['-F', 'none', '-p', String(port), '127.0.0.1', 'true'])).toBe(
      `bssh: connect to host 127.0.0.1 port ${port}: Connection refused\n`,
    );
    expect(await failure(['-F', 'none', 'nosuch.invalid', 'true'])).toMatch(
      /^bssh: Could not resolve hostname nosuch\.invalid: .+\n$/,
    );
  });

  it('gives up on a server that never speaks', async () => {
    const silent: TcpServer = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    try {
      expect(
        await failure(['-F', 'none', '-o', 'ConnectTimeout=1', '-p', String(port), '127.0.0.1', 'true']),
      ).toContain('Connection timed out during banner exchange');
    } finally {
      silent.close();
    }
  });

  it('tells of a server that dies in mid-stream', async () => {
    const { code, err } = await bssh.on('127.0.0.1', 'echo started; kill -9 $PPID; sleep 5');
    expect(code).toBe(255);
    // With a FIN or, when the server had not read all, with a RST.
    expect(err).toMatch(
      /Connection to 127\.0\.0\.1 closed by remote host\.|Read from remote host 127\.0\.0\.1: Connection reset by peer/,
    );
  });

  it('refuses a key that changed, in every mode but no', async () => {
    const other = makeKey('ed25519', { purpose: 'another host' });
    const [type, blob] = readFileSync(`${other.path}.pub`, 'utf8').split(' ');
    const file = bssh.write('changed', `[127.0.0.1]:${bssh.server.port} ${type} ${blob}\n`);
    for (const mode of ['yes', 'accept-new', 'ask']) {
      const err = await failure([
        '-o',
        `UserKnownHostsFile=${file}`,
        '--strict-host-key-checking',
        mode,
        ...bssh.common.slice(0, -2),
        '127.0.0.1',
        'true',
      ]);
      expect(err).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED');
      expect(err).toContain(`${file}:1`);
      expect(err.trimEnd().endsWith('Host key verification failed.')).toBe(true);
    }
    const before = readFileSync(file, 'utf8');
    const lax = await bssh.run([
      '-o',
      `UserKnownHostsFile=${file}`,
      '--strict-host-key-checking',
      'no',
      ...bssh.common.slice(0, -2),
      '127.0.0.1',
      'true',
    ]);
    expect(lax.code).toBe(0);
    expect(lax.err).toContain('Password authentication is disabled');
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('refuses a revoked key, and an unknown one under yes', async () => {
    const [type, blob] = bssh.server.hostKeys[0]!.split(' ');
    const revoked = bssh.write('revoked', `@revoked * ${type} ${blob}\n`);
    const args = (file: string, mode: string) => [
      '-o',
      `UserKnownHostsFile=${file}`,
      '-o',
      'GlobalKnownHostsFile=none',
      '--strict-host-key-checking',
      mode,
      ...bssh.common.slice(0, -2),
      '127.0.0.1',
      'true',
    ];
    expect(await failure(args(revoked, 'no'))).toContain('REVOKED HOST KEY');
    expect(await failure(args(bssh.write('empty', ''), 'yes'))).toMatch(
      /No ED25519 host key is known for .* and you have requested strict checking\./,
    );
    expect(await failure(args(join(bssh.home, 'missing'), 'yes'))).toMatch(/known_hosts|known for/);
    const directory = join(bssh.home, 'directory');
    mkdirSync(directory);
    expect(await failure(args(directory, 'accept-new'))).toContain(directory);
  });

  it('names the methods when nothing lets it in', async () => {
    const wrong = makeKey('ed25519', { purpose: 'nobody' });
    const err = await failure([
      '-F',
      'none',
      '-i',
      wrong.path,
      '-p',
      String(bssh.server.port),
      '-o',
      'BatchMode=yes',
      '-o',
      `UserKnownHostsFile=${join(bssh.home, 'known_hosts')}`,
      '-l',
      bssh.server.user,
      '127.0.0.1',
      'true',
    ]);
    expect(err).toContain(`${bssh.server.user}@127.0.0.1: Permission denied (publickey`);
  });

  it.skipIf(!isRoot)('logs in with BSSH_PASSWORD, and says so when it is wrong', async () => {
    const user = ensureTestUser();
    const common = [
      '-F',
      'none',
      '-p',
      String(bssh.server.port),
      '-o',
      `UserKnownHostsFile=${join(bssh.home, 'known_hosts')}`,
      '-l',
      user.name,
      '127.0.0.1',
      'id -un',
    ];
    const good = await bssh.run(common, { env: { BSSH_PASSWORD: user.password } });
    expect([good.code, good.out]).toEqual([0, `${user.name}\n`]);
    const bad = await bssh.run(common, { env: { BSSH_PASSWORD: 'wrong' } });
    expect(bad.code).toBe(255);
    expect(bad.err).toContain('Permission denied');
    expect(bad.err).not.toContain('wrong');
  });

  it('offers what can be negotiated when nothing fits', async () => {
    const err = await failure([...bssh.common, '-o', 'KexAlgorithms=diffie-hellman-group1-sha1', '127.0.0.1', 'true']);
    expect(err).toMatch(
      /Unable to negotiate with 127\.0\.0\.1 port \d+: no matching key exchange method found\. Their offer: .*curve25519-sha256/,
    );
  });

  it('answers -V, -Q and -G without connecting', async () => {
    const version = await bssh.run(['-V']);
    expect([version.code, version.out]).toEqual([0, '']);
    expect(version.err).toMatch(/^bssh \d+\.\d+\.\d+, Node\.js /);
    expect(lines((await bssh.run(['-Q', 'cipher'])).out)).toContain('aes128-gcm@openssh.com');
    expect((await bssh.run(['-Q', 'nonsense'])).code).toBe(255);
    expect(lines((await bssh.run(['-F', 'none', '-G', 'u@h'])).out)).toContain('user u');
  });

  it('names the file and line of a broken ssh_config', async () => {
    const config = bssh.write('ssh_config', 'Host *\n  Prot 22\n');
    expect(await failure(['-F', config, '127.0.0.1', 'true'])).toContain(
      `${config}: line 2: Bad configuration option: prot`,
    );
  });

  it('says what ssh says of a key file that is not there, a bad -W and a proxy that ends at once', async () => {
    const missing = await bssh.on('-i', '/nonexistent', '127.0.0.1', 'true');
    expect(missing.err).toBe('Warning: Identity file /nonexistent not accessible: No such file or directory.\n');
    expect(missing.code).toBe(0);
    const { out } = await bssh.run(['-F', 'none', '-G', '-i', '/nonexistent', 'h']);
    expect(out).toContain('identityfile ~/.ssh/id_ed25519\n');
    expect(await failure(['-F', 'none', '-W', 'bad', 'nowhere.invalid'])).toBe(
      "Bad stdio forwarding specification 'bad'\n",
    );
    expect(await failure(['-F', 'none', '-o', 'ProxyCommand=false', 'h', 'true'])).toBe(
      'kex_exchange_identification: Connection closed by remote host\nConnection closed by h port 22\n',
    );
  });

  it('refuses what it cannot do, by name', async () => {
    expect(await failure(['-w', '0:0', '127.0.0.1'])).toContain('-w');
  });

  it('writes its log where -E says, and only there', async () => {
    const log = join(bssh.home, 'log');
    const { err } = await bssh.on('-v', '-E', log, '127.0.0.1', 'true');
    expect(err).toBe('');
    expect(readFileSync(log, 'utf8')).toMatch(/^debug1: Connecting to 127\.0\.0\.1/m);
    writeFileSync(log, '');
  });
});
