/**
 * The types a value of ssh_config(5) can have: how one is read from the arguments of a line, how a second occurrence
 * joins the first, how `-G` writes it. Messages are ssh's own; "FILE line N:" is put in front by the parser.
 */

import { SshError } from '../../protocol/index.ts';
import type { AlgorithmSet } from './pattern.ts';
import { algorithmsValid } from './pattern.ts';
import type { Environment } from './tokens.ts';

export type AlgorithmKind = 'kex' | 'cipher' | 'mac' | 'key' | 'signature';

/** What parsing depends on besides the text: what the stack offers, and the variables of the process. */
export interface ParseContext {
  readonly algorithms: Readonly<Record<AlgorithmKind, AlgorithmSet>>;
  readonly env: Environment;
  /** Apple's ssh knows `UseKeychain`; elsewhere it is an unknown option. */
  readonly platform?: string;
}

/** The arguments of one line, taken one by one. */
export interface Line {
  readonly keyword: string;
  /** Uncut text after the keyword. */
  readonly rest: string;
  readonly context: ParseContext;
  /** Next argument; undefined at the end. */
  next(): string | undefined;
  /** Arguments not yet taken. */
  readonly left: number;
  takeAll(): string[];
}

export interface ValueType<T> {
  /** undefined: the line is right but sets nothing (`ConnectTimeout none`). */
  parse(line: Line): T | undefined;
  /** What two occurrences make, the very first joining `initial`; without it the first one wins. */
  merge?(first: T, later: T): T;
  readonly initial?: T;
  /** The text after the keyword, one entry a line. */
  format(value: T): string[];
}

export const bad = (message: string): never => {
  throw new SshError('config', message);
};

export const required = (line: Line, message = 'Missing argument.'): string => line.next() || bad(message);

export function choice<V extends string | boolean>(entries: Readonly<Record<string, V>>): ValueType<V> {
  const shown = new Map<V, string>();
  for (const [text, value] of Object.entries(entries)) if (!shown.has(value)) shown.set(value, text);
  return {
    parse: (line) => {
      const text = required(line, 'missing argument.');
      const key = text.toLowerCase();
      return Object.hasOwn(entries, key) ? entries[key]! : bad(`unsupported option "${text}".`);
    },
    format: (value) => [shown.get(value)!],
  };
}

// The order decides what -G prints: the first text of a value.
export const flag = choice({ yes: true, no: false, true: true, false: false });
export const yesNoAsk = choice({ true: 'yes', false: 'no', yes: 'yes', no: 'no', ask: 'ask' });

export const integer: ValueType<number> = {
  parse: (line) => {
    const text = line.next();
    if (text === undefined || text === '') return bad('integer value missing.');
    if (!/^\s*[-+]?\d+$/.test(text)) return bad('integer value invalid.');
    const value = Number(text);
    if (value < 0) return bad('integer value too small.');
    return value > 0x7fffffff ? bad('integer value too large.') : value;
  },
  format: (value) => [String(value)],
};

const secondsIn: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** TIME FORMATS of sshd_config(5): `90`, `1h30m`, `2W`. */
export function parseTime(text: string): number | undefined {
  if (text === '' || text.length > 256 || !/^(\d{1,12}[smhdw])*(\d{1,12})?$/i.test(text)) return undefined;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)([sSmMhHdDwW]?)/g)) {
    total += Number(digits) * secondsIn[unit!.toLowerCase()]!;
  }
  return total > 0x7fffffff ? undefined : total;
}

/** Seconds. `none` sets nothing. */
export const time: ValueType<number> = {
  parse: (line) => {
    const text = required(line, 'missing time value.');
    return text === 'none' ? undefined : (parseTime(text) ?? bad('invalid time value.'));
  },
  format: (value) => [String(value)],
};

export const text: ValueType<string> = { parse: (line) => required(line), format: (value) => [value] };

/** The rest of the line, quotes and all: a shell will read it. */
export const command: ValueType<string> = {
  parse: (line) => {
    line.takeAll();
    return line.rest.replace(/^[\s=]+/, '');
  },
  format: (value) => [value],
};

const isNone = (argument: string): boolean => argument.toLowerCase() === 'none';

/** Takes every argument; `none` must stand alone. */
export function takeList(line: Line, max: number, excess: string): string[] {
  const all = line.takeAll();
  for (const argument of all) {
    if (argument === '') bad(`keyword ${line.keyword} empty argument`);
    if (isNone(argument) && all.length > 1) bad(`keyword ${line.keyword} "none" argument must appear alone.`);
  }
  if (all.length > max) bad(excess);
  return all;
}

/** Words of one line; the first line that sets them wins. `none` is kept as a word. */
export const words = (max = 256): ValueType<readonly string[]> => ({
  parse: (line) => {
    const list = takeList(line, max, `too many ${line.keyword} entries.`);
    return list.length === 0 ? undefined : list;
  },
  format: (value) => [value.length === 0 ? 'none' : value.join(' ')],
});

/** One word a line, lines add up, repeated words count once. */
export const collected = (max: number, what: string): ValueType<readonly string[]> => ({
  parse: (line) => [required(line)],
  initial: [],
  merge: (first, later) => {
    const fresh = later.filter((word) => !first.includes(word));
    if (first.length + fresh.length > max) bad(`Too many ${what} files specified (max ${max}).`);
    return fresh.length === 0 ? first : [...first, ...fresh];
  },
  format: (value) => [...value],
});

const algorithmText: Readonly<Record<AlgorithmKind, (value: string) => string>> = {
  kex: (value) => `Bad SSH2 KexAlgorithms '${value}'.`,
  cipher: (value) => `Bad SSH2 cipher spec '${value}'.`,
  mac: (value) => `Bad SSH2 MAC spec '${value}'.`,
  key: (value) => `Bad key types '${value}'.`,
  signature: (value) => `Bad key types '${value}'.`,
};

/** An expression over the names the stack has; it is applied to the defaults when the plan is made. */
export const algorithms = (kind: AlgorithmKind): ValueType<string> => ({
  parse: (line) => {
    const value = required(line);
    const known = line.context.algorithms[kind === 'signature' ? 'key' : kind].supported;
    return algorithmsValid(value, known, kind === 'key' || kind === 'signature')
      ? value
      : bad(algorithmText[kind](value));
  },
  format: (value) => [value],
});
