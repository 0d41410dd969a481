/**
 * Every `@name` of a run becomes a cluster of the configuration before hosts are selected: those of the file, nodes that a
 * command or an Ansible inventory knows, `@ssh`, `@slurm`, `@pbs`, `@ansible`, and the groups of --inventory.
 *
 * Only what is named is asked, each once, all at the same time. A name that nobody knows is left to the selection, which
 * says what there is.
 */

import { dirname, resolve } from 'node:path';
import { expandPath } from '../config/expand.ts';
import type { ClusterEntry, Config, NodeEntry } from '../config/model.ts';
import { groupNames, hostfileExpression } from '../hosts/expand.ts';
import type { ReadHostfile } from '../hosts/hostfile.ts';
import type { HostSpec } from '../hosts/spec.ts';
import { nearest } from '../options/usage.ts';
import { pbsHosts, slurmHosts } from './batch-job.ts';
import { type CommandContext, commandHosts } from './command.ts';
import { sourceError } from './errors.ts';
import type { Inventory } from './inventory.ts';

export interface SourceContext extends CommandContext {
  readonly readHostfile: ReadHostfile;
  /** The names that ssh_config has hosts for. */
  readonly sshHosts: () => readonly string[];
  /** --inventory */
  readonly inventory: string | undefined;
}

export interface NamedGroups {
  readonly clusters: readonly string[];
  readonly hosts: readonly string[];
  readonly hostfiles: readonly string[];
}

/** Sources that are there without any configuration, unless a cluster is called so. */
export const specialSources = ['ssh', 'slurm', 'pbs', 'ansible'] as const;
type Special = (typeof specialSources)[number];
const isSpecial = (name: string): name is Special => (specialSources as readonly string[]).includes(name);

const systemInventory = '/etc/ansible/hosts';

const nodesOf = (hosts: readonly HostSpec[]): NodeEntry[] => hosts.map((host) => ({ ...host, settings: [] }));

const cutGroup = (name: string): [source: string, group: string] => {
  const colon = name.indexOf(':');
  return colon < 0 ? [name, ''] : [name.slice(0, colon), name.slice(colon + 1)];
};

class Groups {
  readonly #config: Config;
  readonly #context: SourceContext;
  readonly #inventories = new Map<string, Promise<Inventory>>();
  readonly notes: string[] = [];
  readonly warnings = new Set<string>();

  constructor(config: Config, context: SourceContext) {
    this.#config = config;
    this.#context = context;
  }

  /** -C: a cluster of the configuration, or a group of one. Undefined for a name nobody knows, here and below. */
  async cluster(name: string): Promise<ClusterEntry | undefined> {
    const { clusters } = this.#config;
    const exact = clusters.get(name);
    if (exact !== undefined) return exact.source === undefined ? exact : this.#ask(exact, name, '');
    const [source, group] = cutGroup(name);
    const cluster = clusters.get(source);
    return cluster?.source === undefined || group === '' ? undefined : this.#ask(cluster, name, group);
  }

  /** `@name` of a host list. */
  async group(name: string): Promise<ClusterEntry | undefined> {
    const cluster = await this.cluster(name);
    if (cluster !== undefined) {
      await this.#refuseTwoMeanings(name);
      return cluster;
    }
    const [source, group] = cutGroup(name);
    const ofInventory = await this.#inRunInventory(name);
    if (isSpecial(source) && (group === '' || source === 'ansible')) {
      if (ofInventory !== undefined) this.#twoMeanings(name, `@${source} is a source`);
      return this.#special(source, group, name);
    }
    return ofInventory;
  }

  async #special(source: Special, group: string, name: string): Promise<ClusterEntry> {
    const { env, readHostfile, sshHosts, inventory } = this.#context;
    const made = (hosts: readonly HostSpec[]): ClusterEntry => ({
      name,
      nodes: nodesOf(hosts),
      settings: [],
      interactive: {},
    });
    if (source === 'ssh') return made(sshHosts().map((host) => ({ host })));
    if (source === 'slurm') return made(slurmHosts(env));
    if (source === 'pbs') return made(pbsHosts(env, readHostfile));
    const file = inventory ?? (env.ANSIBLE_INVENTORY || systemInventory);
    return this.#inventoryCluster(file, group === '' ? 'all' : group, { name });
  }

  async #ask(cluster: ClusterEntry, name: string, group: string): Promise<ClusterEntry> {
    const source = cluster.source!;
    if (source.kind === 'inventory') {
      const file = resolve(dirname(this.#config.file ?? '.'), source.file);
      return this.#inventoryCluster(file, group === '' ? source.group : group, { ...cluster, name });
    }
    const { hosts, note } = await commandHosts(cluster.name, group, source, this.#context);
    this.notes.push(note);
    return { ...cluster, name, nodes: nodesOf(hosts) };
  }

  async #inventoryCluster(
    file: string,
    group: string,
    base: Partial<ClusterEntry> & { readonly name: string },
  ): Promise<ClusterEntry> {
    const [inventory, { inventoryNodes }] = await Promise.all([this.#inventory(file), import('./inventory-hosts.ts')]);
    if (!inventory.has(group)) {
      const known = inventory.groupNames.sort();
      const suggestion = nearest(group, [...known, ...inventory.hostNames]);
      const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
      throw sourceError(`${file}: there is no group or host '${group}'${hint}: the groups are ${known.join(', ')}`);
    }
    const { nodes, warnings } = inventoryNodes(inventory, group, this.#context);
    for (const warning of warnings) this.warnings.add(warning);
    return { settings: [], interactive: {}, ...base, nodes };
  }

  #inventory(given: string): Promise<Inventory> {
    const path = expandPath(given, this.#context);
    const file = resolve(this.#context.cwd, typeof path === 'string' ? path : given);
    let inventory = this.#inventories.get(file);
    if (inventory === undefined) {
      inventory = import('./inventory-hosts.ts').then(({ loadInventory }) => loadInventory(file));
      this.#inventories.set(file, inventory);
    }
    return inventory;
  }

  async #inRunInventory(name: string): Promise<ClusterEntry | undefined> {
    const { inventory } = this.#context;
    if (inventory === undefined || !(await this.#inventory(inventory)).has(name)) return undefined;
    return this.#inventoryCluster(inventory, name, { name });
  }

  async #refuseTwoMeanings(name: string): Promise<void> {
    const { inventory } = this.#context;
    if (inventory !== undefined && (await this.#inventory(inventory)).has(name)) {
      this.#twoMeanings(name, `a cluster of ${this.#config.file ?? 'this session'} has that name`);
    }
  }

  #twoMeanings(name: string, other: string): never {
    throw sourceError(
      `'@${name}' means two things: it is in ${this.#context.inventory}, and ${other}; the first is @ansible:${name}`,
    );
  }
}

/** The configuration with a cluster for every name of the run that is one, and what there is to say about that. */
export const withGroups = async (config: Config, named: NamedGroups, context: SourceContext): Promise<Config> => {
  const expressions = [
    ...named.hosts,
    ...named.hostfiles.map((path) => hostfileExpression(context.readHostfile(path))),
  ];
  const groups = new Groups(config, context);
  const found = await Promise.all([
    ...[...new Set(named.clusters)].map(async (name) => [name, await groups.cluster(name)] as const),
    ...groupNames(expressions, context.readHostfile).map(async (name) => [name, await groups.group(name)] as const),
  ]);
  const clusters = new Map(config.clusters);
  for (const [name, entry] of found) if (entry !== undefined) clusters.set(name, entry);
  return { ...config, clusters, notes: [...config.notes, ...groups.notes], warnings: [...groups.warnings] };
};
