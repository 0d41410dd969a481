// Every way to log in to OpenSSH's sshd, and every way to be turned away: keys of each kind and format, the agent,
// certificates, passwords, prompts, several steps. One sshd; what it asks for depends on the address it is called by.
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failure, type Opening, open, providers, Script, type Way } from './client.ts';
import {
  certify,
  freshDir,
  isRoot,
  type KeyKind,
  makeKey,
  requireServer,
  type Server,
  startAgent,
  startSshd,
  TEST_USER,
} from './servers.ts';

const ready = requireServer('sshd', 'ssh-keygen', 'ssh-agent', 'ssh-add');
const kinds: readonly KeyKind[] = ['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa', 'dsa'];
const others: readonly (readonly [KeyKind, 'PEM' | 'PKCS8'])[] = [
  ['rsa', 'PEM'],
  ['rsa', 'PKCS8'],
  ['ecdsa256', 'PEM'],
  ['ecdsa384', 'PKCS8'],
  ['ecdsa521', 'PEM'],
];
const PASSPHRASE = 'open sesame';
const WEAK = 'PubkeyAcceptedAlgorithms=+ssh-dss,ssh-rsa';

/** What sshd asks for at each address; the rest is open to keys and passwords. */
const rules: Readonly<Record<string, readonly string[]>> = {
  '127.0.0.2': ['PubkeyAcceptedAlgorithms rsa-sha2-256'],
  '127.0.0.3': ['PubkeyAcceptedAlgorithms rsa-sha2-512'],
  '127.0.0.4': ['PubkeyAcceptedAlgorithms ssh-rsa'],
  '127.0.0.5': ['AuthenticationMethods publickey,password'],
  '127.0.0.6': ['AuthenticationMethods publickey,publickey'],
  '127.0.0.7': ['PasswordAuthentication no'],
  '127.0.0.8': ['MaxAuthTries 2'],
  '127.0.0.9': ['PubkeyAuthentication no'],
  '127.0.0.10': ['PubkeyAcceptedAlgorithms rsa-sha2-256-cert-v01@openssh.com'],
  '127.0.0.11': ['PubkeyAcceptedAlgorithms rsa-sha2-512-cert-v01@openssh.com'],
};
const sha256 = '127.0.0.2';
const sha512 = '127.0.0.3';
const sha1 = '127.0.0.4';
const keyThenPassword = '127.0.0.5';
const twoKeys = '127.0.0.6';
const keysOnly = '127.0.0.7';
const twoTries = '127.0.0.8';
const passwordOnly = '127.0.0.9';

describe.skipIf(!ready)('log in to sshd', () => {
  let server: Server;
  const ca = ready ? makeKey('ed25519', { purpose: 'user-ca' }) : { path: '', publicLine: '' };
  const stranger = ready ? makeKey('ecdsa256', { purpose: 'stranger' }) : ca;

  beforeAll(async () => {
    const keys = [
      ...kinds.map((kind) => makeKey(kind)),
      ...kinds.map((kind) => makeKey(kind, { purpose: 'second' })),
      ...kinds.map((kind) => makeKey(kind, { passphrase: PASSPHRASE })),
      ...others.map(([kind, format]) => makeKey(kind, { format })),
      ...others.map(([kind, format]) => makeKey(kind, { format, passphrase: PASSPHRASE })),
    ];
    server = await startSshd({
      address: '0.0.0.0',
      authorizedKeys: [...keys.map((key) => key.publicLine), `cert-authority,principals="someone" ${ca.publicLine}`],
      config: ['PubkeyAcceptedAlgorithms +ssh-dss,ssh-rsa,ssh-rsa-cert-v01@openssh.com', 'MaxAuthTries 20'],
      match: Object.entries(rules).flatMap(([address, lines]) => [`Match LocalAddress ${address}`, ...lines]),
    });
  }, 60_000);
  afterAll(() => server?.stop());

  /** Logs in and out; the opening tells what happened on the way. */
  async function login(way: Way = {}): Promise<Opening> {
    const opening = await open(server, { identities: [], ...way });
    await opening[Symbol.asyncDispose]();
    return opening;
  }
  const refused = (way: Way) => failure(login(way), 20_000);

  describe('with a key file', () => {
    it.each(providers.flatMap(([name, crypto]) => kinds.map((kind) => [name, kind, crypto] as const)))(
      'by %s: %s',
      async (_, kind, crypto) => {
        const { log } = await login({ identities: [makeKey(kind).path], crypto, options: [WEAK], host: keysOnly });
        expect(log.join('\n')).toMatch(/Offering public key: /);
      },
    );

    it.each(kinds)('encrypted: %s', async (kind) => {
      const { path } = makeKey(kind, { passphrase: PASSPHRASE });
      const prompter = new Script('wrong', PASSPHRASE);
      await login({ identities: [path], prompter, options: [WEAK], host: keysOnly });
      const text = `Enter passphrase for key '${path}': `;
      expect(prompter.asked).toEqual([1, 2].map(() => ({ text, echo: false, purpose: `passphrase ${path}` })));
    });

    it.each(others)('%s as %s, plain and encrypted', async (kind, format) => {
      await login({ identities: [makeKey(kind, { format }).path], host: keysOnly });
      const prompter = new Script(PASSPHRASE);
      await login({ identities: [makeKey(kind, { format, passphrase: PASSPHRASE }).path], prompter, host: keysOnly });
      expect(prompter.asked.length).toBe(1);
    });

    it.each([
      ['rsa-sha2-256', sha256],
      ['rsa-sha2-512', sha512],
      ['ssh-rsa', sha1],
    ])('RSA signs with %s where the server takes nothing else', async (algorithm, host) => {
      // server-sig-algs goes out before sshd looks at Match: the client has to be told, ssh(1) as well.
      const options = [`PubkeyAcceptedAlgorithms=${algorithm}`];
      await login({ identities: [makeKey('rsa').path], options, host });
    });

    it('RSA does not fall back to SHA-1 by itself', async () => {
      const error = await refused({ identities: [makeKey('rsa').path], host: sha1 });
      expect(error.code).toBe('auth');
      expect(error.detail.tried).toEqual([makeKey('rsa').path]);
    });

    it('asks for no passphrase of a key that the server does not want', async () => {
      const { path } = makeKey('ecdsa256', { purpose: 'unwanted', passphrase: PASSPHRASE });
      const prompter = new Script();
      const { log } = await login({ identities: [path, makeKey('ed25519').path], prompter, host: keysOnly });
      expect(prompter.asked).toEqual([]);
      expect(log.filter((line) => line.startsWith('Offering')).length).toBe(2);
    });

    it('tries the next key after one that is missing, open to others, broken, or without its passphrase', async () => {
      const dir = freshDir('bad-keys');
      const open = join(dir, 'open');
      copyFileSync(makeKey('ed25519').path, open);
      chmodSync(open, 0o644);
      const broken = join(dir, 'broken');
      writeFileSync(broken, '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n', {
        mode: 0o600,
      });
      const locked = makeKey('rsa', { passphrase: PASSPHRASE }).path;
      const missing = join(dir, 'missing');
      const identities = [missing, open, broken, locked, makeKey('ecdsa256').path];
      const { warnings } = await login({ identities, prompter: new Script(undefined), host: keysOnly });
      expect(warnings.join('\n')).toContain(`Identity file ${missing} not accessible: No such file or directory`);
      expect(warnings.join('\n')).toContain('UNPROTECTED PRIVATE KEY FILE');
      expect(warnings.join('\n')).toContain(`Load key "${broken}"`);
    });
  });

  describe('with an agent', () => {
    it.each(kinds)('holding %s', async (kind) => {
      await using agent = await startAgent([makeKey(kind).path]);
      const { log } = await login({ agent: agent.socket, options: [WEAK], host: keysOnly });
      expect(log.join('\n')).toMatch(/Server accepts key: .* agent/);
    });

    it('takes the keys of the user before the others, and only them when told so', async () => {
      const [first, second] = [makeKey('ecdsa256'), makeKey('ed25519', { purpose: 'second' })];
      await using agent = await startAgent([stranger.path, first.path, second.path]);
      const publicFile = `${second.path}.pub`;
      const way = { agent: agent.socket, host: keysOnly, identities: [publicFile] };
      const offered = ({ log }: Opening) => log.filter((line) => line.startsWith('Offering'));
      const named = offered(await login(way));
      expect(named.length).toBe(1);
      expect(named[0]).toMatch(/-second-.*\.pub .*ed25519.* agent$/i);
      const all = await login({ ...way, identities: [] });
      expect(offered(all)[0]).toContain('stranger');
      expect(offered(all).length).toBe(2);
      const error = await refused({
        ...way,
        identities: [`${stranger.path}.pub`],
        options: ['IdentitiesOnly=yes'],
      });
      expect(error.detail.tried).toEqual([`${stranger.path}.pub`]);
    });

    it('goes on with the files when the agent is not there', async () => {
      const agent = join(freshDir('no-agent'), 'socket');
      const { log } = await login({ agent, identities: [makeKey('ed25519').path], host: keysOnly });
      expect(log.some((line) => line.startsWith('get_agent_identities: '))).toBe(true);
    });
  });

  describe('with a certificate', () => {
    const cases: readonly (readonly [KeyKind, string | undefined, string])[] = [
      ['ed25519', undefined, keysOnly],
      ['ecdsa256', undefined, keysOnly],
      ['ecdsa384', undefined, keysOnly],
      ['ecdsa521', undefined, keysOnly],
      ['rsa', 'rsa-sha2-256', '127.0.0.10'],
      ['rsa', 'rsa-sha2-512', '127.0.0.11'],
    ];
    it.each(cases)('for %s (%s)', async (kind, algorithm, host) => {
      const user = certify(makeKey(kind, { purpose: 'certified' }), { ca, principals: ['someone'] });
      const options = algorithm === undefined ? [] : [`PubkeyAcceptedAlgorithms=${algorithm}-cert-v01@openssh.com`];
      await login({ identities: [user.path], host, options });
      await server.waitForLog(/Accepted publickey for .*-CERT .* CA ED25519/);
    });

    it('in the agent, and beside a key that is only in the agent', async () => {
      const user = certify(makeKey('ed25519', { purpose: 'certified' }), { ca, principals: ['someone'] });
      await using agent = await startAgent([user.path]);
      expect(agent.list().some((line) => line.startsWith('ssh-ed25519-cert-v01@openssh.com'))).toBe(true);
      await login({ agent: agent.socket, host: keysOnly });
      await using plain = await startAgent([makeKey('ed25519', { purpose: 'certified' }).path]);
      const options = [`CertificateFile=${user.path}-cert.pub`];
      await login({ agent: plain.socket, options, host: keysOnly });
    });

    it.each([
      ['expired', { validity: '-2d:-1d', principals: ['someone'] }],
      ['of another principal', { principals: ['somebody'] }],
    ])('that is %s: refused', async (_, request) => {
      const user = certify(makeKey('ed25519', { purpose: 'certified' }), { ca, ...request });
      const error = await refused({ identities: [user.path], host: keysOnly });
      expect(error.code).toBe('auth');
      expect(error.detail.methods).toEqual(['publickey']);
      // The certificate, then the key without it.
      const tried = error.detail.tried as string[];
      expect(tried.map((label) => label.startsWith(user.path))).toEqual([true, true]);
    });
  });

  describe.skipIf(!isRoot)('with a password', () => {
    const { name: user, password } = TEST_USER;

    it('known beforehand', async () => {
      await login({ user, password });
    });

    it('asked for until it is right', async () => {
      const prompter = new Script('no', 'neither', password);
      await login({ user, prompter, host: passwordOnly });
      expect(prompter.asked.map(({ text, echo }) => ({ text, echo }))).toEqual(
        Array.from({ length: 3 }, () => ({ text: `${user}@${passwordOnly}'s password: `, echo: false })),
      );
      expect(prompter.told).toEqual(Array.from({ length: 2 }, () => 'Permission denied, please try again.'));
    });

    it('wrong each time: names what was tried', async () => {
      const prompter = new Script('a', 'b', 'c', password);
      const error = await refused({ user, prompter, host: passwordOnly });
      expect(error.code).toBe('auth');
      expect(error.by).toBe('peer');
      expect(error.detail).toEqual({ methods: ['password'], tried: ['password', 'password', 'password'], user });
      expect(prompter.asked.length).toBe(3);
    });

    it('not asked for in batch mode', async () => {
      const prompter = new Script(password);
      const error = await refused({ user, prompter, options: ['BatchMode=yes'] });
      expect(error.detail).toEqual({ methods: ['publickey', 'password'], tried: [], user });
      expect(prompter.asked).toEqual([]);
    });

    it('after a key, as AuthenticationMethods wants it', async () => {
      const identities = [makeKey('ed25519').path];
      const { log } = await login({ user, password, identities, host: keyThenPassword });
      expect(log.join('\n')).toMatch(/with partial success/);
      const error = await refused({ user, password: 'wrong', identities, host: keyThenPassword });
      expect(error.detail).toMatchObject({ methods: ['password'] });
      expect(error.detail.tried).toEqual([identities[0], 'password']);
    });
  });

  it('with two keys, as AuthenticationMethods wants it', async () => {
    const identities = [stranger.path, makeKey('ed25519').path, makeKey('ecdsa256').path];
    const { log } = await login({ identities, host: twoKeys });
    expect(log.join('\n')).toMatch(/with partial success/);
    const error = await refused({ identities: identities.slice(0, 2), host: twoKeys });
    expect(error.detail.methods).toEqual(['publickey']);
    // After a step that counted, a key that was refused has another chance, as with ssh(1).
    expect(error.detail.tried).toEqual([stranger.path, identities[1], stranger.path]);
  });

  it('without any method left: names the methods and the keys tried', async () => {
    const second = makeKey('rsa', { purpose: 'stranger' });
    const error = await refused({ identities: [stranger.path, second.path], host: keysOnly, user: 'nobody-here' });
    expect(error.code).toBe('auth');
    expect(error.detail).toEqual({
      methods: ['publickey'],
      tried: [stranger.path, second.path],
      user: 'nobody-here',
    });
  });

  it('with more keys than MaxAuthTries: names those that were tried', async () => {
    const identities = [1, 2, 3, 4].map((n) => makeKey('ed25519', { purpose: `stranger-${n}` }).path);
    const error = await refused({ identities, host: twoTries });
    expect(error.code).toBe('auth');
    expect(error.message).toBe('Too many authentication failures');
    const tried = error.detail.tried as string[];
    expect(tried).toEqual(identities.slice(0, tried.length));
    expect(tried.length).toBeGreaterThanOrEqual(2);
  });
});

describe.skipIf(!ready || !isRoot)('log in to sshd through PAM', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startSshd({
      address: '0.0.0.0',
      config: ['UsePAM yes', 'KbdInteractiveAuthentication yes'],
      match: ['Match LocalAddress 127.0.0.2', 'AuthenticationMethods publickey,keyboard-interactive'],
    });
  });
  afterAll(() => server?.stop());
  const { name: user, password } = TEST_USER;
  const options = ['PreferredAuthentications=publickey,keyboard-interactive'];

  it('answers its prompts, by a person or with the password known beforehand', async () => {
    const prompter = new Script(password);
    await using _asked = await open(server, { user, prompter, options, identities: [] });
    expect(prompter.asked).toMatchObject([{ text: `(${user}@127.0.0.1) Password: `, echo: false }]);
    await using _known = await open(server, { user, password, options, identities: [] });
  });

  it('as the second step after a key', async () => {
    await using opening = await open(server, { host: '127.0.0.2', user, password, options });
    expect(opening.log.join('\n')).toMatch(/with partial success/);
  });

  it('asks as often as it may and no more', async () => {
    const prompter = new Script('a', 'b', 'c');
    const few = [...options, 'NumberOfPasswordPrompts=2'];
    const error = await failure(open(server, { user, prompter, options: few, identities: [] }), 25_000);
    expect(error.code).toBe('auth');
    expect(error.detail.tried).toEqual(['keyboard-interactive', 'keyboard-interactive']);
    expect(prompter.asked.length).toBe(2);
  });
});
