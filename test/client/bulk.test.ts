// Much data: every byte arrives in its place, at the reader's pace, through key exchanges, on many channels at once.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Connection } from '../../client/connection.ts';
import { type DemoServer, startDemoServer } from '../demo-server/index.ts';
import { pattern } from '../protocol/session/pair.ts';
import { alice, login, run, within } from './harness.ts';

const MiB = 1024 * 1024;
const BLOCK = pattern(MiB, 7);
const sha256 = (blocks: number): string => {
  const hash = createHash('sha256');
  for (let i = 0; i < blocks; i++) hash.update(BLOCK);
  return hash.digest('hex');
};

/** Sends blocks at the channel's pace. */
async function send(handle: { write(data: Uint8Array): Promise<void> | undefined; end(): void }, blocks: number) {
  for (let i = 0; i < blocks; i++) await handle.write(BLOCK);
  handle.end();
}

let server: DemoServer;
beforeAll(async () => {
  server = await startDemoServer({
    users: [alice],
    commands: {
      blocks: async ({ args, stdout }) => {
        for (let i = 0; i < Number(args[0]); i++) await stdout(BLOCK);
        return 0;
      },
    },
  });
});
afterAll(() => server.close());

describe('64 MiB', () => {
  it('arrive', async () => {
    const connection = await login(server);
    const hash = createHash('sha256');
    const handle = await connection.exec('blocks 64', {
      stdout: (chunk) => {
        hash.update(chunk);
      },
    });
    expect(await handle.exit).toEqual({ status: 0 });
    expect(hash.digest('hex')).toBe(sha256(64));
    await connection.close();
  });

  it('leave', async () => {
    const connection = await login(server);
    let digest = '';
    const handle = await connection.exec('sha256sum', {
      stdout: (chunk) => {
        digest += Buffer.from(chunk);
      },
    });
    await send(handle, 64);
    expect(await handle.exit).toEqual({ status: 0 });
    expect(digest).toBe(`${sha256(64)}  -\n`);
    await connection.close();
  });

  it('go both ways at once, with keys changed every few MiB by either side', async () => {
    const connection = await login(server, { rekey: { bytes: 5 * MiB } });
    let rekeys = 0;
    connection.onRekey = () => {
      rekeys++;
    };
    const hash = createHash('sha256');
    const handle = await connection.exec('cat', {
      stdout: (chunk) => {
        hash.update(chunk);
      },
    });
    const timer = setInterval(() => server.sessions.at(-1)!.rekey(), 20);
    await send(handle, 64);
    expect(await handle.exit).toEqual({ status: 0 });
    clearInterval(timer);
    expect(hash.digest('hex')).toBe(sha256(64));
    expect(rekeys).toBeGreaterThan(10);
    await connection.close();
  });

  it('pass through the streams', async () => {
    const connection = await login(server);
    const { stream } = await connection.exec('cat');
    const hash = createHash('sha256');
    stream.on('data', (chunk: Uint8Array) => hash.update(chunk));
    for (let i = 0; i < 32; i++)
      if (!stream.write(BLOCK)) await new Promise((resolve) => stream.once('drain', resolve));
    stream.end();
    await within(20_000, new Promise((resolve) => stream.once('close', resolve)));
    expect(hash.digest('hex')).toBe(sha256(32));
    await connection.close();
  });
});

describe('a reader that takes its time', () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await login(server);
  });
  afterAll(() => connection.close());

  it('holds the writer back, and memory with it', async () => {
    const window = 256 * 1024;
    let release!: () => void;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let bytes = 0;
    const handle = await connection.exec('blocks 16', {
      channel: { window, maxWindow: window },
      stdout: (chunk) => {
        bytes += chunk.length;
        return held;
      },
    });
    await sleep(200);
    const first = bytes;
    // One chunk is in the sink's hands; what the window let through waits, and nothing beyond it was asked for.
    expect(first).toBeLessThanOrEqual(32 * 1024);
    expect(handle.io.channel.unread + first).toBe(window);
    await sleep(100);
    expect(bytes).toBe(first);
    release();
    expect(await handle.exit).toEqual({ status: 0 });
    expect(bytes).toBe(16 * MiB);
  });

  it('does not hold back other channels', async () => {
    const slow = await connection.exec('yes', { stdout: () => new Promise(() => {}) });
    expect(await within(3000, run(connection, 'echo here'))).toMatchObject({ stdout: 'here\n' });
    slow.kill('KILL');
    slow.io.discard();
    await within(3000, slow.io.closed);
  });

  it('and fails is read for, so that the command ends', async () => {
    for (const sink of [
      () => Promise.reject(new Error('disk full')),
      () => {
        throw new Error('disk full');
      },
    ]) {
      const handle = await connection.exec('blocks 16', { stdout: sink });
      expect(await within(3000, handle.exit)).toEqual({ status: 0 });
    }
  });

  it('and wants only one of the two outputs gets the end all the same', async () => {
    const err: string[] = [];
    const command = 'blocks 8; echo over >&2; exit 2';
    const handle = await connection.exec(command, {
      stderr: (chunk) => {
        err.push(Buffer.from(chunk).toString());
      },
    });
    expect(await within(3000, handle.exit)).toEqual({ status: 2 });
    expect(err).toEqual(['over\n']);
    const other = await connection.exec('echo x; cat-err', { stdout: () => undefined });
    await send(other, 8);
    expect(await within(3000, other.exit)).toEqual({ status: 0 });
  });
});

describe('many channels', () => {
  it('share one connection, each with its own bytes', async () => {
    const connection = await login(server, { rekey: { bytes: 2 * MiB } });
    const runs = Array.from({ length: 200 }, (_, i) =>
      run(connection, `seq ${i}; echo ${i} >&2; cat; exit ${i}`, { stdin: `<${i}>` }),
    );
    const done = await within(20_000, Promise.all(runs));
    done.forEach((result, i) => {
      const lines = Array.from({ length: i }, (_, n) => `${n + 1}\n`).join('');
      expect(result).toEqual({ stdout: `${lines}<${i}>`, stderr: `${i}\n`, exit: { status: i } });
    });
    expect(connection.session.mux.channelCount).toBe(0);
    await connection.close();
  });
});
