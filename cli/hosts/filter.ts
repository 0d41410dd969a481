/**
 * `--filter` and `--exclude`: a glob (`web*`), a range (`node[01-10]`), `/regex/`, a whole name, or, when no host has
 * that name, a part of one. Several patterns, separated by commas or given repeatedly, match what any of them matches.
 */

import { SshError } from '../../client/index.ts';
import { expandRanges } from './range.ts';
import type { HostSpec } from './spec.ts';

type Match = (host: string) => boolean;

const usage = (message: string): SshError =>
  new SshError('usage', message, { detail: { grammar: 'cluster', exit: 2 } });

/** Commas outside brackets and outside `/.../` separate patterns. */
const splitPatterns = (text: string): string[] => {
  const patterns: string[] = [];
  let current = '';
  let depth = 0;
  let regex = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (regex) {
      if (char === '\\') current += text[at++] ?? '';
      else if (char === '/') regex = false;
    } else if (char === '/' && current === '') regex = true;
    else if (char === '[') depth++;
    else if (char === ']') depth--;
    else if (char === ',' && depth <= 0) {
      patterns.push(current);
      current = '';
      depth = 0;
      continue;
    }
    current += text[at] ?? '';
  }
  patterns.push(current);
  return patterns.map((pattern) => pattern.trim()).filter((pattern) => pattern !== '');
};

/** One character of a glob: a set of ranges, any character, or a run of any. */
type GlobPart = { readonly star: true } | { readonly test: (char: string) => boolean };

const parseSet = (content: string): ((char: string) => boolean) => {
  const negated = content.startsWith('!') || content.startsWith('^');
  const ranges: [string, string][] = [];
  for (let at = negated ? 1 : 0; at < content.length; at++) {
    const first = content[at] as string;
    if (content[at + 1] === '-' && at + 2 < content.length) {
      ranges.push([first, content[at + 2] as string]);
      at += 2;
    } else ranges.push([first, first]);
  }
  return (char) => ranges.some(([first, last]) => char >= first && char <= last) !== negated;
};

const parseGlob = (glob: string): GlobPart[] => {
  const parts: GlobPart[] = [];
  for (let at = 0; at < glob.length; at++) {
    const char = glob[at] as string;
    const close = char === '[' ? glob.indexOf(']', at + 2) : -1;
    if (char === '*') parts.push({ star: true });
    else if (char === '?') parts.push({ test: () => true });
    else if (close > 0) {
      parts.push({ test: parseSet(glob.slice(at + 1, close)) });
      at = close;
    } else parts.push({ test: (other) => other === char });
  }
  return parts;
};

/** Matches without backtracking further than the last star: no pattern makes it slow. */
export const globMatch = (glob: string): Match => {
  const parts = parseGlob(glob.toLowerCase());
  return (host) => {
    const text = host.toLowerCase();
    let part = 0;
    let star = -1;
    let retry = 0;
    let at = 0;
    while (at < text.length) {
      const current = parts[part];
      if (current !== undefined && 'star' in current) {
        star = part++;
        retry = at;
      } else if (current?.test(text[at] as string)) {
        part++;
        at++;
      } else if (star >= 0) {
        part = star + 1;
        at = ++retry;
      } else return false;
    }
    while (parts[part] !== undefined && 'star' in (parts[part] as GlobPart)) part++;
    return part === parts.length;
  };
};

const regexMatch = (pattern: string): Match => {
  try {
    const regex = new RegExp(pattern, 'i');
    return (host) => regex.test(host);
  } catch (error) {
    throw usage(`/${pattern}/: ${(error as Error).message}`);
  }
};

const compile = (pattern: string, hosts: ReadonlySet<string>): Match => {
  if (pattern.length > 1 && pattern.startsWith('/') && pattern.endsWith('/')) return regexMatch(pattern.slice(1, -1));
  if (/[*?]/.test(pattern)) return globMatch(pattern);
  if (pattern.includes('[')) {
    const words = expandRanges(pattern);
    if ('bad' in words) return globMatch(pattern);
    const set = new Set(words);
    return (host) => set.has(host);
  }
  if (hosts.has(pattern)) return (host) => host === pattern;
  const part = pattern.toLowerCase();
  return (host) => host.toLowerCase().includes(part);
};

/** A test for hosts that any of the patterns matches; the list is what "a whole name" is looked for in. */
export const compilePatterns = (
  texts: readonly string[],
  specs: readonly HostSpec[],
): ((spec: HostSpec) => boolean) => {
  const hosts = new Set(specs.map((spec) => spec.host));
  const matches = texts.flatMap(splitPatterns).map((pattern) => compile(pattern, hosts));
  return ({ host }) => matches.some((match) => match(host));
};
