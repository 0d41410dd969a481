/** Host expressions: whatever is typed gives hosts or an SshError, and folding loses nothing. */

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { expandHosts } from '../cli/hosts/expand.ts';
import { compilePatterns, globMatch } from '../cli/hosts/filter.ts';
import { foldHosts } from '../cli/hosts/fold.ts';
import { hostLimits } from '../cli/hosts/limits.ts';
import { expandRanges } from '../cli/hosts/range.ts';
import { formatHostSpec, type HostSpec, parseDestination, parseHostSpec } from '../cli/hosts/spec.ts';
import { SshError } from '../client/index.ts';

const sources = {
  host: (spec: HostSpec) => spec,
  cluster: (name: string) => [{ host: `c-${name}` }],
  file: () => 'a b',
};

const sameSet = (a: Iterable<string>, b: Iterable<string>): boolean => {
  const left = new Set(a);
  const right = new Set(b);
  return left.size === right.size && [...left].every((name) => right.has(name));
};

const onlySshError = (action: () => void): boolean => {
  try {
    action();
    return true;
  } catch (error) {
    return error instanceof SshError;
  }
};

const label = fc.stringMatching(/^[a-z]{1,3}(-?[0-9]{1,4}){0,3}[a-z]{0,2}$/);
const name = fc.tuple(label, fc.option(label, { nil: undefined })).map(([a, b]) => (b === undefined ? a : `${a}.${b}`));
const soup = fc.string({ unit: fc.constantFrom(...'abn019[]-,/!&^@:. %_$#?*\\'), maxLength: 40 });

describe('host lists', () => {
  it('fold and expand to the same names', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 60 }), (names) => {
        const again = expandHosts(foldHosts(names).join(','), sources).map(({ host }) => host);
        return sameSet(names, again);
      }),
      { numRuns: 1000 },
    );
  });

  it('fold to no more names than there were, in every order the same', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 40 }), (names) => {
        const folded = foldHosts(names);
        return folded.length <= new Set(names).size && folded.join() === foldHosts([...names].reverse()).join();
      }),
      { numRuns: 500 },
    );
  });

  it('expand what a range says, counted by hand', () => {
    fc.assert(
      fc.property(
        fc.nat(2000),
        fc.nat(300),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 6 }),
        (first, more, step, pad) => {
          const from = String(first).padStart(pad, '0');
          const width = from.startsWith('0') && from.length > 1 ? from.length : 0;
          const expected: string[] = [];
          for (let i = first; i <= first + more; i += step) expected.push(`n${String(i).padStart(width, '0')}`);
          return JSON.stringify(expandRanges(`n[${from}-${first + more}/${step}]`)) === JSON.stringify(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('obey the laws of sets', () => {
    const set = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(set, set, (a, b) => {
        const term = (numbers: readonly number[]): string => `n[${numbers.join(',')}]`;
        const run = (operator: string): number[] =>
          expandHosts(term(a) + operator + term(b), sources).map(({ host }) => Number(host.slice(1)));
        const equal = (left: number[], right: number[]): boolean => sameSet(left.map(String), right.map(String));
        return (
          equal(run(','), [...a, ...b]) &&
          equal(
            run('!'),
            a.filter((n) => !b.includes(n)),
          ) &&
          equal(
            run('&'),
            a.filter((n) => b.includes(n)),
          ) &&
          equal(run('^'), [...a.filter((n) => !b.includes(n)), ...b.filter((n) => !a.includes(n))])
        );
      }),
      { numRuns: 300 },
    );
  });

  it('never throw anything but an SshError, and stay within the limit', () => {
    fc.assert(
      fc.property(fc.oneof(soup, fc.string({ maxLength: 40 })), (text) =>
        onlySshError(() => {
          const hosts = expandHosts(text, sources);
          if (hosts.length > hostLimits.expandedHosts) throw new Error('too many');
          for (const spec of hosts) {
            if (spec.host === '' || (/\s/.test(spec.host) && !spec.host.startsWith('c-')))
              throw new Error(`a bad host came out: ${spec.host}`);
          }
        }),
      ),
      { numRuns: 5000 },
    );
  });

  it('give specs that are written as they are read', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          soup,
          fc.ipV6(),
          fc.ipV6().map((ip) => `u@[${ip}]:22`),
          fc.domain(),
        ),
        (text) => {
          const spec = parseHostSpec(text);
          parseDestination(text, false);
          if ('bad' in spec) return true;
          const again = parseHostSpec(formatHostSpec(spec));
          return !('bad' in again) && JSON.stringify(again) === JSON.stringify(spec);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('are filtered by any pattern without surprise', () => {
    const hosts = [{ host: 'node1' }, { host: 'web2.example.com' }, { host: '::1' }];
    fc.assert(
      fc.property(fc.oneof(soup, fc.string({ maxLength: 20 })), (pattern) =>
        onlySshError(() => hosts.filter(compilePatterns([pattern], hosts))),
      ),
      { numRuns: 3000 },
    );
  });

  it('match a glob as the regular expression that it stands for', () => {
    const glob = fc.string({ unit: fc.constantFrom(...'ab*?.'), maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom(...'ab.'), maxLength: 8 });
    fc.assert(
      fc.property(glob, text, (pattern, host) => {
        const regex = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`);
        return globMatch(pattern)(host) === regex.test(host);
      }),
      { numRuns: 3000 },
    );
  });
});
