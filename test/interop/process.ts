// Programs that a test needs beside it: found or skipped with a reason, started under a watchdog, and ended whatever
// becomes of the test. The watchdog is a shell that holds the other end of a pipe; when this process is gone, even by
// SIGKILL, the pipe closes and the shell ends the program's whole process group.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SEARCH = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/lib/openssh', '/usr/local/bin', '/usr/local/sbin'];

export function findProgram(name: string): string | undefined {
  for (const folder of [...SEARCH, ...(process.env.PATH ?? '').split(':')]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

/**
 * Whether all of these programs are here, for `describe.skipIf(!requireServer('sshd'))`. Says which one is missing;
 * with BSSH_REQUIRE_SERVERS=1 a missing one is an error, so that CI cannot skip by accident.
 */
export function requireServer(...names: string[]): boolean {
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return true;
  const reason = `not installed: ${missing.join(', ')}`;
  if (process.env.BSSH_REQUIRE_SERVERS === '1') throw new Error(`${reason} (BSSH_REQUIRE_SERVERS=1)`);
  process.stderr.write(`skipped: ${reason}\n`);
  return false;
}

const PREFIX = 'bssh-test-';
let root: string | undefined;

/** A folder below the temporary one that goes when this process does; leftovers of killed runs go with it. */
export function runDir(): string {
  if (root === undefined) {
    for (const entry of readdirSync(tmpdir())) {
      const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(entry)?.[1];
      if (owner !== undefined && !isAlive(Number(owner)))
        rmSync(join(tmpdir(), entry), { recursive: true, force: true });
    }
    root = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    execFileSync('chmod', ['755', root]);
    const mine = root;
    process.on('exit', () => rmSync(mine, { recursive: true, force: true }));
  }
  return root;
}

let counter = 0;

export function freshDir(label: string): string {
  const path = join(runDir(), `${label}-${++counter}`);
  mkdirSync(path);
  return path;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

// Below the ports that Linux and macOS give to outgoing connections and to who asks for any: with hundreds of tests at
// work those are taken by somebody else between the question and the use.
const FIRST_PORT = 20_000;
const PORTS = 12_000;

/** A port that was free a moment ago, and that no outgoing connection takes by itself. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = FIRST_PORT + randomInt(PORTS);
    const server = createServer();
    try {
      await once(server.listen(port, address), 'listening');
    } catch (error) {
      if (attempt === 20 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      continue;
    }
    await once(server.close(), 'close');
    return port;
  }
}

// $1 is the log; the rest is the program. `set -m` gives it a process group of its own, so that what it forks ends too.
const WATCHDOG = `
set -m
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 &
program=$!
( read -r _ <&3; kill -TERM -$program 2>/dev/null; sleep 3; kill -KILL -$program 2>/dev/null ) >/dev/null 2>&1 &
watcher=$!
wait $program
status=$?
kill -KILL -$watcher 2>/dev/null
exit $status
`;

export class Program {
  readonly dir: string;
  readonly #logFile: string;
  readonly #watchdog: ChildProcess;
  readonly #ended: Promise<number>;
  #status: number | undefined;
  #finalLog: string | undefined;

  constructor(dir: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.dir = dir;
    this.#logFile = join(dir, 'log');
    const quiet = openSync('/dev/null', 'r+');
    this.#watchdog = spawn('/bin/bash', ['-c', WATCHDOG, 'watchdog', this.#logFile, command, ...args], {
      cwd: dir,
      env,
      stdio: [quiet, quiet, quiet, 'pipe'],
      // Out of our process group: who kills that whole must not kill the watchdog before it has done its duty.
      detached: true,
    });
    closeSync(quiet);
    this.#ended = new Promise((resolve) => {
      const end = (status: number) => {
        this.#status = status;
        resolve(status);
      };
      this.#watchdog.once('close', (code) => end(code ?? 255));
      this.#watchdog.once('error', () => end(255));
    });
    this.#watchdog.unref();
    const pipe = this.#watchdog.stdio[3] as { on(event: 'error', listener: () => void): void; unref?(): void };
    pipe.on('error', () => undefined);
    pipe.unref?.();
  }

  /** What the program wrote so far, standard error included. */
  log(): string {
    if (this.#finalLog !== undefined) return this.#finalLog;
    try {
      return readFileSync(this.#logFile, 'utf8');
    } catch {
      return '';
    }
  }

  /** The exit status, once it has ended. */
  get status(): number | undefined {
    return this.#status;
  }

  async waitFor(pattern: RegExp, milliseconds = 10_000): Promise<RegExpExecArray> {
    const end = Date.now() + milliseconds;
    for (;;) {
      const found = pattern.exec(this.log());
      if (found) return found;
      if (this.#status !== undefined) throw new Error(`ended with ${this.#status} before ${pattern}:\n${this.log()}`);
      if (Date.now() > end) throw new Error(`no ${pattern} within ${milliseconds} ms:\n${this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Ends it and everything it started; its log stays readable. */
  async stop(): Promise<number> {
    this.#watchdog.ref();
    (this.#watchdog.stdio[3] as { destroy(): void }).destroy();
    const status = await this.#ended;
    this.#finalLog ??= this.log();
    rmSync(this.dir, { recursive: true, force: true });
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
