/**
 * Wildcards in paths, local or remote: `*`, `?`, `[abc]`, `[!a-z]` and `\` before a character that means itself, as sh(1)
 * has them, within one component. What is listed is the caller's; a name that came from a server is checked by whoever
 * makes a local path of it.
 */

import { joinRemote } from './safe-names.ts';

export const hasWildcard = (path: string): boolean => /[*?[]/.test(path);

export interface GlobEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** Entries of a directory, `''` being where relative paths start; nothing when it cannot be read. */
export type ListDirectory = (directory: string) => AsyncIterable<GlobEntry>;

/** The paths that `pattern` matches, sorted; none when nothing does. */
export async function glob(pattern: string, list: ListDirectory): Promise<string[]> {
  const absolute = pattern.startsWith('/');
  const parts = pattern.split('/').filter((part) => part !== '');
  let found = [absolute ? '/' : ''];
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (!hasWildcard(part)) {
      const plain = part.replace(/\\(.)/g, '$1');
      found = found.map((directory) => joinRemote(directory, plain));
      continue;
    }
    const next: string[] = [];
    for (const directory of found) {
      for await (const { name, isDirectory } of list(directory)) {
        if ((isLast || isDirectory) && matches(part, name)) next.push(joinRemote(directory, name));
      }
    }
    found = next;
  }
  return found.sort();
}

/** Whether `name` is what `pattern` says; a leading dot has to be said (POSIX shells). */
export function matches(pattern: string, name: string): boolean {
  const tokens = tokensOf(pattern);
  const chars = [...name];
  const [first] = tokens;
  if (chars[0] === '.' && !(typeof first === 'object' && 'char' in first && first.char === '.')) return false;
  let at = 0;
  let token = 0;
  let star = -1;
  let starAt = 0;
  // Back to the last star only: that is enough, and time grows with the product of the lengths at worst.
  while (at < chars.length) {
    const now = tokens[token];
    if (now === '*') {
      star = token++;
      starAt = at;
    } else if (now !== undefined && fits(now, chars[at]!)) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (tokens[token] === '*') token++;
  return token === tokens.length;
}

type Token =
  | '*'
  | '?'
  | { readonly char: string }
  | { readonly ranges: readonly (readonly [string, string])[]; readonly not: boolean };

function fits(token: Exclude<Token, '*'>, char: string): boolean {
  if (token === '?') return true;
  if ('char' in token) return token.char === char;
  const code = char.codePointAt(0)!;
  return token.ranges.some(([from, to]) => code >= from.codePointAt(0)! && code <= to.codePointAt(0)!) !== token.not;
}

function tokensOf(pattern: string): Token[] {
  const chars = [...pattern];
  const tokens: Token[] = [];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    if (char === '*') {
      if (tokens.at(-1) !== '*') tokens.push('*');
    } else if (char === '?') {
      tokens.push('?');
    } else if (char === '[') {
      const [set, end] = setAt(chars, i);
      tokens.push(set);
      i = end;
    } else if (char === '\\' && i + 1 < chars.length) {
      tokens.push({ char: chars[++i]! });
    } else {
      tokens.push({ char });
    }
  }
  return tokens;
}

/** The set that begins at `[`, and where it ends; a `[` without its end is itself. */
function setAt(chars: readonly string[], start: number): [Token, number] {
  let i = start + 1;
  const not = chars[i] === '!' || chars[i] === '^';
  if (not) i++;
  const ranges: [string, string][] = [];
  for (let first = true; i < chars.length; first = false, i++) {
    if (chars[i] === ']' && !first) return [{ ranges, not }, i];
    if (chars[i] === '\\' && i + 1 < chars.length) i++;
    const from = chars[i]!;
    if (chars[i + 1] === '-' && i + 2 < chars.length && chars[i + 2] !== ']') {
      ranges.push([from, chars[i + 2]!]);
      i += 2;
    } else {
      ranges.push([from, from]);
    }
  }
  return [{ char: '[' }, start];
}
