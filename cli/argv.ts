/**
 * Reads argv as getopt does in ssh(1): clusters of letters, attached values, options after the host, `--`, and everything
 * after the command's first word belongs to the command. Driven by the option table.
 *
 * It finds out what was typed, in the order it was typed. What that means is settings.ts' and grammar.ts' business: a
 * reading never throws, the first thing that does not read is its `problem`.
 */

import { type Grammar, type OptionRow, optionByLetter, optionByLong, subcommandNames } from './options.ts';

export interface Token {
  readonly row: OptionRow;
  /** The argument, undefined for a flag. */
  readonly value: string | undefined;
  /** As typed, for messages: `-p` or `--port`. */
  readonly typed: string;
}

export interface Problem {
  readonly kind: 'unknown' | 'missing-argument' | 'unwanted-argument';
  readonly typed: string;
  readonly row?: OptionRow;
}

export interface Reading {
  readonly tokens: readonly Token[];
  /** How many of the tokens came before the host (ssh) or the first word (cluster). */
  readonly tokensBefore: number;
  /** ssh: the destination. */
  readonly host?: string;
  /** cluster: the subcommand. */
  readonly subcommand?: string;
  /** The command's words, or the subcommand's. */
  readonly words: readonly string[];
  readonly problem?: Problem;
}

interface Cursor {
  readonly argv: readonly string[];
  readonly grammar: Grammar;
  readonly strict: boolean;
  readonly tokens: Token[];
  at: number;
  problem?: Problem;
}

const readLong = (cursor: Cursor, argument: string): void => {
  const equals = argument.indexOf('=');
  const name = equals < 0 ? argument.slice(2) : argument.slice(2, equals);
  const typed = `--${name}`;
  const row = optionByLong(name, cursor.strict);
  const attached = equals < 0 ? undefined : argument.slice(equals + 1);
  cursor.at++;
  if (row === undefined) {
    // getopt takes the second hyphen for an option letter
    cursor.problem = { kind: 'unknown', typed: cursor.strict ? '--' : typed };
  } else if (row.argument === undefined) {
    if (attached !== undefined) cursor.problem = { kind: 'unwanted-argument', typed, row };
    else cursor.tokens.push({ row, value: undefined, typed });
  } else if (attached !== undefined || row.optional !== undefined) {
    cursor.tokens.push({ row, value: attached ?? row.optional, typed });
  } else if (cursor.at < cursor.argv.length) {
    cursor.tokens.push({ row, value: cursor.argv[cursor.at++], typed });
  } else {
    cursor.problem = { kind: 'missing-argument', typed, row };
  }
};

/** One argument of letters; false when it turns out to be no option (`-v-`: getopt ends there without moving on). */
const readLetters = (cursor: Cursor, argument: string): boolean => {
  for (let i = 1; i < argument.length; i++) {
    const letter = argument[i] as string;
    if (letter === '-' && i === argument.length - 1) return false;
    const typed = `-${letter}`;
    const row = optionByLetter(cursor.grammar, letter, cursor.strict);
    if (row === undefined) {
      cursor.problem = { kind: 'unknown', typed };
      break;
    }
    if (row.argument === undefined) {
      cursor.tokens.push({ row, value: undefined, typed });
      continue;
    }
    let value: string | undefined = argument.slice(i + 1);
    if (value === '') value = cursor.argv[++cursor.at];
    if (value === undefined) cursor.problem = { kind: 'missing-argument', typed, row };
    else cursor.tokens.push({ row, value, typed });
    break;
  }
  cursor.at++;
  return true;
};

/** Options up to the first word; true when `--` ended them. */
const readOptions = (cursor: Cursor): boolean => {
  while (cursor.problem === undefined && cursor.at < cursor.argv.length) {
    const argument = cursor.argv[cursor.at] as string;
    if (argument === '--') {
      cursor.at++;
      return true;
    }
    if (argument.length < 2 || !argument.startsWith('-')) return false;
    if (argument.startsWith('--')) readLong(cursor, argument);
    else if (!readLetters(cursor, argument)) return false;
  }
  return false;
};

const open = (argv: readonly string[], grammar: Grammar, strict: boolean): Cursor => ({
  argv,
  grammar,
  strict,
  tokens: [],
  at: 0,
});

const problemOf = (cursor: Cursor): { problem?: Problem } =>
  cursor.problem === undefined ? {} : { problem: cursor.problem };

/** `[options] destination [options] [command...]`; after the destination getopt starts over, unless `--` stood before it. */
export const readSsh = (argv: readonly string[], strict: boolean): Reading => {
  const cursor = open(argv, 'ssh', strict);
  readOptions(cursor);
  const tokensBefore = cursor.tokens.length;
  if (cursor.problem !== undefined || cursor.at >= argv.length) {
    return { tokens: cursor.tokens, tokensBefore, words: [], ...problemOf(cursor) };
  }
  // ssh(1) looks at the word before the destination, whatever it was: `-l -- h -v` runs -v
  const terminated = argv[cursor.at - 1] === '--';
  const host = argv[cursor.at++] as string;
  if (!terminated) readOptions(cursor);
  return { tokens: cursor.tokens, tokensBefore, host, words: argv.slice(cursor.at), ...problemOf(cursor) };
};

/** `[options] command...` or `[options] subcommand [options and words]`; after `--` the words are always the command. */
export const readCluster = (argv: readonly string[]): Reading => {
  const cursor = open(argv, 'cluster', false);
  const literal = readOptions(cursor);
  const tokensBefore = cursor.tokens.length;
  const first = argv[cursor.at];
  if (cursor.problem !== undefined || literal || first === undefined || !subcommandNames.includes(first)) {
    return { tokens: cursor.tokens, tokensBefore, words: argv.slice(cursor.at), ...problemOf(cursor) };
  }
  cursor.at++;
  const words: string[] = [];
  while (cursor.problem === undefined && cursor.at < argv.length) {
    if (readOptions(cursor)) {
      words.push(...argv.slice(cursor.at));
      break;
    }
    if (cursor.problem === undefined && cursor.at < argv.length) words.push(argv[cursor.at++] as string);
  }
  return { tokens: cursor.tokens, tokensBefore, subcommand: first, words, ...problemOf(cursor) };
};

/**
 * The same options as unambiguous long tokens, one argument each: what the validator reads. An option with a value is
 * always attached, so a value that looks like an option stays one; of an option that counts once, the last is kept.
 */
export const canonicalTokens = (tokens: readonly Token[]): string[] => {
  const last = new Map(tokens.map((token) => [token.row.id, token]));
  return tokens
    .filter((token) => token.row.repeatable || last.get(token.row.id) === token)
    .map(({ row, value }) => (value === undefined ? `--${row.id}` : `--${row.id}=${value}`));
};
