// Runs the command as a user would: the bundled file as a child process, with a home and an environment of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bsshBundle } from '../../bundle.ts';
import { freshDir, type Server } from '../../interop/servers.ts';

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Instead of the command: a shell that starts it. */
  readonly program?: string;
  /** Bytes for standard input; `undefined` is an empty one. */
  readonly input?: string | Uint8Array;
  /** Milliseconds for which standard input stays open after `input`. */
  readonly keepOpen?: number;
  /** Told of the process as soon as it runs. */
  readonly started?: (child: ChildProcess) => void;
  /** Milliseconds until the process is killed: nothing may hang. */
  readonly limit?: number;
}

export class Bssh {
  readonly file = bsshBundle();
  readonly home = freshDir('home');
  /** Options in front of every call: how the server is reached and trusted. */
  readonly common: readonly string[];

  constructor(server?: Server) {
    this.common =
      server === undefined
        ? ['-F', 'none']
        : [
            '-F',
            'none',
            '-i',
            server.identity,
            '-p',
            String(server.port),
            '-l',
            server.user,
            '-o',
            `UserKnownHostsFile=${this.write('known_hosts', '')}`,
          ];
  }

  write(name: string, text: string): string {
    const path = join(this.home, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** With the common options in front. */
  on(...args: readonly string[]): Promise<Outcome> {
    return this.run([...this.common, ...args]);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const { env = {}, cwd = this.home, input = '', limit = 60_000 } = options;
    const child = spawn(options.program ?? this.file, args, {
      cwd,
      env: { PATH: process.env.PATH, HOME: this.home, USER: 'root', LANG: 'C.UTF-8', ...env },
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {});
    if (options.keepOpen === undefined) child.stdin.end(input);
    else {
      child.stdin.write(input);
      setTimeout(() => child.stdin.end(), options.keepOpen);
    }
    options.started?.(child);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        const out = Buffer.concat(stdout);
        resolve({ code, signal, stdout: out, out: out.toString(), err: Buffer.concat(stderr).toString() });
      });
    });
  }
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
