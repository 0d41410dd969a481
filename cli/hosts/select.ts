/**
 * From what was asked for (-H, -C, --hostfile, --filter, --exclude) to the list of hosts, each with its layers of settings
 * in order of precedence: typed with the host, flags, node, cluster, defaults. ssh_config and the built-in values come
 * after them, where the plan is made; nothing is merged here.
 */

import { SshError } from '../../client/index.ts';
import type { ClusterEntry, Config, InteractiveSettings, NodeEntry, RunDefaults } from '../config/model.ts';
import type { Setting } from '../options/settings.ts';
import { nearest } from '../options/usage.ts';
import { specialSources } from '../sources/groups.ts';
import { type ExpressionSources, expandHosts, hostfileExpression, specKey } from './expand.ts';
import { compilePatterns } from './filter.ts';
import type { ReadHostfile } from './hostfile.ts';
import { type Pick, pickHosts } from './pick.ts';
import { formatHostSpec, type HostSpec } from './spec.ts';

export interface SettingsLayer {
  readonly source: 'typed' | 'flags' | 'node' | 'cluster' | 'defaults';
  readonly settings: readonly Setting[];
}

export interface SelectedHost {
  /** For people; unique in the selection: the host, with port or user where that is needed to tell two apart. */
  readonly name: string;
  /** What to connect to. */
  readonly host: string;
  /** From the layers; undefined leaves it to ssh_config. */
  readonly user: string | undefined;
  readonly port: number | undefined;
  readonly cluster: string | undefined;
  /** Why its source's description of it is of no use. */
  readonly problem?: string | undefined;
  /** Highest precedence first. */
  readonly layers: readonly SettingsLayer[];
  /** Seconds a command may take here; 0 is no limit. */
  readonly timeout: number;
}

export interface Selection {
  readonly hosts: readonly SelectedHost[];
  /** Clusters that were named, in order. */
  readonly clusters: readonly ClusterEntry[];
  /** Hosts that the filters and --pick took away. */
  readonly filteredOut: number;
  /** Hosts at a time; 0 is all. */
  readonly parallel: number;
  readonly interactive: InteractiveSettings;
  /** The host whose exit status `--exit main` takes, by name. */
  readonly main: string | undefined;
}

export interface SelectionRequest {
  readonly hosts: readonly string[];
  readonly clusters: readonly string[];
  readonly hostfiles: readonly string[];
  readonly filters: readonly string[];
  readonly excludes: readonly string[];
  /** So many of them only, chosen by the seed. */
  readonly pick?: Pick | undefined;
  /** Settings of the command line, for every host. */
  readonly flags: readonly Setting[];
  /** --timeout and --parallel, when given. */
  readonly timeout?: number | undefined;
  readonly parallel?: number | undefined;
}

/** What holds when neither flag nor file says anything. */
const builtIn = { timeout: 300, parallel: 10 } as const;

interface Found extends HostSpec {
  readonly node?: NodeEntry;
  readonly cluster?: ClusterEntry;
}

export const unknownCluster = (name: string, config: Config): SshError => {
  const known = [...config.clusters.keys()].sort();
  const list = known.length === 0 ? 'none is configured' : `the configured clusters are ${known.join(', ')}`;
  const suggestion = nearest(name, [...known, ...specialSources]);
  const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
  return new SshError('usage', `unknown cluster '${name}'${hint}: ${list}`, {
    detail: { grammar: 'cluster', exit: 2, known, ...(suggestion && { suggestion }) },
  });
};

const usage = (message: string): SshError =>
  new SshError('usage', message, { detail: { grammar: 'cluster', exit: 2 } });

const clusterHosts = (cluster: ClusterEntry): Found[] =>
  cluster.nodes.map((node) => ({ host: node.host, user: node.user, port: node.port, node, cluster }));

const collect = (request: SelectionRequest, config: Config, readHostfile: ReadHostfile): [Found[], ClusterEntry[]] => {
  const named = new Map<string, ClusterEntry>();
  const cluster = (name: string): readonly Found[] => {
    const entry = config.clusters.get(name);
    if (entry === undefined) throw unknownCluster(name, config);
    named.set(name, entry);
    return clusterHosts(entry);
  };
  const sources: ExpressionSources<Found> = { host: (spec) => spec, cluster, file: readHostfile };
  const parts = [
    ...request.clusters.map((name) => [...cluster(name)]),
    ...request.hosts.map((expression) => expandHosts(expression, sources)),
    ...request.hostfiles.map((path) => expandHosts(hostfileExpression(readHostfile(path)), sources)),
  ];
  const once = new Map<string, Found>();
  for (const found of parts.flat()) {
    const key = specKey(found);
    if (!once.has(key)) once.set(key, found);
  }
  return [[...once.values()], [...named.values()]];
};

const filterHosts = (found: readonly Found[], request: SelectionRequest): readonly Found[] => {
  let kept = found;
  if (request.filters.length > 0) {
    kept = kept.filter(compilePatterns(request.filters, kept));
    if (kept.length === 0) throw usage(`--filter ${request.filters.join(',')} matches none of ${found.length} hosts`);
  }
  if (request.excludes.length > 0) {
    const excluded = compilePatterns(request.excludes, kept);
    kept = kept.filter((spec) => !excluded(spec));
    if (kept.length === 0) throw usage(`--exclude ${request.excludes.join(',')} leaves no host`);
  }
  return request.pick === undefined ? kept : pickHosts(kept, request.pick);
};

/** What a source says about a host and nobody can act on is no reason to do something else with it. */
export const refuseProblems = ({ hosts }: Selection): void => {
  const bad = hosts.filter(({ problem }) => problem !== undefined);
  const first = bad[0];
  if (first === undefined) return;
  const more = bad.length === 1 ? '' : ` (and ${bad.length - 1} more)`;
  throw usage(`${first.name}: ${first.problem}${more}: leave such hosts out with --exclude`);
};

/** Names that tell the hosts apart and are no longer than needed. */
const uniqueNames = (found: readonly Found[]): string[] => {
  const count = (names: readonly string[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts;
  };
  const plain = count(found.map(({ host }) => host));
  const ports = found.map(({ host, port }) => formatHostSpec({ host, port }));
  const withPort = count(ports);
  return found.map((spec, i) => {
    if (plain.get(spec.host) === 1) return spec.host;
    const name = ports[i] as string;
    return withPort.get(name) === 1 ? name : formatHostSpec(spec);
  });
};

const identity = ({ user, port }: HostSpec): Setting[] => [
  ...(user === undefined ? [] : [{ keyword: 'User', value: user }]),
  ...(port === undefined ? [] : [{ keyword: 'Port', value: String(port) }]),
];

const effective = (layers: readonly SettingsLayer[], keyword: string): string | undefined => {
  for (const { settings } of layers) {
    const found = settings.find((setting) => setting.keyword.toLowerCase() === keyword);
    if (found !== undefined) return found.value;
  }
  return undefined;
};

const layersOf = (found: Found, flags: SettingsLayer, defaults: SettingsLayer): SettingsLayer[] => {
  const { node, cluster } = found;
  if (node === undefined || cluster === undefined) {
    // who types user@host:port means it, whatever -l and -p say for the others
    return [{ source: 'typed', settings: identity(found) }, flags, defaults];
  }
  return [
    flags,
    { source: 'node', settings: [...identity(node), ...node.settings] },
    { source: 'cluster', settings: cluster.settings },
    defaults,
  ];
};

const lowest = (values: readonly (number | undefined)[]): number | undefined => {
  const known = values.filter((value) => value !== undefined);
  // 0 is "all": any other number is lower
  return known.length === 0 ? undefined : known.reduce((a, b) => (a === 0 || (b !== 0 && b < a) ? b : a));
};

export const selectHosts = (request: SelectionRequest, config: Config, readHostfile: ReadHostfile): Selection => {
  const [found, clusters] = collect(request, config, readHostfile);
  if (found.length === 0) throw usage('no hosts: the list is empty');
  const kept = filterHosts(found, request);
  const names = uniqueNames(kept);
  const flags: SettingsLayer = { source: 'flags', settings: request.flags };
  const defaults: SettingsLayer = { source: 'defaults', settings: config.settings };
  const hosts = kept.map((spec, i) => {
    const layers = layersOf(spec, flags, defaults).filter(({ settings }) => settings.length > 0);
    const port = effective(layers, 'port');
    return {
      name: names[i] as string,
      host: spec.node?.address ?? spec.host,
      user: effective(layers, 'user'),
      port: port === undefined ? undefined : Number(port),
      cluster: spec.cluster?.name,
      problem: spec.node?.problem,
      layers,
      timeout: request.timeout ?? spec.cluster?.timeout ?? config.timeout ?? builtIn.timeout,
    };
  });
  const main = clusters.find((cluster) => cluster.main !== undefined)?.main;
  const limits: readonly RunDefaults[] = clusters;
  return {
    hosts,
    clusters,
    filteredOut: found.length - kept.length,
    parallel: request.parallel ?? lowest(limits.map(({ parallel }) => parallel)) ?? config.parallel ?? builtIn.parallel,
    interactive: Object.assign({}, config.interactive, ...clusters.map(({ interactive }) => interactive)),
    main: hosts.find((_, i) => kept[i]?.host === main)?.name ?? hosts[0]?.name,
  };
};
