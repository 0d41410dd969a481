// Runs the command as a user would: the bundled file as a child process, with a home and an environment of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { codeFolder } from '../../bundle.ts';
import type { Server } from '../../interop/servers.ts';
import { type Outcome, outcome, Place } from './place.ts';

export { type Outcome, served } from './place.ts';

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

export class Bssh extends Place {
  /** Options in front of every call: how the server is reached and trusted. */
  common: readonly string[] = ['-F', 'none'];

  constructor(server?: Server) {
    super('home');
    if (server !== undefined) this.reach(server);
  }

  protected configure(server: Server): void {
    const known = this.write('known_hosts', '');
    this.common = [
      ...['-F', 'none', '-i', server.identity, '-p', String(server.port), '-l', server.user],
      ...['-o', `UserKnownHostsFile=${known}`],
    ];
  }

  /** With the common options in front. */
  on(...args: readonly string[]): Promise<Outcome> {
    return this.run([...this.common, ...args]);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const { env = {}, cwd = this.home, input = '', limit = 60_000 } = options;
    const child = spawn(options.program ?? this.file, args, {
      cwd,
      env: {
        PATH: process.env.PATH,
        HOME: this.home,
        USER: 'root',
        LANG: 'C.UTF-8',
        NODE_COMPILE_CACHE: codeFolder,
        ...env,
      },
    });
    const ended = outcome(child, () => child.kill('SIGKILL'), limit);
    child.stdin.on('error', () => {});
    if (options.keepOpen === undefined) child.stdin.end(input);
    else {
      child.stdin.write(input);
      setTimeout(() => child.stdin.end(), options.keepOpen);
    }
    options.started?.(child);
    return ended;
  }
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
