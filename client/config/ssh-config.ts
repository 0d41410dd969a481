/**
 * The parser of ssh_config(5): text in, blocks of checked settings out. It depends on nothing but the text and the
 * parse context, so its result is shared by all hosts. Which blocks hold for a host is decided in evaluate.ts.
 */

import { SshError } from '../../protocol/index.ts';
import { type KeywordName, keywords, lookUpKeyword, type Word } from './keywords.ts';
import { type RawLine, splitArguments, splitCriteria, splitLine } from './lexer.ts';
import { compileHostPatterns, type HostMatcher, parseNetworks } from './pattern.ts';
import type { Line, ParseContext, ValueType } from './values.ts';

const listCriteria = [
  'host',
  'originalhost',
  'user',
  'localuser',
  'tagged',
  'command',
  'version',
  'sessiontype',
  'localnetwork',
  'exec',
] as const;

export type Criterion =
  | { readonly kind: 'all' | 'canonical' | 'final'; readonly negated: boolean }
  | {
      readonly kind: Exclude<(typeof listCriteria)[number], 'localnetwork'>;
      readonly negated: boolean;
      readonly argument: string;
    }
  | {
      readonly kind: 'localnetwork';
      readonly negated: boolean;
      readonly networks: ReturnType<typeof parseNetworks>;
    };

export type Condition =
  | { readonly kind: 'host'; readonly patterns: readonly string[]; readonly matcher: HostMatcher }
  | { readonly kind: 'match'; readonly criteria: readonly Criterion[] };

export type Entry =
  | {
      readonly kind: 'set';
      readonly line: number;
      readonly name: KeywordName;
      readonly value: unknown;
      readonly origin: string;
    }
  | { readonly kind: 'include'; readonly line: number; readonly patterns: readonly string[] }
  | { readonly kind: 'unknown'; readonly line: number; readonly keyword: string }
  | { readonly kind: 'problem'; readonly line: number; readonly message: string }
  | { readonly kind: 'note'; readonly line: number; readonly level: 'error' | 'debug'; readonly message: string };

export interface Block {
  /** Missing for what stands before the first Host or Match. */
  readonly condition?: Condition;
  readonly line: number;
  readonly entries: Entry[];
  /** Has entries that count even when the block does not hold: errors, unknown words, includes. */
  restless: boolean;
}

export interface ParsedFile {
  readonly path: string;
  readonly blocks: readonly Block[];
  /** Nothing to say unless a block holds: no errors, unknown words, includes, or `Match final`. */
  readonly quiet: boolean;
}

/** Prefix of ssh's messages about a line. */
export const at = (path: string, line: number, message: string): string => `${path} line ${line}: ${message}`;

export const unknownOption = (path: string, line: number, keyword: string): string =>
  `${path}: line ${line}: Bad configuration option: ${keyword}`;

class Arguments implements Line {
  readonly keyword: string;
  readonly rest: string;
  readonly context: ParseContext;
  readonly #words: readonly string[];
  #taken = 0;

  constructor(keyword: string, rest: string, words: readonly string[], context: ParseContext) {
    this.keyword = keyword;
    this.rest = rest;
    this.context = context;
    this.#words = words;
  }

  next(): string | undefined {
    return this.#words[this.#taken] === undefined ? undefined : this.#words[this.#taken++];
  }

  get left(): number {
    return this.#words.length - this.#taken;
  }

  takeAll(): string[] {
    const all = this.#words.slice(this.#taken);
    this.#taken = this.#words.length;
    return all;
  }
}

const extra = (keyword: string): string => `keyword ${keyword} extra arguments at end of line`;

/** The value of one setting of a flag or a layer. Throws as `parseValue` does. */
export const parseSetting = (name: KeywordName, args: readonly string[], context: ParseContext): unknown =>
  once(context, [name, ...args].join('\0'), () => parseValue(name, args, context));

/** The value of one setting. Throws SshError('config') whose message has no file and line yet. */
function parseValue(
  name: KeywordName,
  args: readonly string[],
  context: ParseContext,
  source: { keyword: string; rest: string } = { keyword: name, rest: args.join(' ') },
): unknown {
  const line = new Arguments(source.keyword, source.rest, args, context);
  const type: ValueType<unknown> = keywords[name].type;
  const value = type.parse(line);
  if (line.left > 0) throw new SshError('config', extra(source.keyword));
  return value;
}

const messageOf = (error: unknown): string => {
  if (error instanceof SshError) return error.message;
  throw error;
};

function parseCriterion(
  words: readonly string[],
  index: number,
  before: number,
): { criterion: Criterion; used: number } {
  const word = words[index]!;
  const negated = word.startsWith('!');
  const kind = (negated ? word.slice(1) : word).toLowerCase();
  if (kind === 'all') {
    if (before > 1 || index + 1 < words.length) {
      throw new SshError('config', `'${word}' cannot be combined with other Match attributes`);
    }
    return { criterion: { kind, negated }, used: 1 };
  }
  if (kind === 'canonical' || kind === 'final') return { criterion: { kind, negated }, used: 1 };
  const known = listCriteria.find((name) => name === kind);
  if (known === undefined) throw new SshError('config', `Unsupported Match attribute ${word}`);
  const argument = words[index + 1];
  const mayBeEmpty = known === 'tagged' || known === 'command';
  if (argument === undefined || (argument === '' && !mayBeEmpty)) {
    throw new SshError('config', `Missing Match criteria for ${kind}`);
  }
  const criterion: Criterion =
    known === 'localnetwork'
      ? { kind: known, negated, networks: parseNetworks(argument) }
      : { kind: known, negated, argument };
  return { criterion, used: 2 };
}

function parseMatch(rest: string): Criterion[] {
  const words = splitCriteria(rest);
  if (words === undefined) throw new SshError('config', 'invalid quotes');
  const criteria: Criterion[] = [];
  for (let index = 0; index < words.length; ) {
    const { criterion, used } = parseCriterion(words, index, criteria.length);
    criteria.push(criterion);
    index += used;
  }
  if (criteria.length === 0) throw new SshError('config', 'One or more attributes required for Match');
  return criteria;
}

/** What one line is: an entry, the head of a block, or nothing. */
type Parsed = Entry | Condition | undefined;

function parsePlain(word: Word, { keyword, rest }: RawLine, line: number, path: string, context: ParseContext): Parsed {
  const args = splitArguments(rest);
  if (args === undefined) throw new SshError('config', 'invalid quotes');
  switch (word) {
    case 'ignored':
      return undefined;
    case 'apple':
      return context.platform === 'darwin' ? undefined : { kind: 'unknown', line, keyword };
    case 'deprecated':
      return { kind: 'note', line, level: 'debug', message: `Deprecated option "${keyword}"` };
    case 'unsupported':
      return { kind: 'note', line, level: 'error', message: `Unsupported option "${keyword}"` };
    case 'include':
    case 'host':
      if (args.includes('')) throw new SshError('config', `keyword ${keyword} empty argument`);
      return word === 'include'
        ? { kind: 'include', line, patterns: args }
        : { kind: 'host', patterns: args, matcher: compileHostPatterns(args) };
    case 'match':
      return { kind: 'match', criteria: parseMatch(rest) };
    default: {
      const value = parseValue(word, args, context, { keyword, rest });
      return value === undefined
        ? undefined
        : { kind: 'set', line, name: word, value, origin: line === 0 ? path : `${path}:${line}` };
    }
  }
}

function parseLine(text: string, line: number, path: string, context: ParseContext): Parsed {
  const raw = splitLine(text);
  if (raw === undefined) return undefined;
  const { keyword, rest } = raw;
  if (rest === '') {
    return { kind: 'problem', line, message: at(path, line, `no argument after keyword "${keyword}"`) };
  }
  const word = lookUpKeyword(keyword);
  if (word === undefined) return { kind: 'unknown', line, keyword };
  try {
    return parsePlain(word, raw, line, path, context);
  } catch (error) {
    const reason = messageOf(error);
    // ssh names file and line for a Match only in the second message.
    const placed = word === 'match' && !reason.startsWith("'") ? reason : at(path, line, reason);
    const suffix = word === 'match' ? `\n${at(path, line, 'Bad Match condition')}` : '';
    return { kind: 'problem', line, message: `${placed}${suffix}` };
  }
}

const isCondition = (parsed: Entry | Condition): parsed is Condition =>
  parsed.kind === 'host' || parsed.kind === 'match';

const wantsFinal = (condition: Condition): boolean =>
  condition.kind === 'match' && condition.criteria.some(({ kind }) => kind === 'final');

export function parseConfig(text: string, path: string, context: ParseContext): ParsedFile {
  const blocks: Block[] = [{ line: 0, entries: [], restless: false }];
  let quiet = true;
  let line = 0;
  for (const source of text.split('\n')) {
    line++;
    const parsed = parseLine(source, line, path, context);
    if (parsed === undefined) continue;
    if (isCondition(parsed)) {
      if (wantsFinal(parsed)) quiet = false;
      blocks.push({ condition: parsed, line, entries: [], restless: false });
    } else {
      const block = blocks.at(-1)!;
      if (parsed.kind !== 'set') {
        quiet = false;
        block.restless = true;
      }
      block.entries.push(parsed);
    }
  }
  return { path, blocks, quiet };
}

/** Results of flags are few and asked for once a host; this many are remembered for a context. */
const REMEMBERED = 1000;

const remembered = new WeakMap<ParseContext, Map<string, unknown>>();

/** What `make` gives for this text in this context, made once; a failure is not remembered. */
function once<T>(context: ParseContext, key: string, make: () => T): T {
  let known = remembered.get(context);
  if (known === undefined) {
    known = new Map();
    remembered.set(context, known);
  }
  if (known.has(key)) return known.get(key) as T;
  const made = make();
  if (known.size >= REMEMBERED) known.clear();
  known.set(key, made);
  return made;
}

/** One `-o` option. Host, Match and Include have no place there. */
export const parseOption = (text: string, context: ParseContext): Entry | undefined =>
  once(context, `-o ${text}`, () => readOption(text, context));

function readOption(text: string, context: ParseContext): Entry | undefined {
  const parsed = parseLine(text, 0, 'command-line', context);
  if (parsed === undefined) return undefined;
  if (isCondition(parsed) || parsed.kind === 'include') {
    const name = parsed.kind === 'include' ? 'Include' : 'Host';
    const message = `${name} directive not supported as a command-line option`;
    return { kind: 'problem', line: 0, message };
  }
  return parsed;
}
