// Whether a server's key is believed: every mode against every state of known_hosts, each judged as ssh(1) judges it,
// with the error's code and detail, and with what the file holds afterwards.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SshError } from '../../protocol/index.ts';
import { failure, open, type Record, Script, type Way } from './client.ts';
import { certify, freshDir, isRoot, makeKey, requireServer, type Server, startSshd, TEST_USER } from './servers.ts';

const ready = requireServer('sshd', 'ssh', 'ssh-keygen');
const modes = ['yes', 'accept-new', 'ask', 'no'] as const;
type Mode = (typeof modes)[number];

describe.skipIf(!ready)('the key of sshd', () => {
  let server: Server;
  /** `[127.0.0.1]:PORT` and the key. */
  let name: string;
  let key: string;
  const line = (who: string, publicLine: string): string => `${who} ${publicLine.split(' ').slice(0, 2).join(' ')}\n`;
  const foreign = ready ? makeKey('ed25519', { purpose: 'foreign' }).publicLine : '';
  const foreignEcdsa = ready ? makeKey('ecdsa384', { purpose: 'foreign' }).publicLine : '';

  beforeAll(async () => {
    server = await startSshd({ hostKeys: ['ed25519', 'ecdsa256'], config: ['MaxAuthTries 20'] });
    name = `[127.0.0.1]:${server.port}`;
    key = server.hostKeys[0]!;
  });
  afterAll(() => server?.stop());

  const fresh = (text?: string): string => {
    const file = join(freshDir('trust'), 'known_hosts');
    if (text !== undefined) writeFileSync(file, text);
    return file;
  };
  const fingerprint = (): string =>
    execFileSync('ssh-keygen', ['-l', '-f', `${makeKey('ed25519', { purpose: 'host' }).path}.pub`], {
      encoding: 'utf8',
    }).split(' ')[1]!;
  const content = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  const hashed = (file: string): string => {
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    return file;
  };

  async function judge(file: string, mode: Mode, way: Way = {}, record: Record = { warnings: [], log: [] }) {
    const options = [`StrictHostKeyChecking=${mode}`, ...(way.options ?? [])];
    try {
      await using opening = await open(server, { ...way, knownHosts: file, options }, record);
      return { accepted: true, distrusted: opening.distrusted, detail: {} };
    } catch (error) {
      if (!(error instanceof SshError) || error.code !== 'host-key') throw error;
      return { accepted: false, distrusted: false, detail: error.detail };
    }
  }

  /** The same question to ssh(1), with nobody to ask. */
  function reference(file: string, mode: Mode, options: readonly string[]): Promise<boolean> {
    const settings = [
      ...options,
      `StrictHostKeyChecking=${mode}`,
      `UserKnownHostsFile=${file}`,
      'GlobalKnownHostsFile=/dev/null',
      'UpdateHostKeys=no',
      'BatchMode=yes',
      'IdentityAgent=none',
    ].flatMap((option) => ['-o', option]);
    const to = ['-p', String(server.port), '-i', server.identity, `${server.user}@127.0.0.1`, 'true'];
    const child = spawn('ssh', ['-F', 'none', ...settings, ...to], { stdio: 'ignore' });
    return new Promise((resolve) => child.once('close', (status) => resolve(status === 0)));
  }

  const states: readonly (readonly [string, () => string, (readonly string[])?])[] = [
    ['knows it', () => fresh(line(name, key))],
    ['knows it as a hash', () => hashed(fresh(line(name, key)))],
    ['knows it by a pattern', () => fresh(line(`[127.0.*]:*`, key))],
    ['knows it without the port', () => fresh(line('127.0.0.1', key))],
    ['knows another one without the port', () => fresh(line('127.0.0.1', foreign))],
    ['knows it under another port', () => fresh(line(`[127.0.0.1]:${1}`, key))],
    ['knows it under an alias', () => fresh(line('elsewhere', key)), ['HostKeyAlias=elsewhere']],
    ['knows another alias', () => fresh(line(name, key)), ['HostKeyAlias=elsewhere']],
    ['is empty', () => fresh('')],
    ['is missing', () => fresh()],
    ['is a directory', () => freshDir('directory')],
    ['holds comments and rubbish', () => fresh(`# ${line(name, foreign)}\nrubbish\n${name} ssh-ed25519 %%%\n`)],
    ['knows another key', () => fresh(line('other', foreign) + line(name, foreign))],
    ['knows another key as a hash', () => hashed(fresh(line(name, foreign)))],
    ['knows a key of another type', () => fresh(line(name, foreignEcdsa))],
    ['knows its key of the second type', () => fresh(line(name, server.hostKeys[1]!))],
    ['knows another key and the right one', () => fresh(line(name, foreign) + line(name, key))],
    ['revokes it', () => fresh(`@revoked * ${line('', key).trim()}\n`)],
    ['knows it and revokes it', () => fresh(`${line(name, key)}@revoked * ${line('', key).trim()}\n`)],
    ['names it an authority', () => fresh(`@cert-authority * ${line('', key).trim()}\n`)],
    ['excludes it', () => fresh(line(`*,!${name}`, key))],
  ];
  /** Here ssh(1) lets itself be talked out of it by mode no; bssh does not, for the user said so in the file. */
  const stricter = new Set(['is a directory', 'revokes it', 'knows it and revokes it']);
  describe.concurrent.each(modes)('under %s, judged as ssh(1) does when known_hosts', (mode) => {
    const cases = states.map(([what, make, options = []]) => ({ what, make, options }));
    it.each(cases)('$what', async ({ what, make, options }) => {
      const [ours, theirs] = [make(), make()];
      const [verdict, expected] = await Promise.all([
        judge(ours, mode, { options: [...options, 'BatchMode=yes'] }),
        reference(theirs, mode, options),
      ]);
      expect(verdict.accepted).toBe(!stricter.has(what) && expected);
      if (statSync(ours, { throwIfNoEntry: false })?.isDirectory()) return;
      // Hashes have salts of their own.
      const plain = (file: string) => content(file)?.replace(/^\|1\|\S+/gm, '|1|');
      expect(plain(ours)).toBe(plain(theirs));
    });
  });

  describe('says why', () => {
    const why = async (file: string, mode: Mode, way: Way = {}) => (await judge(file, mode, way)).detail;

    it('unknown', async () => {
      for (const mode of ['yes', 'ask'] as const) {
        expect(await why(fresh(''), mode)).toEqual({
          reason: mode === 'yes' ? 'unknown' : 'declined',
          name,
          type: 'ED25519',
          fingerprint: fingerprint(),
        });
      }
    });

    it('changed, and where the other key stands', async () => {
      for (const mode of ['yes', 'accept-new', 'ask'] as const) {
        const file = fresh(`# a comment\n${line(name, foreign)}`);
        const record: Record = { warnings: [], log: [] };
        const { detail } = await judge(file, mode, {}, record);
        expect(detail).toMatchObject({ reason: 'changed', name, file, line: 2 });
        expect(record.warnings.join('\n')).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED');
      }
    });

    it('revoked, whatever the mode', async () => {
      for (const mode of modes) {
        const file = fresh(`@revoked * ${line('', key).trim()}\n`);
        expect(await why(file, mode)).toMatchObject({ reason: 'revoked', name, file, line: 1 });
      }
    });

    it('no file at all, or a directory', async () => {
      const missing = fresh();
      expect(await why(missing, 'yes')).toEqual({ file: missing, reason: 'no known_hosts file exists' });
      const directory = freshDir('directory');
      for (const mode of modes)
        expect(await why(directory, mode)).toEqual({ file: directory, reason: 'is a directory' });
    });
  });

  it('is remembered in a file that only its owner can read, in a folder made for it', async () => {
    const file = join(freshDir('home'), '.ssh', 'known_hosts');
    expect((await judge(file, 'accept-new')).accepted).toBe(true);
    expect(content(file)).toBe(line(name, key));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);
    expect((await judge(file, 'yes')).accepted).toBe(true);
    expect(content(file)).toBe(line(name, key));
  });

  it('is remembered on a line of its own, and touches no other', async () => {
    for (const before of [line('other', foreign).trimEnd(), `# comment\r\n\n${line('other', foreign)}`]) {
      const file = fresh(before);
      await judge(file, 'accept-new');
      expect(content(file)).toBe(`${before.trimEnd()}\n${line(name, key)}`);
    }
  });

  it('is remembered as a hash that ssh-keygen finds', async () => {
    const file = fresh('');
    await judge(file, 'accept-new', { options: ['HashKnownHosts=yes'] });
    expect(content(file)).toMatch(/^\|1\|[^|]+\|\S+ ssh-ed25519 \S+\n$/);
    expect(execFileSync('ssh-keygen', ['-F', name, '-f', file], { encoding: 'utf8' })).toContain('found: line 1');
    expect((await judge(file, 'yes')).accepted).toBe(true);
  });

  it('is looked up in every file, and remembered in the first', async () => {
    const dir = freshDir('several');
    mkdirSync(join(dir, 'x'));
    const [first, second, global] = [join(dir, 'a'), join(dir, 'b'), join(dir, 'x', 'global')];
    writeFileSync(second, line('other', foreign));
    await judge(`${first} ${second}`, 'accept-new');
    expect([content(first), content(second)]).toEqual([line(name, key), line('other', foreign)]);
    writeFileSync(global, line(name, key));
    const options = [`GlobalKnownHostsFile=${global}`];
    expect((await judge(second, 'yes', { options })).accepted).toBe(true);
    expect(content(second)).toBe(line('other', foreign));
  });

  it('is remembered whole by ten connections at once', async () => {
    const file = fresh();
    await Promise.all(Array.from({ length: 10 }, () => judge(file, 'accept-new')));
    const lines = content(file)!.split('\n');
    expect(lines.pop()).toBe('');
    expect(new Set(lines)).toEqual(new Set([line(name, key).trim()]));
  });

  describe('asked about', () => {
    it.each([
      ['yes', () => ['yes'], true, 1],
      ['Yes, in capitals', () => ['YES'], true, 1],
      ['the fingerprint', () => [fingerprint()], true, 1],
      ['something else first', () => ['perhaps', 'yes'], true, 2],
      ['no', () => ['no'], false, 1],
      ['another fingerprint, then no', () => ['SHA256:AAAA', 'no'], false, 2],
      ['nothing', () => [''], false, 1],
      ['nobody there', () => [undefined], false, 1],
    ] as const)('answered with %s', async (_, answers, accepted, questions) => {
      const file = fresh('');
      const prompter = new Script(...answers());
      const verdict = await judge(file, 'ask', { prompter });
      expect(verdict.accepted).toBe(accepted);
      expect(content(file)).toBe(accepted ? line(name, key) : '');
      expect(prompter.asked.length).toBe(questions);
      expect(prompter.asked[0]!.echo).toBe(true);
      for (const part of [name, fingerprint(), 'ED25519']) expect(prompter.asked[0]!.text).toContain(part);
    });
  });

  describe.skipIf(!isRoot)('changed and let pass by mode no', () => {
    it('gets no password: neither a known one nor one that is asked for', async () => {
      const file = fresh(line(name, foreign));
      const { user, password } = { user: TEST_USER.name, password: TEST_USER.password };
      const prompter = new Script(password);
      const way = { user, password, prompter, identities: [], knownHosts: file };
      const error = await failure(open(server, { ...way, options: ['StrictHostKeyChecking=no'] }));
      expect(error.code).toBe('auth');
      expect(error.detail.tried).toEqual([]);
      expect(prompter.asked).toEqual([]);
    });

    it('lets a key in, marked as distrusted', async () => {
      expect(await judge(fresh(line(name, foreign)), 'no')).toMatchObject({ accepted: true, distrusted: true });
      expect(await judge(fresh(line(name, key)), 'no')).toMatchObject({ accepted: true, distrusted: false });
    });
  });
});

describe.skipIf(!ready)('the certificate of sshd', () => {
  const ca = ready ? makeKey('ed25519', { purpose: 'host-ca' }) : { path: '', publicLine: '' };
  const otherCa = ready ? makeKey('ecdsa256', { purpose: 'other-host-ca' }) : ca;

  async function serve(request: { principals?: string[]; validity?: string }, kind: 'ed25519' | 'rsa' | 'ecdsa256') {
    const host = certify(makeKey(kind, { purpose: 'certified-host' }), { ca, host: true, ...request });
    return startSshd({ hostKeys: [host], config: [`HostCertificate ${host.path}-cert.pub`] });
  }
  const authority = (who: string, publicLine: string): string => {
    const file = join(freshDir('authority'), 'known_hosts');
    writeFileSync(file, `@cert-authority ${who} ${publicLine}\n`);
    return file;
  };

  it.each(['ed25519', 'rsa', 'ecdsa256'] as const)('of %s is believed for its authority', async (kind) => {
    await using server = await serve({ principals: ['127.0.0.1'] }, kind);
    await using opening = await open(server, { knownHosts: authority('[127.0.0.*]:*', ca.publicLine) });
    expect(opening.negotiated[0]!.hostKey.certificate).toBe(true);
    const unknown = await failure(open(server, { knownHosts: authority('[127.0.0.*]:*', otherCa.publicLine) }));
    expect(unknown).toMatchObject({ code: 'host-key', detail: { reason: 'unknown' } });
    const elsewhere = await failure(open(server, { knownHosts: authority('other', ca.publicLine) }));
    expect(elsewhere).toMatchObject({ code: 'host-key', detail: { reason: 'unknown' } });
    // Without an authority the key under it is known like any other.
    await using _plain = await open(server);
  });

  it.each([
    ['that has expired', { principals: ['127.0.0.1'], validity: '-2d:-1d' }],
    ['for another name', { principals: ['example.org'] }],
  ])('%s counts for nothing', async (_, request) => {
    await using server = await serve(request, 'ed25519');
    const knownHosts = authority('[127.0.0.*]:*', ca.publicLine);
    const record: Record = { warnings: [], log: [] };
    const error = await failure(open(server, { knownHosts }, record));
    expect(error).toMatchObject({ code: 'host-key', detail: { reason: 'unknown' } });
    expect(record.warnings.join('\n')).toMatch(/[Cc]ertificate/);
    await using _plain = await open(server);
  });

  it('whose authority is revoked is refused in every mode', async () => {
    await using server = await serve({ principals: ['127.0.0.1'] }, 'ed25519');
    const file = authority('[127.0.0.*]:*', ca.publicLine);
    writeFileSync(file, `${readFileSync(file, 'utf8')}@revoked * ${ca.publicLine}\n`);
    for (const mode of modes) {
      const error = await failure(open(server, { knownHosts: file, options: [`StrictHostKeyChecking=${mode}`] }));
      expect(error).toMatchObject({ code: 'host-key', detail: { reason: 'revoked' } });
    }
  });
});
