/**
 * The cluster grammar's validation, by yargs: types, choices, conflicts, subcommands and their words, from the same table.
 * It sees canonical tokens only (argv.ts), so none of yargs' own ideas about letters, negation or numbers apply. Loaded
 * only for the cluster grammar and for its help.
 */

import yargs, { type Argv, type Options } from 'yargs';
import { type OptionRow, options, subcommands } from '../options.ts';
import { nearest, usageError } from './usage.ts';
import { parseBatches, parseCount, parseMasks, parseSeconds, parseSize, parseThreshold } from './values.ts';

export type CheckedValue = string | number | boolean | readonly string[] | object | undefined;
export type Checked = Readonly<Record<string, CheckedValue>>;

const parserConfiguration = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': true,
  'greedy-arrays': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
  'unknown-options-as-args': false,
} as const;

const conflicts: readonly (readonly [string, string])[] = [
  ['group', 'gather'],
  ['group', 'diff'],
  ['group', 'json'],
  ['gather', 'diff'],
  ['gather', 'json'],
  ['diff', 'json'],
  ['quiet', 'group'],
  ['quiet', 'gather'],
  ['quiet', 'diff'],
  ['quiet', 'json'],
  ['tui', 'group'],
  ['tui', 'gather'],
  ['tui', 'diff'],
  ['tui', 'json'],
  ['tui', 'quiet'],
  ['tui', 'single-node'],
  ['single-node', 'multiplex'],
  ['record', 'no-journal'],
  // sudo's password goes the way of the standard input
  ['sudo-password', 'stdin'],
];

const converters = {
  count: [parseCount, 'a whole number'],
  seconds: [parseSeconds, 'a number of seconds, or a time such as 1m30s'],
  threshold: [parseThreshold, 'a number or a percentage'],
  masks: [parseMasks, 'a list of host, ip, time and number, or all'],
  batches: [parseBatches, 'a list of sizes such as 1,10%,50%'],
  size: [parseSize, 'a number of bytes such as 512K or 10M'],
} as const;

const converter = (row: OptionRow): ((value: string) => CheckedValue) | undefined => {
  const { kind } = row;
  if (kind === undefined || !(kind in converters)) return undefined;
  const [convert, what] = converters[kind as keyof typeof converters];
  return (text) => {
    const converted = convert(text);
    if (converted === undefined) throw usageError('cluster', `--${row.id} is ${what}, not '${text}'`);
    return converted;
  };
};

const yargsOption = (row: OptionRow): Options => {
  const option: Options = { group: row.group, description: row.help, hidden: row.hidden ?? false };
  if (row.argument === undefined) return { ...option, type: row.repeatable ? 'count' : 'boolean' };
  if (row.repeatable) return { ...option, type: 'string', array: true };
  const coerce = converter(row);
  return { ...option, type: 'string', ...(row.choices && { choices: row.choices }), ...(coerce && { coerce }) };
};

/** yargs' own words for a wrong choice take three lines and know no better one. */
const choiceError = (message: string): Error | undefined => {
  const [, id = '', value = ''] = /Argument: ([\w-]+), Given: "(.*)", Choices/s.exec(message) ?? [];
  const row = options.find((candidate) => candidate.id === id);
  if (row?.choices === undefined) return undefined;
  return usageError(
    'cluster',
    `--${id} is one of ${row.choices.join(', ')}, not '${value}'`,
    suggest(value, row.choices),
  );
};

const suggest = (typed: string, known: Iterable<string>): { suggestion?: string } => {
  const suggestion = nearest(typed, known);
  return suggestion === undefined ? {} : { suggestion };
};

/** The parser with every option; the caller adds what it wants from it. */
export const createParser = (argv: readonly string[]): Argv => {
  const parser = yargs([...argv])
    .scriptName('bssh')
    .exitProcess(false)
    .parserConfiguration(parserConfiguration)
    .help(false)
    .version(false)
    .showHelpOnFail(false)
    .locale('en');
  for (const row of options) parser.option(row.id, yargsOption(row));
  return parser;
};

/** Options that say something about a command only: only that gives answers to compare. */
const aboutCommands = ['diff', 'mask', 'expect-same', 'baseline', 'expect', 'script', 'vars', 'sudo-password'];
/** Those that say it only beside another. */
const together: readonly (readonly [id: string, others: readonly string[]])[] = [
  ['mask', ['gather', 'diff', 'tui', 'expect-same', 'baseline']],
  ['health', ['batch']],
  ['run', ['rerun']],
];

const checkCompany = (subcommand: string | undefined, values: Checked): void => {
  // Most often a variable that was not set: a check that is not there must not pass for one that went well.
  const empty = [...aboutCommands, ...together.map(([id]) => id)].find((id) => values[id] === '');
  if (empty !== undefined) throw usageError('cluster', `--${empty} is empty`);
  const given = aboutCommands.find((id) => values[id]);
  if (given !== undefined && subcommand !== undefined)
    throw usageError('cluster', `--${given} goes with a command, not with ${subcommand}`);
  for (const [id, others] of together) {
    if (!values[id] || others.some((other) => values[other])) continue;
    const names = others.map((other) => `--${other}`).join(', ');
    throw usageError('cluster', `--${id} goes with ${names.replace(/, ([^,]*)$/, ' or $1')}`);
  }
};

const checkSubcommand = (subcommand: string | undefined, words: readonly string[], values: Checked): void => {
  for (const row of options) {
    if (row.subcommands === undefined || !values[row.id] || row.subcommands.includes(subcommand ?? '')) continue;
    throw usageError('cluster', `--${row.id} belongs to ${row.subcommands.join(' and ')}`);
  }
  const row = subcommands.find(({ name }) => name === subcommand);
  if (row === undefined || (words.length >= row.minWords && words.length <= row.maxWords)) return;
  const form = `bssh [options] ${row.name} ${row.positionals}`.trimEnd();
  throw usageError('cluster', `${words.length < row.minWords ? 'too few' : 'too many'} words: ${form}`);
};

/** Validates canonical tokens and gives their values by id. */
export const checkCluster = (
  tokens: readonly string[],
  subcommand: string | undefined,
  words: readonly string[],
): Checked => {
  const parser = createParser(tokens).strictOptions();
  for (const [one, other] of conflicts) parser.conflicts(one, other);
  parser.fail((message, error) => {
    // what a converter throws comes back wrapped in an error of yargs' own
    const text = message ?? error?.message ?? 'wrong options';
    throw choiceError(text) ?? usageError('cluster', text);
  });
  const values = parser.parseSync() as unknown as Checked;
  checkSubcommand(subcommand, words, values);
  checkCompany(subcommand, values);
  return values;
};
