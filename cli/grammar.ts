/**
 * From argv to an Intent: which of the two grammars holds, and what is to be done under it.
 *
 * The command line is read as the cluster tool's first; that holds when it names hosts in bulk (-H, -C, --hostfile ...),
 * when its first word is a subcommand, or inside a Backend.AI session. Otherwise it is ssh(1)'s. The ssh grammar needs
 * neither yargs nor YAML and never loads them, unless a -C or -c could be a cluster's name.
 */

import { basename } from 'node:path';
import { SshError } from '../client/index.ts';
import type { Problem, Reading, Token } from './argv.ts';
import { canonicalTokens, readCluster, readSsh } from './argv.ts';
import { backendAiCluster, backendAiName } from './config/backendai.ts';
import { loadConfig } from './config/load.ts';
import type { Config } from './config/model.ts';
import { ExitCode, HOST_CLASSES } from './exit.ts';
import { type ReadHostfile, readHostfile } from './hosts/hostfile.ts';
import { refuseProblems, type Selection, selectHosts, unknownCluster } from './hosts/select.ts';
import { formatHostSpec, parseDestination } from './hosts/spec.ts';
import { Journal, type Rerun, recordedArgv, rerunOf } from './journal/index.ts';
import { type RunOptions, runOptions } from './options/run.ts';
import { applyOptions, type Invocation } from './options/settings.ts';
import { nearest, usageError } from './options/usage.ts';
import { type Grammar, longNames, optionById } from './options.ts';
import { withGroups } from './sources/groups.ts';

export interface SshIntent {
  readonly kind: 'ssh' | 'dump';
  /** Exactly ssh(1), its defaults included. */
  readonly strict: boolean;
  /** The name as typed, without user and port. */
  readonly host: string;
  readonly command: readonly string[];
  readonly invocation: Invocation;
  /** A -C or -c named no cluster: what to add when the connection fails. */
  readonly clusterHint?: { readonly name: string; readonly known: readonly string[] };
  readonly notes: readonly string[];
}

export type Subcommand = 'exec' | 'list' | 'ping' | 'upload' | 'download' | 'interactive';

export interface ClusterIntent {
  readonly kind: 'cluster';
  readonly subcommand: Subcommand;
  /** `interactive` because there was no command. */
  readonly implied: boolean;
  /** The words of the command, or the paths of upload and download. */
  readonly words: readonly string[];
  /** Undefined only for `list` of everything. */
  readonly selection: Selection | undefined;
  readonly config: Config;
  readonly invocation: Invocation;
  readonly run: RunOptions;
  /** What says the same when it is read again: for the journal. */
  readonly argv: readonly string[];
}

export type Intent =
  | SshIntent
  | ClusterIntent
  | { readonly kind: 'runs'; readonly which: string | undefined; readonly json: boolean }
  | { readonly kind: 'query'; readonly what: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'help' }
  | { readonly kind: 'generate'; readonly what: string };

export interface CommandLineContext {
  /** The name the program was started under. */
  readonly program: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** The local user. */
  readonly user?: string | undefined;
  /** Does ssh_config have a Host of this name? Asked only inside a Backend.AI session. */
  readonly isSshHost?: (name: string, sshConfig: string | undefined) => boolean | Promise<boolean>;
  /** The names that ssh_config has hosts for: `@ssh`. */
  readonly sshHosts?: (sshConfig: string | undefined) => readonly string[];
  readonly readHostfile?: ReadHostfile;
  readonly keyExists?: (path: string) => boolean;
}

const problemError = (grammar: Grammar, { kind, typed }: Problem): Error => {
  const letter = typed.length === 2 ? typed.slice(1) : undefined;
  if (kind === 'missing-argument') {
    return usageError(grammar, letter ? `option requires an argument -- ${letter}` : `${typed} requires an argument`, {
      usage: true,
    });
  }
  if (kind === 'unwanted-argument') return usageError(grammar, `${typed} takes no argument`, { usage: true });
  if (letter !== undefined) return usageError(grammar, `unknown option -- ${letter}`, { usage: true });
  const suggestion = nearest(typed.slice(2), longNames());
  return usageError(grammar, `unknown option ${typed}`, {
    usage: suggestion === undefined,
    ...(suggestion && { suggestion: `--${suggestion}` }),
  });
};

/** -V, -Q, -h and --generate act where they stand: what is wrong before them is still an error, the rest is not read. */
const informational = (grammar: Grammar, tokens: readonly Token[]): Intent | undefined => {
  const ids = ['version', 'query', 'help', 'generate'];
  const at = tokens.findIndex(({ row }) => ids.includes(row.id));
  const token = tokens[at];
  if (token === undefined) return undefined;
  applyOptions(grammar, tokens.slice(0, at));
  const { row, value = '' } = token;
  if (row.id === 'query') return { kind: 'query', what: value };
  if (row.id === 'generate') {
    if (!row.choices?.includes(value)) throw usageError('cluster', `--generate is one of ${row.choices?.join(', ')}`);
    return { kind: 'generate', what: value };
  }
  return { kind: row.id === 'version' ? 'version' : 'help' };
};

interface SshExtras {
  readonly clusterHint?: SshIntent['clusterHint'];
  readonly notes?: readonly string[];
}

/** The ssh grammar; synchronous, and without any file but /etc/services for ports by name. */
export const parseSsh = (argv: readonly string[], strict: boolean, extras: SshExtras = {}): Intent => {
  const reading = readSsh(argv, strict);
  if (!strict && reading.tokens.some(({ row }) => row.id === 'ssh')) return parseSsh(argv, true);
  const info = informational('ssh', reading.tokens);
  if (info !== undefined) return info;
  const parsed = reading.host === undefined ? undefined : parseDestination(reading.host, strict);
  const destination = parsed === undefined || 'bad' in parsed ? undefined : parsed;
  const invocation = applyOptions(
    'ssh',
    reading.tokens,
    destination && { at: reading.tokensBefore, settings: destination },
  );
  if (reading.problem !== undefined) throw problemError('ssh', reading.problem);
  const bulk = reading.tokens.find(({ row }) => row.clusterOnly);
  if (bulk !== undefined) {
    throw usageError('cluster', `${bulk.typed} works on a list of hosts: name them with -H, -C or --hostfile`);
  }
  if (destination === undefined) {
    throw usageError('ssh', parsed !== undefined && 'bad' in parsed ? parsed.bad : '', { usage: true });
  }
  return {
    kind: invocation.dump ? 'dump' : 'ssh',
    strict,
    host: destination.host,
    command: reading.words,
    invocation,
    ...(extras.clusterHint && { clusterHint: extras.clusterHint }),
    notes: extras.notes ?? [],
  };
};

const isStrict = ({ program, env }: CommandLineContext): boolean =>
  env.BSSH_MODE === 'ssh' || /^ssh(\.exe)?$/.test(basename(program));

/** -C and -c may name a cluster; only the configuration tells. */
const isShortCluster = ({ typed }: Token): boolean => typed === '-C' || typed === '-c';

const namesHosts = (reading: Reading): boolean =>
  reading.subcommand !== undefined ||
  reading.problem?.row?.selector === true ||
  reading.tokens.some((token) => token.row.selector === true && !isShortCluster(token));

/** Would the first word of a line without host selection be a host to ssh to? Only asked inside a Backend.AI session. */
const looksLikeHost = async (
  word: string,
  reading: Reading,
  config: Config,
  context: CommandLineContext,
): Promise<boolean> => {
  if (word.startsWith('ssh://')) return true;
  // no host has a blank or a slash, whatever dots follow
  if (/[\s/]/.test(word)) return false;
  if (/[@.:[]/.test(word) || word === 'localhost') return true;
  if (config.clusters.get(backendAiName)?.nodes.some(({ host }) => host === word)) return true;
  const sshConfig = reading.tokens.findLast(({ row }) => row.id === 'ssh-config')?.value;
  return (await context.isSshHost?.(word, sshConfig)) ?? false;
};

export const parseCommandLine = async (argv: readonly string[], context: CommandLineContext): Promise<Intent> => {
  if (isStrict(context)) return parseSsh(argv, true);
  const reading = readCluster(argv);
  if (reading.tokens.some(({ row }) => row.id === 'ssh')) return parseSsh(argv, true);
  const shortClusters = reading.tokens.filter(isShortCluster);
  const definite = namesHosts(reading);
  const session = backendAiCluster(context);
  if (!definite && shortClusters.length === 0 && session === undefined) return parseSsh(argv, false);
  const info = informational('cluster', reading.tokens);
  if (info !== undefined) return info;
  if (reading.subcommand === 'runs') return runsIntent(reading);
  const rerun = rerunOf(reading, new Journal(context.env), { classes: HOST_CLASSES, cwd: context.cwd });
  if (rerun !== undefined) return clusterIntent(rerun.reading, await loadAll(rerun.reading, context), context, rerun);
  const config = await loadAll(reading, context);
  const known = ({ value = '' }: Token): boolean => isCluster(value, config);
  if (definite || shortClusters.some(known)) return clusterIntent(reading, config, context);
  const word = reading.words[0];
  if (session !== undefined && shortClusters.length === 0 && word !== undefined && reading.problem === undefined) {
    if (!(await looksLikeHost(word, reading, config, context))) return clusterIntent(reading, config, context);
  }
  const unknown = shortClusters[0]?.value;
  return parseSsh(argv, false, {
    notes: config.notes,
    ...(unknown !== undefined && { clusterHint: { name: unknown, known: [...config.clusters.keys()].sort() } }),
  });
};

const loadAll = (reading: Reading, context: CommandLineContext): Promise<Config> =>
  configuration(reading.tokens.findLast(({ row }) => row.id === 'config')?.value, context);

/** Whoever wants hosts from a file that cannot be read has asked for what cannot be: as a wrong command line. */
const wrongConfiguration = (error: unknown): never => {
  if (!(error instanceof SshError) || error.code !== 'config') throw error;
  throw new SshError('config', error.message, { detail: { ...error.detail, exit: ExitCode.usage }, cause: error });
};

/** The file, or the one named, and the cluster of a Backend.AI session. */
export const configuration = async (named: string | undefined, context: CommandLineContext): Promise<Config> => {
  const config = await loadConfig(named, context).catch(wrongConfiguration);
  const session = backendAiCluster(context);
  if (session === undefined) return config;
  return { ...config, clusters: new Map([...config.clusters, [backendAiName, session]]) };
};

/** A cluster, or a group of one that has its nodes from elsewhere: `cloud:web`. */
const isCluster = (name: string, { clusters }: Config): boolean =>
  clusters.has(name) || clusters.get(name.slice(0, Math.max(0, name.indexOf(':'))))?.source !== undefined;

/** Under the cluster grammar -C is a cluster; -c is one if it is configured, else the ciphers. */
const clusterTokens = (reading: Reading, config: Config): Token[] => {
  const cluster = optionById('cluster');
  return reading.tokens.map((token) =>
    token.typed === '-c' && isCluster(token.value ?? '', config) ? { ...token, row: cluster } : token,
  );
};

const valuesOf = (tokens: readonly Token[], id: string): string[] =>
  tokens.flatMap(({ row, value }) => (row.id === id && value !== undefined ? [value] : []));

const oneHostOnly = ['stdio-forward', 'control-command'];

const runsIntent = async (reading: Reading): Promise<Intent> => {
  if (reading.problem !== undefined) throw problemError('cluster', reading.problem);
  const { checkCluster } = await import('./options/check.ts');
  const { json } = checkCluster(canonicalTokens(reading.tokens), reading.subcommand, reading.words);
  return { kind: 'runs', which: reading.words[0], json: json !== undefined };
};

/** Host files are read when their groups are looked for, and again for their hosts: standard input is there once. */
const readOnce = (read: ReadHostfile): ReadHostfile => {
  const known = new Map<string, string>();
  return (path) => {
    const text = known.get(path) ?? read(path);
    known.set(path, text);
    return text;
  };
};

/** Which hosts, as the command line names them; undefined for `list` of everything. */
const selectionOf = async (
  subcommand: Subcommand,
  tokens: readonly Token[],
  { invocation, run }: { readonly invocation: Invocation; readonly run: RunOptions },
  given: Config,
  context: CommandLineContext,
): Promise<[Selection | undefined, Config]> => {
  const inventory = valuesOf(tokens, 'inventory').at(-1);
  const selectors = {
    hosts: valuesOf(tokens, 'hosts'),
    clusters: valuesOf(tokens, 'cluster'),
    hostfiles: valuesOf(tokens, 'hostfile'),
  };
  if (Object.values(selectors).every((list) => list.length === 0)) {
    if (inventory !== undefined) selectors.hosts = ['@ansible'];
    else if (subcommand === 'list') return [undefined, given];
    else selectors.clusters = sessionCluster(subcommand, given);
  }
  const read = readOnce(context.readHostfile ?? readHostfile(context.cwd));
  const config = await withGroups(given, selectors, {
    env: context.env,
    home: context.home,
    cwd: context.cwd,
    readHostfile: read,
    sshHosts: () => context.sshHosts?.(invocation.sshConfig) ?? [],
    inventory,
  });
  const request = {
    ...selectors,
    filters: valuesOf(tokens, 'filter'),
    excludes: valuesOf(tokens, 'exclude'),
    pick: run.pick,
    flags: invocation.settings,
    timeout: run.timeout,
    parallel: run.parallel,
  };
  const unknown = selectors.clusters.find((name) => !config.clusters.has(name));
  if (unknown !== undefined) throw unknownCluster(unknown, config);
  const notes = run.pick === undefined ? [] : [`--pick ${run.pick.count}: these again with --seed ${run.pick.seed}`];
  const selection = selectHosts(request, config, read);
  if (subcommand !== 'list') refuseProblems(selection);
  return [selection, { ...config, notes: [...config.notes, ...notes] }];
};

export const clusterIntent = async (
  reading: Reading,
  given: Config,
  context: CommandLineContext,
  rerun?: Rerun,
): Promise<ClusterIntent> => {
  const tokens = clusterTokens(reading, given);
  const invocation = applyOptions('cluster', tokens);
  if (reading.problem !== undefined) throw problemError('cluster', reading.problem);
  const alone = tokens.find(({ row }) => oneHostOnly.includes(row.id));
  if (alone !== undefined) throw usageError('cluster', `${alone.typed} works with one host only`);
  const { checkCluster } = await import('./options/check.ts');
  const checked = checkCluster(canonicalTokens(tokens), reading.subcommand, reading.words);
  const run = runOptions(checked, invocation);
  const [subcommand, implied] = subcommandOf(reading, tokens, run);
  if (run.stdin && valuesOf(tokens, 'hostfile').includes('-')) {
    throw usageError('cluster', '--hostfile - and --stdin both want standard input');
  }
  const [selected, config] = await selectionOf(subcommand, tokens, { invocation, run }, given, context);
  const selection = selected && rerun ? onlyOf(selected, rerun) : selected;
  const { words } = reading;
  const argv = recordedArgv({
    tokens,
    subcommand: reading.subcommand,
    words,
    cwd: context.cwd,
    config: config.file,
    targets: selection?.hosts.map(formatHostSpec) ?? [],
  });
  return { kind: 'cluster', subcommand, implied, words, selection, config, invocation, run, argv };
};

/** The hosts that a rerun is about. */
const onlyOf = (selection: Selection, { has, record }: Rerun): Selection => {
  const hosts = selection.hosts.filter((host) => has({ name: host.name, target: formatHostSpec(host) }));
  if (hosts.length > 0) return { ...selection, hosts };
  throw usageError('cluster', `none of the hosts that run ${record.id} had is selected any more`);
};

const subcommandOf = (reading: Reading, tokens: readonly Token[], run: RunOptions): [Subcommand, implied: boolean] => {
  if (reading.subcommand !== undefined) return [reading.subcommand as Subcommand, false];
  const silent = run.dryRun || run.script !== undefined || tokens.some(({ row }) => row.id === 'no-command');
  return reading.words.length > 0 || silent ? ['exec', false] : ['interactive', true];
};

const sessionCluster = (subcommand: Subcommand, config: Config): string[] => {
  if (config.clusters.has(backendAiName)) return [backendAiName];
  const names = [...config.clusters.keys()].sort();
  const hint = names.length === 0 ? '' : ` (configured clusters: ${names.join(', ')})`;
  throw usageError('cluster', `${subcommand} needs hosts: name them with -H, -C or --hostfile${hint}`);
};
