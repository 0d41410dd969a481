// The demo server's own promises: shells and terminals, real processes, forwards, agents, SFTP, and a clean end.

import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../../client/connection.ts';
import type { ExecHandle, ExecOptions } from '../../client/exec.ts';
import { Sftp } from '../../client/sftp/sftp.ts';
import { streamTransport } from '../../client/sftp/transport.ts';
import { DirectTcpip, ForwardedTcpip, TcpipForward, TcpipForwardReply } from '../../protocol/index.ts';
import { ChannelStream, connectAgent } from '../../transport/index.ts';
import { alice, failure, login, run, within } from '../client/harness.ts';
import { startDemoServer } from './index.ts';
import { tokenize } from './shell.ts';

const pty = { term: 'xterm', columns: 80, rows: 24 };
const machine = { hostname: 'node1' };

/** A shell, and a way to wait for what it prints. */
async function shell(connection: Connection, options: ExecOptions = {}) {
  let seen = '';
  let look = (): void => {};
  const handle: ExecHandle = await connection.shell({
    ...options,
    stdout: (chunk) => {
      seen += Buffer.from(chunk).toString();
      look();
    },
  });
  const until = (text: string): Promise<string> =>
    within(
      3000,
      new Promise<string>((resolve) => {
        look = () => {
          const at = seen.indexOf(text);
          if (at < 0) return;
          const before = seen.slice(0, at + text.length);
          seen = seen.slice(at + text.length);
          look = () => {};
          resolve(before);
        };
        look();
      }),
    );
  const type = (text: string): void => void handle.write(Buffer.from(text));
  return { handle, until, type };
}

describe('a shell on a terminal', () => {
  it('prompts, echoes, erases and ends at ^D', async () => {
    await using server = await startDemoServer({ users: [alice], machine });
    const connection = await login(server);
    const { handle, until, type } = await shell(connection, { pty });
    await until('alice@node1:~$ ');
    type('echp\x7fo hi\r');
    expect(await until('$ ')).toBe('echp\b \bo hi\r\nhi\r\nalice@node1:~$ ');
    type('stty size\r');
    expect(await until('$ ')).toContain('24 80\r\n');
    handle.resize({ columns: 100, rows: 30 });
    type('stty size\r');
    expect(await until('$ ')).toContain('30 100\r\n');
    type('\x04');
    await until('logout\r\n');
    expect(await within(1000, handle.exit)).toEqual({ status: 0 });
    expect(server.sessions[0]!.channels[0]!.pty).toMatchObject({ term: 'xterm', columns: 100, rows: 30 });
  });

  it('takes ^C for the command and lives on', async () => {
    await using server = await startDemoServer({ users: [alice], machine });
    const { handle, until, type } = await shell(await login(server), { pty });
    await until('$ ');
    type('cat\r');
    await until('cat\r\n');
    type('line\r');
    await until('line\r\nline\r\n');
    type('\x03');
    await until('^C\r\nalice@node1:~$ ');
    type('echo $?\r');
    await until('130\r\n');
    type('exit 5\r');
    expect(await within(1000, handle.exit)).toEqual({ status: 5 });
  });

  it('lets ^C end a single command', async () => {
    await using server = await startDemoServer({ users: [alice] });
    const handle = await (await login(server)).exec('sleep 60', { pty });
    void handle.write(Uint8Array.of(3));
    expect(await within(1000, handle.exit)).toMatchObject({ signal: 'INT' });
  });
});

it('reads lines from a shell without a terminal', async () => {
  await using server = await startDemoServer({ users: [alice] });
  const { handle, until, type } = await shell(await login(server));
  type('echo one; hostname\nfalse || echo two\nnonsense\n');
  handle.end();
  await until('one\ndemo\ntwo\n');
  expect(await within(1000, handle.exit)).toEqual({ status: 127 });
});

it('splits command lines as sh does', () => {
  const words = tokenize(`a 'b c' "d \\"$X"e\\ f$X;g>&2 && h`, new Map([['X', '1']]));
  expect(words.map((token) => ('word' in token ? token.word : [token.operator]))).toEqual([
    ...['a', 'b c', 'd "1e f1', [';'], 'g', ['>&2'], ['&&'], 'h'],
  ]);
});

describe('real processes', () => {
  it('run under sh, with streams, status and environment', async () => {
    await using server = await startDemoServer({ users: [alice], realProcesses: true });
    const connection = await login(server);
    expect(await run(connection, 'cat; echo $X >&2; exit 3', { stdin: 'in', env: [['X', 'x']] })).toEqual({
      stdout: 'in',
      stderr: 'x\n',
      exit: { status: 3 },
    });
    expect((await run(connection, 'kill -TERM $$')).exit).toMatchObject({ signal: 'TERM' });
  });

  it('get signals, and end with their channel, children included', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bssh-demo-test-'));
    await using server = await startDemoServer({ users: [alice], realProcesses: true });
    const connection = await login(server);
    const trapped = await connection.exec('trap "exit 9" TERM; echo up; while :; do sleep 0.01; done');
    trapped.io.sink(false, () => trapped.kill('TERM'));
    expect(await within(3000, trapped.exit)).toEqual({ status: 9 });
    const left = await connection.exec(`(sleep 0.4; touch ${dir}/late) & echo up; wait`);
    await new Promise<void>((resolve) => left.io.sink(false, () => resolve()));
    left.close();
    await within(3000, server.sessions[0]!.channels[1]!.done);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(readdirSync(dir)).toEqual([]);
    rmSync(dir, { recursive: true });
  });
});

describe('forwarding', () => {
  const echo = async () => {
    const listener = createServer((socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return { listener, port: (listener.address() as { port: number }).port };
  };
  const origin = { originHost: '127.0.0.1', originPort: 1 };

  it('reaches sockets from the client', async () => {
    const { listener, port } = await echo();
    await using server = await startDemoServer({
      users: [alice],
      forwarding: (host, to) => (host === 'inside' ? { host: '127.0.0.1', port: to } : undefined),
    });
    const connection = await login(server);
    const stream = new ChannelStream(
      await connection.open('direct-tcpip', DirectTcpip.encode({ host: 'inside', port, ...origin })),
    );
    stream.end('there and back');
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('there and back');
    listener.close();
    await once(listener, 'close');
    const closed = connection.open('direct-tcpip', DirectTcpip.encode({ host: 'inside', port, ...origin }));
    expect(await failure(closed)).toMatchObject({ code: 'channel-open', detail: { reason: 2 } });
    const elsewhere = connection.open('direct-tcpip', DirectTcpip.encode({ host: 'outside', port, ...origin }));
    expect(await failure(elsewhere)).toMatchObject({ code: 'channel-open', detail: { reason: 1 } });
  });

  it('brings sockets to the client, until it is cancelled', async () => {
    await using server = await startDemoServer({ users: [alice], forwarding: true });
    const connection = await login(server);
    const origins: unknown[] = [];
    connection.onOpen('forwarded-tcpip', (open, accept) => {
      origins.push(ForwardedTcpip.decode(open.body));
      const stream = new ChannelStream(accept());
      stream.pipe(stream);
      return undefined;
    });
    const reply = await connection.globalRequest('tcpip-forward', TcpipForward.encode({ host: 'localhost', port: 0 }));
    const { port } = TcpipForwardReply.decode(reply);
    const { connect } = await import('node:net');
    const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end('hello');
    expect(Buffer.concat(await socket.toArray()).toString()).toBe('hello');
    expect(origins).toMatchObject([{ host: 'localhost', port }]);
    await connection.globalRequest('cancel-tcpip-forward', TcpipForward.encode({ host: 'localhost', port }));
    const again = connect({ port, host: '127.0.0.1' });
    expect((await once(again, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('is refused unless it was allowed', async () => {
    await using server = await startDemoServer({ users: [alice] });
    const connection = await login(server);
    const body = TcpipForward.encode({ host: '', port: 0 });
    expect((await failure(connection.globalRequest('tcpip-forward', body))).code).toBe('channel-request');
    expect(server.sessions[0]!.globalRequests).toEqual(['tcpip-forward']);
  });
});

it('serves a folder over SFTP, and nothing above it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bssh-demo-test-'));
  await using server = await startDemoServer({ users: [alice], sftpRoot: dir });
  const connection = await login(server);
  const { stream } = await connection.subsystem('sftp');
  const sftp = await Sftp.start(streamTransport(stream, stream));
  await sftp.mkdir('/sub');
  const file = await sftp.open('sub/file', 'wx');
  await file.write(0, Buffer.from('content'));
  await file.close();
  await sftp.rename('/sub/file', '/../../escaped');
  expect(readFileSync(join(dir, 'escaped'), 'utf8')).toBe('content');
  expect((await sftp.stat('escaped')).size).toBe(7);
  expect(await sftp.realpath('../x')).toBe('/x');
  const names: string[] = [];
  for await (const { name } of sftp.readdir('/')) names.push(name);
  expect(names.sort()).toEqual(['escaped', 'sub']);
  expect(await failure(sftp.open('nowhere'))).toMatchObject({ code: 'sftp', detail: { status: 2 } });
  await sftp.remove('escaped');
  await sftp.rmdir('sub');
  expect(readdirSync(dir)).toEqual([]);
  sftp.close();
  rmSync(dir, { recursive: true });
});

it('forwards the agent to a socket', async () => {
  let list: unknown;
  await using server = await startDemoServer({
    users: [alice],
    agentForwarding: true,
    commands: {
      'ssh-add': async ({ env }) => {
        const agent = await connectAgent(env.get('SSH_AUTH_SOCK')!);
        list = await agent.list();
        agent.close();
        return 0;
      },
    },
  });
  const connection = await login(server);
  // An agent without keys: SSH_AGENT_IDENTITIES_ANSWER with a count of zero.
  connection.onOpen('auth-agent@openssh.com', (_, accept) => {
    const io = accept();
    io.sink(false, () => void io.write(Uint8Array.of(0, 0, 0, 5, 12, 0, 0, 0, 0)));
    return undefined;
  });
  const before = (io: ExecHandle['io']): void => void io.request('auth-agent-req@openssh.com', new Uint8Array(0));
  expect((await within(3000, run(connection, 'ssh-add -l', { before }))).exit).toEqual({ status: 0 });
  expect(list).toEqual([]);
});

it('answers the server side of global requests and rekeys', async () => {
  await using server = await startDemoServer({ users: [alice], globalRequests: { 'x@test': (body) => body } });
  const connection = await login(server);
  connection.onGlobalRequest('y@test', (body) => Uint8Array.of(...body, 9));
  expect(await connection.globalRequest('x@test', Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2));
  expect(await server.sessions[0]!.globalRequest('y@test', Uint8Array.of(8))).toEqual(Uint8Array.of(8, 9));
  expect(await server.sessions[0]!.globalRequest('z@test')).toBeUndefined();
  const rekeyed = new Promise((resolve) => {
    connection.onRekey = resolve;
  });
  server.sessions[0]!.rekey();
  await within(2000, rekeyed);
});

it('ends everything when it is closed', async () => {
  const server = await startDemoServer({ users: [alice], realProcesses: true, forwarding: true });
  const connection = await login(server);
  const handle = await connection.exec('sleep 60');
  await connection.globalRequest('tcpip-forward', TcpipForward.encode({ host: '', port: 0 }));
  await within(3000, server.close());
  expect((await failure(handle.exit)).code).toBe('lost');
  expect(server.sessions.every((session) => session.isClosed)).toBe(true);
});

it('fails one connection and takes the next', async () => {
  await using server = await startDemoServer({
    users: [alice],
    faults: (connection) => (connection === 0 ? { closeAt: 'banner' } : undefined),
  });
  expect((await failure(login(server))).code).toBe('lost');
  expect((await run(await login(server), 'true')).exit).toEqual({ status: 0 });
});
