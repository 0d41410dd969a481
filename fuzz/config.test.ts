/** Parsers of files and words people write: any text gives a result or SshError, nothing else, in linear time. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDestination, parseHops } from '../client/config/destination.ts';
import { dumpOptions } from '../client/config/dump.ts';
import { parseForward } from '../client/config/forward-spec.ts';
import { keywordNames } from '../client/config/keywords.ts';
import {
  checkHostKey,
  formatKnownHosts,
  KnownHostList,
  parseKnownHosts,
  rewriteKnownHosts,
} from '../client/config/known-hosts.ts';
import { splitArguments, splitCriteria, splitLine } from '../client/config/lexer.ts';
import {
  algorithmsValid,
  expandAlgorithms,
  matchPattern,
  matchPatternList,
  parseNetworks,
} from '../client/config/pattern.ts';
import { resolveHost } from '../client/config/resolve.ts';
import { parseConfig } from '../client/config/ssh-config.ts';
import { expandPath, expandTilde } from '../client/config/tokens.ts';
import { type ParseContext, parseTime } from '../client/config/values.ts';
import { SshError } from '../protocol/index.ts';

const set = { supported: ['aes128-ctr', 'ssh-ed25519', 'ssh-rsa'], defaults: ['aes128-ctr', 'ssh-ed25519'] };
const context: ParseContext = {
  algorithms: { kex: set, cipher: set, mac: set, key: set, signature: set },
  env: { HOME: '/h', A: 'x' },
};

const runs = { numRuns: 500 };

/** Invariant of everything here: the only thing that is ever thrown is SshError. */
function calm<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(SshError);
    return undefined;
  }
}

const words = fc.constantFrom(
  'yes',
  'no',
  'none',
  '"',
  "'",
  '\\',
  '#',
  '=',
  '!',
  '*',
  'a:1',
  '[::1]:2',
  '%h',
  '%',
  '${A}',
  '${',
  '~',
  '1h',
  '99999999999999',
  '-x',
  'host',
  'all',
  'final',
  'exec',
  '/',
  ',',
  '+',
  '^',
  '',
  '\t',
  '\r',
  '\u0000',
  'é',
);
const keyword = fc.oneof(
  fc.constantFrom(...keywordNames, 'host', 'match', 'include', 'cipher', 'rsaauthentication'),
  fc.string({ maxLength: 12 }),
);
const line = fc
  .tuple(keyword, fc.constantFrom(' ', '=', ' = ', '\t'), fc.array(words, { maxLength: 5 }), fc.constantFrom(' ', ''))
  .map(([name, between, list, glue]) => `${name}${between}${list.join(glue)}`);
const text = fc.oneof(
  fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n')),
  fc.string({ maxLength: 300, unit: 'binary' }),
);

describe('ssh_config', () => {
  it('parses any text; every error names its file and line', () => {
    fc.assert(
      fc.property(text, (content) => {
        for (const { entries } of parseConfig(content, '/f', context).blocks) {
          for (const entry of entries)
            if (entry.kind === 'problem') expect(entry.message).toContain(`/f line ${entry.line}: `);
        }
      }),
      runs,
    );
  });

  it('resolves any host against any text, and reads its own -G back the same', () => {
    const env = (content: string): Parameters<typeof resolveHost>[1] => ({
      home: '/h',
      user: 'me',
      uid: 1,
      hostName: 'box',
      context,
      files: {
        load: (path) =>
          path === '/f' ? { file: parseConfig(content, path, context), safe: true } : { missing: true, reason: '' },
        glob: () => [],
      },
    });
    const request = (destination: string): Parameters<typeof resolveHost>[0] => ({ destination, configFile: '/f' });
    fc.assert(
      fc.property(text, fc.oneof(fc.constant('host'), fc.string({ maxLength: 20 })), (content, host) => {
        const plan = calm(() => resolveHost(request(host), env(content)));
        expect(plan === undefined || JSON.stringify(plan).length > 0).toBe(true);
      }),
      runs,
    );
    const setting = fc.constantFrom(
      'Port 7',
      'User u',
      'SetEnv A=1 "B=x y"',
      'RemoteForward 80',
      'LocalForward 1 [::1]:2',
      'ProxyJump a@b:3,c',
      'EscapeChar ^B',
      'RekeyLimit 1G 1h',
      'SendEnv A -A B',
      'Ciphers -aes*',
      'IPQoS 12',
      'ControlPersist 5m',
      'CanonicalDomains a.b c',
      'PermitRemoteOpen a:1 *:*',
      'StreamLocalBindMask 0117',
      'AddKeysToAgent confirm 5m',
      'Tunnel ethernet',
      'ForwardAgent $A',
    );
    fc.assert(
      fc.property(fc.array(setting, { maxLength: 8 }), (lines) => {
        const first = dumpOptions(resolveHost(request('h'), env(lines.join('\n'))));
        expect(dumpOptions(resolveHost(request('h'), env(first.join('\n'))))).toEqual(first);
      }),
      { numRuns: 100 },
    );
  });

  it('takes linear time for long lines', () => {
    for (const part of [
      '"',
      '\\"',
      ' ',
      'a ',
      '!',
      '1',
      '1h',
      ',',
      ':',
      '[',
      '%',
      '${',
      '*',
      '=',
      "' ",
      '#',
      '@',
      'x=',
    ]) {
      const long = part.repeat(100_000);
      const start = process.cpuUsage();
      for (const name of [
        'host',
        'match host',
        'sendenv',
        'localforward',
        'proxyjump',
        'connecttimeout',
        'ciphers',
        'canonicaldomains',
        'rekeylimit',
        'ipqos',
        'setenv',
        'user',
      ]) {
        calm(() => parseConfig(`${name} ${long}x`, '/f', context));
      }
      expect({ part, fast: process.cpuUsage(start).user < 3_000_000 }).toEqual({ part, fast: true });
    }
  });
});

describe('words', () => {
  const word = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.array(words, { maxLength: 8 }).map((list) => list.join('')),
  );

  it('never throw anything but SshError', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        splitLine(a);
        splitArguments(a);
        splitCriteria(a);
        calm(() => parseDestination(a));
        parseHops(a);
        for (const type of ['local', 'remote', 'dynamic'] as const) parseForward(type, a);
        parseTime(a);
        matchPatternList(a, b, true);
        calm(() => parseNetworks(a));
        calm(() => expandPath(a, { h: b }, { A: b }));
        calm(() => expandTilde(a, { home: '/h' }));
        if (algorithmsValid(a, set.supported, true)) calm(() => expandAlgorithms(a, set));
      }),
      runs,
    );
  });

  it('a text without wildcards matches itself alone', () => {
    fc.assert(
      fc.property(
        fc.string().filter((s) => !/[*?]/.test(s)),
        fc.string(),
        (pattern, other) => matchPattern(other, pattern) === (other === pattern) && matchPattern(pattern, pattern),
      ),
      runs,
    );
  });
});

describe('known_hosts', () => {
  const names = fc.constantFrom('h', 'a,b', '*', '!h,*', '|1|AAAA|BBBB', '|1|', '|', '[h]:22', '@revoked', '#');
  const rest = fc.constantFrom(
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA',
    'ssh-ed25519',
    '1024 35 11',
    'ssh-ed25519 ====',
    '',
  );
  const content = fc.oneof(
    fc
      .array(
        fc
          .tuple(fc.constantFrom('', '@revoked ', '@cert-authority ', '@x '), names, rest)
          .map(([m, n, r]) => `${m}${n} ${r}`),
      )
      .map((lines) => lines.join('\n')),
    fc.string({ maxLength: 300 }),
  );
  const key = { type: 'ssh-ed25519', blob: new Uint8Array([0, 0, 0, 11, ...Buffer.from('ssh-ed25519'), 0]) };

  it('any text is searched without complaint, a key that is added is found, other lines stay', () => {
    fc.assert(
      fc.property(content, (before) => {
        const list = new KnownHostList(parseKnownHosts(before, 'f'));
        checkHostKey(list, { host: 'h', port: 22 }, key);
        const after = rewriteKnownHosts(before, new Set(), formatKnownHosts(['h.unlikely'], key, true));
        expect(after.startsWith(before)).toBe(true);
        const found = checkHostKey(
          new KnownHostList(parseKnownHosts(after, 'f')),
          { host: 'h.unlikely', port: 22 },
          key,
        );
        expect(found.status).toBe('ok');
      }),
      runs,
    );
  });

  it('takes linear time for long lines', () => {
    for (const part of [' ', 'a ', '@', '|', 'a,', 'A', '=', '\t']) {
      const start = process.cpuUsage();
      parseKnownHosts(`h ssh-rsa AAAA ${part.repeat(60_000)}x\n${part.repeat(60_000)}x`, 'f');
      expect({ part, fast: process.cpuUsage(start).user < 1_000_000 }).toEqual({ part, fast: true });
    }
  });
});
