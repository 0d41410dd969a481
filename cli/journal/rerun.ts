/**
 * `--rerun`: the command line of an earlier run, with what is new in front, on those of its hosts that ended as asked for.
 *
 * Recorded is a command line that says the same wherever and whenever it is read again: paths are absolute, chosen and
 * piped host lists are names.
 */

import { isAbsolute, join, resolve } from 'node:path';
import type { HostClass, SshError } from '../../client/index.ts';
import { type Reading, readCluster, type Token } from '../argv.ts';
import { nearest, usageError } from '../options/usage.ts';
import type { RunRecord } from './record.ts';
import type { Journal } from './store.ts';

export interface Rerun {
  readonly reading: Reading;
  readonly record: RunRecord;
  /** Is this one of the hosts that were asked for? */
  has(host: { readonly name: string; readonly target: string }): boolean;
}

const aboutRerun = ['rerun', 'run'];
/** They choose anew each time, or belong to the standard input of then. */
const chooses = ['pick', 'seed'];

const usage = (message: string, suggestion?: string): SshError =>
  usageError('cluster', message, suggestion === undefined ? {} : { suggestion });

const lastValue = (tokens: readonly Token[], id: string): string | undefined =>
  tokens.findLast(({ row }) => row.id === id)?.value;

/** The reading to go by instead, or undefined when no rerun was asked for. */
export function rerunOf(
  reading: Reading,
  journal: Journal,
  { classes, cwd }: { readonly classes: readonly HostClass[]; readonly cwd: string },
): Rerun | undefined {
  const which = lastValue(reading.tokens, 'rerun');
  if (which === undefined || reading.problem !== undefined) return undefined;
  const wanted = parseWhich(which, classes);
  const selector = reading.tokens.find(({ row }) => row.selector && row.id !== 'rerun');
  if (selector !== undefined)
    throw usage(`${selector.typed} does not go with --rerun: its hosts are those of the run; --filter takes fewer`);
  const record = journal.read(lastValue(reading.tokens, 'run') ?? 'last');
  const hosts = record.hosts.filter(({ class: end }) => wanted(end));
  if (hosts.length === 0) throw usage(`run ${record.id} has no host that ended so: ${endings(record)}`);
  const names = new Set(hosts.map(({ name }) => name));
  const targets = new Set(hosts.map(({ target }) => target));
  const then = readCluster(record.argv);
  if (cwd !== record.cwd && isBoundTo(then))
    throw usage(`run ${record.id} names files from where it began: go there first (cd ${record.cwd})`);
  return {
    reading: merge(reading, then),
    record,
    has: ({ name, target }) => targets.has(target) || names.has(name),
  };
}

/** Words of a copy and `^file` in a host list stand as they were typed. */
const isBoundTo = ({ subcommand, tokens }: Reading): boolean =>
  subcommand === 'upload' ||
  subcommand === 'download' ||
  tokens.some(({ row, value }) => row.id === 'hosts' && value?.includes('^'));

function parseWhich(which: string, classes: readonly HostClass[]): (end: HostClass) => boolean {
  const words = which.split(',').map((word) => word.trim());
  const known = ['failed', 'all', ...classes];
  const unknown = words.find((word) => !known.includes(word));
  if (unknown !== undefined)
    throw usage(`--rerun is failed, all or a list of ${classes.join(', ')}, not '${unknown}'`, nearest(unknown, known));
  // Whoever was not reached has failed the user as well.
  return (end) => words.includes('all') || words.includes(end) || (words.includes('failed') && end !== 'ok');
}

/** `3 ok, 1 refused` */
export function endings({ hosts }: RunRecord): string {
  const counts = new Map<string, number>();
  for (const { class: end } of hosts) counts.set(end, (counts.get(end) ?? 0) + 1);
  return [...counts].map(([end, count]) => `${count} ${end}`).join(', ');
}

function merge(now: Reading, then: Reading): Reading {
  const fresh = now.tokens.filter(({ row }) => !aboutRerun.includes(row.id));
  const ids = new Set(fresh.map(({ row }) => row.id));
  const showsOtherwise = fresh.some(({ row }) => row.group === 'Output');
  const ownWords = now.subcommand !== undefined || now.words.length > 0;
  const kept = then.tokens.filter(
    ({ row }) =>
      (row.repeatable || !ids.has(row.id)) &&
      !(showsOtherwise && row.group === 'Output') &&
      // Another command is not the script of then with other words.
      !(ownWords && row.id === 'script'),
  );
  const { words, subcommand } = ownWords ? now : then;
  return {
    tokens: [...fresh, ...kept],
    tokensBefore: fresh.length + kept.length,
    words,
    ...(subcommand !== undefined && { subcommand }),
    ...(then.problem && { problem: then.problem }),
  };
}

export interface CommandLine {
  readonly tokens: readonly Token[];
  readonly subcommand: string | undefined;
  readonly words: readonly string[];
  readonly cwd: string;
  /** The configuration file that was found. */
  readonly config: string | undefined;
  /** The hosts that were selected. */
  readonly targets: readonly string[];
}

/** The command line to record. */
export function recordedArgv({ tokens, subcommand, words, cwd, config, targets }: CommandLine): string[] {
  const local = (path: string): string =>
    isAbsolute(path) || /^[~$]/.test(path) || path === 'none' ? path : resolve(cwd, path);
  const write = ({ row, value }: Token): string => {
    if (value === undefined) return `--${row.id}`;
    if (row.id === 'hostfile' && value === '-') return `--hosts=${targets.join(',')}`;
    return `--${row.id}=${row.kind === 'path' ? local(value) : value}`;
  };
  const found = config !== undefined && config === join(cwd, 'config.yaml') ? [`--config=${config}`] : [];
  const isNamed = tokens.some(({ row }) => row.id === 'config');
  return [
    ...(isNamed ? [] : found),
    ...tokens.filter(({ row }) => ![...aboutRerun, ...chooses].includes(row.id)).map(write),
    ...(subcommand === undefined ? ['--'] : [subcommand, '--']),
    ...words,
  ];
}
