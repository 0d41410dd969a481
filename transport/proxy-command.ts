/**
 * ProxyCommand: a command of the user's whose stdin and stdout carry the connection (ssh_config(5)).
 *
 * Its stdin is a real pipe, as under ssh(1): Node would make a socket of it, and programs look (a server started this way
 * would take the socket's empty name for the client's address). Node has no pipe(2), so a named one serves, unlinked as
 * soon as both ends are open; where there is no mkfifo the socket has to do.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SshError } from '../protocol/index.ts';
import type { ByteStream } from './byte-stream.ts';
import { byteStream } from './socket-stream.ts';

export interface ProxyCommandOptions {
  /** The shell that runs it, with `exec` in front as ssh does. */
  readonly shell: string;
  readonly signal?: AbortSignal;
}

/** Both ends of a pipe: ours does not block, the child's does. */
function pipe(): { read: number; write: number } | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'bssh-'));
  try {
    const path = join(dir, 'pipe');
    if (spawnSync('mkfifo', ['-m', '600', path], { stdio: 'ignore' }).status !== 0) return undefined;
    // A reader and writer at once opens without waiting, and lets the two real ends do so.
    const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      return {
        read: openSync(path, constants.O_RDONLY),
        write: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK),
      };
    } finally {
      closeSync(both);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** As ssh(1) has it, commands end with us: one that does not mind the end of its stdin would outlive a quick exit. */
const running = new Set<ChildProcess>();
const hangUp = (): void => {
  for (const child of running) child.kill('SIGHUP');
};

function untilExit(child: ChildProcess): void {
  if (running.size === 0) process.once('exit', hangUp);
  running.add(child);
  child.once('exit', () => {
    running.delete(child);
    if (running.size === 0) process.removeListener('exit', hangUp);
  });
}

/** Starts `command`; its stderr is ours. The child ends with the stream. */
export function proxyCommand(command: string, { shell, signal }: ProxyCommandOptions): ByteStream {
  if (signal?.aborted) throw new SshError('aborted', 'aborted', { cause: signal.reason });
  const input = pipe();
  const child = spawn(shell, ['-c', `exec ${command}`], { stdio: [input?.read ?? 'pipe', 'pipe', 'inherit'] });
  if (input !== undefined) closeSync(input.read);
  if (child.pid !== undefined) untilExit(child);
  const stdin = input === undefined ? child.stdin! : new Socket({ fd: input.write, readable: false, writable: true });
  const stdout = child.stdout!;
  const stream = byteStream(stdout, stdin, () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGHUP');
  });
  // The shell itself missing: told as the end of the stream, which is what the session sees anyway.
  child.on('error', (error) =>
    stdout.destroy(new SshError('proxy', 'the proxy command cannot be started', { cause: error })),
  );
  return stream;
}
