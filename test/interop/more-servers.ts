// Two more real servers for the tests, besides those of servers.ts: ProFTPD's mod_sftp, which knows files only, and
// AsyncSSH. Both are private, on loopback, on a free port, with everything in a temporary folder.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFile, type KeyKind, makeKey } from './keys.ts';
import { findProgram, freshDir, Program, requireServer } from './process.ts';
import { describeServer, ensureTestUser, isRoot, type Server, startListening } from './servers.ts';

export const hostKinds = ['ed25519', 'ecdsa256', 'rsa'] as const;

function missing(what: string): false {
  if (process.env.BSSH_REQUIRE_SERVERS === '1') throw new Error(`not installed: ${what} (BSSH_REQUIRE_SERVERS=1)`);
  process.stderr.write(`skipped: not installed: ${what}\n`);
  return false;
}

const MODULES = '/usr/lib/proftpd';

/** Root only: ProFTPD becomes the user who logs in. */
export const requireProftpd = (): boolean =>
  isRoot &&
  requireServer('proftpd', 'ssh-keygen') &&
  (existsSync(join(MODULES, 'mod_sftp.so')) || missing('proftpd-mod-crypto'));

/** What mod_sftp can do at all, most of it off by default; names that nobody else has are left out. */
export const proftpdAlgorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group-exchange-sha1',
    'diffie-hellman-group1-sha1',
  ],
  ciphers: [
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-cbc',
    'aes192-cbc',
    'aes256-cbc',
    '3des-cbc',
  ],
  macs: [
    'hmac-sha2-256',
    'hmac-sha2-512',
    'hmac-sha1',
    'hmac-sha1-96',
    'hmac-md5',
    'hmac-md5-96',
    'umac-64@openssh.com',
    'umac-128@openssh.com',
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha1-etm@openssh.com',
    'hmac-sha1-96-etm@openssh.com',
    'hmac-md5-etm@openssh.com',
    'hmac-md5-96-etm@openssh.com',
    'umac-64-etm@openssh.com',
    'umac-128-etm@openssh.com',
  ],
} as const;

export interface ProftpdOptions {
  /** Keys that may log in; the first one is the server's `identity`. */
  readonly userKeys?: readonly KeyKind[];
  /** Further lines of its configuration. */
  readonly config?: readonly string[];
}

/** ProFTPD for the test user of ensureTestUser(), who has a password, too. */
export async function startProftpd(options: ProftpdOptions = {}): Promise<Server> {
  const user = ensureTestUser();
  const keys = hostKinds.map((kind) => makeKey(kind, { purpose: 'host' }));
  const userKeys = (options.userKeys ?? ['ed25519']).map((kind) => makeKey(kind));
  const writeConfig = (dir: string, port: number): string[] => {
    const authorized = join(dir, 'authorized_keys');
    // It reads RFC 4716 only.
    const rfc4716 = userKeys.map(({ path }) =>
      execFileSync('ssh-keygen', ['-e', '-f', `${path}.pub`], { encoding: 'utf8' }),
    );
    writeFileSync(authorized, rfc4716.join(''), { mode: 0o644 });
    const lines = [
      'ServerType standalone',
      'DefaultAddress 127.0.0.1',
      'SocketBindTight on',
      `Port ${port}`,
      'UseIPv6 off',
      'UseReverseDNS off',
      `ModulePath ${MODULES}`,
      'LoadModule mod_sftp.c',
      'AuthOrder mod_auth_unix.c',
      'AuthPAM off',
      'RequireValidShell off',
      'User nobody',
      'Group nogroup',
      'MaxInstances 100',
      'WtmpLog off',
      'TransferLog none',
      `PidFile ${join(dir, 'pid')}`,
      `ScoreboardFile ${join(dir, 'scoreboard')}`,
      'AllowOverwrite on',
      'AllowStoreRestart on',
      'SFTPEngine on',
      `SFTPLog ${join(dir, 'sftp.log')}`,
      ...keys.map(({ path }) => `SFTPHostKey ${path}`),
      `SFTPAuthorizedUserKeys file:${authorized}`,
      'SFTPCompression delayed',
      `SFTPKeyExchanges ${proftpdAlgorithms.kex.join(' ')}`,
      `SFTPCiphers ${proftpdAlgorithms.ciphers.join(' ')}`,
      `SFTPDigests ${proftpdAlgorithms.macs.join(' ')}`,
      ...(options.config ?? []),
    ];
    const config = join(dir, 'proftpd.conf');
    writeFileSync(config, lines.map((line) => `${line}\n`).join(''));
    return ['-n', '-c', config];
  };
  const command = findProgram('proftpd');
  if (!command) throw new Error('proftpd is not installed');
  const [program, port] = await startListening('proftpd', command, writeConfig, /standalone mode STARTUP/);
  return describeServer(program, port, user.name, userKeys[0]!.path, keys, '127.0.0.1');
}

const PYTHON = '/usr/bin/python3';

/** AsyncSSH is a module, not a program: asked of the interpreter, and missing like any other server. */
export const requireAsyncssh = (): boolean =>
  requireServer('ssh-keygen', 'python3') &&
  (spawnSync(PYTHON, ['-W', 'ignore', '-c', 'import asyncssh'], { stdio: 'ignore' }).status === 0 ||
    missing('python3-asyncssh'));

export interface AsyncsshOptions {
  readonly hostKeys?: readonly KeyFile[];
  /** Lines of authorized_keys; the user's Ed25519 key may always log in. */
  readonly authorizedKeys?: readonly string[];
}

/** AsyncSSH, as whoever runs the tests, for any user name. */
export async function startAsyncssh(options: AsyncsshOptions = {}): Promise<Server> {
  const keys = options.hostKeys ?? hostKinds.map((kind) => makeKey(kind, { purpose: 'host' }));
  const login = makeKey('ed25519');
  const dir = freshDir('asyncssh');
  const authorized = join(dir, 'authorized_keys');
  writeFileSync(authorized, [login.publicLine, ...(options.authorizedKeys ?? [])].map((line) => `${line}\n`).join(''));
  const script = join(process.cwd(), 'test/interop/asyncssh-server.py');
  const program = new Program(dir, PYTHON, [script, ...keys.map(({ path }) => path), '--', authorized]);
  const port = Number((await program.waitFor(/^listening on (\d+)$/m, 30_000))[1]);
  return describeServer(program, port, 'someone', login.path, keys, '127.0.0.1');
}
