import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ExpressionSources, expandHosts } from '../../cli/hosts/expand.ts';
import { compilePatterns, globMatch } from '../../cli/hosts/filter.ts';
import { foldHosts, formatHosts } from '../../cli/hosts/fold.ts';
import { readHostfile } from '../../cli/hosts/hostfile.ts';
import { hostLimits } from '../../cli/hosts/limits.ts';
import { expandRanges } from '../../cli/hosts/range.ts';
import { formatHostSpec, type HostSpec, parseDestination, parseHostSpec } from '../../cli/hosts/spec.ts';
import { SshError } from '../../client/index.ts';

const clusters: Readonly<Record<string, readonly HostSpec[]>> = {
  web: [{ host: 'web1' }, { host: 'web2' }, { host: 'web3', port: 2222 }],
  db: [{ host: 'db1', user: 'admin' }],
};
const files: Readonly<Record<string, string>> = { f: 'a b\n# no\nc,d\n', loop: '^loop' };
const sources: ExpressionSources<HostSpec> = {
  host: (spec) => spec,
  cluster: (name) => {
    const found = clusters[name];
    if (found === undefined) throw new SshError('usage', `unknown ${name}`);
    return found;
  },
  file: (path) => files[path] ?? '',
};

const expand = (expression: string): string => expandHosts(expression, sources).map(formatHostSpec).join(' ');

describe('host expressions', () => {
  it.each<[string, string]>([
    ['a', 'a'],
    ['a,b', 'a b'],
    [' a , b\tc\nd,,', 'a b c d'],
    ['', ''],
    ['a,b,a', 'a b'],
    ['node[1-3]', 'node1 node2 node3'],
    ['node[1,3],db[01-04]', 'node1 node3 db01 db02 db03 db04'],
    ['n[08-11]', 'n08 n09 n10 n11'],
    ['n[8-011]', 'n008 n009 n010 n011'],
    ['n[001-003,5]', 'n001 n002 n003 n5'],
    ['n[0-10/5]', 'n0 n5 n10'],
    ['r[1-2]n[1-2].x', 'r1n1.x r1n2.x r2n1.x r2n2.x'],
    ['[1-2]', '1 2'],
    ['u@n[1-2]:22', 'u@n1:22 u@n2:22'],
    ['u@[::1]:22', 'u@[::1]:22'],
    ['[::1]', '::1'],
    ['::1,fe80::1%eth0', '::1 fe80::1%eth0'],
    ['2001:db8::1', '2001:db8::1'],
    ['10.0.0.[1-2]', '10.0.0.1 10.0.0.2'],
    ['n[ 1 - 2 , 4 ]', 'n1 n2 n4'],
    ['ssh://u@h:22/', 'u@h:22'],
    ['a@b@c', 'a@b@c'],
    ['xn--bcher-kva.example,my_host', 'xn--bcher-kva.example my_host'],
    // algebra, from left to right
    ['n[1-5]!n[2-3]', 'n1 n4 n5'],
    ['n[1-5] ! n2 ! n3', 'n1 n4 n5'],
    ['n[1-5]&n[4-9]', 'n4 n5'],
    ['n[1-3]^n[3-5]', 'n1 n2 n4 n5'],
    ['a,b!b,b', 'a b'],
    ['@web', 'web1 web2 web3:2222'],
    ['@web!web3', 'web1 web2'],
    ['@web&web[2-3]', 'web2 web3:2222'],
    ['@web!web3:22', 'web1 web2 web3:2222'],
    ['@db,x', 'admin@db1 x'],
    ['@db!root@db1', 'admin@db1'],
    ['@db!db1', ''],
    // files
    ['^f', 'a b c d'],
    ['x,^f', 'x a b c d'],
    ['x ^f', 'x a b c d'],
    ['a,z!^f', 'z'],
    ['a,z^^f', 'z b c d'],
  ])('%j', (expression, expected) => {
    expect(expand(expression)).toBe(expected);
  });

  it.each<[string, RegExp]>([
    ['n[1-', /\[ without a \]/],
    ['n[]', /is not a range/],
    ['n[a-c]', /'a-c' is not a range/],
    ['n[3-1]', /counts backwards/],
    ['n[1-3/0]', /step of zero/],
    ['n[1-99999999999999999999]', /too long/],
    ['n[1-100001]', /more than the limit/],
    ['a[1-1000]b[1-1000]', /more than the limit/],
    [`${'n[1-2]'.repeat(17)}`, /too many brackets/],
    ['n[1-99999],m[1-99999]', /more than 100000 hosts/],
    ['!a', /nothing stands before '!'/],
    ['a!', /nothing stands behind '!'/],
    ['a!&b', /nothing stands between/],
    ['a!,b', /nothing stands behind/],
    ['@nope', /unknown nope/],
    ['^loop', /too deeply/],
    ['a:0', /'0' is not a port/],
    ['a:x', /'x' is not a port/],
    ['a:1:2', /too many colons/],
    ['[::zz]', /not an IPv6 address/],
    ['a@', /the host name is empty/],
    ['-oProxyCommand=x', /cannot start with a hyphen/],
    ['$(reboot)', /is not a host name/],
    ['a;b', /is not a host name/],
    ['a]b', /is not a host name/],
    ['ssh://h/x', /a path means nothing/],
  ])('%j is refused', (expression, message) => {
    let error: unknown;
    try {
      expand(expression);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(SshError);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
  });

  it('expands as many hosts as its limit allows', () => {
    expect(expandRanges(`n[1-${hostLimits.expandedHosts}]`)).toHaveLength(hostLimits.expandedHosts);
  });

  it('does algebra over large sets in no time', () => {
    const started = performance.now();
    expect(expandHosts('n[1-90000]!n[1-89999]', sources)).toEqual([{ host: 'n90000' }]);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('destinations', () => {
  it.each<[string, boolean, unknown]>([
    ['h', true, { host: 'h' }],
    ['u@h', true, { host: 'h', user: 'u' }],
    ['a@b@h', true, { host: 'h', user: 'a@b' }],
    ['[::1]:22', true, { host: '[::1]:22' }],
    ['[::1]:22', false, { host: '::1', port: 22 }],
    ['u@[::1]', false, { host: '::1', user: 'u' }],
    ['h:22', true, { host: 'h:22' }],
    ['h:22', false, { host: 'h', port: 22 }],
    ['h:x', false, { host: 'h:x' }],
    ['::1', false, { host: '::1' }],
    ['::1', true, { host: '::1' }],
    ['ssh://h', true, { host: 'h' }],
    ['SSH://u@h:1', true, { host: 'h', user: 'u', port: 1 }],
    ['ssh://a%40b;x=y@h/', true, { host: 'h', user: 'a@b' }],
    ['ssh://[fe80::1%25eth0]:22', true, { host: 'fe80::1%25eth0', port: 22 }],
  ])('%j strict=%j', (text, strict, expected) => {
    expect(parseDestination(text, strict)).toEqual(expected);
  });

  it.each(['@h', 'ssh://', 'ssh://u@', 'ssh://h:0', 'ssh://h:99999', 'ssh://h/p', 'ssh://@h', 'ssh://%zz@h'])(
    '%j is none',
    (text) => {
      expect(parseDestination(text, true)).toHaveProperty('bad');
    },
  );

  it.each(['h', 'u@h', 'u@h:22', '::1', '[::1]:22', 'u@[::1]:22', 'u@::1'])('%j is written as it is read', (text) => {
    expect(formatHostSpec(parseHostSpec(text) as HostSpec)).toBe(text);
  });
});

const specs = (...hosts: string[]): HostSpec[] => hosts.map((host) => ({ host }));
const filter = (patterns: string[], hosts: string[]): string =>
  specs(...hosts)
    .filter(compilePatterns(patterns, specs(...hosts)))
    .map(({ host }) => host)
    .join(' ');

describe('filters', () => {
  const hosts = ['web1', 'web10', 'web2.example.com', 'db1', 'DB2'];
  it.each<[string[], string]>([
    [['web*'], 'web1 web10 web2.example.com'],
    [['*.example.com'], 'web2.example.com'],
    [['web?'], 'web1'],
    [['web1'], 'web1'],
    [['web'], 'web1 web10 web2.example.com'],
    [['example'], 'web2.example.com'],
    [['/^(web|db)1$/'], 'web1 db1'],
    [['/a,b|db/'], 'db1 DB2'],
    [['/web\\/|db1/'], 'db1'],
    [['web[1-2]'], 'web1'],
    [['web[01-99],web[10]'], 'web10'],
    [['*[!0-9]'], 'web2.example.com'],
    [['web1,db1'], 'web1 db1'],
    [['web1', 'db*'], 'web1 db1 DB2'],
    [['nothing'], ''],
    [['*'], 'web1 web10 web2.example.com db1 DB2'],
  ])('%j', (patterns, expected) => {
    expect(filter(patterns, hosts)).toBe(expected);
  });

  it('matches any glob in no time', () => {
    const started = performance.now();
    expect(globMatch(`${'*a'.repeat(50)}b`)('a'.repeat(2000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('folding', () => {
  it.each<[string[], string]>([
    [['node1', 'node2', 'node3'], 'node[1-3]'],
    [['node3', 'node1', 'node2', 'node1'], 'node[1-3]'],
    [['node1', 'node2'], 'node[1,2]'],
    [['node1'], 'node1'],
    [['a', 'b'], 'a,b'],
    [['n08', 'n09', 'n10', 'n11'], 'n[08-11]'],
    [['n8', 'n9', 'n10', 'n11'], 'n[8-11]'],
    [['n1', 'n01', 'n2', 'n02', 'n03', 'n3'], 'n[1-3,01-03]'],
    [['n098', 'n099', 'n100'], 'n[098-100]'],
    [['n1', 'n2', 'n5', 'n7', 'n8', 'n9'], 'n[1,2,5,7-9]'],
    [['r1n1', 'r1n2', 'r2n1', 'r2n2'], 'r[1,2]n[1,2]'],
    [['r1n1', 'r1n2', 'r2n1'], 'r1n[1,2],r2n1'],
    [['web1.a.com', 'web2.a.com', 'web1.b.com'], 'web[1,2].a.com,web1.b.com'],
    [['10.0.0.1', '10.0.0.2', '10.0.0.3'], '10.0.0.[1-3]'],
    [['h:22', 'h:23'], 'h:22,h:23'],
    [['n1:22', 'n2:22'], 'n[1,2]:22'],
    [['2001:db8::1', '2001:db8::2'], '2001:db8::1,2001:db8::2'],
    [['[::1]:22', '[::2]:22'], '[::1]:22,[::2]:22'],
    [['n9007199254740993', 'n9007199254740994'], 'n9007199254740993,n9007199254740994'],
    [['db7', 'node1', 'node2', 'node3'], 'db7,node[1-3]'],
    [[], ''],
  ])('%j', (names, expected) => {
    expect(formatHosts(names)).toBe(expected);
  });

  it('folds a hundred thousand names quickly', () => {
    const names = expandRanges('rack[1-100]-node[0001-1000]') as string[];
    const started = performance.now();
    expect(foldHosts(names)).toEqual(['rack[1-100]-node[0001-1000]']);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('host files', () => {
  it('are read from the working directory and bounded', () => {
    const directory = mkdtempSync(join(tmpdir(), 'bssh-hosts-'));
    try {
      writeFileSync(join(directory, 'f'), 'a\nb');
      const read = readHostfile(directory);
      expect(read('f')).toBe('a\nb');
      expect(() => read('missing')).toThrow(/missing: cannot be read \(ENOENT\)/);
      expect(() => read('.')).toThrow(/EISDIR/);
      writeFileSync(join(directory, 'huge'), Buffer.alloc(hostLimits.hostfileBytes + 1, 'a'));
      expect(() => read('huge')).toThrow(/too large/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
