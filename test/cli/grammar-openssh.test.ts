/** The ssh grammar against the real thing: what `ssh -G` makes of a command line is what our settings say. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseSsh, type SshIntent } from '../../cli/grammar.ts';

const openssh = spawnSync('ssh', ['-V']).status === 0;

const real = (argv: readonly string[]): Map<string, string> | string => {
  const { status, stdout, stderr } = spawnSync('ssh', ['-GFnone', ...argv], { encoding: 'utf8', input: '' });
  if (status !== 0) return stderr.split('\n')[0]?.trim() ?? '';
  const lines = stdout.trimEnd().split('\n');
  return new Map(lines.map((line) => [line.split(' ', 1)[0] as string, line.slice(line.indexOf(' ') + 1)]));
};

/** How -G prints a value that we keep as it is typed. */
const printed: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  requesttty: { yes: 'true', no: 'false' },
  controlmaster: { yes: 'true' },
  escapechar: { '^c': '\\^C' },
  loglevel: { quiet: 'SILENT' },
};

const compared = [
  'user port requesttty sessiontype stdinnull controlmaster controlpath ciphers macs bindaddress addressfamily',
  'loglevel proxyjump gatewayports compression forwardx11 forwardagent escapechar tunneldevice tunnel identityfile',
]
  .join(' ')
  .split(' ');

const lines = [
  'h',
  'bob@h',
  'bob@h -l a',
  '-l a bob@h',
  '-oUser=x -l y h',
  '-l y -oUser=x h',
  'h -l y -oUser=x ls',
  'a@b@h',
  '-p 23 h',
  '-p http h',
  '-p+44 h',
  '-oport=33 -p 44 h',
  'ssh://u@h:2200/',
  'ssh://u@h -p 3',
  'ssh://a%40b;x=y@h',
  '-p 3 ssh://u@h:4',
  '-tt h',
  '-ttt h',
  '-T -t h',
  '-t -T h',
  '-N -t h',
  '-t -N h',
  '-N h ls',
  '-s h sftp',
  '-n h',
  '-M h',
  '-MM h',
  '-oControlMaster=auto -M h',
  '-M -oControlMaster=auto h',
  '-S a -S b h',
  '-oControlPath=z -S b h',
  '-c aes128-ctr -c aes256-ctr h',
  '-oCiphers=aes128-ctr -c aes256-ctr h',
  '-c aes128-ctr -oCiphers=aes256-ctr h',
  '-m hmac-sha2-256 h',
  '-b 1.2.3.4 -oBindAddress=2.2.2.2 h',
  '-oBindAddress=2.2.2.2 -b 1.2.3.4 h',
  '-4 h',
  '-6 -4 h',
  '-oAddressFamily=inet6 -4 h',
  '-4 -oAddressFamily=inet6 h',
  '-v h',
  '-vvvvv h',
  '-v -q h',
  '-q -vv h',
  '-oLogLevel=ERROR -v h',
  '-v -oLogLevel=ERROR h',
  '-J a h',
  '-J a,b:3 h',
  '-J b -oProxyCommand=a h',
  '-g h',
  '-C h',
  '-X h',
  '-Xx h',
  '-A h',
  '-Aa h',
  '-e ^c h',
  '-e none h',
  '-w 1:2 h',
  '-i /dev/null -i /etc/hosts h',
  '-- h -l x ls',
  '-S -- h -p 3',
  '-l x -- h -l y',
  'h - x',
];

const refused = [
  '-p 0 h',
  '-p 70000 h',
  '-p 22x h',
  '-e ab h',
  '-O foo h',
  '-N -s h x',
  '-s -N h x',
  '-W a:1 -s h x',
  '-W a:1 -W b:2 h',
  '-oProxyJump=a -J b h',
  '-J a -J b h',
  '-oProxyCommand=a -J b h',
  '-Z h',
  '-p',
  '-1 h',
  '--foo h',
];

it('needs neither yargs nor yaml at import', () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    if (!file.endsWith('.ts')) return;
    const text = readFileSync(file, 'utf8');
    for (const [, clause = '', from = ''] of text.matchAll(/^(?:import|export)\s+([^;]*?)\s+from '([^']+)';/gm)) {
      if (/^type\b/.test(clause)) continue;
      visit(from.startsWith('.') ? resolve(dirname(file), from) : from);
    }
  };
  visit(fileURLToPath(new URL('../../cli/grammar.ts', import.meta.url)));
  expect([...seen].some((file) => file.endsWith('/cli/hosts/select.ts'))).toBe(true);
  expect([...seen].filter((file) => /^(yargs|yaml)\b/.test(file))).toEqual([]);
});

describe.skipIf(!openssh)('the ssh grammar and ssh -G', () => {
  it.each(lines)('%s', (line) => {
    const argv = line.split(' ');
    const theirs = real(argv);
    if (typeof theirs === 'string') throw new Error(`ssh refuses it: ${theirs}`);
    const ours = parseSsh(argv, true) as SshIntent;
    expect(ours.host).toBe(theirs.get('host'));
    const seen = new Set<string>();
    for (const { keyword, value } of ours.invocation.settings) {
      const name = keyword.toLowerCase();
      // the first value wins
      if (!compared.includes(name) || seen.has(name)) continue;
      seen.add(name);
      const expected = theirs.get(name);
      if (name === 'identityfile') expect(['/dev/null', '/etc/hosts']).toContain(value);
      else expect([name, printed[name]?.[value.toLowerCase()] ?? value]).toEqual([name, expected]);
    }
    const silent =
      ours.invocation.settings.filter(({ keyword }) => compared.includes(keyword.toLowerCase())).length === 0;
    if (silent) expect([...theirs.keys()]).toEqual([...(real(['h']) as Map<string, string>).keys()]);
  });

  it.each(refused)('%s is refused with the same words', (line) => {
    const argv = line.split(' ');
    const theirs = real(argv);
    expect(theirs).toBeTypeOf('string');
    expect(() => parseSsh(argv, true)).toThrow(expect.objectContaining({ code: 'usage', message: theirs }));
  });
});
