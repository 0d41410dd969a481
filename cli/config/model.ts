/** What a configuration file says, checked and expanded. Made by schema.ts and backendai.ts, read by hosts/select.ts. */

import type { HostSpec } from '../hosts/spec.ts';
import type { Setting } from '../options/settings.ts';

export const interactiveColors = [
  'black',
  'red',
  'green',
  'yellow',
  'blue',
  'magenta',
  'cyan',
  'white',
  'bright_black',
  'bright_red',
  'bright_green',
  'bright_yellow',
  'bright_blue',
  'bright_magenta',
  'bright_cyan',
  'bright_white',
] as const;
export type InteractiveColor = (typeof interactiveColors)[number];

export interface InteractiveSettings {
  readonly default_mode?: 'single_node' | 'multiplex';
  readonly prompt_format?: string;
  readonly history_file?: string;
  readonly show_timestamps?: boolean;
  readonly work_dir?: string;
  readonly broadcast_prefix?: string;
  readonly node_switch_prefix?: string;
  readonly colors?: Readonly<Record<string, InteractiveColor>>;
  /** Tab asks the first active node for paths. */
  readonly remote_completion?: boolean;
  readonly keybindings?: Readonly<Partial<Record<'switch_node' | 'broadcast_toggle' | 'quit', string>>>;
}

/** Settings that are not keywords of ssh_config: they belong to the run. */
export interface RunDefaults {
  readonly parallel?: number;
  /** Seconds; 0 is no limit. */
  readonly timeout?: number;
}

export interface NodeEntry extends HostSpec {
  readonly settings: readonly Setting[];
  /** What to connect to, where that is not the name the host is known by. */
  readonly address?: string;
  /** Why nobody can connect to it as its source describes it. */
  readonly problem?: string;
}

/** `nodes: { command: ... }`; times in seconds, 0 is none. */
export interface CommandSource {
  readonly kind: 'command';
  readonly command: string;
  /** How long an answer is kept. */
  readonly cache: number;
  readonly timeout: number;
}

/** `nodes: { inventory: ... }` */
export interface InventorySource {
  readonly kind: 'inventory';
  readonly file: string;
  /** The part of it that is this cluster. */
  readonly group: string;
}

export type ClusterSource = CommandSource | InventorySource;

export interface ClusterEntry extends RunDefaults {
  readonly name: string;
  /** Empty until the source was asked, where there is one. */
  readonly nodes: readonly NodeEntry[];
  readonly source?: ClusterSource;
  readonly settings: readonly Setting[];
  readonly interactive: InteractiveSettings;
  /** The host whose exit status `--exit main` takes. */
  readonly main?: string;
}

export interface Config extends RunDefaults {
  /** The file it came from; undefined when there is none. */
  readonly file: string | undefined;
  /** `defaults`, as keywords. */
  readonly settings: readonly Setting[];
  readonly clusters: ReadonlyMap<string, ClusterEntry>;
  readonly interactive: InteractiveSettings;
  /** What to say at -v: files passed over, and why. */
  readonly notes: readonly string[];
  /** What to say in any case. */
  readonly warnings?: readonly string[];
}
