// What OpenSSH's sshd shows as a host key, and what our rules make of it: commands, certificates, revocations, rotation.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failure, type Opening, open, type Record, run, type Target, type Way, within } from './client.ts';
import { certify, freshDir, type KeyFile, makeKey, requireServer, type Server, startSshd } from './servers.ts';

const HOST = '127.0.0.1';
let dir: string;
let files = 0;

function file(text: string, mode = 0o600): string {
  const path = join(dir, `file-${++files}`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const script = (body: string): string => file(`#!/bin/sh\n${body}\n`, 0o755);
const key = (line: string): string => line.split(' ').slice(0, 2).join(' ');
const record = (): Record => ({ warnings: [], log: [] });

describe.skipIf(!requireServer('sshd', 'ssh-keygen'))('host keys of sshd', () => {
  let server: Server;
  beforeAll(async () => {
    dir = freshDir('trust');
    server = await startSshd({ hostKeys: ['ed25519', 'ecdsa256', 'rsa'] });
  });
  afterAll(() => server.stop());

  const login = async (target: Target, way: Way, seen = record()): Promise<Omit<Opening, 'connection'>> => {
    const opening = await open(target, way, seen);
    // sshd announces its keys ahead of whatever it answers.
    await run(opening.connection, 'true');
    await within(5000, opening.hostKeysUpdated());
    await opening.connection.close();
    return opening;
  };

  describe('KnownHostsCommand', () => {
    const only = (command: string): string[] => ['UserKnownHostsFile=none', `KnownHostsCommand=${command}`];

    it('is asked for the order, then for the name, with its tokens', async () => {
      const calls = join(dir, 'calls');
      const ecdsa = server.hostKeys[1]!;
      const command = script(`echo "$@" >>${calls}; echo "[${HOST}]:${server.port} ${key(ecdsa)}"`);
      const { log } = await login(server, { options: only(`${command} %I %H %t %f %K %u %% "a b"`) });
      const [order, name, ...more] = readFileSync(calls, 'utf8').trim().split('\n');
      const me = process.env.USER ?? execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
      expect(more).toEqual([]);
      expect(order).toBe(`ORDER ${HOST} NONE NONE NONE ${me} % a b`);
      const print = execFileSync('ssh-keygen', ['-lf', file(`${ecdsa}\n`)], { encoding: 'utf8' }).split(' ')[1];
      const [type, blob] = ecdsa.split(' ');
      expect(name).toBe(`HOSTNAME [${HOST}]:${server.port} ${type} ${print} ${blob} ${me} % a b`);
      expect(log).toContain('Found key in KnownHostsCommand-HOSTNAME:1');
    });

    it('ends the connection when it fails, and knows no host when it says nothing', async () => {
      const good = `echo "[${HOST}]:${server.port} ${key(server.hostKeys[0]!)}"`;
      const bad = await failure(login(server, { options: only(script(`${good}\nexit 1`)) }));
      expect([bad.code, bad.message]).toEqual(['host-key', 'KnownHostsCommand failed']);
      const killed = await failure(login(server, { options: only(script(`${good}\nkill -9 $$`)) }));
      expect(killed.message).toBe('KnownHostsCommand failed');
      const silent = await failure(login(server, { options: only(script('exit 0')) }));
      expect(silent.detail.reason).toBe('unknown');
      const seen = record();
      expect((await failure(login(server, { options: only('relative/path') }, seen))).detail.reason).toBe('unknown');
      expect(seen.warnings.join('\n')).toMatch(/KnownHostsCommand-ORDER path is not absolute/);
    });
  });

  describe('RevokedHostKeys', () => {
    const revoked = (path: string): Way => ({ options: [`RevokedHostKeys=${path}`] });

    it('refuses a key in a list or a KRL, and every key when the file cannot be used', async () => {
      const list = file(`# bad ones\n${server.hostKeys[0]}\n`);
      const plain = await failure(login(server, revoked(list)));
      expect(plain.code).toBe('host-key');
      expect(plain.message).toMatch(new RegExp(`^Host key ED25519 SHA256:\\S+ revoked by file ${list}$`));
      const krl = join(dir, 'krl');
      execFileSync('ssh-keygen', ['-q', '-k', '-f', krl, list]);
      expect((await failure(login(server, revoked(krl)))).detail.reason).toBe('revoked');
      const missing = await failure(login(server, revoked(join(dir, 'nowhere'))));
      expect(missing.message).toMatch(
        /^Error checking host key .* in revoked keys file .*: No such file or directory$/,
      );
      expect((await failure(login(server, revoked(file('not a key\n'))))).detail.reason).toBe('revocation-list');
    });

    it('lets pass what is not in it', async () => {
      await login(server, revoked(file(`${makeKey('ed25519', { purpose: 'other' }).publicLine}\n`)));
    });
  });

  describe('certificates', () => {
    let ca: KeyFile;
    let otherCa: KeyFile;
    beforeAll(() => {
      ca = makeKey('ed25519', { purpose: 'host-ca' });
      otherCa = makeKey('ecdsa256', { purpose: 'other-ca' });
    });

    const serve = async (cert: Partial<Parameters<typeof certify>[1]> = {}) => {
      const certified = certify(makeKey('ed25519', { purpose: 'host' }), { ca, host: true, ...cert });
      return startSshd({ hostKeys: [certified], config: [`HostCertificate ${certified.path}-cert.pub`] });
    };
    const authority = (of: KeyFile, names = '*'): string => `@cert-authority ${names} ${key(of.publicLine)}\n`;
    const target = (at: Server, knownHosts: string): Target => ({ ...at, knownHosts: file(knownHosts) });

    it('trusts its authority for the bare name of a host on another port', async () => {
      await using at = await serve({ principals: ['127.0.*'] });
      const { log } = await login(target(at, authority(ca)), {});
      expect(log.join('\n')).toMatch(
        /Host '\[127\.0\.0\.1\]:\d+' is known and matches the ED25519-CERT host certificate/,
      );
      expect(log.join('\n')).toMatch(
        /^Server host certificate: ssh-ed25519-cert-v01@openssh\.com SHA256:.* ID "test" CA/m,
      );
      const untrusted = await failure(login(target(at, authority(otherCa)), {}));
      expect(untrusted.detail.reason).toBe('unknown');
    });

    it('refuses an authority or a certified key that is revoked, by name and in a KRL', async () => {
      await using at = await serve({ principals: [HOST] });
      const revokedCa = `${authority(ca)}@revoked * ${key(ca.publicLine)}\n`;
      expect((await failure(login(target(at, revokedCa), {}))).detail.reason).toBe('revoked');
      const revokedKey = `${authority(ca)}@revoked * ${key(at.hostKeys[0]!)}\n`;
      const seen = record();
      expect((await failure(login(target(at, revokedKey), {}, seen))).detail.reason).toBe('revoked');
      expect(seen.warnings.join('\n')).toMatch(/REVOKED HOST KEY DETECTED!/);
      const list = file(`${ca.publicLine}\n`);
      const byFile = await failure(login(target(at, authority(ca)), { options: [`RevokedHostKeys=${list}`] }));
      expect(byFile.message).toMatch(/^Host key ED25519-CERT/);
    });

    it.each([
      ['another name', { principals: ['elsewhere'] }, 'Certificate invalid: name is not a listed principal'],
      ['no name', {}, 'Certificate lacks principal list'],
      ['the past', { principals: [HOST], validity: '20200101:20210101' }, 'Certificate invalid: expired'],
      ['the future', { principals: [HOST], validity: '20990101:20990201' }, 'Certificate invalid: not yet valid'],
      [
        'a demand we do not know',
        { principals: [HOST], options: ['critical:strange=1'] },
        'Certificate contains unsupported critical options',
      ],
    ] as const)('falls back to the plain key when the certificate is for %s', async (_, cert, reason) => {
      await using at = await serve(cert);
      const seen = record();
      const refused = await failure(login(target(at, authority(ca)), {}, seen));
      expect([refused.code, refused.detail.reason]).toEqual(['host-key', 'unknown']);
      expect(seen.warnings).toContain(reason);
      expect(seen.log).toContain('No matching CA found. Retry with plain key');
      const plain = `[${HOST}]:${at.port} ${key(at.hostKeys[0]!)}\n`;
      await login(target(at, authority(ca) + plain), {});
      const onlyCerts = { options: ['HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com'] };
      expect((await failure(login(target(at, authority(ca) + plain), onlyCerts))).detail.reason).toBe('algorithm');
    });

    it('obeys CASignatureAlgorithms', async () => {
      await using at = await serve({ principals: [HOST] });
      const seen = record();
      const way = { options: ['CASignatureAlgorithms=ecdsa-sha2-nistp256'] };
      await failure(login(target(at, authority(ca)), way, seen));
      expect(seen.warnings).toContain('Certificate signed with disallowed algorithm');
    });
  });

  it('refuses an RSA key smaller than RequiredRSASize', async () => {
    const way = { options: ['HostKeyAlgorithms=rsa-sha2-512', 'RequiredRSASize=4096'] };
    expect((await failure(login(server, way))).message).toBe('Bad server host key: Invalid key length');
    await login(server, { options: ['HostKeyAlgorithms=rsa-sha2-512', 'RequiredRSASize=3072'] });
  });

  it('asks for the kind of key it knows, unless the user chose the order', async () => {
    const knownHosts = file(`[${HOST}]:${server.port} ${key(server.hostKeys[2]!)}\n`);
    const { negotiated } = await login({ ...server, knownHosts }, {});
    expect(negotiated[0]!.hostKey.keyType).toBe('ssh-rsa');
    const removed = await login({ ...server, knownHosts }, { options: ['HostKeyAlgorithms=-ecdsa*'] });
    expect(removed.negotiated[0]!.hostKey.keyType).toBe('ssh-rsa');
    const chosen = await failure(
      login({ ...server, knownHosts }, { options: ['HostKeyAlgorithms=ssh-ed25519,rsa-sha2-512'] }),
    );
    expect(chosen.detail.reason).toBe('changed');
  });

  describe('UpdateHostKeys', () => {
    const on = ['UpdateHostKeys=yes', 'HostKeyAlias=box'];
    const lines = (path: string): string[] =>
      readFileSync(path, 'utf8')
        .trim()
        .split('\n')
        .map((line) => key(line.replace(/^\S+ /, '')));

    it('learns the keys the server proves, forgets those it gave up, and leaves other lines alone', async () => {
      const [ed, ecdsa, rsa] = server.hostKeys.map(key);
      const knownHosts = file(`# mine\nbox ${ed}\nother ${key(makeKey('ed25519', { purpose: 'x' }).publicLine)}\n`);
      const { log } = await login({ ...server, knownHosts }, { options: on });
      expect(log.join('\n')).toMatch(/^Learned new hostkey: RSA SHA256:/m);
      expect(lines(knownHosts).slice(-2).sort()).toEqual([ecdsa, rsa].sort());
      expect(readFileSync(knownHosts, 'utf8')).toMatch(/^# mine\nbox ssh-ed25519/);
      await using rotated = await startSshd({
        hostKeys: ['ed25519', makeKey('ecdsa256', { purpose: 'rotated' })],
      });
      await login({ ...rotated, knownHosts }, { options: on });
      const text = readFileSync(knownHosts, 'utf8');
      expect(text.match(/^box /gm)).toHaveLength(2);
      expect(text).not.toContain(rsa);
      expect(text).not.toContain(ecdsa);
      expect(text).toContain(key(rotated.hostKeys[1]!));
    });

    it('learns an RSA key when an RSA key was negotiated', async () => {
      const knownHosts = file(`box ${key(server.hostKeys[2]!)}\n`);
      await login({ ...server, knownHosts }, { options: [...on, 'HostKeyAlgorithms=rsa-sha2-256,ssh-ed25519'] });
      expect(lines(knownHosts)).toEqual([key(server.hostKeys[2]!), key(server.hostKeys[0]!)]);
    });

    it.each([
      ['a pattern', (ed: string) => `b?x ${ed}\n`],
      [
        'an authority beside it',
        (ed: string) =>
          `box ${ed}\n@cert-authority box ${key(makeKey('ed25519', { purpose: 'host-ca' }).publicLine)}\n`,
      ],
      ['the same key under another name', (ed: string) => `box ${ed}\nelsewhere ${ed}\n`],
    ])('leaves the file alone for %s', async (_, text) => {
      const before = text(key(server.hostKeys[0]!));
      const knownHosts = file(before);
      const { log } = await login({ ...server, knownHosts }, { options: on });
      expect(readFileSync(knownHosts, 'utf8')).toBe(before);
      expect(log.join('\n')).toMatch(/skipping UserKnownHostsFile update/);
    });

    it('does nothing for a key that was only just learnt, for `no`, and without a person for `ask`', async () => {
      const fresh = join(dir, 'fresh');
      await login({ ...server, knownHosts: fresh }, { options: [...on, 'StrictHostKeyChecking=accept-new'] });
      expect(existsSync(fresh) && lines(fresh)).toHaveLength(1);
      const text = `box ${key(server.hostKeys[0]!)}\n`;
      for (const update of ['no', 'ask']) {
        const knownHosts = file(text);
        await login({ ...server, knownHosts }, { options: [`UpdateHostKeys=${update}`, 'HostKeyAlias=box'] });
        expect(readFileSync(knownHosts, 'utf8')).toBe(text);
      }
    });
  });
});
