/** What the interactive mode goes by: flags, then the configuration (its clusters over its globals), then what is built in. */

import { join } from 'node:path';
import type { InteractiveColor, InteractiveSettings } from '../config/model.ts';
import { interactiveColors } from '../config/model.ts';
import type { RunOptions } from '../options/run.ts';
import { HOST_STYLES, paint } from '../terminal.ts';
import { DEFAULT_PREFIX, type Prefixes } from './special.ts';

export interface Settings {
  readonly singleNode: boolean;
  readonly promptFormat: string | undefined;
  readonly historyFile: string;
  readonly timestamps: boolean;
  readonly remoteCompletion: boolean;
  readonly workDir: string | undefined;
  readonly prefixes: Prefixes;
  readonly colors: Readonly<Record<string, InteractiveColor>>;
  readonly keybindings: NonNullable<InteractiveSettings['keybindings']>;
}

export function interactiveSettings(
  flags: RunOptions['interactive'],
  configured: InteractiveSettings,
  home: string,
): Settings {
  return {
    singleNode: (flags.mode ?? configured.default_mode) === 'single_node',
    promptFormat: flags.promptFormat ?? configured.prompt_format,
    historyFile: flags.historyFile ?? configured.history_file ?? join(home, '.bssh_history'),
    timestamps: configured.show_timestamps ?? false,
    remoteCompletion: configured.remote_completion ?? false,
    workDir: flags.workDir ?? configured.work_dir,
    prefixes: {
      special: configured.node_switch_prefix ?? DEFAULT_PREFIX,
      broadcast: configured.broadcast_prefix,
    },
    colors: configured.colors ?? {},
    keybindings: configured.keybindings ?? {},
  };
}

const colorCode = (color: InteractiveColor): number => {
  const place = interactiveColors.indexOf(color);
  return place < 8 ? 30 + place : 82 + place;
};

/** `[node1]`, in the node's colour: by its label or its host's name, else one of ours. */
export function nodeLabel(
  { number, host }: { readonly number: number; readonly host: string },
  colors: Settings['colors'],
  color: boolean,
): string {
  const label = `[node${number}]`;
  if (!color) return label;
  const own = colors[`node${number}`] ?? colors[host];
  if (own !== undefined) return `\x1b[${colorCode(own)}m${label}\x1b[0m`;
  return paint(label, HOST_STYLES[(number - 1) % HOST_STYLES.length]!);
}
