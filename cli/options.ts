/**
 * The option table: every option of ssh(1) and of the cluster tool is one row, and argv.ts, the validator, the help, the
 * man page and the completions all read these rows.
 *
 * A row is one meaning. A letter that means two things (`-C`, `-c`, `-f`, `-A`, `-P`, `-b`) stands in two rows, one per
 * grammar; a long name always means one thing. The rows themselves are in options/*.ts. Nothing here parses.
 */

import { clusterRows } from './options/cluster.ts';
import { generalRows } from './options/general.ts';
import { sshRows } from './options/ssh.ts';

export type Grammar = 'ssh' | 'cluster';

export const optionGroups = [
  'Hosts',
  'Running',
  'Output',
  'Authentication',
  'Connection',
  'Session',
  'Forwarding',
  'Copying files',
  'Interactive mode',
  'Files and information',
] as const;
export type OptionGroup = (typeof optionGroups)[number];

/** How an option takes part in ssh_config's "first value wins": ssh(1) has one of three habits for each. */
export type SetMode =
  | 'fill' // only when nothing set the keyword yet (-l, -p)
  | 'replace' // whatever was there before (-c, -4)
  | 'add'; // one more value (-i, -L)

export interface KeywordEffect {
  readonly keyword: string;
  /** The value it sets; the option's argument when absent. */
  readonly value?: string;
  readonly mode: SetMode;
}

export type ArgumentKind =
  | 'string'
  | 'count' // a whole number, zero allowed
  | 'seconds' // a number of seconds, or ssh's 1h30m
  | 'threshold' // N or P%
  | 'size' // bytes: 512K, 10M
  | 'masks' // host,ip,time,number
  | 'batches' // 1,10%,50%
  | 'port'
  | 'path';

export interface OptionRow {
  /** Unique, and the long name: `--id`. */
  readonly id: string;
  /** Short letters by grammar; an absent grammar means the letter has another row or no meaning there. */
  readonly ssh?: string;
  readonly cluster?: string;
  /** Letters that ssh(1) does not have: off when its grammar alone is wanted (--ssh, BSSH_MODE=ssh). */
  readonly own?: string;
  /** Placeholder of the argument; absent for a plain flag. */
  readonly argument?: string;
  readonly kind?: ArgumentKind;
  /** The argument is taken only when attached (--json=result); this is its value when it is not. */
  readonly optional?: string;
  readonly choices?: readonly string[];
  /** May be given more than once; otherwise the last one counts (or ssh's habit, see `sets`). */
  readonly repeatable?: boolean;
  /** Keywords of ssh_config(5) it sets. */
  readonly sets?: readonly KeywordEffect[];
  /** Key of `defaults` and of a cluster in the YAML file that sets the same thing. */
  readonly yaml?: string;
  /** Names the hosts: its presence decides for the cluster grammar. */
  readonly selector?: boolean;
  /** Means something only in the cluster grammar. */
  readonly clusterOnly?: boolean;
  /** Means something only with these subcommands. */
  readonly subcommands?: readonly string[];
  readonly group: OptionGroup;
  readonly help: string;
  /** Not offered in help (but explained in the table). */
  readonly hidden?: boolean;
  /** A text: what cannot be had here, and what to do instead; said with exit 255, never silently ignored. */
  readonly ready: true | string;
}

export interface SubcommandRow {
  readonly name: string;
  readonly positionals: string;
  readonly minWords: number;
  readonly maxWords: number;
  readonly help: string;
}

export const subcommands: readonly SubcommandRow[] = [
  { name: 'list', positionals: '', minWords: 0, maxWords: 0, help: 'List the configured clusters and their nodes' },
  { name: 'ping', positionals: '', minWords: 0, maxWords: 0, help: 'Test the connection to every host' },
  {
    name: 'upload',
    positionals: 'SOURCE... DESTINATION',
    minWords: 2,
    maxWords: Number.POSITIVE_INFINITY,
    help: 'Copy local files to every host',
  },
  {
    name: 'download',
    positionals: 'SOURCE... DESTINATION',
    minWords: 2,
    maxWords: Number.POSITIVE_INFINITY,
    help: 'Copy files of every host here',
  },
  {
    name: 'runs',
    positionals: '[NUMBER]',
    minWords: 0,
    maxWords: 1,
    help: 'List the recorded runs, or the hosts of one',
  },
  {
    name: 'interactive',
    positionals: '',
    minWords: 0,
    maxWords: 0,
    help: 'Open a shell on the hosts, all at once or one by one',
  },
];

export const subcommandNames: readonly string[] = subcommands.map((row) => row.name);

export const options: readonly OptionRow[] = [...clusterRows, ...sshRows, ...generalRows];

const byId = new Map(options.map((row) => [row.id, row]));
const byLetter: Record<Grammar, Map<string, OptionRow>> = { ssh: new Map(), cluster: new Map() };
for (const row of options) {
  for (const grammar of ['ssh', 'cluster'] as const) {
    for (const letter of row[grammar] ?? '') byLetter[grammar].set(letter, row);
  }
}

export const optionById = (id: string): OptionRow => {
  const row = byId.get(id);
  if (row === undefined) throw new TypeError(`no option row called ${id}`);
  return row;
};

export const optionByLetter = (grammar: Grammar, letter: string, strict: boolean): OptionRow | undefined => {
  const row = byLetter[grammar].get(letter);
  return strict && row?.own?.includes(letter) ? undefined : row;
};

/** Under `strict`, ssh(1) alone is spoken: it has no long names, so only the switch itself is known. */
export const optionByLong = (name: string, strict: boolean): OptionRow | undefined =>
  strict && name !== 'ssh' ? undefined : byId.get(name);

export const longNames = (): string[] => options.filter((row) => !row.hidden).map((row) => row.id);
