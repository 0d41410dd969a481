import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  checkHostKey,
  formatKnownHosts,
  type HostKey,
  hashName,
  KnownHostList,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  rewriteKnownHosts,
} from '../../../client/config/known-hosts.ts';
import { KnownHosts } from '../../../client/known-hosts-file.ts';
import { SshError } from '../../../protocol/index.ts';

const utf8 = new TextEncoder();

/** Not a real key, but what a known_hosts line holds: a blob that begins with its type. */
function key(type: string, fill: number): HostKey {
  const name = utf8.encode(type);
  const blob = new Uint8Array(4 + name.length + 36).fill(fill);
  blob.set([0, 0, 0, name.length]);
  blob.set(name, 4);
  return { type, blob };
}
const text = ({ type, blob }: HostKey): string => `${type} ${Buffer.from(blob).toString('base64')}`;
const ed1 = key('ssh-ed25519', 1);
const ed2 = key('ssh-ed25519', 2);
const rsa = key('ssh-rsa', 3);
const list = (content: string): KnownHostList => new KnownHostList(parseKnownHosts(content, 'f'));
const at = (host: string, port = 22): { host: string; port: number } => ({ host, port });

describe('reading', () => {
  it('skips what is no key and keeps line numbers', () => {
    const lines = parseKnownHosts(
      `# c\n\n  \nhost ${text(ed1)} a comment  \r\nhost 1024 35 123\nhost ssh-rsa %%%\nhost ssh-rsa ${text(ed1).split(' ')[1]}\n@what host ${text(ed1)}\n\t@revoked\tx\t${text(rsa)}`,
      'f',
    );
    expect(lines.map(({ line, marker, names, comment }) => ({ line, marker, names, comment }))).toEqual([
      { line: 4, marker: 'none', names: 'host', comment: 'a comment' },
      { line: 9, marker: 'revoked', names: 'x', comment: '' },
    ]);
  });

  it('names hosts as ssh does', () => {
    expect(knownHostName(at('HOST'))).toBe('host');
    expect(knownHostName(at('Host', 2222))).toBe('[host]:2222');
    expect(knownHostName(at('::1', 2222))).toBe('[::1]:2222');
    expect(knownHostName({ ...at('host', 2222), alias: 'Alias' })).toBe('alias');
  });

  it('finds names, patterns, hashes and respects negation', () => {
    const known = list(
      `a,b ${text(ed1)}\n*.x,!bad.x ${text(ed2)}\n${hashName('c')} ${text(rsa)}\n[d]:2222 ${text(rsa)}\n`,
    );
    expect(known.find('a').map(({ line }) => line)).toEqual([1]);
    expect(known.find('A')).toHaveLength(1);
    expect(known.find('y.x').map(({ line }) => line)).toEqual([2]);
    expect(known.find('bad.x')).toEqual([]);
    expect(known.find('c').map(({ line }) => line)).toEqual([3]);
    expect(known.find('[d]:2222')).toHaveLength(1);
    expect(known.find('d')).toEqual([]);
  });
});

describe('judging', () => {
  it('accepts by any matching line', () => {
    const known = list(`h ${text(ed2)}\nh ${text(rsa)}\nh ${text(ed1)}\n`);
    expect(checkHostKey(known, at('h'), ed1)).toMatchObject({ status: 'ok', line: { line: 3 }, others: [{}, {}, {}] });
  });

  it('calls another key changed, whatever its type', () => {
    expect(checkHostKey(list(`h ${text(ed2)}\n`), at('h'), ed1)).toMatchObject({
      status: 'changed',
      line: { line: 1 },
    });
    expect(checkHostKey(list(`h ${text(ed2)}\n`), at('h'), rsa)).toMatchObject({ status: 'changed' });
    expect(checkHostKey(list(`h ${text(rsa)}\nh ${text(ed2)}\n`), at('h'), ed1)).toMatchObject({ line: { line: 2 } });
  });

  it('knows nothing of a host without lines', () => {
    expect(checkHostKey(list(`h ${text(ed2)}\n`), at('x'), ed1)).toMatchObject({ status: 'unknown', others: [] });
  });

  it('lets @revoked beat every other line', () => {
    const known = list(`h ${text(ed1)}\n@revoked * ${text(ed1)}\n`);
    expect(checkHostKey(known, at('h'), ed1)).toMatchObject({ status: 'revoked', line: { line: 2 } });
    expect(checkHostKey(known, at('h'), ed2)).toMatchObject({ status: 'changed' });
    expect(
      checkHostKey(list(`@revoked * ${text(rsa)}\n@cert-authority * ${text(rsa)}\n`), at('h'), ed1, rsa).status,
    ).toBe('revoked');
  });

  it('takes an authority for certificates only, and falls back to the plain key', () => {
    const known = list(`@cert-authority *.x ${text(rsa)}\nplain.x ${text(ed1)}\n`);
    expect(checkHostKey(known, at('a.x'), ed1, rsa)).toMatchObject({ status: 'ok', byAuthority: true });
    expect(checkHostKey(known, at('a.x'), rsa)).toMatchObject({ status: 'unknown' });
    expect(checkHostKey(known, at('plain.x'), ed1, ed2)).toMatchObject({ status: 'ok', byAuthority: false });
    expect(checkHostKey(known, at('a.y'), ed1, rsa)).toMatchObject({ status: 'unknown' });
  });

  it('lets a key under the bare name hold for other ports, but not condemn', () => {
    const known = list(`h ${text(ed1)}\n`);
    expect(checkHostKey(known, at('h', 2222), ed1)).toMatchObject({ status: 'ok', withoutPort: true });
    expect(checkHostKey(known, at('h', 2222), ed2)).toMatchObject({ status: 'unknown', withoutPort: false });
    expect(checkHostKey(list(`h ${text(ed1)}\n[h]:2222 ${text(rsa)}\n`), at('h', 2222), ed1).status).toBe('changed');
    expect(checkHostKey(known, { ...at('q', 2222), alias: 'h' }, ed1)).toMatchObject({
      status: 'ok',
      withoutPort: false,
    });
  });

  it('says which types to ask for', () => {
    const known = list(
      `h ${text(ed1)}\nh ${text(rsa)}\nh ${text(ed2)}\n@cert-authority *.x ${text(rsa)}\n@revoked h ${text(key('ssh-dss', 9))}\n`,
    );
    expect(knownKeyTypes(known, at('h'))).toEqual({ types: ['ssh-ed25519', 'ssh-rsa'], authority: false });
    expect(knownKeyTypes(known, at('a.x'))).toEqual({ types: [], authority: true });
    expect(knownKeyTypes(known, at('h', 99)).types).toHaveLength(2);
  });
});

describe('writing', () => {
  it('formats names plain or hashed', () => {
    expect(formatKnownHosts(['Host', '10.0.0.1'], ed1, false)).toBe(`host,10.0.0.1 ${text(ed1)}\n`);
    const hashed = formatKnownHosts(['Host', '10.0.0.1'], ed1, true);
    expect(hashed.split('\n')).toHaveLength(3);
    expect(hashed).not.toContain('host');
    expect(list(hashed).find('host')).toHaveLength(1);
    expect(list(hashed).find('10.0.0.1')).toHaveLength(1);
  });

  it('rewrites without touching other bytes', () => {
    expect(rewriteKnownHosts('a\nb\r\n\xff c', new Set([2]), 'new\n')).toBe('a\n\xff c\nnew\n');
    expect(rewriteKnownHosts('a\nb\n', new Set([1, 2]), '')).toBe('');
    expect(rewriteKnownHosts('', new Set(), 'x\n')).toBe('x\n');
  });
});

describe('files', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'known-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const open = (user: string[], global: string[] = [], mode: 'yes' | 'ask' = 'ask', hash = false): KnownHosts =>
    new KnownHosts({ userFiles: user, globalFiles: global, mode, hash });
  const refused = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      if (error instanceof SshError) return error.code;
    }
    return 'nothing';
  };

  it('creates directory and file for the user alone', () => {
    const file = join(dir, 'new', 'known_hosts');
    open([file]).add(['h'], ed1);
    expect(statSync(join(dir, 'new')).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toBe(`h ${text(ed1)}\n`);
  });

  it('refuses a directory, and under yes the absence of every file', () => {
    expect(refused(() => open([dir]))).toBe('host-key');
    expect(refused(() => open([join(dir, 'none')], [join(dir, 'none2')], 'yes'))).toBe('host-key');
    expect(refused(() => open([join(dir, 'none')]))).toBe('nothing');
  });

  it.skipIf(process.getuid?.() === 0)('refuses a file it cannot read', () => {
    const file = join(dir, 'secret');
    writeFileSync(file, '', { mode: 0o000 });
    expect(refused(() => open([file]))).toBe('host-key');
    chmodSync(file, 0o600);
  });

  it('reads user and global files together and sees changes', () => {
    const [user, global] = [join(dir, 'u'), join(dir, 'g')];
    writeFileSync(user, `h ${text(ed1)}\n`);
    writeFileSync(global, `h ${text(rsa)}\n`);
    const known = open([user], [global], 'yes');
    expect(known.check(at('h'), rsa)).toMatchObject({ status: 'ok', line: { file: global } });
    writeFileSync(global, `h ${text(ed2)}\n# longer\n`);
    known.refresh();
    expect(known.check(at('h'), rsa).status).toBe('changed');
  });

  it('mends a missing newline when it appends', () => {
    const file = join(dir, 'open');
    writeFileSync(file, `# no newline`);
    const known = open([file]);
    known.add(['h'], ed1);
    expect(readFileSync(file, 'utf8')).toBe(`# no newline\nh ${text(ed1)}\n`);
    expect(known.check(at('h'), ed1).status).toBe('ok');
  });

  it('writes nothing without a user file', () => {
    const known = open([]);
    known.add(['h'], ed1);
    expect(known.check(at('h'), ed1).status).toBe('unknown');
  });

  it('keeps the lines of several processes whole', async () => {
    const file = join(dir, 'many');
    const script = `i=0; while [ $i -lt 300 ]; do echo "p$0-$i ${text(rsa)}" >> ${file}; i=$((i+1)); done`;
    const shells = [1, 2].map((n) => spawn('sh', ['-c', script, String(n)], { stdio: 'ignore' }));
    const ended = Promise.all(shells.map((shell) => once(shell, 'exit')));
    const known = open([file]);
    for (let n = 0; n < 100; n++) {
      known.add([`own-${n}`], ed1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    expect(parseKnownHosts(readFileSync(file, 'utf8'), file)).toHaveLength(700);
  });

  it('replaces the keys of one host and nothing else', () => {
    const file = join(dir, 'replace');
    const link = join(dir, 'link');
    const before = `# top\xe9\nh ${text(ed1)} old\nother ${text(ed1)}\n@revoked h ${text(rsa)}\n*.h,h ${text(ed1)}\nh ${text(rsa)}\ngarbage\n`;
    writeFileSync(file, before, { encoding: 'latin1', mode: 0o640 });
    symlinkSync(file, link);
    expect(open([link]).replace(at('h'), [ed2, rsa])).toEqual({ added: 1, removed: 1 });
    const after = before.replace(`h ${text(ed1)} old\n`, '').concat(`h ${text(ed2)}\n`);
    expect(readFileSync(file, 'latin1')).toBe(after);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(open([file]).remove(at('h'))).toBe(2);
    expect(open([file]).replace(at('other'), [ed1])).toEqual({ added: 0, removed: 0 });
  });
});

describe.skipIf(!existsSync('/usr/bin/ssh-keygen'))('the same as ssh-keygen', () => {
  let dir = '';
  const keys: string[] = [];
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'keygen-'));
    for (const type of ['ed25519', 'ecdsa', 'rsa']) {
      execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', join(dir, type)]);
      keys.push(
        readFileSync(join(dir, `${type}.pub`), 'utf8')
          .split(' ')
          .slice(0, 2)
          .join(' '),
      );
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('-F finds the same lines', () => {
    const [ed, ecdsa, big] = keys;
    const content = `# c\na,b ${ed}\n*.x,!bad.x ${ed} comment\n[a]:2222 ${big}\n@revoked a ${big}\n@cert-authority *.x ${ecdsa}\n10.0.0.? ${ecdsa}\n[::1]:22 ${ed}\n::1 ${ed}\n${hashName('a')} ${ecdsa}\n${hashName('[q]:1')} ${ecdsa}\n`;
    const file = join(dir, 'known');
    writeFileSync(file, content);
    for (const host of [
      'a',
      'A',
      'b',
      'y.x',
      'bad.x',
      'x',
      '[a]:2222',
      '10.0.0.7',
      '10.0.0.77',
      '::1',
      '[::1]:22',
      '[q]:1',
      'q',
      'none',
    ]) {
      const { stdout } = spawnSync('ssh-keygen', ['-F', host.toLowerCase(), '-f', file], { encoding: 'utf8' });
      const theirs = [...stdout.matchAll(/found: line (\d+)/g)].map(([, line]) => Number(line));
      expect({
        host,
        lines: list(content)
          .find(host)
          .map(({ line }) => line),
      }).toEqual({ host, lines: theirs });
    }
  });

  it('-H writes hashes that we match', () => {
    const file = join(dir, 'tohash');
    writeFileSync(file, `one,two ${keys[0]}\n[three]:33 ${keys[1]}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    const content = readFileSync(file, 'utf8');
    expect(content).toMatch(/^(\|1\|\S+ \S+ \S+\n){3}$/);
    const known = list(content);
    expect(['one', 'two', '[three]:33', 'three'].map((name) => known.find(name).length)).toEqual([1, 1, 1, 0]);
  });

  it('-F finds what we hashed, -R removes the lines we remove', () => {
    const [ours, theirs] = [join(dir, 'ours'), join(dir, 'theirs')];
    const content = `a,b ${keys[0]}\n${hashName('a')} ${keys[1]}\n@revoked a ${keys[2]}\nc ${keys[0]}\n`;
    for (const file of [ours, theirs]) writeFileSync(file, content);
    const found = spawnSync('ssh-keygen', ['-F', 'a', '-f', ours], { encoding: 'utf8' }).stdout;
    expect(found).toContain('line 2');
    new KnownHosts({ userFiles: [ours], globalFiles: [], mode: 'ask' }).remove({ host: 'a', port: 22 });
    execFileSync('ssh-keygen', ['-q', '-R', 'a', '-f', theirs], { stdio: 'ignore' });
    expect(readFileSync(ours, 'utf8')).toBe(readFileSync(theirs, 'utf8'));
  });
});
