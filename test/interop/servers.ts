// Real servers for the tests: OpenSSH's sshd, Dropbear, and ssh-agent, each private, on loopback, on a free port, with
// everything in a temporary folder. Started as root they let in root and one test user with a password; started by
// anyone else, sshd lets in that user by key only. What OpenSSH's configuration says is up to the test.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type KeyFile, type KeyKind, makeKey } from './keys.ts';
import { findProgram, freePort, freshDir, Program } from './process.ts';

export { certify, type KeyFile, type KeyKind, makeKey } from './keys.ts';
export { findProgram, freePort, freshDir, Program, requireServer, runDir } from './process.ts';

export const isRoot = process.getuid?.() === 0;

/** The account that ensureTestUser() makes; its shell is /bin/sh, for a heavy login shell costs more than SSH does. */
export const TEST_USER = { name: 'bsshtest', password: 'correct horse', home: '/home/bsshtest' } as const;

const LOCK = '/tmp/.bssh-test-user.lock';

/** Makes the test user with its password and a log-in key that it accepts itself; root only, once per machine. */
export function ensureTestUser(): typeof TEST_USER & { readonly identity: string } {
  if (!isRoot) throw new Error('a user with a password can be made by root only');
  const identity = join(TEST_USER.home, '.ssh', 'id_login');
  withLock(() => {
    if (!readFileSync('/etc/passwd', 'utf8').includes(`${TEST_USER.name}:`)) {
      execFileSync('useradd', ['-m', '-d', TEST_USER.home, '-s', '/bin/sh', TEST_USER.name]);
      execFileSync('chpasswd', { input: `${TEST_USER.name}:${TEST_USER.password}\n` });
    }
    if (existsSync(identity)) return;
    const folder = join(TEST_USER.home, '.ssh');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'login', '-f', `${identity}.new`]);
    writeFileSync(join(folder, 'authorized_keys'), readFileSync(`${identity}.new.pub`), { mode: 0o600 });
    renameSync(`${identity}.new.pub`, `${identity}.pub`);
    renameSync(`${identity}.new`, identity);
    execFileSync('chown', ['-R', `${TEST_USER.name}:`, folder]);
  });
  return { ...TEST_USER, identity };
}

function withLock(work: () => void): void {
  const end = Date.now() + 20_000;
  for (;;) {
    try {
      mkdirSync(LOCK);
      break;
    } catch {
      if (Date.now() > end) rmSync(LOCK, { recursive: true, force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  }
  try {
    work();
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}

export interface Server {
  readonly host: string;
  readonly port: number;
  /** A user that may log in with `identity`. */
  readonly user: string;
  /** Private key file that the server accepts for `user`. */
  readonly identity: string;
  /** Host keys as public lines, in the server's order. */
  readonly hostKeys: readonly string[];
  /** A known_hosts file that knows this server. */
  readonly knownHosts: string;
  readonly program: Program;
  log(): string;
  waitForLog(pattern: RegExp, milliseconds?: number): Promise<RegExpExecArray>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface SshdOptions {
  readonly hostKeys?: readonly (KeyKind | KeyFile)[];
  /** Lines of sshd_config; they stand first, and sshd takes the first value. LogLevel must show "Server listening". */
  readonly config?: readonly string[];
  /** Lines that stand last: Match blocks, of which one per 127.x.y.z makes many servers of one. */
  readonly match?: readonly string[];
  /** Further lines of authorized_keys. */
  readonly authorizedKeys?: readonly string[];
  /** 0.0.0.0 makes every 127.x.y.z a host of its own. */
  readonly address?: '127.0.0.1' | '0.0.0.0' | '::1';
  /** False leaves the subsystem out. */
  readonly sftp?: boolean;
  readonly userKey?: KeyKind;
}

export async function startSshd(options: SshdOptions = {}): Promise<Server> {
  const sshd = findProgram('sshd');
  if (!sshd) throw new Error('sshd is not installed');
  if (isRoot) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const { address = '127.0.0.1', userKey = 'ed25519' } = options;
  const hostKeys = (options.hostKeys ?? ['ed25519']).map((key) =>
    typeof key === 'string' ? makeKey(key, { purpose: 'host' }) : key,
  );
  const login = makeKey(userKey);
  const writeConfig = (dir: string, port: number) => {
    const authorized = join(dir, 'authorized_keys');
    writeFileSync(authorized, `${[login.publicLine, ...(options.authorizedKeys ?? [])].join('\n')}\n`);
    const lines = [
      ...(options.config ?? []),
      `Port ${port}`,
      `ListenAddress ${address}`,
      ...hostKeys.map((key) => `HostKey ${key.path}`),
      `AuthorizedKeysFile ${authorized}`,
      'PidFile none',
      'UsePAM no',
      'UseDNS no',
      'StrictModes no',
      'PermitRootLogin yes',
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication no',
      // Of this one it takes the last.
      ...(options.config?.some((line) => line.startsWith('MaxStartups')) ? [] : ['MaxStartups 1000:30:1000']),
      'MaxSessions 1000',
      'LogLevel VERBOSE',
      'AcceptEnv *',
      ...(options.sftp === false ? [] : ['Subsystem sftp internal-sftp']),
      ...(options.match ?? []),
    ];
    writeFileSync(join(dir, 'sshd_config'), lines.map((line) => `${line}\n`).join(''));
    return ['-D', '-e', '-f', join(dir, 'sshd_config')];
  };
  const [program, port] = await startListening('sshd', sshd, writeConfig, /^Server listening on .*$/m);
  const user = isRoot ? ensureTestUser().name : userInfo().username;
  return describeServer(program, port, user, login.path, hostKeys, address);
}

export interface DropbearOptions {
  readonly hostKeys?: readonly ('ed25519' | 'rsa' | 'ecdsa256')[];
  readonly args?: readonly string[];
  /** False hides the sftp-server it would start, in a mount namespace of its own: for `canHide()` only. */
  readonly sftp?: boolean;
}

/** Hides the file named first from the command that follows. */
const HIDE = 'mount --bind /dev/null "$0" && exec "$@"';

/** Whether a program can be given a file system that lacks a file. */
export function canHide(): boolean {
  const unshare = findProgram('unshare');
  if (!isRoot || !unshare) return false;
  return spawnSync(unshare, ['-m', 'sh', '-c', HIDE, '/etc/hostname', 'true'], { stdio: 'ignore' }).status === 0;
}

/** Dropbear, for the test user of ensureTestUser(): root only, since it takes authorized_keys from a home. */
export async function startDropbear(options: DropbearOptions = {}): Promise<Server> {
  const dropbear = findProgram('dropbear');
  const convert = findProgram('dropbearconvert');
  if (!dropbear || !convert) throw new Error('dropbear is not installed');
  const user = ensureTestUser();
  // Its converter reads RSA and ECDSA keys as PEM only.
  const keys = (options.hostKeys ?? ['ed25519']).map((kind) =>
    makeKey(kind, { purpose: 'dropbear', format: kind === 'ed25519' ? 'openssh' : 'PEM' }),
  );
  const writeKeys = (dir: string, port: number) => {
    const args = ['-F', '-E', '-p', `127.0.0.1:${port}`, '-P', join(dir, 'pid'), ...(options.args ?? [])];
    keys.forEach((key, index) => {
      const file = join(dir, `host_key_${index}`);
      execFileSync(convert, ['openssh', 'dropbear', key.path, file], { stdio: 'ignore' });
      args.push('-r', file);
    });
    return args;
  };
  const hide = ['-m', 'sh', '-c', HIDE, '/usr/lib/sftp-server', dropbear];
  const [program, port] =
    options.sftp === false
      ? await startListening('dropbear', 'unshare', (...at) => [...hide, ...writeKeys(...at)], /Not backgrounding/)
      : await startListening('dropbear', dropbear, writeKeys, /Not backgrounding/);
  return describeServer(program, port, user.name, user.identity, keys, '127.0.0.1');
}

/** Another program may take the free port first: then once more with the next one. */
export async function startListening(
  label: string,
  command: string,
  prepare: (dir: string, port: number) => readonly string[],
  ready: RegExp,
): Promise<[Program, number]> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const dir = freshDir(label);
    chmodSync(dir, 0o755);
    const program = new Program(dir, command, prepare(dir, port));
    try {
      await program.waitFor(ready);
      if (/Address already in use/.test(program.log())) throw new Error(program.log());
      return [program, port];
    } catch (error) {
      await program.stop();
      if (attempt === 5 || !/Address already in use/.test(String(error))) throw error;
    }
  }
}

export function describeServer(
  program: Program,
  port: number,
  user: string,
  identity: string,
  keys: readonly KeyFile[],
  address: string,
): Server {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address;
  const hostKeys = keys.map((key) => key.publicLine);
  const knownHosts = join(program.dir, 'known_hosts');
  const names = address === '0.0.0.0' ? `[127.*]:${port}` : `[${host}]:${port}`;
  writeFileSync(knownHosts, hostKeys.map((line) => `${names} ${line}\n`).join(''));
  const stop = async () => void (await program.stop());
  return {
    host,
    port,
    user,
    identity,
    hostKeys,
    knownHosts,
    program,
    log: () => program.log(),
    waitForLog: (pattern, milliseconds) => program.waitFor(pattern, milliseconds),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

export interface Agent {
  /** For SSH_AUTH_SOCK. */
  readonly socket: string;
  add(key: string, ...args: string[]): void;
  /** The public keys it holds, one line each. */
  list(): string[];
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startAgent(keys: readonly string[] = [], args: readonly string[] = []): Promise<Agent> {
  const command = findProgram('ssh-agent');
  if (!command) throw new Error('ssh-agent is not installed');
  const dir = freshDir('agent');
  const socket = join(dir, 'socket');
  const program = new Program(dir, command, ['-D', '-a', socket, ...args]);
  await program.waitFor(/SSH_AUTH_SOCK=/);
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  const add = (key: string, ...more: string[]) => {
    execFileSync('ssh-add', ['-q', ...more, key], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  for (const key of keys) add(key);
  const stop = async () => void (await program.stop());
  const list = () => execFileSync('ssh-add', ['-L'], { env, encoding: 'utf8' }).trim().split('\n');
  return { socket, add, list, stop, [Symbol.asyncDispose]: stop };
}

/** Any other program that says on its output when it is ready, such as a Python script that serves. */
export async function startProgram(command: string, args: readonly string[], ready: RegExp): Promise<Program> {
  const program = new Program(freshDir('program'), findProgram(command) ?? command, args);
  await program.waitFor(ready);
  return program;
}
