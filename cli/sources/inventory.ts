/**
 * An Ansible inventory: groups of groups and hosts with variables, as the INI and YAML forms describe it, with the
 * group_vars and host_vars beside the file. Made by inventory-ini.ts and inventory-yaml.ts.
 *
 * A documented part of what Ansible does: who belongs to a group, and which value of a variable counts for a host. No
 * templates, no vault, no plugins, no directories of inventories. What a variable means for a connection is
 * inventory-hosts.ts' business.
 */

import { isIPv6 } from 'node:net';
import { hostLimits } from '../hosts/limits.ts';
import { sourceError } from './errors.ts';

export interface Variable {
  /** Undefined for a list, a mapping, or something encrypted. */
  readonly value: string | undefined;
  /** `file:line`, for messages. */
  readonly at: string;
}

export type Variables = Map<string, Variable>;

interface Group {
  readonly name: string;
  readonly hosts: Set<string>;
  readonly children: Set<string>;
  /** From the inventory itself, and from group_vars: all of these count more than all of those. */
  readonly vars: Variables;
  readonly fileVars: Variables;
}

interface Host {
  readonly vars: Variables;
  readonly fileVars: Variables;
}

export class Inventory {
  readonly file: string;
  readonly #groups = new Map<string, Group>();
  readonly #hosts = new Map<string, Host>();
  readonly #memberSets = new Map<string, Set<string>>();
  #depths: Map<string, number> | undefined;

  constructor(file: string) {
    this.file = file;
    for (const name of ['all', 'ungrouped']) this.group(name);
  }

  get groupNames(): string[] {
    return [...this.#groups.keys()];
  }

  get hostNames(): string[] {
    return [...this.#hosts.keys()];
  }

  has(name: string): boolean {
    return this.#groups.has(name) || this.#hosts.has(name);
  }

  group(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { name, hosts: new Set(), children: new Set(), vars: new Map(), fileVars: new Map() };
      this.#groups.set(name, group);
      this.#depths = undefined;
    }
    return group;
  }

  host(name: string): Host {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      if (this.#hosts.size >= hostLimits.expandedHosts) {
        throw sourceError(`${this.file}: more than ${hostLimits.expandedHosts} hosts`);
      }
      host = { vars: new Map(), fileVars: new Map() };
      this.#hosts.set(name, host);
    }
    return host;
  }

  addHost(group: string, name: string): Host {
    this.group(group).hosts.add(name);
    return this.host(name);
  }

  addChild(group: string, child: string): void {
    if (child === 'all') throw sourceError(`${this.file}: group '${group}' cannot have all as a child`);
    this.group(child);
    this.group(group).children.add(child);
    this.#depths = undefined;
  }

  /** The hosts of a group, those of its children behind its own; a host's name is that host. */
  members(name: string): string[] {
    if (name === 'all') return this.hostNames;
    if (name === 'ungrouped') return this.#ungrouped();
    if (!this.#groups.has(name)) return this.#hosts.has(name) ? [name] : [];
    const members = new Set<string>();
    const seen = new Set<string>();
    const walk = (group: string): void => {
      if (seen.has(group)) return;
      seen.add(group);
      for (const host of this.group(group).hosts) members.add(host);
      for (const child of this.group(group).children) walk(child);
    };
    walk(name);
    return [...members];
  }

  #ungrouped(): string[] {
    const grouped = new Set(
      [...this.#groups.values()].flatMap(({ name, hosts }) => (/^(all|ungrouped)$/.test(name) ? [] : [...hosts])),
    );
    return this.hostNames.filter((host) => !grouped.has(host));
  }

  /** The variables of a host: groups from the outermost to the innermost, of one depth by name; then its own. */
  variables(name: string): Variables {
    const depths = (this.#depths ??= this.#measure());
    const groups = [...this.#groups.values()]
      .filter((group) => group.name === 'all' || this.#belongs(name, group.name))
      .sort((a, b) => depths.get(a.name)! - depths.get(b.name)! || (a.name < b.name ? -1 : 1));
    const host = this.host(name);
    const tiers = [...groups.map(({ vars }) => vars), ...groups.map(({ fileVars }) => fileVars)];
    return new Map([...tiers, host.vars, host.fileVars].flatMap((vars) => [...vars]));
  }

  #belongs(host: string, group: string): boolean {
    let set = this.#memberSets.get(group);
    if (set === undefined) this.#memberSets.set(group, (set = new Set(this.members(group))));
    return set.has(host);
  }

  /** How deep each group lies below `all`, by its longest way. A circle has none. */
  #measure(): Map<string, number> {
    const parents = new Map<string, string[]>();
    for (const { name, children } of this.#groups.values()) {
      for (const child of children) parents.set(child, [...(parents.get(child) ?? []), name]);
    }
    const depths = new Map([['all', 0]]);
    const path: string[] = [];
    const depthOf = (name: string): number => {
      const known = depths.get(name);
      if (known !== undefined) return known;
      if (path.includes(name)) {
        throw sourceError(`${this.file}: the groups ${[...path, name].reverse().join(' > ')} go in a circle`);
      }
      path.push(name);
      const depth = (parents.get(name) ?? []).reduce((most, parent) => Math.max(most, depthOf(parent) + 1), 1);
      path.pop();
      depths.set(name, depth);
      return depth;
    };
    for (const name of this.#groups.keys()) depthOf(name);
    return depths;
  }
}

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The words between two ends, `01:10:2` or `a:f`; a text for what is wrong. */
const rangeWords = (content: string): string[] | string => {
  const [begin = '', end = '', step = '1', ...more] = content.split(':');
  const first = begin === '' ? '0' : begin;
  if (!content.includes(':') || more.length > 0 || end === '' || !/^\d{1,9}$/.test(step) || Number(step) === 0) {
    return `[${content}] is no range such as [01:10] or [a:f]`;
  }
  if (letters.includes(first) && letters.includes(end) && first.length === 1 && end.length === 1) {
    const words = [...letters].slice(letters.indexOf(first), letters.indexOf(end) + 1);
    return words.length === 0 ? `[${content}] counts backwards` : words.filter((_, i) => i % Number(step) === 0);
  }
  if (!/^\d{1,15}$/.test(first) || !/^\d{1,15}$/.test(end)) return `[${content}] is no range such as [01:10] or [a:f]`;
  if (first.length > 1 && first.startsWith('0') && first.length !== end.length) {
    return `[${content}]: both ends of a range with zeros in front have as many digits`;
  }
  const count = Math.floor((Number(end) - Number(first)) / Number(step)) + 1;
  if (count < 1) return `[${content}] counts backwards`;
  if (count > hostLimits.expandedHosts) return `[${content}] is more than ${hostLimits.expandedHosts} hosts`;
  const width = first.startsWith('0') ? first.length : 0;
  return Array.from({ length: count }, (_, i) => String(Number(first) + i * Number(step)).padStart(width, '0'));
};

export interface HostPattern {
  readonly names: readonly string[];
  readonly port: string | undefined;
}

/** `www[01:50].example.com:2222`, ranges as Ansible has them; a text for what is wrong. */
export const expandPattern = (word: string): HostPattern | string => {
  const bracketed = /^\[([^[\]]+)\](?::(\d+))?$/.exec(word);
  if (bracketed !== null && isIPv6(bracketed[1] as string)) {
    return { names: [bracketed[1] as string], port: bracketed[2] };
  }
  if (isIPv6(word)) return { names: [word], port: undefined };
  const [, pattern = word, port] = /^(.*[^:]):(\d+)$/.exec(word) ?? [];
  let names = [''];
  for (let rest = pattern; rest !== ''; ) {
    const [whole = '', text = '', range] = /^([^[]*)(?:\[([^\]]*)\])?/.exec(rest) ?? [];
    if (whole === '') return `'${word}' has a [ without a ]`;
    rest = rest.slice(whole.length);
    const words = range === undefined ? [''] : rangeWords(range);
    if (typeof words === 'string') return `'${word}': ${words}`;
    if (names.length * words.length > hostLimits.expandedHosts) {
      return `'${word}' is more than ${hostLimits.expandedHosts} hosts`;
    }
    names = names.flatMap((name) => words.map((one) => name + text + one));
  }
  return { names, port };
};
