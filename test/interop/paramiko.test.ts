// A server on Paramiko: no server-sig-algs, prompts of its own, channels that end in odd ways.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failure, open, providers, run, Script, type Target, testDigest, through, within } from './client.ts';
import { freshDir, makeKey, type Program, requireServer, startProgram } from './servers.ts';

const python = '/usr/bin/python3';

/** Paramiko is a module, not a program: asked of the interpreter, and missing like any other server. */
function requireParamiko(): boolean {
  if (!requireServer('ssh-keygen', 'ssh', 'python3')) return false;
  if (spawnSync(python, ['-c', 'import paramiko'], { stdio: 'ignore' }).status === 0) return true;
  if (process.env.BSSH_REQUIRE_SERVERS === '1') throw new Error('python3-paramiko is not installed');
  process.stderr.write('skipped: not installed: python3-paramiko\n');
  return false;
}

const userKeys = ['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa'] as const;

describe.skipIf(!requireParamiko())('paramiko', () => {
  let program: Program;
  let target: Target;
  beforeAll(async () => {
    const dir = freshDir('paramiko');
    const hostKey = makeKey('ed25519', { purpose: 'host' });
    const authorized = join(dir, 'authorized_keys');
    writeFileSync(authorized, userKeys.map((kind) => `${makeKey(kind).publicLine}\n`).join(''));
    const script = fileURLToPath(new URL('paramiko-server.py', import.meta.url));
    program = await startProgram(python, [script, hostKey.path, authorized], /listening on \d+/);
    const port = Number(/listening on (\d+)/.exec(program.log())![1]);
    const knownHosts = join(dir, 'known_hosts');
    writeFileSync(knownHosts, `[127.0.0.1]:${port} ${hostKey.publicLine}\n`);
    target = { host: '127.0.0.1', port, user: 'someone', knownHosts, identity: makeKey('ed25519').path };
  });
  afterAll(() => program?.stop());

  /** ssh(1) with the same key and options. */
  const reference = (identity: string, options: readonly string[]): boolean => {
    const settings = [
      ...options,
      `UserKnownHostsFile=${target.knownHosts}`,
      'GlobalKnownHostsFile=/dev/null',
      'StrictHostKeyChecking=yes',
      'BatchMode=yes',
      'IdentityAgent=none',
      'IdentitiesOnly=yes',
    ].flatMap((option) => ['-o', option]);
    const args = [
      '-F',
      'none',
      ...settings,
      '-i',
      identity,
      '-p',
      String(target.port),
      'someone@127.0.0.1',
      'status 0',
    ];
    return spawnSync('ssh', args, { stdio: 'ignore', timeout: 20_000 }).status === 0;
  };

  const cases = userKeys.flatMap((kind) => [
    [kind, [] as string[]] as const,
    [kind, ['PubkeyAcceptedAlgorithms=+ssh-rsa']] as const,
  ]);
  it.each(cases)('log in with %s and %j as ssh(1) does, without server-sig-algs', async (kind, options) => {
    const identity = makeKey(kind).path;
    const attempt = open(target, { identities: [identity], options });
    const ours = await attempt.then(
      async (opening) => {
        await opening[Symbol.asyncDispose]();
        return true;
      },
      (error) => {
        expect(error).toMatchObject({ code: 'auth', detail: { tried: [] } });
        return false;
      },
    );
    expect(ours).toBe(reference(identity, options));
  });

  it('a password beyond ASCII', async () => {
    await using opening = await open(target, { identities: [], password: 'pär ässword' });
    expect((await run(opening.connection, 'status 0')).exit).toEqual({ status: 0 });
  });

  it('prompts with echo and without', async () => {
    const prompter = new Script('me', 's');
    const options = ['PreferredAuthentications=keyboard-interactive'];
    await using opening = await open(target, { identities: [], prompter, options });
    expect(prompter.told).toEqual(['Title', 'Two questions']);
    expect(prompter.asked.map(({ text, echo }) => [text.replace(/^\(.*?\) /, ''), echo])).toEqual([
      ['Name: ', true],
      ['Secret: ', false],
    ]);
    expect((await run(opening.connection, 'status 2')).exit).toEqual({ status: 2 });
  });

  it.each(providers)('data both ways with %s, with its rekeys and ours', async (_, crypto) => {
    await using opening = await open(target, { crypto, options: ['RekeyLimit=256K'] });
    const received = await through(opening.connection, 'echo', 1 << 20);
    expect(received).toMatchObject({ bytes: 1 << 20, sha256: testDigest(1 << 20), exit: { status: 0 } });
    const rekeys = opening.negotiated.length;
    expect(rekeys).toBeGreaterThanOrEqual(2);
    const { stdout } = await run(opening.connection, 'rekey');
    expect(stdout).toBe('x'.repeat(400_000));
    expect(opening.negotiated.length).toBeGreaterThan(rekeys);
  });

  it('a channel that closes without a status', async () => {
    await using opening = await open(target);
    expect(await run(opening.connection, 'silent')).toEqual({ stdout: 'said\n', stderr: '', exit: {} });
    expect((await run(opening.connection, 'status 1')).stderr).toBe('err\n');
  });

  it('a status after the end of output', async () => {
    await using opening = await open(target);
    expect(await run(opening.connection, 'eof')).toMatchObject({ stdout: 'first\n', exit: { status: 6 } });
  });

  it('a command and a terminal that are refused', async () => {
    await using opening = await open(target);
    const refused = await failure(opening.connection.exec('refuse'));
    expect(refused).toMatchObject({ code: 'channel-request', detail: { request: 'exec' } });
    const pty = { term: 'xterm', columns: 80, rows: 24 };
    const handle = await opening.connection.exec('status 0', { pty, stdout: () => {} });
    expect(await handle.ptyGranted).toBe(false);
    expect(await within(5000, handle.exit)).toEqual({ status: 0 });
    const other = await failure(opening.connection.open('no-such-type', new Uint8Array()));
    expect(other).toMatchObject({ code: 'channel-open', detail: { reason: 1 } });
  });

  it('a server that never answers, and one that hangs up', async () => {
    await using opening = await open(target);
    const hung = opening.connection.exec('hang', { signal: AbortSignal.timeout(300) });
    expect(await failure(hung)).toMatchObject({ code: 'aborted' });
    await using other = await open(target);
    const handle = await other.connection.exec('drop', { stdout: () => {} });
    expect(await failure(handle.exit)).toMatchObject({ code: 'lost' });
  });
});
