// Measures a client that forwards (`-N -L`, `-N -D`): one TCP stream through it, down or up, while its processor time and
// memory are read from /proc, so that neither its start nor the two ends of the stream count.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { Command, Sample } from './measure.ts';

export type Way = 'down' | 'up';

/** Clock ticks a second in /proc/PID/stat: USER_HZ, which Linux has fixed for all programs. */
const TICKS = 100;
const BLOCK = Buffer.alloc(256 * 1024);

export interface Target {
  readonly port: number;
  close(): void;
}

/** Sends `bytes`, or swallows as many: what comes first says which. Then it ends, and so says that all went well. */
export async function startTarget(bytes: number): Promise<Target> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', async (first: Buffer) => {
      if (first[0] === 'd'.charCodeAt(0)) await send(socket, bytes);
      else {
        let left = bytes - first.length + 1;
        socket.on('data', (chunk: Buffer) => {
          left -= chunk.length;
          if (left <= 0) socket.end();
        });
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, close: () => void server.close() };
}

async function send(socket: Socket, bytes: number): Promise<void> {
  let go: () => void = () => {};
  socket.on('drain', () => go());
  socket.once('close', () => go());
  for (let left = bytes; left > 0 && !socket.destroyed; left -= BLOCK.length) {
    const more = socket.write(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK);
    if (more) continue;
    await new Promise<void>((resolve) => {
      go = resolve;
    });
  }
  socket.end();
}

/** A connection whose data goes to one buffer over and over, as in a program that is no concern here. */
async function open(port: number, onData: (length: number) => void): Promise<Socket> {
  const buffer = Buffer.alloc(256 * 1024);
  const onread = {
    buffer,
    callback: (length: number) => {
      onData(length);
      return true;
    },
  };
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true, onread });
  await once(socket, 'connect');
  return socket;
}

/** SOCKS 5 without a login, to a port on 127.0.0.1. */
const greeting = (port: number): Buffer => Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]);
const ANSWER = 12;

async function transfer(port: number, way: Way, bytes: number, socks: number | undefined): Promise<number> {
  let got = socks === undefined ? 0 : -ANSWER;
  let arrived: () => void = () => {};
  const socket = await open(port, (length) => {
    got += length;
    if (got >= 0) arrived();
  });
  const ended = once(socket, 'end');
  if (socks !== undefined) {
    const answered = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    socket.write(greeting(socks));
    await Promise.race([answered, ended]);
  }
  const started = performance.now();
  socket.write(way === 'down' ? 'd' : 'u');
  if (way === 'up') await send(socket, bytes);
  await ended;
  const seconds = (performance.now() - started) / 1000;
  if (got !== (way === 'down' ? bytes : 0)) throw new Error(`${got} bytes came of ${bytes}`);
  socket.destroy();
  return seconds;
}

function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

const peakOf = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')}: status ${child.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${child.spawnargs.join(' ')}: nobody listens on port ${port}`);
}

/** One stream of `bytes` through the listener that `command` opens at `port`; with `socks`, to that port by SOCKS. */
export async function throughForward(
  command: Command,
  { port, way, bytes, socks }: { port: number; way: Way; bytes: number; socks?: number },
): Promise<Sample> {
  const [program = '', ...args] = command.argv;
  const child = spawn(program, args, {
    env: { ...process.env, ...command.env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await listening(child, port);
    const pid = child.pid!;
    const before = processorTime(pid);
    const wall = await transfer(port, way, bytes, socks);
    return { wall, cpu: processorTime(pid) - before, peak: peakOf(pid) };
  } finally {
    const gone = child.exitCode === null ? once(child, 'exit') : undefined;
    child.kill();
    await gone;
  }
}
