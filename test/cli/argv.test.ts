import { describe, expect, it } from 'vitest';
import { canonicalTokens, type Reading, readCluster, readSsh } from '../../cli/argv.ts';
import { applyOptions, optionsWithSteps } from '../../cli/options/settings.ts';
import { longNames, optionById, options } from '../../cli/options.ts';

/** A reading in one line: options as typed, then host, then words. */
const show = ({ tokens, host, subcommand, words, problem }: Reading): string =>
  [
    ...tokens.map(({ typed, value }) => (value === undefined ? typed : `${typed}(${value})`)),
    ...(host === undefined ? [] : [`@${host}`]),
    ...(subcommand === undefined ? [] : [`:${subcommand}`]),
    ...words.map((word) => `"${word}"`),
    ...(problem === undefined ? [] : [`!${problem.kind} ${problem.typed}`]),
  ].join(' ');

const ssh = (...argv: string[]): string => show(readSsh(argv, true));

describe('the ssh grammar reads as getopt does', () => {
  it.each<[string[], string]>([
    [['h'], '@h'],
    [['-vvvnNfF', 'file', 'h'], '-v -v -v -n -N -f -F(file) @h'],
    [['-ttq', 'h', 'ls'], '-t -t -q @h "ls"'],
    [['-Nn2', 'h'], '-N -n -2 @h'],
    [['-GF', 'none', 'h'], '-G -F(none) @h'],
    [['-GFnone', 'h'], '-G -F(none) @h'],
    [['-p2222', '-oFoo=bar', '-E/log', '-Oexit', 'h'], '-p(2222) -o(Foo=bar) -E(/log) -O(exit) @h'],
    [['-MS/ctl', 'h'], '-M -S(/ctl) @h'],
    [['-obatchmode yes', 'h'], '-o(batchmode yes) @h'],
    [['-o', 'User x', 'h'], '-o(User x) @h'],
    [['h', '-o', 'user=x', '-l', 'y', 'cmd'], '-o(user=x) -l(y) @h "cmd"'],
    [['h', '-E', 'log'], '-E(log) @h'],
    [['h', 'ls', '-l', '-p', '3'], '@h "ls" "-l" "-p" "3"'],
    [['--', 'h', 'ls'], '@h "ls"'],
    [['--', 'h', '-l', 'x', 'ls'], '@h "-l" "x" "ls"'],
    [['-l', '--', 'h', '-v'], '-l(--) @h "-v"'],
    [['h', '--', 'ls', '-l'], '@h "ls" "-l"'],
    [['h', '--', '-l'], '@h "-l"'],
    [['h', 'ls', '--', 'x'], '@h "ls" "--" "x"'],
    [['-', 'h'], '@- "h"'],
    [['h', '-', 'x'], '@h "-" "x"'],
    [['-v-', 'h'], '-v @-v- "h"'],
    [['-l', '', 'h'], '-l() @h'],
    [[''], '@'],
    [['-L', '-x', 'h'], '-L(-x) @h'],
    [['-p', '--', 'h'], '-p(--) @h'],
    [['-e^]', 'h'], '-e(^]) @h'],
    [['-4A6', 'h'], '-4 -A -6 @h'],
    [['-W', 'a:1', '-P', 'tag', 'h'], '-W(a:1) -P(tag) @h'],
    [['-Z', 'h'], '!unknown -Z'],
    [['-vZ', 'h'], '-v !unknown -Z'],
    [['-p'], '!missing-argument -p'],
    [['-vp'], '-v !missing-argument -p'],
    [['h', '-p'], '@h !missing-argument -p'],
    [['--foo', 'h'], '!unknown --'],
    [['-H', 'a', 'h'], '!unknown -H'],
    [['-u', 'a', 'h'], '!unknown -u'],
    [['-h'], '!unknown -h'],
    [['--ssh', 'h'], '--ssh @h'],
    [[], ''],
  ])('%j', (argv, expected) => {
    expect(ssh(...argv)).toBe(expected);
  });

  it('knows long names unless only ssh is to be spoken', () => {
    expect(show(readSsh(['--port', '22', '--user=x', 'h', '--verbose', 'ls'], false))).toBe(
      '--port(22) --user(x) --verbose @h "ls"',
    );
    expect(show(readSsh(['--verbose=3', 'h'], false))).toBe('!unwanted-argument --verbose');
    expect(show(readSsh(['--port'], false))).toBe('!missing-argument --port');
    expect(show(readSsh(['--prot', '1', 'h'], false))).toBe('!unknown --prot');
  });
});

describe('the cluster grammar', () => {
  it.each<[string[], string]>([
    [['-H', 'a,b', 'uptime'], '-H(a,b) "uptime"'],
    [['-Ha,b', '-f', 'web*', 'ls', '-f'], '-H(a,b) -f(web*) "ls" "-f"'],
    [['-C', 'p', 'ping'], '-C(p) :ping'],
    [['-C', 'p', '--', 'ping', '-c1', 'gw'], '-C(p) "ping" "-c1" "gw"'],
    [['-C', 'p', 'interactive', '--single-node', '-v'], '-C(p) --single-node -v :interactive'],
    [['-C', 'p', 'upload', 'a', '-r', 'b', '/c'], '-C(p) -r :upload "a" "b" "/c"'],
    [['upload', '-r', '--', '-r', '/c'], '-r :upload "-r" "/c"'],
    [['-C', 'p', '-', 'ping'], '-C(p) "-" "ping"'],
    [['-bAP', '-C', 'p', 'ls'], '-b -A -P -C(p) "ls"'],
    [['--json', 'ls'], '--json(events) "ls"'],
    [['--json=result', 'ls'], '--json(result) "ls"'],
    [['--color', 'never'], '--color(always) "never"'],
    [['upload', 'a', '-Z', 'b'], ':upload "a" !unknown -Z'],
    [['-H'], '!missing-argument -H'],
    [['-H', 'a', '-T', '-t', '-N', '-q', '-4'], '-H(a) -T -t -N -q -4'],
  ])('%j', (argv, expected) => {
    expect(show(readCluster(argv))).toBe(expected);
  });

  it('gives canonical tokens: attached values, the last of what counts once', () => {
    const { tokens } = readCluster(['-Ha', '-H', '--x', '--timeout', '1', '--timeout=-2', '-b', '-b', '-vv', 'ls']);
    expect(canonicalTokens(tokens)).toEqual([
      '--hosts=a',
      '--hosts=--x',
      '--timeout=-2',
      '--gather',
      '--verbose',
      '--verbose',
    ]);
  });
});

const settings = (...argv: string[]): string[] =>
  applyOptions('ssh', readSsh(argv, true).tokens).settings.map(({ keyword, value }) => `${keyword}=${value}`);

describe('settings', () => {
  it.each<[string, string[]]>([
    ['-l a -l b', ['User=a']],
    ['-oUser=x -l y', ['User=x']],
    ['-p 22 -p 23', ['Port=22']],
    ['-p +22', ['Port=22']],
    ['-p ssh', ['Port=22']],
    ['-c a -c b', ['Ciphers=b']],
    ['-o Ciphers=a -c b', ['Ciphers=b']],
    ['-4 -6', ['AddressFamily=inet6']],
    ['-i a -i b', ['IdentityFile=a', 'IdentityFile=b']],
    ['-t', ['RequestTTY=yes']],
    ['-tt', ['RequestTTY=force']],
    ['-ttt', ['RequestTTY=yes']],
    ['-tT', ['RequestTTY=no']],
    ['-Tt', ['RequestTTY=yes']],
    ['-N', ['SessionType=none', 'RequestTTY=no']],
    ['-s', ['SessionType=subsystem']],
    ['-M', ['ControlMaster=yes']],
    ['-MM', ['ControlMaster=ask']],
    ['-MMM', ['ControlMaster=yes']],
    ['-v', ['LogLevel=DEBUG']],
    ['-vvvvv', ['LogLevel=DEBUG3']],
    ['-vq', ['LogLevel=QUIET']],
    ['-qv', ['LogLevel=DEBUG']],
    ['-w 1', ['TunnelDevice=1', 'Tunnel=point-to-point']],
    ['-oTunnel=ethernet -w 1', ['Tunnel=ethernet', 'TunnelDevice=1']],
    ['-Y', ['ForwardX11=yes', 'ForwardX11Trusted=yes']],
    ['-XYx', ['ForwardX11Trusted=yes', 'ForwardX11=no']],
    ['-Aa', ['ForwardAgent=no']],
    ['-L 1:h:1 -L 2:h:2', ['LocalForward=1:h:1', 'LocalForward=2:h:2']],
    ['-W h:1', ['RequestTTY=no', 'SessionType=none']],
    ['-f', ['ForkAfterAuthentication=yes', 'StdinNull=yes']],
    ['-e ^c', ['EscapeChar=^c']],
    ['-P tag', ['Tag=tag']],
    ['-J a,b', ['ProxyJump=a,b']],
    ['-2', []],
  ])('%s', (line, expected) => {
    expect(settings(...line.split(' '), 'h')).toEqual(expected);
  });

  it('takes -o apart at the first blank or equals sign and leaves the rest alone', () => {
    const { settings: found } = applyOptions(
      'ssh',
      readSsh(['-oUser = "a b"', '-o', 'SetEnv A=1 B=2', '-oport=3', 'h'], true).tokens,
    );
    expect(found).toEqual([
      { keyword: 'User', value: '"a b"', line: true },
      { keyword: 'SetEnv', value: 'A=1 B=2', line: true },
      { keyword: 'port', value: '3', line: true },
    ]);
  });

  it.each<[string, string]>([
    ['-p 0', "Bad port '0'"],
    ['-p 65536', "Bad port '65536'"],
    ['-p 2000blah', "Bad port '2000blah'"],
    ['-e ab', "Bad escape character 'ab'."],
    ['-O foo', 'Invalid multiplex command.'],
    ['-O check -O exit', 'Multiplexing command already specified'],
    ['-W a:1 -W b:2', 'stdio forward already specified'],
    ['-J a -J b', 'Only a single -J option is permitted (use commas to separate multiple jump hops)'],
    ['-oProxyJump=a -J b', 'Only a single -J option is permitted (use commas to separate multiple jump hops)'],
    ['-oProxyCommand=a -J b', 'Cannot specify -J with ProxyCommand'],
    ['-N -s', 'Cannot specify -s with -N/SessionType'],
    ['-s -N', 'Cannot specify -N with -s/SessionType'],
    ['-1', 'SSH protocol v.1 is no longer supported'],
  ])('%s is refused', (line, message) => {
    expect(() => settings(...line.split(' '), 'h')).toThrow(
      expect.objectContaining({ code: 'usage', message, detail: expect.objectContaining({ exit: 255 }) }),
    );
  });

  it('never silently ignores what cannot be had', () => {
    const rows = options.filter(({ ready }) => ready !== true);
    expect(rows.map(({ ssh: letter }) => letter)).toEqual(['I', 'K', 'w']);
    for (const row of rows) {
      const argv = row.argument === undefined ? [`-${row.ssh}`] : [`-${row.ssh}`, 'x'];
      const { refused } = applyOptions('ssh', readSsh([...argv, 'h'], true).tokens);
      expect(refused).toEqual([`-${row.ssh}: ${row.ready}`]);
      expect(String(row.ready)).toMatch(/; (put|use) /);
    }
  });
});

describe('the table', () => {
  it('has one row to an id and to a letter', () => {
    expect(new Set(options.map(({ id }) => id)).size).toBe(options.length);
    for (const grammar of ['ssh', 'cluster'] as const) {
      const letters = options.flatMap((row) => [...(row[grammar] ?? '')]);
      expect(new Set(letters).size).toBe(letters.length);
    }
  });

  it('has every letter of ssh(1)', () => {
    const letters = new Set(options.flatMap((row) => [...(row.ssh ?? '')]));
    for (const letter of '1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy'.replaceAll(':', '')) {
      expect(letters).toContain(letter);
    }
  });

  it('agrees with getopt on which letters take an argument', () => {
    const spec = '1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy';
    for (const row of options) {
      for (const letter of row.ssh ?? '') {
        if (row.own?.includes(letter)) continue;
        expect([letter, row.argument !== undefined]).toEqual([letter, spec.includes(`${letter}:`)]);
      }
    }
  });

  it('has the long names the user was promised', () => {
    const promised =
      'cluster filter use-agent password parallel port timeout connect-timeout output-dir jump-host identity user config strict-host-key-checking local-forward remote-forward dynamic-forward verbose hosts hostfile ssh help version';
    for (const name of promised.split(' ')) expect(longNames()).toContain(name);
  });

  it('gives every row that sets nothing a meaning somewhere', () => {
    // read by grammar.ts, run.ts and load.ts
    const elsewhere =
      'hosts cluster hostfile filter exclude pick seed inventory batch health deadline script vars sudo-password rerun run record no-journal diff mask expect-same baseline expect tui parallel handshakes timeout fail-fast max-failures retries stdin exit dry-run recursive group gather json quiet output-dir color no-prefix single-node multiplex prompt-format history-file work-dir config ssh query generate help version preserve resume follow bandwidth sync checksum delete'.split(
        ' ',
      );
    // accepted and without effect, as in ssh(1)
    const nothing = ['protocol-2'];
    for (const { id, sets } of options) {
      expect([id, sets !== undefined || [...optionsWithSteps, ...elsewhere, ...nothing].includes(id)]).toEqual([
        id,
        true,
      ]);
    }
    for (const id of elsewhere) expect(optionById(id).id).toBe(id);
  });
});
