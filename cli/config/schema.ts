/**
 * From the YAML tree to a Config. The keys of `defaults` and of a cluster that mirror an option come from the option table
 * (its `yaml` field), so an option and its key are one row. Every wrong key, type or value is an error at its place.
 */

import type { Node } from 'yaml';
import { hostLimits } from '../hosts/limits.ts';
import { expandRanges } from '../hosts/range.ts';
import { type HostSpec, parseHostSpec } from '../hosts/spec.ts';
import type { Setting } from '../options/settings.ts';
import { parseCount, parseSeconds } from '../options/values.ts';
import { type OptionRow, options } from '../options.ts';
import type { ConfigDocument, Field } from './document.ts';
import { type ExpandSources, expandPath, expandVariables, type Unset } from './expand.ts';
import {
  type ClusterEntry,
  type ClusterSource,
  type Config,
  type InteractiveSettings,
  interactiveColors,
  type NodeEntry,
  type RunDefaults,
} from './model.ts';

export const topLevelKeys = ['defaults', 'clusters', 'interactive'] as const;

const mirrored = new Map(options.filter((row) => row.yaml !== undefined).map((row) => [row.yaml as string, row]));
const mirroredKeys = [...mirrored.keys()];
const clusterKeys = [...mirroredKeys, 'nodes', 'interactive'];
const nodeKeys = ['host', 'port', 'user', 'ssh_key', 'jump_host'];
const commandKeys = ['command', 'cache', 'timeout'];
const inventoryKeys = ['inventory', 'group'];
const interactiveKeys = [
  'default_mode',
  'prompt_format',
  'history_file',
  'show_timestamps',
  'work_dir',
  'broadcast_prefix',
  'node_switch_prefix',
  'colors',
  'remote_completion',
  'keybindings',
];
/** Seconds that a command may take to print hosts. */
const commandTimeout = 30;
const modes = ['single_node', 'multiplex'] as const;
const keybindingNames = ['switch_node', 'broadcast_toggle', 'quit'] as const;

interface Level extends RunDefaults {
  readonly settings: Setting[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class ConfigReader {
  readonly #document: ConfigDocument;
  readonly #sources: ExpandSources;

  constructor(document: ConfigDocument, sources: ExpandSources) {
    this.#document = document;
    this.#sources = sources;
  }

  read(file: string, notes: readonly string[]): Config {
    let defaults: Level = { settings: [] };
    let interactive: InteractiveSettings = {};
    const clusters = new Map<string, ClusterEntry>();
    for (const field of this.#document.fields(this.#document.root, 'the configuration', topLevelKeys)) {
      if (field.key === 'defaults')
        defaults = this.#level(this.#document.fields(field.value, 'defaults', mirroredKeys));
      else if (field.key === 'interactive') interactive = this.#interactive(field.value);
      else {
        for (const { key, at, value } of this.#document.fields(field.value, 'clusters', undefined)) {
          clusters.set(key, this.#cluster(key, at, value));
        }
      }
    }
    return { file, ...defaults, clusters, interactive, notes };
  }

  #cluster(name: string, at: Node, given: Node): ClusterEntry {
    const fields = this.#document.fields(given, `cluster '${name}'`, clusterKeys);
    const nodes = fields.find((field) => field.key === 'nodes');
    if (nodes === undefined) this.#document.fail(at, `cluster '${name}' has no nodes`);
    const interactive = fields.find((field) => field.key === 'interactive');
    const { value } = nodes as Field;
    return {
      name,
      ...this.#level(fields),
      ...(this.#document.isMapping(value)
        ? { nodes: [], source: this.#source(value) }
        : { nodes: this.#document.items(value, 'nodes').flatMap((node) => this.#nodes(node)) }),
      interactive: interactive === undefined ? {} : this.#interactive(interactive.value),
    };
  }

  /** Nodes that somebody else knows. */
  #source(node: Node): ClusterSource {
    const fields = new Map(
      this.#document
        .fields(node, 'the source of nodes', [...commandKeys, ...inventoryKeys])
        .map((field) => [field.key, field]),
    );
    const first = fields.has('inventory') ? 'inventory' : 'command';
    const field = fields.get(first);
    if (field === undefined) return this.#document.fail(node, 'nodes is a list, or has a command or an inventory');
    const keys = first === 'command' ? commandKeys : inventoryKeys;
    const odd = [...fields.values()].find(({ key }) => !keys.includes(key));
    if (odd !== undefined) this.#document.fail(odd.at, `'${odd.key}' does not go with '${first}'`);
    if (first === 'inventory') {
      const group = fields.get('group');
      const file = this.#expanded(field.value, first, true);
      return { kind: first, file, group: group === undefined ? 'all' : this.#document.text(group.value, 'group') };
    }
    // the shell expands it
    const command = this.#document.text(field.value, first);
    if (command.trim() === '') this.#document.fail(field.value, 'command is empty');
    const time = (key: string, otherwise: number): number => {
      const given = fields.get(key);
      if (given === undefined) return otherwise;
      return (
        parseSeconds(this.#document.text(given.value, key)) ?? this.#document.fail(given.value, `${key} is a time`)
      );
    };
    return { kind: first, command, cache: time('cache', 0), timeout: time('timeout', commandTimeout) };
  }

  /** The keys that mirror options. */
  #level(fields: readonly Field[]): Level {
    const settings: Setting[] = [];
    const run: Writable<RunDefaults> = {};
    for (const { key, value } of fields) {
      const row = mirrored.get(key);
      if (row === undefined) continue;
      if (key === 'parallel' || key === 'timeout') run[key] = this.#number(key, row, value);
      else settings.push(...this.#setting(key, row, value));
    }
    return { settings, ...run };
  }

  #number(key: string, row: OptionRow, node: Node): number {
    const text = this.#document.text(node, key);
    const value = row.kind === 'seconds' ? parseSeconds(text) : parseCount(text);
    return (
      value ?? this.#document.fail(node, `${key} is a ${row.kind === 'seconds' ? 'number of seconds' : 'whole number'}`)
    );
  }

  #setting(key: string, row: OptionRow, node: Node): Setting[] {
    const keyword = row.sets?.[0]?.keyword as string;
    const nodes = row.id === 'identity' && this.#document.isList(node) ? this.#document.items(node, key) : [node];
    if (row.id === 'jump-host' && this.#document.isList(node)) {
      return [
        {
          keyword,
          value: this.#document
            .items(node, key)
            .map((item) => this.#expanded(item, key, false))
            .join(','),
        },
      ];
    }
    return nodes.map((item) => ({ keyword, value: this.#value(key, row, item) }));
  }

  #value(key: string, row: OptionRow, node: Node): string {
    if (row.kind === 'port') return String(this.#port(node));
    if (row.kind === 'seconds') return String(this.#number(key, row, node));
    if (row.choices === undefined) return this.#expanded(node, key, row.kind === 'path');
    const given = this.#document.scalar(node);
    // whoever writes `no` without quotes for other YAML versions gets a boolean there
    if (typeof given === 'boolean') return given ? 'yes' : 'no';
    return this.#document.oneOf(node, key, row.choices);
  }

  #port(node: Node): number {
    const text = this.#expanded(node, 'port', false);
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    return port >= 1 && port <= 65_535 ? port : this.#document.fail(node, 'port is a number from 1 to 65535');
  }

  #expanded(node: Node, what: string, path: boolean): string {
    const text = this.#document.text(node, what);
    if (text === '') this.#document.fail(node, `${what} is empty`);
    const expanded: string | Unset = (path ? expandPath : expandVariables)(text, this.#sources);
    return typeof expanded === 'string' ? expanded : this.#document.fail(node, `$${expanded.unset} is not set`);
  }

  #nodes(node: Node): NodeEntry[] {
    if (!this.#document.isMapping(node)) return this.#specs(node).map((spec) => ({ ...spec, settings: [] }));
    const fields = this.#document.fields(node, 'a node', nodeKeys);
    const host = fields.find((field) => field.key === 'host');
    if (host === undefined) this.#document.fail(node, 'a node needs a host');
    const extra: { user?: string; port?: number } = {};
    const settings: Setting[] = [];
    for (const { key, value } of fields) {
      if (key === 'user') extra.user = this.#expanded(value, key, false);
      else if (key === 'port') extra.port = this.#port(value);
      else if (key !== 'host') settings.push(...this.#setting(key, mirrored.get(key) as OptionRow, value));
    }
    return this.#specs((host as Field).value).map((spec) => ({ ...spec, ...extra, settings }));
  }

  #specs(node: Node): HostSpec[] {
    const words = expandRanges(this.#expanded(node, 'a host', false).trim(), hostLimits.expandedHosts);
    if ('bad' in words) return this.#document.fail(node, words.bad);
    return words.map((word) => {
      if (word.includes(',')) this.#document.fail(node, `'${word}': one host, or a range, to an entry`);
      const spec = parseHostSpec(word);
      return 'bad' in spec ? this.#document.fail(node, spec.bad) : spec;
    });
  }

  #interactive(given: Node): InteractiveSettings {
    const settings: Writable<InteractiveSettings> = {};
    for (const { key, value } of this.#document.fields(given, 'interactive', interactiveKeys)) {
      if (key === 'default_mode') settings[key] = this.#document.oneOf(value, key, modes);
      else if (key === 'show_timestamps' || key === 'remote_completion')
        settings[key] = this.#document.flag(value, key);
      else if (key === 'history_file') settings[key] = this.#expanded(value, key, true);
      else if (key === 'colors') settings[key] = this.#colors(value);
      else if (key === 'keybindings') settings[key] = this.#keybindings(value);
      else {
        const text = this.#document.text(value, key);
        if (text.trim() === '' && key !== 'prompt_format') this.#document.fail(value, `${key} is empty`);
        settings[key as 'prompt_format' | 'work_dir' | 'broadcast_prefix' | 'node_switch_prefix'] = text;
      }
    }
    return settings;
  }

  #colors(given: Node): NonNullable<InteractiveSettings['colors']> {
    return Object.fromEntries(
      this.#document
        .fields(given, 'colors', undefined)
        .map(({ key, value }) => [key, this.#document.oneOf(value, `the colour of ${key}`, interactiveColors)]),
    );
  }

  #keybindings(given: Node): NonNullable<InteractiveSettings['keybindings']> {
    return Object.fromEntries(
      this.#document.fields(given, 'keybindings', keybindingNames).map(({ key, value }) => {
        const text = this.#document.text(value, key);
        if (!/^(ctrl|alt)\+[a-z]$/i.test(text)) this.#document.fail(value, `${key} is a key such as Ctrl+N or Alt+N`);
        return [key, text];
      }),
    );
  }
}
