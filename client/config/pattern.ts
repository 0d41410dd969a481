/**
 * Patterns of ssh_config(5) PATTERNS: `*` and `?` wildcards, comma lists with `!` negation, CIDR lists, and the
 * `+ - ^` expressions of algorithm lists. Pure functions, linear or at worst quadratic in the text; no regular
 * expression is ever built from a pattern. Does not read files.
 */

import { SshError } from '../../protocol/index.ts';

/** `*` matches any run, `?` any one character; everything else is literal. Greedy with one point of return. */
export function matchPattern(text: string, pattern: string): boolean {
  let t = 0;
  let p = 0;
  let star = -1;
  let mark = 0;
  while (t < text.length) {
    const c = pattern[p];
    if (c === '*') {
      star = p++;
      mark = t;
    } else if (c !== undefined && (c === '?' || c === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

export type ListMatch = 'match' | 'negated' | 'none';

/** A comma list. A negated entry that matches ends the search at once, whatever else matches (ssh_config(5) PATTERNS). */
export function matchPatternList(text: string, list: string, fold = false): ListMatch {
  const subject = fold ? text.toLowerCase() : text;
  let found: ListMatch = 'none';
  for (const raw of list.split(',')) {
    const entry = fold ? raw.toLowerCase() : raw;
    if (entry.startsWith('!')) {
      if (matchPattern(subject, entry.slice(1))) return 'negated';
    } else if (found === 'none' && matchPattern(subject, entry)) {
      found = 'match';
    }
  }
  return found;
}

/** Host names compare without regard to case. */
export const matchHostList = (host: string, list: string): boolean => matchPatternList(host, list, true) === 'match';

const isWild = (pattern: string): boolean => pattern.includes('*') || pattern.includes('?');

/** The patterns of one Host line, prepared once: plain names are looked up, only wildcards are walked. */
export interface HostMatcher {
  matches(host: string): boolean;
}

export function compileHostPatterns(patterns: readonly string[]): HostMatcher {
  const names = new Set<string>();
  const wild: string[] = [];
  const not: string[] = [];
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) not.push(pattern.slice(1));
    else if (isWild(pattern)) wild.push(pattern);
    else names.add(pattern);
  }
  return {
    matches: (host) =>
      (names.has(host) || wild.some((pattern) => matchPattern(host, pattern))) &&
      !not.some((pattern) => matchPattern(host, pattern)),
  };
}

const parseIpv4 = (text: string): number[] | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.map(Number);
};

function parseIpv6(text: string): number[] | undefined {
  const bare = text.split('%', 1)[0]!;
  const halves = bare.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const bytes: number[][] = [];
  for (const [index, group] of groups.entries()) {
    const out: number[] = [];
    for (const [at, part] of group.entries()) {
      const last = index === groups.length - 1 && at === group.length - 1;
      const dotted = last && part.includes('.') ? parseIpv4(part) : undefined;
      if (dotted !== undefined) out.push(...dotted);
      else if (/^[0-9a-fA-F]{1,4}$/.test(part))
        out.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff);
      else return undefined;
    }
    bytes.push(out);
  }
  const [head, tail] = [bytes[0]!, bytes[1]];
  if (tail === undefined) return head.length === 16 ? head : undefined;
  const gap = 16 - head.length - tail.length;
  return gap < 2 ? undefined : [...head, ...new Array<number>(gap).fill(0), ...tail];
}

/** The bytes of a numeric IPv4 or IPv6 address, a zone left out; undefined for anything else. */
export const parseAddress = (text: string): number[] | undefined =>
  text.includes(':') ? parseIpv6(text) : parseIpv4(text);

interface Network {
  readonly bytes: readonly number[];
  readonly bits: number;
}

const bitAt = (bytes: readonly number[], bit: number): number => (bytes[bit >> 3]! >> (7 - (bit & 7))) & 1;

function parseNetwork(text: string): Network {
  const [address, mask, ...rest] = text.split('/');
  const bytes = parseAddress(address ?? '');
  const bits = mask === undefined ? (bytes?.length ?? 0) * 8 : /^\d{1,3}$/.test(mask) ? Number(mask) : -1;
  if (bytes === undefined || rest.length > 0 || bits < 0 || bits > bytes.length * 8) {
    throw new SshError('config', `Invalid network entry "${text}"`);
  }
  for (let bit = bits; bit < bytes.length * 8; bit++) {
    if (bitAt(bytes, bit) !== 0) throw new SshError('config', `Inconsistent mask length for network "${text}"`);
  }
  return { bytes, bits };
}

/** A comma list of `address/bits`; host bits must be zero. Throws on an entry that is no network. */
export const parseNetworks = (list: string): Network[] => list.split(',').map(parseNetwork);

export function inNetworks(address: string, networks: readonly Network[]): boolean {
  const bytes = parseAddress(address);
  if (bytes === undefined) return false;
  return networks.some((network) => {
    if (network.bytes.length !== bytes.length) return false;
    for (let bit = 0; bit < network.bits; bit++) {
      if (bitAt(bytes, bit) !== bitAt(network.bytes, bit)) return false;
    }
    return true;
  });
}

/** What a list of algorithms is made from: everything the stack has, and what it offers when nobody says otherwise. */
export interface AlgorithmSet {
  readonly supported: readonly string[];
  readonly defaults: readonly string[];
}

/** Every name of an expression, wildcards included, must be one of ours; `-` removes, so it may name anything. */
export function algorithmsValid(expression: string, supported: readonly string[], wildcards: boolean): boolean {
  if (expression.startsWith('-')) return true;
  const names = /^[+^]/.test(expression) ? expression.slice(1) : expression;
  if (names === '') return false;
  return names
    .split(',')
    .every((name) =>
      wildcards && isWild(name) ? supported.some((own) => matchPattern(own, name)) : supported.includes(name),
    );
}

/** `+list` appends, `^list` puts in front, `-list` removes, a bare list replaces; wildcards pick from `supported`. */
export function expandAlgorithms(expression: string | undefined, { supported, defaults }: AlgorithmSet): string[] {
  if (expression === undefined || expression === '') return [...defaults];
  const mode = expression[0];
  if (mode === '-') return defaults.filter((name) => matchPatternList(name, expression.slice(1)) !== 'match');
  const names = (mode === '+' || mode === '^' ? expression.slice(1) : expression).split(',');
  const order = mode === '+' ? [...defaults, ...names] : mode === '^' ? [...names, ...defaults] : names;
  const out = new Set<string>();
  for (const name of order) {
    if (name.startsWith('!')) throw new SshError('config', `Bad algorithm list '${expression}'`);
    if (!isWild(name)) {
      if (supported.includes(name)) out.add(name);
    } else {
      for (const own of supported) if (matchPattern(own, name)) out.add(own);
    }
  }
  if (out.size === 0) throw new SshError('config', `Bad algorithm list '${expression}'`);
  return [...out];
}
