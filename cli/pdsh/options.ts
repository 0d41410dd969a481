/**
 * The command line of pdsh(1), read as its getopt does: letters, attached values, options before the command only.
 * What a letter means is targets.ts' and index.ts' business. Modules that bssh has none of are errors, never ignored.
 */

import { basename } from 'node:path';
import { SshError } from '../../client/index.ts';

/** The words for pdsh's own grammar, if that is the one; `--pdsh` counts in the first place only. */
export const pdshWords = (program: string, argv: readonly string[]): readonly string[] | undefined => {
  if (argv[0] === '--pdsh') return argv.slice(1);
  return /^pdsh(\.exe)?$/.test(basename(program)) ? argv : undefined;
};

export interface PdshOption {
  readonly letter: string;
  readonly value: string;
}

export interface PdshLine {
  readonly options: readonly PdshOption[];
  readonly words: readonly string[];
}

/** `s` asks for what is always so: standard error by itself. */
const flags = 'ShVLNqbdsaA';
const taking = 'ltufwxRgX';

/** What needs a module of pdsh's that there is no match for here. */
const modules: Readonly<Record<string, string>> = {
  F: 'genders files are not read: put the hosts into a cluster of the configuration',
  i: 'genders files are not read: put the hosts into a cluster of the configuration',
  M: 'there are no modules',
  j: 'jobs are not looked up: run it inside of the job, or use -g with a cluster that asks squeue',
  P: 'partitions are not looked up: use -g with a cluster that asks sinfo',
};

export const pdshUsage = `Usage: pdsh [-options] command ...
-S                return largest of remote command return values
-h                output usage menu and quit
-V                output version information and quit
-q                list the option settings and quit
-b                disable ^C status feature (batch mode)
-d                show times of connections and commands at the end
-l user           execute remote commands as user
-t seconds        set connect timeout (default is 10 sec)
-u seconds        set command timeout (no default)
-f n              use fanout of n nodes
-w host,host,...  set target node list on command line
-x host,host,...  set node exclusion list on command line
-g name,...       target a cluster, or the nodes of a dsh group file
-X name,...       exclude a cluster, or the nodes of a dsh group file
-a                target all nodes of all clusters
-R name           set rcmd module to name: ssh is the one there is
-N                disable hostname: labels on output lines
-L                list info on all loaded modules and exit
`;

/** pdsh leaves with 1 whatever is wrong with its command line. */
export const pdshError = (message: string): SshError =>
  new SshError('usage', message, { detail: { grammar: 'cluster', exit: 1 } });

const usageError = (message: string): SshError => pdshError(`${message}\n${pdshUsage.trimEnd()}`);

export const readPdsh = (argv: readonly string[]): PdshLine => {
  const options: PdshOption[] = [];
  let at = 0;
  for (; at < argv.length; at++) {
    const argument = argv[at] as string;
    if (argument === '--') return { options, words: argv.slice(at + 1) };
    if (argument.length < 2 || !argument.startsWith('-')) break;
    for (let i = 1; i < argument.length; i++) {
      const letter = argument[i] as string;
      if (modules[letter] !== undefined) throw pdshError(`-${letter}: ${modules[letter]}`);
      if (flags.includes(letter)) options.push({ letter, value: '' });
      else if (!taking.includes(letter)) throw usageError(`invalid option -- '${letter}'`);
      else {
        const value = argument.slice(i + 1) || argv[++at];
        if (value === undefined) throw usageError(`option requires an argument -- '${letter}'`);
        options.push({ letter, value });
        break;
      }
    }
  }
  return { options, words: argv.slice(at) };
};
