// What bssh.ts and box.ts have in common: a home of their own, a server that runs as long as the tests of a suite, and
// what a child process printed.
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { bsshBundle } from '../../bundle.ts';
import { freshDir, type Server, startSshd } from '../../interop/servers.ts';

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly out: string;
  readonly err: string;
}

export abstract class Place {
  readonly home: string;
  private bundle: string | undefined;
  private reached: Server | undefined;

  constructor(label: string) {
    this.home = freshDir(label);
  }

  /** The command; building it can take a while, which `reach` does before the first test. */
  get file(): string {
    this.bundle ??= bsshBundle();
    return this.bundle;
  }

  get server(): Server {
    if (this.reached === undefined) throw new Error('no server runs yet');
    return this.reached;
  }

  /** Sets up how this server is reached and trusted. */
  reach(server: Server): void {
    this.reached = server;
    this.configure(server, this.file);
  }

  protected abstract configure(server: Server, file: string): void;

  write(name: string, text: string): string {
    const path = join(this.home, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }
}

/** Every 127.x.y.z is a host. */
export const everywhere = (): Promise<Server> => startSshd({ address: '0.0.0.0' });

/** The place, with a server of its own from before the first test of the suite until after the last. */
export function served<P extends Place>(place: P, start: () => Promise<Server> = everywhere): P {
  let server: Server | undefined;
  beforeAll(async () => {
    server = await start();
    place.reach(server);
  });
  afterAll(() => server?.stop());
  return place;
}

/** All that the process prints, and how it ends; `kill` is called when that takes longer than `limit` milliseconds. */
export function outcome(child: ChildProcess, kill: () => void, limit: number): Promise<Outcome> {
  const timer = setTimeout(kill, limit);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const out = Buffer.concat(stdout);
      resolve({ code, signal, stdout: out, out: out.toString(), err: Buffer.concat(stderr).toString() });
    });
  });
}
