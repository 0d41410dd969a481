// Logging in to OpenSSH's sshd by keys of every kind: several in one log-in, filtered, broken, encrypted.
import { chmodSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failure, type Opening, open, type Record, Script, type Way } from './client.ts';
import { certify, freshDir, type KeyFile, makeKey, requireServer, type Server, startSshd } from './servers.ts';

const record = (): Record => ({ warnings: [], log: [] });
const offers = (log: readonly string[]): string[] =>
  log.flatMap((line) => /^Offering public key: (\S+) (\S+)/.exec(line)?.slice(1).join(' ') ?? []);

describe.skipIf(!requireServer('sshd', 'ssh-keygen'))('logging in to sshd', () => {
  let dir: string;
  let server: Server;
  let ca: KeyFile;
  let one: KeyFile;
  let two: KeyFile;
  beforeAll(async () => {
    dir = freshDir('auth');
    ca = makeKey('ed25519', { purpose: 'user-ca' });
    one = makeKey('ed25519', { purpose: 'one' });
    two = makeKey('ed25519', { purpose: 'two' });
    server = await startSshd({ authorizedKeys: [one.publicLine, two.publicLine], config: ['MaxAuthTries 20'] });
  });
  afterAll(() => server.stop());

  const login = async (way: Way, at = server, seen = record()): Promise<Opening> => {
    const opening = await open(at, { ...way, options: [...(way.options ?? []), 'BatchMode=no'] }, seen);
    await opening.connection.close();
    return opening;
  };
  const put = (name: string, text: string | Buffer, mode = 0o600): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  it('says of a library for tokens that an agent has to load it, and goes on', async () => {
    const seen = record();
    await login({ identities: [one.path], options: ['PKCS11Provider=/usr/lib/opensc.so'] }, server, seen);
    expect(seen.warnings).toEqual([
      "PKCS11Provider /usr/lib/opensc.so is not used: Node.js cannot load such a library; put the token's keys into an agent (ssh-add -s /usr/lib/opensc.so).",
    ]);
  });

  describe('that wants two keys (AuthenticationMethods publickey,publickey)', () => {
    const serve = () =>
      startSshd({
        authorizedKeys: [one.publicLine, two.publicLine],
        config: ['AuthenticationMethods publickey,publickey', `TrustedUserCAKeys ${ca.path}.pub`, 'MaxAuthTries 20'],
      });

    it('gives two, and never one twice', async () => {
      await using at = await serve();
      const { log } = await login({ identities: [one.path, two.path] }, at);
      expect(offers(log)).toEqual([`${one.path} ED25519`, `${two.path} ED25519`]);
      expect(log).toContain('Authenticated using "publickey" with partial success.');
      const seen = record();
      expect((await failure(login({ identities: [one.path] }, at, seen))).code).toBe('auth');
      expect(offers(seen.log)).toEqual([`${one.path} ED25519`]);
    });

    it('counts a certificate and its own key as one, and a certificate and another key as two', async () => {
      await using at = await serve();
      const certified = certify(one, { ca, principals: [at.user] });
      // As in OpenSSH's multipubkey: KEY.pub itself is the certificate.
      renameSync(`${certified.path}-cert.pub`, `${certified.path}.pub`);
      const seen = record();
      const same = login({ identities: [certified.path, one.path] }, at, seen);
      expect((await failure(same)).code).toBe('auth');
      expect(offers(seen.log)).toEqual([`${certified.path} ED25519-CERT`, `${one.path} ED25519`]);
      await login({ identities: [certified.path, two.path] }, at);
    });

    it('offers again what was refused before the first success', async () => {
      const stranger = makeKey('ed25519', { purpose: 'stranger' });
      await using at = await serve();
      const seen = record();
      expect((await failure(login({ identities: [stranger.path, one.path] }, at, seen))).code).toBe('auth');
      expect(offers(seen.log).map((line) => line.split(' ')[0])).toEqual([stranger.path, one.path, stranger.path]);
    });
  });

  it('offers the plain key, then the certificate beside it, then nothing twice', async () => {
    const unknown = makeKey('ecdsa256', { purpose: 'unknown' });
    const certified = certify(unknown, { ca, principals: [server.user] });
    const { log } = await login({ identities: [certified.path, certified.path, one.path] });
    expect(offers(log)).toEqual([`${certified.path} ECDSA`, `${certified.path} ECDSA-CERT`, `${one.path} ED25519`]);
  });

  it('falls back from a certificate nobody trusts to the key', async () => {
    const certified = certify(one, { ca: makeKey('ed25519', { purpose: 'nobody' }), principals: [server.user] });
    const options = [`CertificateFile=${certified.path}-cert.pub`];
    const { log } = await login({ identities: [certified.path], options });
    expect(offers(log)).toEqual([`${certified.path}-cert.pub ED25519-CERT`, `${certified.path} ED25519`]);
  });

  it('takes no algorithm that PubkeyAcceptedAlgorithms leaves out', async () => {
    const seen = record();
    const way = { identities: [one.path], options: ['PubkeyAcceptedAlgorithms=rsa-sha2-512'] };
    expect((await failure(login(way, server, seen))).code).toBe('auth');
    expect(seen.log).toContain(
      `Skipping ssh-ed25519 key ${one.path} - corresponding algorithm not in PubkeyAcceptedAlgorithms`,
    );
  });

  it('leaves out RSA keys smaller than RequiredRSASize', async () => {
    const rsa = makeKey('rsa');
    const { log } = await login({ identities: [rsa.path, one.path], options: ['RequiredRSASize=4096'] });
    expect(log).toContain(`Skipping key ${rsa.path}: Invalid key length`);
    expect(offers(log)).toEqual([`${one.path} ED25519`]);
  });

  it('binds signatures to the host, unless PubkeyAuthentication says unbound', async () => {
    const method = async (value: string): Promise<string | undefined> => {
      await using at = await startSshd({ config: ['LogLevel DEBUG1'] });
      await login({ options: [`PubkeyAuthentication=${value}`] }, at);
      return (await at.waitForLog(/userauth-request .* method (publickey\S*)/))[1];
    };
    const bound = 'publickey-hostbound-v00@openssh.com';
    expect(await method('yes')).toBe(bound);
    expect(await method('host-bound')).toBe(bound);
    expect(await method('unbound')).toBe('publickey');
    const off = await failure(login({ options: ['PubkeyAuthentication=no'] }));
    expect(off.detail.tried).toEqual([]);
  });

  describe('key files', () => {
    const whole = (): Buffer => readFileSync(one.path);

    it.each([
      ['half a key', () => whole().subarray(0, 200)],
      ['nothing', () => Buffer.alloc(0)],
      ['a text', () => Buffer.from('no key at all\n')],
      ['half a PEM key', () => readFileSync(makeKey('rsa', { format: 'PEM' }).path).subarray(0, 600)],
    ])('that hold %s are passed over when their turn comes', async (name, content) => {
      const path = put(`broken-${name.replaceAll(' ', '-')}`, content());
      const { log, warnings } = await login({ identities: [path, one.path] });
      expect(log).toContain(`Trying private key: ${path}`);
      expect(warnings).toEqual([`Load key "${path}": invalid format`]);
    });

    it('with Windows line ends are read', async () => {
      await login({ identities: [put('crlf', whole().toString().replaceAll('\n', '\r\n'))] });
    });

    it('that others can read are offered and not used', async () => {
      const path = put('open', whole(), 0o644);
      const { warnings, log } = await login({ identities: [path, two.path] });
      expect(warnings.join('\n')).toMatch(
        /UNPROTECTED PRIVATE KEY FILE[\s\S]*Permissions 0644 for [\s\S]*bad permissions$/,
      );
      expect(offers(log)[1]).toBe(`${two.path} ED25519`);
    });

    it('that are missing are named once', async () => {
      const path = join(dir, 'missing');
      const { warnings } = await login({ identities: [path, one.path] });
      expect(warnings).toEqual([`Warning: Identity file ${path} not accessible: No such file or directory.`]);
    });

    it('whose .pub belongs to another key sign for nobody', async () => {
      const path = put('mixed', readFileSync(makeKey('rsa', { format: 'PEM', passphrase: 'open sesame' }).path));
      copyFileSync(`${one.path}.pub`, `${path}.pub`);
      const { warnings } = await login({ identities: [path, two.path], prompter: new Script('open sesame') });
      expect(warnings).toEqual([`identity_sign: private key ${path} contents do not match public`]);
    });

    describe('with a passphrase', () => {
      let locked: KeyFile;
      let at: Server;
      beforeAll(async () => {
        locked = makeKey('ed25519', { passphrase: 'open sesame' });
        at = await startSshd({ authorizedKeys: [locked.publicLine], config: ['PasswordAuthentication no'] });
      });
      afterAll(() => at.stop());
      const text = (): string => `Enter passphrase for key '${locked.path}': `;

      it('ask for it once the server wants the key, and again when it is wrong', async () => {
        const prompter = new Script('wrong', 'open sesame');
        await login({ identities: [locked.path], prompter }, at);
        expect(prompter.asked).toEqual(Array(2).fill(expect.objectContaining({ text: text(), echo: false })));
        const unwanted = new Script('open sesame');
        await login({ identities: [locked.path, one.path], prompter: unwanted });
        expect(unwanted.asked).toEqual([]);
      });

      it('ask as often as NumberOfPasswordPrompts says, and go on after an empty answer', async () => {
        const twice = new Script('a', 'b', 'c');
        const way = { identities: [locked.path, at.identity], options: ['NumberOfPasswordPrompts=2'] };
        await login({ ...way, prompter: twice }, at);
        expect(twice.asked).toHaveLength(2);
        const empty = new Script('');
        await login({ ...way, prompter: empty }, at);
        expect(empty.asked).toHaveLength(1);
      });

      it('ask nobody in BatchMode', async () => {
        const prompter = new Script('open sesame');
        const way = { identities: [locked.path], prompter, options: ['BatchMode=yes'] };
        expect((await failure(open(at, way))).code).toBe('auth');
        expect(prompter.asked).toEqual([]);
      });

      it('ask first when only they know their public key', async () => {
        const pem = makeKey('rsa', { format: 'PEM', passphrase: 'open sesame' });
        const path = put('lonely', readFileSync(pem.path));
        await using wants = await startSshd({ authorizedKeys: [pem.publicLine] });
        const { log } = await login({ identities: [path], prompter: new Script('open sesame') }, wants);
        expect(log).toContain(`Trying private key: ${path}`);
      });
    });
  });
});
