// Sharing a connection: our holder with our clients and with stock ssh, a stock holder with our clients.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseForward } from '../../client/config/forward-spec.ts';
import type { Connection } from '../../client/connection.ts';
import { type ControlClient, connectControl } from '../../client/control/client.ts';
import { type ControlMaster, type ControlMasterOptions, listenControl } from '../../client/control/master.ts';
import { Forwards } from '../../client/forward/forwards.ts';
import { bothWays, failure, node, open, planFor, run, testData, within } from './client.ts';
import { freePort, freshDir, requireServer, type Server, startSshd } from './servers.ts';

const here = requireServer('sshd', 'ssh');
let server: Server;
beforeAll(async () => {
  if (here) server = await startSshd();
});
afterAll(() => server?.stop());

interface Holder {
  readonly path: string;
  readonly connection: Connection;
  readonly forwards: Forwards;
  readonly master: ControlMaster;
  [Symbol.asyncDispose](): Promise<void>;
}

async function hold(more: Partial<ControlMasterOptions> = {}): Promise<Holder> {
  const path = join(freshDir('ctl'), 'socket');
  const { connection } = await open(server);
  const forwards = new Forwards(connection, planFor(server).forwards, {});
  const master = (await listenControl({ path, host: server.host, connection, forwards, ...more }))!;
  return {
    path,
    connection,
    forwards,
    master,
    [Symbol.asyncDispose]: async () => {
      master.close();
      await forwards.close();
      await connection.close();
    },
  };
}

async function shared(path: string): Promise<Connection> {
  return within(5000, (await within(5000, connectControl(path))).proxy(node));
}

interface Stock {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Stock ssh. */
function ssh(args: readonly string[], input = ''): Promise<Stock> {
  return new Promise((resolve) => {
    const child = execFile('ssh', ['-F', 'none', ...args], { timeout: 15_000, maxBuffer: 1 << 24 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err }),
    );
    child.stdin!.on('error', () => {});
    child.stdin!.end(input);
  });
}

const login = (): string[] => [
  ...['-i', server.identity, '-p', String(server.port), '-l', server.user],
  ...['-o', `UserKnownHostsFile=${server.knownHosts}`, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
];

/** Stock ssh as the holder. */
async function stockHolder(...args: string[]): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = join(freshDir('ctl'), 'socket');
  const child = spawn('ssh', ['-F', 'none', ...login(), '-M', '-S', path, '-N', ...args, server.host], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await expect.poll(() => existsSync(path), { timeout: 8000 }).toBe(true);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await within(5000, ended);
    },
  };
}

/** Everything a client does in proxy mode, whoever holds the connection. */
async function useProxy(path: string): Promise<void> {
  const connection = await shared(path);
  expect(await run(connection, 'echo out; echo err >&2; exit 44')).toEqual({
    stdout: 'out\n',
    stderr: 'err\n',
    exit: { status: 44 },
  });
  expect(await run(connection, 'cat', { stdin: 'to and fro' })).toMatchObject({
    stdout: 'to and fro',
    exit: { status: 0 },
  });
  const pty = { term: 'vt100', columns: 93, rows: 31 };
  expect((await run(connection, 'stty size; echo $TERM', { pty })).stdout).toBe('31 93\r\nvt100\r\n');
  expect((await run(connection, 'echo $LC_BSSH', { env: [['LC_BSSH', 'passed']] })).stdout).toBe('passed\n');
  expect((await run(connection, 'kill -TERM $$')).exit).toMatchObject({ signal: 'TERM' });
  await bothWays(connection, 5_000_000);
  const statuses = await Promise.all(
    Array.from({ length: 12 }, async (_, status) => (await run(connection, `exit ${status}`)).exit.status),
  );
  expect(statuses).toEqual(Array.from({ length: 12 }, (_, status) => status));
  const sftp = await connection.subsystem('sftp');
  await sftp.write(Uint8Array.of(0, 0, 0, 5, 1, 0, 0, 0, 3));
  const version = await new Promise<Uint8Array>((resolve) => sftp.io.sink(false, resolve));
  expect(version[4]).toBe(2);
  sftp.close();
  await within(2000, sftp.exit);
  await connection.close();
}

describe.skipIf(!here)('our holder', () => {
  it('has its socket from one moment to the next, for its owner only, and takes it away', async () => {
    const held = await hold();
    expect(statSync(held.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(held.path))).toEqual(['socket']);
    await held[Symbol.asyncDispose]();
    expect(existsSync(held.path)).toBe(false);
  });

  it('does not take the place of another one, nor remove the socket of its successor', async () => {
    await using held = await hold();
    const { connection, forwards, path } = held;
    const options = { path, host: 'x', connection, forwards };
    expect(await listenControl(options)).toBeUndefined();
    expect(readdirSync(dirname(path))).toEqual(['socket']);
    const { unlinkSync } = await import('node:fs');
    unlinkSync(path);
    const successor = (await listenControl(options))!;
    held.master.close();
    expect(existsSync(path)).toBe(true);
    successor.close();
    expect(existsSync(path)).toBe(false);
  });

  it('serves our clients', async () => {
    await using held = await hold();
    await useProxy(held.path);
    await within(2000, held.master.idle());
    expect(held.connection.session.mux.channelCount).toBe(0);
  });

  it('serves many clients at once, each its own', async () => {
    await using held = await hold();
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const connection = await shared(held.path);
        expect(await run(connection, `cat; exit ${i}`, { stdin: `client ${i}` })).toMatchObject({
          stdout: `client ${i}`,
          exit: { status: i },
        });
        await connection.close();
      }),
    );
    expect((await run(held.connection, 'echo mine')).stdout).toBe('mine\n');
    await expect.poll(() => held.connection.session.mux.channelCount).toBe(0);
  });

  it('closes the channels of a client that vanishes', async () => {
    await using held = await hold();
    const connection = await shared(held.path);
    await connection.exec('cat');
    await connection.exec('sleep 1000');
    expect(held.connection.session.mux.channelCount).toBe(2);
    connection.driver.destroy();
    await within(2000, held.master.idle());
    // sshd ends a session without a pty when its process is done with the pipes.
    await expect.poll(() => held.connection.session.mux.channelCount, { timeout: 3000 }).toBeLessThan(2);
    expect((await run(held.connection, 'echo alive')).stdout).toBe('alive\n');
  });

  it('holds what a client sends faster than the server takes it, and what it does not take', async () => {
    await using held = await hold();
    const connection = await shared(held.path);
    const slow = await connection.exec('sleep 1; wc -c', { stdout: (chunk) => void out.push(chunk) });
    const out: Uint8Array[] = [];
    for (let i = 0; i < 64; i++) await slow.write(new Uint8Array(256 * 1024));
    slow.end();
    await within(10_000, slow.exit);
    expect(Buffer.concat(out).toString().trim()).toBe(String(16 * 1024 * 1024));
    held.connection.rekey();
    await bothWays(connection, 3_000_000);
    await connection.close();
  });

  it('tells its clients when the connection ends', async () => {
    const held = await hold();
    const connection = await shared(held.path);
    const handle = await connection.exec('sleep 1000');
    await held[Symbol.asyncDispose]();
    expect((await failure(handle.exit)).code).toBe('lost');
    expect((await within(1000, connection.closed))?.detail.phase).toBe('control');
  });

  it('forwards for clients, and stops', async () => {
    await using held = await hold();
    const client = await connectControl(held.path);
    expect(await client.check()).toBe(process.pid);
    await everyForward(client);
    client.close();
  });

  it('lets clients ask the server to listen for them alone', async () => {
    await using held = await hold();
    const [one, two] = [await shared(held.path), await shared(held.path)];
    const remote = async (connection: Connection, says: string): Promise<number> => {
      const { TcpipForward, TcpipForwardReply } = await import('../../protocol/index.ts');
      connection.onOpen('forwarded-tcpip', (_, accept) => {
        const io = accept();
        void io.write(Buffer.from(says));
        io.eof();
        io.close();
        return undefined;
      });
      const body = TcpipForward.encode({ host: '127.0.0.1', port: 0 });
      return TcpipForwardReply.decode(await within(2000, connection.globalRequest('tcpip-forward', body))).port;
    };
    const ports = [await remote(one, 'one'), await remote(two, 'two')];
    expect(await read(ports[0]!)).toBe('one');
    expect(await read(ports[1]!)).toBe('two');
    await one.close();
    await expect.poll(() => read(ports[0]!).catch(() => 'refused')).toBe('refused');
    expect(await read(ports[1]!)).toBe('two');
    expect((await failure(two.globalRequest('no-more-sessions@openssh.com', new Uint8Array(0)))).code).toBe(
      'channel-request',
    );
    await two.close();
  });

  it('asks before it serves, when it is to', async () => {
    const asked: string[] = [];
    await using held = await hold({
      confirm: async (question) => {
        asked.push(question);
        return question.startsWith('Open');
      },
    });
    const client = await connectControl(held.path);
    const port = await freePort();
    await client.openForward(parseForward('local', `${port}:localhost:1`)!);
    expect((await failure(client.terminate())).detail).toMatchObject({ denied: true, reason: 'Permission denied' });
    expect((await failure(client.stopListening())).detail.denied).toBe(true);
    expect((await failure(client.proxy(node))).detail.denied).toBe(true);
    expect(asked).toEqual([
      `Open local forward LOCALHOST:${port} -> localhost:1 on 127.0.0.1? `,
      'Terminate shared connection to 127.0.0.1? ',
      'Disable further multiplexing on shared connection to 127.0.0.1? ',
      'Allow shared connection to 127.0.0.1? ',
    ]);
  });

  it('drops clients that speak something else, and keeps the others', async () => {
    await using held = await hold();
    const { connect } = await import('node:net');
    for (const bytes of ['GET / HTTP/1.0\r\n\r\n', '\0\0\0\x04\0\0\0\x01', '\xff\xff\xff\xff']) {
      const socket = connect(held.path);
      socket.on('data', () => {});
      socket.write(Buffer.from(bytes, 'latin1'));
      await within(2000, new Promise((resolve) => socket.once('close', resolve)));
    }
    expect(await (await connectControl(held.path)).check()).toBe(process.pid);
  });
});

/** What comes from a port of ours until it ends. */
async function read(port: number | string): Promise<string> {
  const { connect } = await import('node:net');
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = typeof port === 'number' ? connect(port, '127.0.0.1') : connect(port);
    socket.on('data', (chunk) => void (got += chunk));
    socket.once('error', reject);
    socket.once('close', () => resolve(got));
  });
}

/** -L, -R, -R 0, -D and Unix sockets through a control client; then cancelled. */
async function everyForward(client: ControlClient): Promise<void> {
  const target = createServer((socket) => socket.end('target'));
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const { port } = target.address() as { port: number };
  const [local, remote, dynamic] = [await freePort(), await freePort(), await freePort()];
  const unix = join(freshDir('fwd'), 'u');
  const forwards = [
    parseForward('local', `127.0.0.1:${local}:127.0.0.1:${port}`)!,
    parseForward('local', `${unix}:127.0.0.1:${port}`)!,
    parseForward('remote', `127.0.0.1:${remote}:127.0.0.1:${port}`)!,
    parseForward('dynamic', `127.0.0.1:${dynamic}`)!,
  ];
  for (const forward of forwards) expect(await client.openForward(forward)).toBeUndefined();
  // Asked for twice it is there once.
  await client.openForward(forwards[0]!);
  const chosen = parseForward('remote', `127.0.0.1:0:127.0.0.1:${port}`)!;
  const allocated = (await client.openForward(chosen))!;
  expect(await Promise.all([local, unix, remote, allocated].map(read))).toEqual([
    'target',
    'target',
    'target',
    'target',
  ]);
  for (const forward of forwards) await client.closeForward(forward);
  expect((await failure(client.closeForward(forwards[0]!))).detail.reason).toBe('port not forwarded');
  // A stock holder does not wait for the server's answer.
  for (const gone of [local, unix, remote, dynamic])
    await expect.poll(() => read(gone).catch(() => 'refused'), { timeout: 3000 }).toBe('refused');
  expect((await failure(client.openForward(parseForward('local', `192.0.2.1:${local}:x:1`)!))).detail).toMatchObject({
    denied: false,
    reason: 'Port forwarding failed',
  });
  target.close();
}

describe.skipIf(!here)('our holder and stock ssh', () => {
  it('answers check, forward, cancel, stop and exit', async () => {
    await using held = await hold();
    const { path } = held;
    const ask = (command: string, ...args: string[]): Promise<Stock> =>
      ssh(['-S', path, '-O', command, ...args, 'host']);
    expect(await ask('check')).toMatchObject({ code: 0, err: `Master running (pid=${process.pid})\r\n` });
    const target = createServer((socket) => socket.end('target'));
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as { port: number };
    const [local, remote] = [await freePort(), await freePort()];
    expect((await ask('forward', '-L', `${local}:127.0.0.1:${port}`, '-R', `${remote}:127.0.0.1:${port}`)).code).toBe(
      0,
    );
    expect([await read(local), await read(remote)]).toEqual(['target', 'target']);
    expect(await ask('forward', '-R', `0:127.0.0.1:${port}`)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\n$/),
    });
    expect((await ask('forward', '-L', `192.0.2.1:${local}:x:1`)).err).toContain(
      'forwarding request failed: Port forwarding failed',
    );
    expect((await ask('cancel', '-L', `${local}:127.0.0.1:${port}`, '-R', `${remote}:127.0.0.1:${port}`)).code).toBe(0);
    await expect(read(local)).rejects.toThrow();
    expect(await ask('stop')).toMatchObject({ code: 0, err: 'Stop listening request sent.\r\n' });
    await within(1000, held.master.stopped);
    expect(existsSync(path)).toBe(false);
    target.close();
    await using other = await hold();
    expect(await ssh(['-S', other.path, '-O', 'exit', 'host'])).toMatchObject({
      code: 0,
      err: 'Exit request sent.\r\n',
    });
    await within(1000, other.master.terminated);
  });

  it('carries its sessions in proxy mode', async () => {
    await using held = await hold();
    const proxied = (...words: string[]): Promise<Stock> =>
      ssh(['-S', held.path, '-O', 'proxy', 'host', ...words], 'in');
    expect(await proxied('cat; echo -err >&2; exit 44')).toEqual({ code: 44, out: 'in', err: '-err\n' });
    expect((await proxied('head -c 3000000 /dev/zero')).out.length).toBe(3_000_000);
    const shell = await ssh(['-S', held.path, '-O', 'proxy', 'host'], 'echo a shell: $0\nexit 7\n');
    expect(shell).toMatchObject({ code: 7, out: expect.stringContaining('a shell: ') });
    const tty = await ssh(['-tt', '-S', held.path, '-O', 'proxy', 'host', 'tty; stty size']);
    expect(tty).toMatchObject({ code: 0, out: expect.stringMatching(/^\/dev\/pts\/\d+\r\n\d+ \d+\r\n$/) });
  });

  it.skipIf(!requireServer('sftp'))('carries sftp in proxy mode', async () => {
    await using held = await hold();
    const dir = freshDir('sftp');
    const program = join(dir, 'ssh');
    writeFileSync(program, `#!/bin/sh\nexec ssh -F none -S ${held.path} -O proxy host -s sftp\n`, { mode: 0o755 });
    const bytes = Buffer.concat([...testData(3_000_000)]);
    writeFileSync(join(dir, 'file'), bytes, { mode: 0o644 });
    writeFileSync(join(dir, 'batch'), `get ${dir}/file ${dir}/copy\nls ${dir}\n`);
    chmodSync(dir, 0o755);
    const done = await new Promise<Stock>((resolve) => {
      const args = ['-q', '-S', program, '-b', join(dir, 'batch'), 'host'];
      execFile('sftp', args, { timeout: 15_000 }, (error, out, err) => resolve({ code: error ? 1 : 0, out, err }));
    });
    expect(done, done.err).toMatchObject({ code: 0, out: expect.stringContaining(`${dir}/file`) });
    expect(readFileSync(join(dir, 'copy')).equals(bytes)).toBe(true);
  });

  it('carries its forwardings in proxy mode, many connections at once', async () => {
    await using held = await hold();
    const target = createServer((socket) => socket.end('target'));
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as { port: number };
    const local = await freePort();
    const child = spawn(
      'ssh',
      ['-F', 'none', '-S', held.path, '-O', 'proxy', '-N', '-L', `${local}:127.0.0.1:${port}`, 'host'],
      { stdio: 'ignore' },
    );
    const gone = new Promise((resolve) => child.once('exit', resolve));
    try {
      await expect.poll(() => read(local).catch(() => ''), { timeout: 8000 }).toBe('target');
      const all = await Promise.all(Array.from({ length: 50 }, () => read(local)));
      expect(all).toEqual(Array.from({ length: 50 }, () => 'target'));
    } finally {
      child.kill();
      target.close();
      await within(5000, gone);
    }
    await expect.poll(() => held.connection.session.mux.channelCount, { timeout: 5000 }).toBe(0);
  });

  it('says at once that it cannot take descriptors: ssh then connects itself', async () => {
    await using held = await hold();
    const result = await ssh([...login(), '-S', held.path, server.host, 'cat; exit 5'], 'in');
    expect(result).toMatchObject({ code: 5, out: 'in' });
    expect(result.err).toContain('session request failed: this holder takes no file descriptors');
    const forward = await ssh([...login(), '-S', held.path, '-W', `127.0.0.1:${server.port}`, server.host]);
    expect(forward.code).toBe(255);
    expect(forward.err).toContain('Stdio forwarding request failed: this holder takes no file descriptors');
    expect(await (await connectControl(held.path)).check()).toBe(process.pid);
  });
});

describe.skipIf(!here)('a stock holder', () => {
  it('serves our clients', async () => {
    await using held = await stockHolder();
    await useProxy(held.path);
    const client = await connectControl(held.path);
    expect(await client.check()).toBeGreaterThan(1);
    await everyForward(client);
    await client.stopListening();
    expect(existsSync(held.path)).toBe(false);
    client.close();
  });

  it('ends when asked to', async () => {
    await using held = await stockHolder();
    const client = await connectControl(held.path);
    await within(2000, client.terminate());
    await expect.poll(() => existsSync(held.path)).toBe(false);
  });
});

describe.skipIf(!here)('no holder', () => {
  it('is said, with the reason', async () => {
    const dir = freshDir('ctl');
    expect((await failure(connectControl(join(dir, 'none')))).detail.errno).toBe('ENOENT');
    const file = join(dir, 'file');
    writeFileSync(file, '');
    expect((await failure(connectControl(file))).detail.errno).toBe('ECONNREFUSED');
    expect((await failure(connectControl(join(dir, 'x'.repeat(120))))).message).toMatch(/^ControlPath too long/);
    const silent = createServer();
    const path = join(dir, 'silent');
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    expect((await failure(connectControl(path, { timeout: 100 }))).code).toBe('timeout');
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    expect((await failure(connectControl(path, { signal: controller.signal }))).code).toBe('aborted');
    silent.close();
  });
});
