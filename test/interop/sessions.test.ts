// What runs over a connection to sshd: exit codes and signals, the three streams and their ends, back-pressure,
// terminals, subsystems, and many sessions at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Connection } from '../../client/connection.ts';
import type { ExecHandle } from '../../client/exec.ts';
import { nobleCrypto, OpenFailure } from '../../protocol/index.ts';
import { digestSink, failure, type Opening, open, run, testData, testDigest, through, within } from './client.ts';
import { requireServer, type Server, startSshd } from './servers.ts';

const MIB = 1 << 20;

describe.skipIf(!requireServer('sshd', 'ssh-keygen'))('over sshd', () => {
  let server: Server;
  let few: Server;
  let opening: Opening;
  let connection: Connection;
  beforeAll(async () => {
    [server, few] = await Promise.all([startSshd(), startSshd({ config: ['MaxSessions 3'] })]);
    opening = await open(server);
    ({ connection } = opening);
  });
  afterAll(async () => {
    await opening?.[Symbol.asyncDispose]();
    await Promise.all([server?.stop(), few?.stop()]);
  });

  it.each([0, 1, 2, 100, 127, 128, 129, 130, 200, 254, 255])('exit status %d', async (status) => {
    expect((await run(connection, `exit ${status}`)).exit).toEqual({ status });
  });

  it.each(['TERM', 'KILL', 'HUP', 'INT', 'SEGV'])('exit signal %s', async (signal) => {
    const { exit } = await run(connection, `ulimit -c 0; kill -${signal} $$`);
    expect(exit).toMatchObject({ signal, coreDumped: false });
    expect(exit.status).toBe(undefined);
  });

  it('a command that does not exist', async () => {
    const { exit, stderr } = await run(connection, 'no-such-command-here');
    expect(exit).toEqual({ status: 127 });
    expect(stderr).toContain('not found');
  });

  it('a signal of ours', async () => {
    let said = '';
    const handle = await connection.exec('echo up; exec sleep 100', {
      stdout: (chunk) => void (said += Buffer.from(chunk).toString()),
    });
    // sshd answers before its child has a process group that a signal could reach.
    await expect.poll(() => said).toBe('up\n');
    handle.kill('TERM');
    expect(await within(5000, handle.exit)).toMatchObject({ signal: 'TERM' });
  });

  it('stdout and stderr apart, binary and whole', async () => {
    const script = `printf 'out\\000\\377'; printf 'err\\001\\376' >&2; head -c ${MIB} /dev/zero; head -c ${MIB} /dev/zero >&2`;
    const out: Uint8Array[] = [];
    const err: Uint8Array[] = [];
    const handle = await connection.exec(script, {
      stdout: (chunk) => void out.push(chunk),
      stderr: (chunk) => void err.push(chunk),
    });
    expect(await within(10_000, handle.exit)).toEqual({ status: 0 });
    const zeros = Buffer.alloc(MIB);
    const expected = (head: string) => Buffer.concat([Buffer.from(head, 'latin1'), zeros]);
    expect(Buffer.concat(out).equals(expected('out\0\xff'))).toBe(true);
    expect(Buffer.concat(err).equals(expected('err\x01\xfe'))).toBe(true);
  });

  it('stdin and its end', async () => {
    expect((await run(connection, 'cat', { stdin: 'some text' })).stdout).toBe('some text');
    expect((await run(connection, 'cat; echo "ended"', { stdin: '' })).stdout).toBe('ended\n');
    expect((await run(connection, 'head -c 3', { stdin: 'abcdef' })).stdout).toBe('abc');
  });

  it('no end of stdin before we say so', async () => {
    const out: string[] = [];
    const handle = await connection.exec('cat', { stdout: (chunk) => void out.push(Buffer.from(chunk).toString()) });
    handle.write(Buffer.from('first'));
    await expect.poll(() => out.join('')).toBe('first');
    await sleep(200);
    handle.write(Buffer.from(' second'));
    handle.end();
    expect(await within(5000, handle.exit)).toEqual({ status: 0 });
    expect(out.join('')).toBe('first second');
  });

  it('output after the end of our input, and stderr after the end of stdout', async () => {
    const { stdout, stderr } = await run(connection, 'cat; exec 1>&-; sleep 0.2; echo late >&2', { stdin: 'x' });
    expect({ stdout, stderr }).toEqual({ stdout: 'x', stderr: 'late\n' });
  });

  it('a command that stops reading: the rest of our input is let go', async () => {
    const received = await through(connection, 'head -c 10 >/dev/null; exec 0<&-; echo done', 100).catch(
      () => undefined,
    );
    expect(received?.exit).toEqual({ status: 0 });
    const handle = await connection.exec('exit 4', { stdout: () => {} });
    const feed = (async () => {
      for (;;) await handle.write(Buffer.alloc(65_536));
    })();
    expect(await within(5000, handle.exit)).toEqual({ status: 4 });
    expect((await failure(feed)).code).toBe('closed');
  });

  it('64 MiB in, read slowly by the command: our memory does not take it in', async () => {
    const handle = await connection.exec('sleep 0.5; sha256sum >&2', {
      stdout: () => {},
      stderr: (c) => void sums.push(c),
    });
    const sums: Uint8Array[] = [];
    let highest = 0;
    let waits = 0;
    for (const chunk of testData(64 * MIB)) {
      const wait = handle.write(chunk);
      highest = Math.max(highest, handle.io.channel.buffered);
      if (wait !== undefined) waits++;
      await wait;
    }
    handle.end();
    expect(await within(20_000, handle.exit)).toEqual({ status: 0 });
    expect(Buffer.concat(sums).toString().split(' ')[0]).toBe(testDigest(64 * MIB));
    expect(highest).toBeLessThan(MIB);
    expect(waits).toBeGreaterThan(10);
  }, 30_000);

  it('64 MiB out, read slowly by us: the server waits, and our memory does not take it in', async () => {
    const out = digestSink();
    let highest = 0;
    let calls = 0;
    let handle: ExecHandle | undefined;
    handle = await connection.exec(`head -c ${64 * MIB} /dev/zero`, {
      stdout: (chunk) => {
        out.take(chunk);
        highest = Math.max(highest, handle?.io.channel.unread ?? 0);
        return ++calls % 200 === 0 ? sleep(5) : undefined;
      },
    });
    expect(await within(25_000, handle.exit)).toEqual({ status: 0 });
    expect(out.result.bytes).toBe(64 * MIB);
    expect(highest).toBeLessThanOrEqual(32 * MIB);
  }, 30_000);

  it('a reader that does not read stops one session and no other', async () => {
    let release!: () => void;
    const held = new Promise<void>((resolve) => void (release = resolve));
    const out = digestSink();
    const stuck = await connection.exec(`head -c ${8 * MIB} /dev/zero`, {
      stdout: (chunk) => {
        out.take(chunk);
        return held;
      },
    });
    expect((await within(5000, run(connection, 'echo free'))).stdout).toBe('free\n');
    expect(stuck.io.channel.unread).toBeLessThanOrEqual(2 * MIB);
    release();
    expect(await within(10_000, stuck.exit)).toEqual({ status: 0 });
    expect(out.result.bytes).toBe(8 * MIB);
  });

  it('fifty sessions at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => run(connection, `cat; echo ${i}; exit ${i}`, { stdin: `${i} ` })),
    );
    expect(all.map(({ stdout, exit }) => ({ stdout, exit }))).toEqual(
      all.map((_, i) => ({ stdout: `${i} ${i}\n`, exit: { status: i } })),
    );
  });

  it('more sessions than MaxSessions: refused one by one, and free again afterwards', async () => {
    await using own = await open(few);
    const sessions = [];
    for (let i = 0; i < 3; i++) sessions.push(await own.connection.exec('cat', { stdout: () => {} }));
    const error = await failure(own.connection.exec('true'));
    expect(error).toMatchObject({ code: 'channel-open', by: 'peer' });
    expect(error.detail.reason).toBe(OpenFailure.connectFailed);
    for (const session of sessions) session.end();
    for (const session of sessions) expect(await within(5000, session.exit)).toEqual({ status: 0 });
    // The status comes before the server has put the session away.
    const again = (): Promise<string> =>
      run(own.connection, 'echo again').then(
        ({ stdout }) => stdout,
        () => '',
      );
    await expect.poll(again).toBe('again\n');
  });

  it('the environment', async () => {
    const env = [
      ['LC_TEST', 'one two'],
      ['OTHER', 'ü'],
    ] as const;
    expect((await run(connection, 'echo "$LC_TEST|$OTHER"', { env })).stdout).toBe('one two|ü\n');
  });

  it('a subsystem, and one that is not there', async () => {
    const out: Uint8Array[] = [];
    const sftp = await connection.subsystem('sftp', { stdout: (chunk) => void out.push(chunk) });
    // SSH_FXP_INIT, version 3.
    sftp.write(Uint8Array.of(0, 0, 0, 5, 1, 0, 0, 0, 3));
    await expect.poll(() => Buffer.concat(out).length).toBeGreaterThan(8);
    expect([...Buffer.concat(out).subarray(4, 9)]).toEqual([2, 0, 0, 0, 3]);
    sftp.end();
    expect(await within(5000, sftp.exit)).toEqual({ status: 0 });
    const error = await failure(connection.subsystem('no-such-subsystem'));
    expect(error).toMatchObject({ code: 'channel-request', detail: { request: 'subsystem' } });
  });

  describe('a terminal', () => {
    it('with its name, size, modes and changes of size', async () => {
      const out: string[] = [];
      const text = () => out.join('');
      const handle = await connection.exec(
        'tty; echo $TERM; stty size; stty -a; read x; stty size; read y; echo "[$y]"',
        {
          pty: { term: 'vt220', columns: 91, rows: 37, modes: { VERASE: 8, ECHO: 0 } },
          stdout: (chunk) => void out.push(Buffer.from(chunk).toString()),
        },
      );
      expect(await handle.ptyGranted).toBe(true);
      await expect.poll(text).toMatch(/-echo /);
      expect(text()).toMatch(/^\/dev\/pts\/\d+\r\nvt220\r\n37 91\r\n/);
      expect(text()).toContain('erase = ^H');
      handle.resize({ columns: 100, rows: 50 });
      await sleep(100);
      handle.write(Buffer.from('\n'));
      await expect.poll(text).toMatch(/\n50 100\r\n$/);
      handle.write(Buffer.from('typed\n'));
      expect(await within(5000, handle.exit)).toEqual({ status: 0 });
      expect(text()).toMatch(/\[typed\]\r\n$/);
    });

    it('whose interrupt character kills', async () => {
      let said = '';
      const handle = await connection.exec('trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.1; done', {
        pty: { term: 'xterm', columns: 80, rows: 24 },
        stdout: (chunk) => void (said += Buffer.from(chunk).toString()),
      });
      await expect.poll(() => said).toContain('ready');
      handle.write(Uint8Array.of(3));
      expect(await within(5000, handle.exit)).toEqual({ status: 9 });
      expect(said).toContain('caught');
    });

    it('under a shell', async () => {
      let said = '';
      const handle = await connection.shell({
        pty: { term: 'xterm', columns: 80, rows: 24 },
        stdout: (chunk) => void (said += Buffer.from(chunk).toString()),
      });
      handle.write(Buffer.from('echo $((6 * 7)); exit 5\n'));
      expect(await within(10_000, handle.exit)).toEqual({ status: 5 });
      expect(said).toContain('42\r\n');
    });
  });

  it('a close of ours ends the command', async () => {
    const handle = await connection.exec('exec cat', { stdout: () => {} });
    handle.close();
    await within(5000, handle.exit);
    expect(handle.io.isClosed).toBe(true);
    expect(await failure(Promise.resolve(handle.write(Buffer.from('x'))))).toMatchObject({ code: 'closed' });
  });

  it('an abort of one session leaves the others', async () => {
    const aborter = new AbortController();
    const handle = await connection.exec('exec sleep 100', { signal: aborter.signal });
    aborter.abort();
    expect((await failure(handle.exit)).code).toBe('aborted');
    expect((await run(connection, 'echo fine')).stdout).toBe('fine\n');
  });

  it('all of it with the noble provider', async () => {
    await using own = await open(server, { crypto: nobleCrypto });
    const { exit, stderr } = await through(own.connection, 'sha256sum >&2; exit 7', MIB);
    expect({ exit, sha256: stderr.split(' ')[0] }).toEqual({ exit: { status: 7 }, sha256: testDigest(MIB) });
  });
});
