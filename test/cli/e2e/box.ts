// A shell in which `bssh` is a command, `ssh` another name of it, and `box` a host that lets it in without a question:
// for tests that run other programs, or a person's scripts, on top of it.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { codeFolder } from '../../bundle.ts';
import { freshDir, type Server } from '../../interop/servers.ts';
import { type Outcome, outcome, Place } from './place.ts';

export { served } from './place.ts';

export class Box extends Place {
  /** A folder that the user on the other side may write to. */
  readonly shared = freshDir('shared');
  /** For `-F`. */
  readonly config: string;
  readonly bin: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(server?: Server) {
    super('box');
    this.config = join(this.home, 'config');
    this.bin = join(this.home, 'bin');
    this.env = {
      PATH: `${this.bin}:${process.env.PATH}`,
      HOME: this.home,
      USER: 'somebody',
      LANG: 'C.UTF-8',
      TERM: 'xterm',
      F: this.config,
      SHARED: this.shared,
      NODE_COMPILE_CACHE: codeFolder,
    };
    if (server !== undefined) this.reach(server);
  }

  protected configure(server: Server, file: string): void {
    chmodSync(this.shared, 0o777);
    mkdirSync(this.bin);
    for (const name of ['bssh', 'ssh']) symlinkSync(file, join(this.bin, name));
    this.write(
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
  }

  /** Runs a script of the shell; all of it is killed when it takes longer than a test may. */
  sh(script: string, env: NodeJS.ProcessEnv = {}, limit = 50_000): Promise<Outcome> {
    const child = spawn('bash', ['-c', script], {
      cwd: this.home,
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    return outcome(child, () => process.kill(-child.pid!, 'SIGKILL'), limit);
  }
}
