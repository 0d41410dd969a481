import { describe, expect, it } from 'vitest';
import {
  algorithmsValid,
  compileHostPatterns,
  expandAlgorithms,
  inNetworks,
  matchHostList,
  matchPattern,
  matchPatternList,
  parseAddress,
  parseNetworks,
} from '../../../client/config/pattern.ts';

/** The obvious recursive twin. */
const slow = (text: string, pattern: string): boolean => {
  if (pattern === '') return text === '';
  if (pattern[0] === '*') return slow(text, pattern.slice(1)) || (text !== '' && slow(text.slice(1), pattern));
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && slow(text.slice(1), pattern.slice(1));
};

describe('patterns', () => {
  it('agree with the recursive definition', () => {
    const letters = ['', 'a', 'b', '*', '?', 'ab', '*a', 'a*b', '**', '?*', 'a?b*', '*ab*a'];
    const subjects = ['', 'a', 'b', 'ab', 'ba', 'aab', 'abab', 'abba', 'bbbb'];
    for (const pattern of letters)
      for (const text of subjects)
        expect([text, pattern, matchPattern(text, pattern)]).toEqual([text, pattern, slow(text, pattern)]);
  });

  it('take no time over many stars', () => {
    const start = performance.now();
    expect(matchPattern('a'.repeat(5000), `${'*a'.repeat(50)}b`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('form lists with negation', () => {
    expect(matchPatternList('a', 'b,a')).toBe('match');
    expect(matchPatternList('a', 'a,!a')).toBe('negated');
    expect(matchPatternList('a', '!b')).toBe('none');
    expect(matchPatternList('A', 'a')).toBe('none');
    expect(matchHostList('A.Example', '*.EXAMPLE')).toBe(true);
    expect(compileHostPatterns(['*', '!x*']).matches('xy')).toBe(false);
    expect(compileHostPatterns(['!x']).matches('y')).toBe(false);
  });
});

describe('networks', () => {
  it('reads addresses', () => {
    expect(parseAddress('10.0.0.1')).toEqual([10, 0, 0, 1]);
    expect(parseAddress('::1')).toEqual([...new Array(15).fill(0), 1]);
    expect(parseAddress('fe80::1%eth0')?.slice(0, 2)).toEqual([0xfe, 0x80]);
    expect(parseAddress('::ffff:1.2.3.4')?.slice(-4)).toEqual([1, 2, 3, 4]);
    for (const bad of ['', '1.2.3', '256.1.1.1', '1:2', ':::', '1::2::3', 'g::', '1:2:3:4:5:6:7:8:9', 'host'])
      expect(parseAddress(bad)).toBeUndefined();
  });

  it('match by prefix', () => {
    const networks = parseNetworks('192.168.1.0/24,2001:db8::/32,10.0.0.1');
    expect(['192.168.1.77', '2001:db8:1::5', '10.0.0.1'].every((address) => inNetworks(address, networks))).toBe(true);
    expect(['192.168.2.1', '2001:db9::', '10.0.0.2', 'x'].some((address) => inNetworks(address, networks))).toBe(false);
    for (const bad of ['192.168.1.1/24', '10.0.0.0/33', 'x/8', '10.0.0.0/a', '10.0.0.0/8/8'])
      expect(() => parseNetworks(bad)).toThrow(bad);
  });
});

describe('algorithm lists', () => {
  const set = { supported: ['a1', 'a2', 'b1', 'b2', 'c'], defaults: ['a1', 'b1', 'c'] };
  it.each([
    [undefined, 'a1,b1,c'],
    ['b2', 'b2'],
    ['c,a*', 'c,a1,a2'],
    ['+a2,a1', 'a1,b1,c,a2'],
    ['+b*', 'a1,b1,c,b2'],
    ['-a*,c', 'b1'],
    ['^c,b2', 'c,b2,a1,b1'],
    ['-*', ''],
  ])('%s', (expression, expected) => expect(expandAlgorithms(expression, set).join(',')).toBe(expected));

  it('refuse what names nothing', () => {
    expect(() => expandAlgorithms('x*', set)).toThrow('Bad algorithm list');
    expect(() => expandAlgorithms('+!a1', set)).toThrow('Bad algorithm list');
    expect(algorithmsValid('a1,x', set.supported, true)).toBe(false);
    expect(algorithmsValid('a*', set.supported, false)).toBe(false);
    expect(algorithmsValid('+a*', set.supported, true)).toBe(true);
    expect(algorithmsValid('-whatever', set.supported, false)).toBe(true);
    expect(algorithmsValid('^', set.supported, true)).toBe(false);
  });
});
