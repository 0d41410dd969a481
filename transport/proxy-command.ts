/** ProxyCommand: a command of the user's whose stdin and stdout carry the connection (ssh_config(5)). */

import { spawn } from 'node:child_process';
import { SshError } from '../protocol/index.ts';
import type { ByteStream } from './byte-stream.ts';
import { byteStream } from './socket-stream.ts';

export interface ProxyCommandOptions {
  /** The shell that runs it, with `exec` in front as ssh does. */
  readonly shell: string;
  readonly signal?: AbortSignal;
}

/** Starts `command`; its stderr is ours. The child ends with the stream. */
export function proxyCommand(command: string, { shell, signal }: ProxyCommandOptions): ByteStream {
  if (signal?.aborted) throw new SshError('aborted', 'aborted', { cause: signal.reason });
  const child = spawn(shell, ['-c', `exec ${command}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const stream = byteStream(child.stdout, child.stdin, () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGHUP');
  });
  // The shell itself missing: told as the end of the stream, which is what the session sees anyway.
  child.on('error', (error) =>
    child.stdout.destroy(new SshError('proxy', 'the proxy command cannot be started', { cause: error })),
  );
  return stream;
}
