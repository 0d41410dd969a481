// Sharing a connection and going to the background, as a user sees them: ControlMaster, ControlPersist, -O and -f.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureTestUser, freePort, freshDir, isRoot, requireServer, startSshd } from '../../interop/servers.ts';
import { Bssh, type Outcome, type RunOptions, served } from './bssh.ts';

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** All that a port of this machine says. */
function received(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    connect(port, '127.0.0.1')
      .on('data', (chunk) => {
        text += chunk;
      })
      .once('end', () => resolve(text))
      .once('error', reject);
  });
}

describe.skipIf(!requireServer('sshd'))('a shared connection', () => {
  const bssh = served(new Bssh(), startSshd);
  let path: string;
  beforeAll(async () => {
    await bssh.on('127.0.0.1', 'true');
  });
  beforeEach(() => {
    path = join(freshDir('ctl'), 's');
  });
  afterEach(async () => {
    // Nothing may be left behind.
    if (existsSync(path)) await control('exit');
    await expect.poll(() => existsSync(path), { timeout: 5000 }).toBe(false);
  });

  const run = (args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
    bssh.run(['--ssh', ...bssh.common, ...args], { limit: 20_000, ...options });
  const auto = (persist: string): string[] => [
    ...['-o', 'ControlMaster=auto', '-o', `ControlPath=${path}`],
    ...['-o', `ControlPersist=${persist}`, '127.0.0.1'],
  ];
  const control = (command: string, ...args: string[]): Promise<Outcome> =>
    run(['-S', path, '-O', command, ...args, 'h']);
  const holder = async (): Promise<number> => Number(/pid=(\d+)/.exec((await control('check')).err)?.[1]);
  /** Log-ins so far. */
  const logins = (): number => bssh.server.log().match(/Accepted publickey/g)?.length ?? 0;

  it('stays behind with ControlPersist, is used by those who come, and leaves when told to', async () => {
    const before = logins();
    const first = await run([...auto('yes'), 'cat; echo err >&2; exit 3'], { input: 'in' });
    expect([first.code, first.out, first.err]).toEqual([3, 'in', 'err\n']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const pid = await holder();
    expect(alive(pid)).toBe(true);
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, i) => run([...auto('yes'), `cat; exit ${i}`], { input: `${i}` })),
    );
    expect(all.map(({ code, out }) => [code, out])).toEqual(Array.from({ length: 6 }, (_, i) => [i, `${i}`]));
    expect(logins()).toBe(before + 1);
    expect(await control('exit')).toMatchObject({ code: 0, out: '', err: 'Exit request sent.\r\n' });
    await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
    expect(existsSync(path)).toBe(false);
  });

  it('leaves by itself when it was not used for as long as ControlPersist says', async () => {
    expect((await run([...auto('1'), 'true'])).code).toBe(0);
    expect(existsSync(path)).toBe(true);
    await expect.poll(() => existsSync(path), { timeout: 6000 }).toBe(false);
  });

  it('starts one holder when many start at once', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, (_, i) => run([...auto('yes'), `exit ${i}`])));
    expect(all.map(({ code }) => code)).toEqual([0, 1, 2, 3]);
    expect(await holder()).toBeGreaterThan(1);
  });

  it('ends with a holder that is killed, whose socket goes with it', async () => {
    await run([...auto('yes'), 'true']);
    const session = run(['-S', path, 'h', 'echo there; sleep 60']);
    const pid = await holder();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    process.kill(pid, 'SIGTERM');
    const { code, out } = await session;
    expect([code, out]).toEqual([255, 'there\n']);
    await expect.poll(() => existsSync(path)).toBe(false);
  });

  it('is held by the first one, which waits for the others at its end', async () => {
    const there = join(freshDir('flag'), 'there');
    chmodSync(dirname(there), 0o777);
    const first = run(['-M', '-S', path, '127.0.0.1', `until [ -e ${there} ]; do sleep .1; done; echo first`]);
    await expect.poll(() => existsSync(path), { timeout: 8000 }).toBe(true);
    const second = run(['-S', path, 'h', `touch ${there}; sleep 3; echo second`]);
    expect((await second).out).toBe('second\n');
    const { code, out } = await first;
    expect([code, out]).toEqual([0, 'first\n']);
    expect(existsSync(path)).toBe(false);
  });

  it('forwards and stops on demand', async () => {
    expect((await run(['-M', '-S', path, '-f', '-N', '127.0.0.1'])).code).toBe(0);
    const target = createServer((socket) => socket.end('target'));
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as { port: number };
    const local = await freePort();
    const spec = `${local}:127.0.0.1:${port}`;
    expect(await control('forward', '-L', spec)).toMatchObject({ code: 0, out: '', err: '' });
    expect((await run(['-S', path, '-W', `127.0.0.1:${port}`, 'h'])).out).toBe('target');
    expect(await control('forward', '-R', `0:127.0.0.1:${port}`)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\n$/),
    });
    expect((await control('forward', '-L', `192.0.2.1:${local}:x:1`)).code).toBe(255);
    expect(await control('cancel', '-L', spec)).toMatchObject({ code: 0, err: '' });
    expect((await control('cancel', '-L', spec)).err).toContain('port not forwarded');
    const pid = await holder();
    const session = run(['-S', path, 'h', 'sleep 2; echo still']);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await control('stop')).toMatchObject({ code: 0, err: 'Stop listening request sent.\r\n' });
    expect(existsSync(path)).toBe(false);
    expect(alive(pid)).toBe(true);
    expect((await session).out).toBe('still\n');
    await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
    target.close();
  });

  it('says what connection it is, with its algorithms and who uses it', async () => {
    const info = (...args: string[]): Promise<Outcome> => run(['-S', path, '-O', 'conninfo', ...args]);
    expect(await info('h')).toMatchObject({
      code: 255,
      err: `Control socket connect(${path}): No such file or directory\n`,
    });
    const forward = ['-c', 'aes128-ctr', '-D', String(await freePort())];
    await run(['-M', '-S', path, '-o', 'ControlPersist=yes', ...forward, '-f', '-N', '127.0.0.1']);
    const session = run(['-S', path, 'h', 'cat'], { keepOpen: 20_000 });
    await expect.poll(async () => (await info('h')).out, { timeout: 15_000 }).toContain('  clients: 1\n');
    const { code, out, err } = await info('h');
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n')).toEqual([
      `${bssh.server.user}@127.0.0.1 port ${bssh.server.port}`,
      expect.stringMatching(/^ {2}server: SSH-2\.0-OpenSSH/),
      expect.stringMatching(/^ {2}key exchange: \S+$/),
      '  host key: ssh-ed25519',
      expect.stringMatching(/^ {2}to the server: aes128-ctr, MAC \S+, compression none$/),
      expect.stringMatching(/^ {2}from the server: aes128-ctr, MAC \S+, compression none$/),
      '  channels: 1',
      '  forwardings: 1, connections: 0',
      '  clients: 1',
      `  holder: pid ${await holder()}`,
      '',
    ]);
    await control('exit');
    await session;
  });

  it('may be that of stock ssh: command, shell, subsystem, forwarding, -W, and what its holder does not know', async () => {
    const stock = spawn(
      'ssh',
      [
        ...['-F', 'none', '-i', bssh.server.identity, '-p', String(bssh.server.port), '-l', bssh.server.user],
        ...['-o', `UserKnownHostsFile=${bssh.server.knownHosts}`, '-o', 'BatchMode=yes'],
        ...['-M', '-S', path, '-N', '127.0.0.1'],
      ],
      { stdio: 'ignore' },
    );
    const gone = new Promise((resolve) => stock.once('exit', resolve));
    await expect.poll(() => existsSync(path), { timeout: 8000 }).toBe(true);
    const before = logins();
    expect(await run(['-S', path, 'h', 'cat; echo err >&2; exit 4'], { input: 'in' })).toMatchObject({
      code: 4,
      out: 'in',
      err: 'err\n',
    });
    expect((await run(['-S', path, 'h'], { input: 'echo a $((40 + 2))\nexit 6\n' })).out).toContain('a 42');
    const version = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
    // sftp-server drops its answer when it finds the end of its input beside the question.
    const sftp = await run(['-S', path, '-s', 'h', 'sftp'], { input: version, keepOpen: 2000 });
    expect([sftp.code, sftp.stdout[4]]).toEqual([0, 2]);
    const target = createServer((socket) => socket.end('target'));
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as { port: number };
    expect((await run(['-S', path, '-W', `127.0.0.1:${port}`, 'h'])).out).toBe('target');
    const local = await freePort();
    expect((await run(['-S', path, '-L', `${local}:127.0.0.1:${port}`, 'h', 'true'])).code).toBe(0);
    expect(await received(local)).toBe('target');
    expect(await holder()).toBe(stock.pid);
    expect(await control('conninfo')).toMatchObject({
      code: 255,
      err: expect.stringContaining('the holder of the shared connection does not say: '),
    });
    expect(logins()).toBe(before);
    target.close();
    expect((await control('exit')).code).toBe(0);
    await gone;
  });

  it('says when there is none, and connects itself where it may', async () => {
    expect(await control('check')).toMatchObject({
      code: 255,
      err: `Control socket connect(${path}): No such file or directory\n`,
    });
    expect((await run(['-O', 'check', 'h'])).err).toBe('No ControlPath specified for "-O" command\n');
    expect(await run(['-S', path, '127.0.0.1', 'echo own'])).toMatchObject({ code: 0, out: 'own\n', err: '' });
    writeFileSync(path, '');
    // Nobody listens there: a leftover, which is put away.
    expect(await run([...auto('no'), 'echo own'])).toMatchObject({ code: 0, out: 'own\n', err: '' });
    expect(existsSync(path)).toBe(false);
    expect((await run(['-S', path, '-O', 'proxy', 'h', 'true'])).code).toBe(255);
  });

  it('does not take the place of another holder', async () => {
    await run(['-M', '-S', path, '-f', '-N', '127.0.0.1']);
    const pid = await holder();
    expect(await run(['-M', '-S', path, '127.0.0.1', 'echo own'])).toMatchObject({
      code: 0,
      out: 'own\n',
      err: `ControlSocket ${path} already exists, disabling multiplexing\n`,
    });
    expect(await holder()).toBe(pid);
  });

  it.skipIf(!isRoot)('asks its questions where the person is', async () => {
    const askpass = bssh.write(
      'askpass',
      `#!/bin/sh\necho "$1" >>${bssh.home}/asked\necho '${ensureTestUser().password}'\n`,
    );
    const { readFileSync } = await import('node:fs');
    chmodSync(askpass, 0o700);
    const env = { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' };
    const way = ['-o', 'PreferredAuthentications=password', ...auto('yes')];
    const first = await run([...way, 'echo in'], { env });
    expect([first.code, first.out]).toEqual([0, 'in\n']);
    expect((await run([...way, 'echo again'], { env })).out).toBe('again\n');
    expect(readFileSync(`${bssh.home}/asked`, 'utf8').match(/password/g)).toHaveLength(1);
  });

  it('fails as it would in front', async () => {
    const denied = await run(['-o', 'PreferredAuthentications=none', ...auto('yes'), 'true']);
    expect(denied.code).toBe(255);
    expect(denied.err).toContain('Permission denied');
    expect(denied.err.match(/Permission denied/g)).toHaveLength(1);
  });
});

describe.skipIf(!requireServer('sshd'))('-f', () => {
  const bssh = served(new Bssh(), startSshd);
  beforeAll(async () => {
    await bssh.on('127.0.0.1', 'true');
  });

  it('leaves once the command runs; its output ends with it', async () => {
    const start = Date.now();
    let left = 0;
    const result = await bssh.run([...bssh.common, '-f', '127.0.0.1', 'sleep 2; echo out; echo err >&2'], {
      limit: 20_000,
      input: 'not read',
      started: (child) => child.once('exit', () => void (left = Date.now())),
    });
    // The streams end with the command, after the process in front.
    expect([result.code, result.out, result.err]).toEqual([0, 'out\n', 'err\n']);
    expect(Date.now() - left).toBeGreaterThan(500);
    expect(left).toBeGreaterThan(start);
  });

  it('has set up its forwardings by then, and ends when it is told to', async () => {
    const port = await freePort();
    const { code, out, err } = await bssh.run(
      [
        ...bssh.common,
        '-f',
        '-N',
        '-o',
        'ExitOnForwardFailure=yes',
        '-L',
        `${port}:127.0.0.1:${bssh.server.port}`,
        '127.0.0.1',
      ],
      { limit: 20_000 },
    );
    expect([code, out, err]).toEqual([0, '', '']);
    const { connect } = await import('node:net');
    const greeting = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('data', (data) => {
        resolve(String(data));
        socket.destroy();
      });
    });
    expect(greeting).toMatch(/^SSH-2/);
    const { execFileSync } = await import('node:child_process');
    const pid = Number(
      execFileSync('pgrep', ['-f', `${port}:127.0.0.1:${bssh.server.port}`], { encoding: 'utf8' }).split('\n')[0],
    );
    process.kill(pid, 'SIGTERM');
    await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
  });

  it('fails in front', async () => {
    const on = (...args: string[]): Promise<Outcome> => bssh.run(['--ssh', ...bssh.common, ...args], { limit: 20_000 });
    expect(await on('-f', '127.0.0.1')).toMatchObject({
      code: 255,
      err: 'Cannot fork into background without a command to execute.\n',
    });
    expect((await on('-f', '-o', 'PreferredAuthentications=none', '127.0.0.1', 'true')).code).toBe(255);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const forward = await on('-f', '-N', '-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${port}:x:1`, '127.0.0.1');
    expect(forward.code).toBe(255);
    expect(forward.err).toContain('Address already in use');
    taken.close();
  });
});
