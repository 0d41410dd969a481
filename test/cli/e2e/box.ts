// A shell in which `bssh` is a command, `ssh` another name of it, and `box` a host that lets it in without a question:
// for tests that run other programs, or a person's scripts, on top of it.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bsshBundle } from '../../bundle.ts';
import { freshDir, type Server } from '../../interop/servers.ts';
import type { Outcome } from './bssh.ts';

export class Box {
  /** The folder that $HOME and the scripts' own files are in. */
  readonly home = freshDir('box');
  /** A folder that the user on the other side may write to. */
  readonly shared = freshDir('shared');
  /** For `-F`. */
  readonly config: string;
  readonly bin: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(server: Server) {
    chmodSync(this.shared, 0o777);
    this.bin = join(this.home, 'bin');
    mkdirSync(this.bin);
    for (const name of ['bssh', 'ssh']) symlinkSync(bsshBundle(), join(this.bin, name));
    this.config = this.write(
      'config',
      `Host box
  HostName ${server.host}
Host *
  Port ${server.port}
  User ${server.user}
  IdentityFile ${server.identity}
  IdentitiesOnly yes
  UserKnownHostsFile ${server.knownHosts}
  GlobalKnownHostsFile none
  KexAlgorithms curve25519-sha256
  WarnWeakCrypto no
`,
    );
    this.env = {
      PATH: `${this.bin}:${process.env.PATH}`,
      HOME: this.home,
      USER: 'somebody',
      LANG: 'C.UTF-8',
      TERM: 'xterm',
      F: this.config,
      SHARED: this.shared,
    };
  }

  write(name: string, text: string): string {
    const path = join(this.home, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** Runs a script of the shell; all of it is killed when it takes longer than a test may. */
  sh(script: string, env: NodeJS.ProcessEnv = {}, limit = 50_000): Promise<Outcome> {
    const child = spawn('bash', ['-c', script], {
      cwd: this.home,
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), limit);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
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
