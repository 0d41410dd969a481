// Host-based log-in to OpenSSH's sshd: with host keys that we may read, and with those that only ssh-keysign may. The
// helper has its paths built in, so it runs in a mount namespace where /etc/ssh is the test's own.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failure, open, type Record, run, type Way } from './client.ts';
import {
  certify,
  ensureTestUser,
  findProgram,
  freshDir,
  isRoot,
  makeKey,
  requireServer,
  type Server,
  startSshd,
  TEST_USER,
} from './servers.ts';

const ready = requireServer('sshd', 'ssh-keygen') && isRoot;
const shosts = join(TEST_USER.home, '.shosts');
const known = join(TEST_USER.home, '.ssh', 'known_hosts');
const names = `localhost,127.0.0.1,${hostname()}`;

const cases = [
  ['ssh-ed25519', 'ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa256'],
  ['rsa-sha2-512', 'rsa'],
  ['rsa-sha2-256', 'rsa'],
] as const;
const fileOf = { ed25519: 'ssh_host_ed25519_key', ecdsa256: 'ssh_host_ecdsa_key', rsa: 'ssh_host_rsa_key' } as const;

/** Whether this machine lets root have a mount namespace, as containers may not. */
const canMount = ready && spawnSync('unshare', ['-m', 'true'], { stdio: 'ignore' }).status === 0;

describe.skipIf(!ready)('host-based log-in to sshd', () => {
  let server: Server;
  let folder: string;
  beforeAll(async () => {
    ensureTestUser();
    folder = freshDir('etc-ssh');
    const ca = makeKey('ed25519', { purpose: 'ca' });
    const lines = [`@cert-authority ${names} ${ca.publicLine}`];
    for (const kind of ['ed25519', 'ecdsa256', 'rsa'] as const) {
      const key = makeKey(kind, { purpose: 'client-host' });
      const path = join(folder, fileOf[kind]);
      copyFileSync(key.path, path);
      chmodSync(path, 0o600);
      copyFileSync(`${key.path}.pub`, `${path}.pub`);
      lines.push(`${names} ${key.publicLine}`);
    }
    writeFileSync(known, lines.map((line) => `${line}\n`).join(''));
    writeFileSync(shosts, `localhost ${userInfo().username}\n${hostname()} ${userInfo().username}\n`);
    execFileSync('chown', [`${TEST_USER.name}:`, known, shosts]);
    server = await startSshd({
      config: [
        'HostbasedAuthentication yes',
        'IgnoreRhosts no',
        'IgnoreUserKnownHosts no',
        'HostbasedUsesNameFromPacketOnly yes',
        'MaxAuthTries 20',
      ],
    });
  }, 120_000);
  afterAll(async () => {
    rmSync(shosts, { force: true });
    rmSync(known, { force: true });
    await server?.stop();
  });

  const login = (options: readonly string[], way: Way = {}, record: Record = { warnings: [], log: [] }) =>
    open(
      server,
      {
        ...way,
        identities: [],
        options: ['HostbasedAuthentication=yes', 'BatchMode=yes', ...options],
        context: { hostKeyFolder: folder, ...way.context },
      },
      record,
    );

  it.each(cases)('with %s and a key that can be read', async (algorithm) => {
    await using opening = await login([`HostbasedAcceptedAlgorithms=${algorithm}`]);
    expect((await run(opening.connection, 'id -un')).stdout).toBe(`${TEST_USER.name}\n`);
    await server.waitForLog(/Accepted hostbased for bsshtest .*: (ED25519|ECDSA|RSA) SHA256/);
  });

  it('with a certificate', async () => {
    const ca = makeKey('ed25519', { purpose: 'ca' });
    const key = makeKey('ed25519', { purpose: 'certified-client-host' });
    const certified = certify(key, { ca, host: true, principals: names.split(',') });
    const other = freshDir('etc-ssh');
    copyFileSync(certified.path, join(other, 'ssh_host_ed25519_key'));
    copyFileSync(`${certified.path}-cert.pub`, join(other, 'ssh_host_ed25519_key-cert.pub'));
    await using opening = await login([], { context: { hostKeyFolder: other } });
    expect((await run(opening.connection, 'id -un')).stdout).toBe(`${TEST_USER.name}\n`);
    await server.waitForLog(/Accepted hostbased for bsshtest .*: ED25519-CERT/);
  });

  it('tries one key after the other, in the order of the algorithms', async () => {
    const stranger = freshDir('etc-ssh');
    const key = makeKey('ed25519', { purpose: 'unknown-client-host' });
    copyFileSync(key.path, join(stranger, 'ssh_host_ed25519_key'));
    copyFileSync(`${key.path}.pub`, join(stranger, 'ssh_host_ed25519_key.pub'));
    for (const end of ['', '.pub'])
      copyFileSync(join(folder, `ssh_host_rsa_key${end}`), join(stranger, `ssh_host_rsa_key${end}`));
    const record: Record = { warnings: [], log: [] };
    await using opening = await login(
      ['HostbasedAcceptedAlgorithms=ssh-ed25519,rsa-sha2-256'],
      { context: { hostKeyFolder: stranger } },
      record,
    );
    expect((await run(opening.connection, 'true')).exit).toEqual({ status: 0 });
    const tried = record.log.flatMap(
      (line) => /^userauth_hostbased: trying hostkey (\S+) .* (\S+)$/.exec(line)?.slice(1).join(' ') ?? [],
    );
    expect(tried).toEqual(['ED25519 ssh-ed25519', 'RSA rsa-sha2-256']);
  });

  it('is off by default, and fails plainly where the host is not believed', async () => {
    const off = await failure(
      open(server, { identities: [], options: ['BatchMode=yes'], context: { hostKeyFolder: folder } }),
      10_000,
    );
    expect(off).toMatchObject({ code: 'auth', detail: { tried: [] } });
    writeFileSync(shosts, 'localhost somebody-else\n');
    try {
      const refused = await failure(login(['HostbasedAcceptedAlgorithms=ssh-ed25519']), 10_000);
      expect(refused).toMatchObject({ code: 'auth', detail: { tried: [join(folder, 'ssh_host_ed25519_key')] } });
    } finally {
      writeFileSync(shosts, `localhost ${userInfo().username}\n${hostname()} ${userInfo().username}\n`);
    }
  });

  describe('by ssh-keysign', () => {
    /** Public keys that we may read; the private ones are in the helper's /etc/ssh alone. */
    let publicOnly: string;
    const helper = (enabled: boolean): string => {
      const dir = freshDir('keysign');
      const etc = join(dir, 'etc');
      mkdirSync(etc);
      for (const name of Object.values(fileOf)) copyFileSync(join(folder, name), join(etc, name));
      for (const name of Object.values(fileOf)) copyFileSync(join(folder, `${name}.pub`), join(etc, `${name}.pub`));
      writeFileSync(join(etc, 'ssh_config'), `EnableSSHKeysign ${enabled ? 'yes' : 'no'}\n`);
      const script = `mount --bind ${etc} /etc/ssh && exec ${findProgram('ssh-keysign')}`;
      writeFileSync(join(dir, 'keysign'), `#!/bin/sh\nexec unshare -m sh -c '${script}'\n`, { mode: 0o755 });
      return join(dir, 'keysign');
    };
    beforeAll(() => {
      publicOnly = freshDir('etc-ssh');
      for (const name of Object.values(fileOf))
        copyFileSync(join(folder, `${name}.pub`), join(publicOnly, `${name}.pub`));
    });

    it.skipIf(!canMount || findProgram('ssh-keysign') === undefined).each(cases)('%s', async (algorithm) => {
      const context = { hostKeyFolder: publicOnly, keysign: helper(true) };
      await using opening = await login([`HostbasedAcceptedAlgorithms=${algorithm}`], { context });
      expect((await run(opening.connection, 'id -un')).stdout).toBe(`${TEST_USER.name}\n`);
    });

    it.skipIf(!canMount || findProgram('ssh-keysign') === undefined)('that is not switched on says so', async () => {
      const record: Record = { warnings: [], log: [] };
      const context = { hostKeyFolder: publicOnly, keysign: helper(false) };
      const error = await failure(login(['HostbasedAcceptedAlgorithms=ssh-ed25519'], { context }, record), 10_000);
      expect(error).toMatchObject({ code: 'auth', detail: { tried: [] } });
      expect(record.warnings.join('\n')).toMatch(/ssh-keysign not enabled in/);
    });

    it.each([
      ['that is not there', '/nonexistent/ssh-keysign', /ENOENT/],
      ['that answers nonsense', '/bin/echo', /sign using hostkey .* failed/],
    ])('%s', async (_, keysign, wanted) => {
      const record: Record = { warnings: [], log: [] };
      const context = { hostKeyFolder: publicOnly, keysign };
      const error = await failure(login(['HostbasedAcceptedAlgorithms=ssh-ed25519'], { context }, record), 10_000);
      expect(error).toMatchObject({ code: 'auth', detail: { tried: [] } });
      expect(record.warnings.join('\n')).toMatch(wanted);
    });
  });
});
