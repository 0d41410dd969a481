// Commands, shells and their ends, against the demo server on a loopback socket and in memory.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Connection } from '../../client/connection.ts';
import { type DemoServer, startDemoServer } from '../demo-server/index.ts';
import { alice, login, run, within } from './harness.ts';

let server: DemoServer;
beforeAll(async () => {
  server = await startDemoServer({ users: [alice], machine: { hostname: 'node1' }, agentForwarding: true });
});
afterAll(() => server.close());

describe.each(['loopback', 'memory'] as const)('exec over %s', (way) => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await login(server, way === 'memory' ? { dial: () => server.connect({ pieces: 7 }) } : {});
  });
  afterAll(() => connection.close());

  it('keeps stdout and stderr apart and tells the status', async () => {
    expect(await run(connection, 'echo out; echo err >&2; exit 3')).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exit: { status: 3 },
    });
  });

  it('sends stdin and its end', async () => {
    expect(await run(connection, 'cat', { stdin: 'to and fro' })).toMatchObject({
      stdout: 'to and fro',
      exit: { status: 0 },
    });
    expect(await run(connection, 'wc', { stdin: '' })).toMatchObject({ stdout: '0\n' });
  });

  it('lets who is told that data has left end everything there', async () => {
    for (const size of [10, 100_000]) {
      const own = await login(server, way === 'memory' ? { dial: () => server.connect({ pieces: 7 }) } : {});
      const handle = await own.exec('cat');
      await within(
        2000,
        new Promise<void>((resolve) => {
          const write = handle.write(Buffer.alloc(size), () => {
            void own.close();
            resolve();
          });
          write?.catch(() => {});
        }),
      );
      expect(await within(2000, own.closed)).toBeUndefined();
    }
  });

  it('ends stdin with the request when there is no input', async () => {
    const handle = await connection.exec('wc', { noInput: true });
    const out: string[] = [];
    handle.io.sink(false, (chunk) => void out.push(Buffer.from(chunk).toString()));
    expect(await within(2000, handle.exit)).toEqual({ status: 0 });
    expect(out.join('')).toBe('0\n');
  });

  it('tells a signal that ended the command', async () => {
    expect((await run(connection, 'die SEGV core bad memory')).exit).toEqual({
      signal: 'SEGV',
      coreDumped: true,
      message: 'bad memory',
    });
  });

  it('says so when the server never told how it ended', async () => {
    expect((await run(connection, 'echo x; vanish')).exit).toEqual({});
  });

  it('sends signals to the command', async () => {
    const handle = await connection.exec('trap');
    const out: string[] = [];
    handle.io.sink(false, (chunk) => {
      out.push(Buffer.from(chunk).toString());
      if (out.join('') === 'ready\n') handle.kill('TERM');
    });
    expect(await within(2000, handle.exit)).toEqual({ status: 0 });
    expect(out.join('')).toBe('ready\ncaught TERM\n');
  });

  it('ends a command by a signal it does not take', async () => {
    const handle = await connection.exec('sleep 60');
    handle.kill('KILL');
    expect(await within(2000, handle.exit)).toMatchObject({ signal: 'KILL' });
  });

  it('passes the environment on', async () => {
    const { stdout } = await run(connection, 'echo "$A-$B"', {
      env: [
        ['A', '1'],
        ['B', 'two words'],
      ],
    });
    expect(stdout).toBe('1-two words\n');
  });
});
