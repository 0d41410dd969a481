/** Commands as real processes: `/bin/sh -c`, with pipes, signals to the whole process group, and nothing left behind. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { CommandContext, CommandResult, Output } from './options.ts';

/** Gives what a child prints to the client, at the client's pace. */
async function forward(from: AsyncIterable<Uint8Array>, to: Output): Promise<void> {
  for await (const chunk of from) await to(chunk);
}

export async function runProcess(
  command: string | undefined,
  context: Omit<CommandContext, 'args'>,
): Promise<CommandResult> {
  const environment = { PATH: process.env.PATH, HOME: process.env.HOME, USER: context.user, SHELL: '/bin/sh' };
  const child = spawn('/bin/sh', command === undefined ? ['-s'] : ['-c', command], {
    // A process group of its own, so that what the command starts ends with it.
    detached: true,
    env: { ...environment, ...Object.fromEntries(context.env) },
  });
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // It was faster.
    }
  };
  context.onSignal((name) => kill(`SIG${name}` as NodeJS.Signals));
  const onAbort = (): void => kill('SIGKILL');
  context.signal.addEventListener('abort', onAbort);
  child.stdin.on('error', () => {});
  void (async () => {
    for (let chunk = await context.stdin.read(); chunk !== undefined; chunk = await context.stdin.read()) {
      if (!child.stdin.writable) return;
      if (!child.stdin.write(chunk))
        await Promise.race([once(child.stdin, 'drain'), once(child, 'exit')]).catch(() => {});
    }
    child.stdin.end();
  })();
  try {
    const [[code, signal]] = await Promise.all([
      once(child, 'exit') as Promise<[number | null, string | null]>,
      forward(child.stdout, context.stdout),
      forward(child.stderr, context.stderr),
    ]);
    return signal === null ? (code ?? 255) : { signal: signal.slice(3) };
  } finally {
    kill('SIGKILL');
    context.signal.removeEventListener('abort', onAbort);
  }
}
