// Keywords and options about a session whose effect only a whole run shows.
import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startDemoServer } from '../../demo-server/index.ts';
import { requireServer, startSshd } from '../../interop/servers.ts';
import { hasPty, Pty } from '../session/pty.ts';
import { Bssh, lines, served } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('one session', () => {
  const bssh = served(new Bssh(), startSshd);
  beforeAll(async () => {
    expect((await bssh.on('127.0.0.1', 'true')).code).toBe(0);
  });

  const on = (words: string) => bssh.on(...words.split(' ').slice(0, -1), '127.0.0.1', words.split(' ').at(-1)!);

  describe('WarnWeakCrypto', () => {
    const weak = '-oKexAlgorithms=curve25519-sha256';
    const warning = '** WARNING: connection is not using a post-quantum key exchange algorithm';

    it('warns in one line of a key exchange that a quantum computer would break', async () => {
      const { err, code } = await on(`${weak} true`);
      expect(lines(err)).toEqual([expect.stringContaining(warning)]);
      expect(code).toBe(0);
    });

    it.each([
      '-oKexAlgorithms=sntrup761x25519-sha512@openssh.com',
      `${weak} -oWarnWeakCrypto=no`,
      `${weak} -oWarnWeakCrypto=no-pq-kex`,
      `${weak} -q`,
    ])('is silent with %s', async (options) => {
      expect((await on(`${options} true`)).err).toBe('');
    });
  });

  describe('ChannelTimeout', () => {
    const timed = (timeouts: string, command: string) =>
      bssh.on('-v', '-o', `ChannelTimeout=${timeouts}`, '127.0.0.1', command);

    it.each(['session=1', 'session:command=1', 'sess*=1', 'global=1'])(
      'ends a command that says nothing (%s)',
      async (timeouts) => {
        const began = performance.now();
        const { code, err } = await timed(timeouts, 'sleep 40; exit 23');
        expect(code).toBe(255);
        expect(err).toContain('idle for as long as ChannelTimeout allows');
        expect(performance.now() - began).toBeLessThan(30_000);
      },
    );

    it('leaves alone what talks, and what it does not mean', async () => {
      const [talks, other] = await Promise.all([
        timed('session=2', 'for i in 1 2 3 4 5 6 7 8; do sleep 0.5; echo $i; done; exit 23'),
        timed('session:shell=1 session:subsystem:*=1 x11-connection=1', 'sleep 2.5; exit 23'),
      ]);
      expect([talks.code, other.code]).toEqual([23, 23]);
      expect(lines(talks.out)).toHaveLength(8);
    });
  });

  it('-y gives its messages to logger(1), at their severities', async () => {
    const bin = join(bssh.home, 'bin');
    mkdirSync(bin);
    const seen = join(bssh.home, 'seen');
    chmodSync(bssh.write('bin/logger', `#!/bin/sh\necho "$@" >> ${seen}\nsed 's/^/| /' >> ${seen}.$4\n`), 0o755);
    const args = ['-p', '1', ...bssh.common, '-y', '-v', '-o', 'SyslogFacility=LOCAL3', '127.0.0.1', 'true'];
    const { code, err } = await bssh.run(args, { env: { PATH: `${bin}:${process.env.PATH}` } });
    expect({ code, err }).toEqual({ code: 255, err: '' });
    const read = (file: string): string => readFileSync(file, 'utf8');
    await expect.poll(() => read(`${seen}.local3.err`), { timeout: 10_000 }).toMatch(/^\| bssh: connect to host /m);
    await expect.poll(() => read(`${seen}.local3.debug`), { timeout: 10_000 }).toMatch(/^\| debug1: Connecting to /m);
    expect(lines(read(seen)).sort()).toEqual([
      expect.stringMatching(/^-t bssh\[\d+\] -p local3\.debug$/),
      expect.stringMatching(/^-t bssh\[\d+\] -p local3\.err$/),
    ]);
  });

  it('-y says so where there is no logger(1)', async () => {
    const bare = join(bssh.home, 'bare');
    mkdirSync(bare);
    symlinkSync(process.execPath, join(bare, 'node'));
    const { err } = await bssh.run(['-p', '1', '-F', 'none', '-y', '-vv', '127.0.0.1'], { env: { PATH: bare } });
    expect(err).toContain('cannot reach the system log');
  });
});

describe.skipIf(!hasPty)('ObscureKeystrokeTiming', () => {
  const typed = async (option: string): Promise<string> => {
    await using server = await startDemoServer({ users: [{ name: 'alice', open: true }] });
    const bssh = new Bssh();
    const options = ['-v', '-tt', '-p', String(server.port), '-l', 'alice', '-o', `ObscureKeystrokeTiming=${option}`];
    using pty = new Pty([bssh.file, ...bssh.common, ...options, server.host], {
      env: { PATH: process.env.PATH, HOME: bssh.home, TERM: 'xterm' },
    });
    await pty.expect(/\$ /, 20_000);
    for (const key of 'echo one""two') pty.type(key);
    pty.type('\r');
    await pty.expect(/onetwo\r\n/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
    return pty.output;
  };

  it('keeps a pace where the server knows PING, and changes nothing of what arrives', async () => {
    expect(await typed('interval:30')).toContain('keystrokes leave every 30 ms');
  });

  it('can be turned off', async () => {
    expect(await typed('no')).not.toContain('keystrokes');
  });
});
