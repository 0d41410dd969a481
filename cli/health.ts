/**
 * `--health`: a command of this machine that says between two batches whether the roll-out goes on. Its output is shown
 * on standard error; it is ended with all it started when the run is.
 */

import { spawn } from 'node:child_process';
import type { BatchReport } from '../client/index.ts';

/** A longer line is shown in parts. */
const LONGEST_LINE = 64 * 1024;

export interface HealthOptions {
  readonly command: string;
  /** Hosts of the whole run. */
  readonly hosts: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes whole lines. */
  readonly say: (text: string) => void;
  /** Ends the command. */
  readonly signal: AbortSignal;
}

/** Asks between batches; what it answers with is for `runOnHosts`. */
export function healthCheck({ command, hosts, env, say, signal }: HealthOptions) {
  return ({ number, first, results }: BatchReport): Promise<boolean> => {
    if (signal.aborted) return Promise.resolve(false);
    const over = first + results.length;
    return new Promise((resolve) => {
      const child = spawn('/bin/sh', ['-c', command], {
        // The head of a process group of its own: its children go with it.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...env,
          BSSH_BATCH: String(number + 1),
          BSSH_BATCH_HOSTS: String(results.length),
          BSSH_BATCH_FAILED: String(results.filter((result) => result.class !== 'ok').length),
          BSSH_HOSTS_DONE: String(over),
          BSSH_HOSTS_LEFT: String(hosts - over),
        },
      });
      const end = (): void => {
        try {
          process.kill(-child.pid!, 'SIGTERM');
        } catch {
          // It was faster.
        }
      };
      const answer = (why: string | undefined): void => {
        signal.removeEventListener('abort', end);
        if (why !== undefined && !signal.aborted)
          say(`The health check after batch ${number + 1} ${why}: ${hosts - over} of ${hosts} hosts are left out\n`);
        resolve(why === undefined);
      };
      child.once('error', (error) => answer(`could not be run (${error.message})`));
      if (child.pid === undefined) return;
      signal.addEventListener('abort', end, { once: true });
      for (const stream of [child.stdout, child.stderr]) inLines(stream, say);
      child.once('close', (code, killer) => {
        if (code === 0) answer(undefined);
        else answer(code === null ? `was killed (${killer})` : `ended with ${code}`);
      });
    });
  };
}

function inLines(stream: NodeJS.ReadableStream, say: (text: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    rest += text;
    const end = rest.lastIndexOf('\n') + 1;
    if (end > 0) say(rest.slice(0, end));
    rest = rest.slice(end);
    if (rest.length < LONGEST_LINE) return;
    say(`${rest}\n`);
    rest = '';
  });
  stream.on('end', () => {
    if (rest !== '') say(`${rest}\n`);
  });
}
