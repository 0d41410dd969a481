// The harness itself: the servers it starts let OpenSSH's own client in, and are gone afterwards.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  certify,
  ensureTestUser,
  freshDir,
  isRoot,
  makeKey,
  requireServer,
  type Server,
  startAgent,
  startDropbear,
  startSshd,
} from './servers.ts';

function ssh(server: Server, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const common = ['-F', 'none', '-o', `UserKnownHostsFile=${server.knownHosts}`, '-o', 'GlobalKnownHostsFile=none'];
  const to = ['-o', 'StrictHostKeyChecking=yes', '-o', 'BatchMode=yes', '-p', String(server.port)];
  const result = spawnSync('ssh', [...common, ...to, ...args], { env, encoding: 'utf8' });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => undefined);
    setTimeout(() => socket.destroy(), 500);
  });

describe.skipIf(!requireServer('sshd', 'ssh'))('startSshd', () => {
  it('lets the key in, knows its host keys, logs, and is gone after stop()', async () => {
    const server = await startSshd({ hostKeys: ['ed25519', 'ecdsa256'] });
    const done = ssh(server, ['-i', server.identity, `${server.user}@127.0.0.1`, 'echo out; exit 3']);
    expect(done).toMatchObject({ status: 3, stdout: 'out\n' });
    await server.waitForLog(/Accepted publickey for/);
    expect(server.hostKeys.map((line) => line.split(' ')[0])).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256']);
    await server.stop();
    expect(await answers(server.port)).toBe(false);
    expect(server.log()).toContain('Server listening');
    expect(existsSync(server.program.dir)).toBe(false);
  });

  it('serves every loopback address and puts the lines of the test first', async () => {
    await using server = await startSshd({ address: '0.0.0.0', config: ['Banner none', 'ForceCommand echo forced'] });
    for (const host of ['127.0.0.7', '127.1.2.3']) {
      const done = ssh(server, ['-i', server.identity, `${server.user}@${host}`, 'echo out']);
      expect(done).toMatchObject({ status: 0, stdout: 'forced\n' });
    }
  });

  it('accepts a certificate of a trusted authority', async () => {
    const ca = makeKey('ed25519', { purpose: 'ca' });
    const user = certify(makeKey('ecdsa256', { purpose: 'certified' }), { ca, principals: ['someone'] });
    const server = await startSshd({ authorizedKeys: [`cert-authority,principals="someone" ${ca.publicLine}`] });
    const done = ssh(server, ['-o', 'IdentitiesOnly=yes', '-i', user.path, `${server.user}@127.0.0.1`, 'true']);
    expect(done.status).toBe(0);
    await server.stop();
    expect(server.log()).toMatch(/Accepted publickey for .* ECDSA-CERT/);
  });

  it('ends with the process that started it, however that ends', async () => {
    const dir = freshDir('orphan');
    const script = `
      import { startSshd } from ${JSON.stringify(new URL('servers.ts', import.meta.url).pathname)};
      const server = await startSshd();
      process.stdout.write(String(server.port) + '\\n');
      setInterval(() => undefined, 1000);
    `;
    const { build } = await import('rolldown');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${dir}/orphan.ts`, script);
    await build({
      input: `${dir}/orphan.ts`,
      platform: 'node',
      output: { file: `${dir}/orphan.mjs` },
      logLevel: 'silent',
    });
    const child = spawn(process.execPath, [`${dir}/orphan.mjs`], { stdio: ['ignore', 'pipe', 'inherit'] });
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', (text) => resolve(Number(text)));
      child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
    });
    expect(await answers(port)).toBe(true);
    child.kill('SIGKILL');
    await expect.poll(() => answers(port), { timeout: 10_000 }).toBe(false);
  });

  it.skipIf(!isRoot)('has a user with a password', async () => {
    const user = ensureTestUser();
    await using server = await startSshd();
    const askpass = freshDir('askpass');
    execFileSync('/bin/sh', [
      '-c',
      `printf '#!/bin/sh\\necho "${user.password}"\\n' > ${askpass}/say && chmod 755 ${askpass}/say`,
    ]);
    const env = { ...process.env, SSH_ASKPASS: `${askpass}/say`, SSH_ASKPASS_REQUIRE: 'force' };
    const args = ['-o', 'BatchMode=no', '-o', 'PreferredAuthentications=password', `${user.name}@127.0.0.1`, 'id -un'];
    const common = ['-F', 'none', '-o', `UserKnownHostsFile=${server.knownHosts}`, '-p', String(server.port)];
    const done = spawnSync('ssh', [...common, ...args], { env, encoding: 'utf8' });
    expect(done).toMatchObject({ status: 0, stdout: `${user.name}\n` });
  });
});

describe.skipIf(!requireServer('dropbear', 'dropbearconvert', 'ssh') || !isRoot)('startDropbear', () => {
  it('lets the test user in under each kind of host key', async () => {
    await using server = await startDropbear({ hostKeys: ['ed25519', 'rsa', 'ecdsa256'] });
    for (const algorithm of ['ssh-ed25519', 'rsa-sha2-256', 'ecdsa-sha2-nistp256']) {
      const to = ['-o', `HostKeyAlgorithms=${algorithm}`, '-i', server.identity, `${server.user}@127.0.0.1`];
      expect(ssh(server, [...to, 'echo $0'])).toMatchObject({ status: 0, stdout: 'sh\n' });
    }
  });
});

describe.skipIf(!requireServer('ssh-agent', 'ssh-add'))('startAgent', () => {
  it('holds the keys it was given', async () => {
    const keys = [makeKey('ed25519'), makeKey('rsa', { purpose: 'agent' })];
    await using agent = await startAgent(keys.map((key) => key.path));
    expect(agent.list()).toEqual(keys.map((key) => key.publicLine));
  });
});

describe('requireServer', () => {
  it('skips what is missing, unless servers are required', () => {
    const before = process.env.BSSH_REQUIRE_SERVERS;
    try {
      delete process.env.BSSH_REQUIRE_SERVERS;
      expect(requireServer('no-such-program')).toBe(false);
      process.env.BSSH_REQUIRE_SERVERS = '1';
      expect(() => requireServer('no-such-program')).toThrow('not installed: no-such-program');
    } finally {
      if (before === undefined) delete process.env.BSSH_REQUIRE_SERVERS;
      else process.env.BSSH_REQUIRE_SERVERS = before;
    }
  });
});
