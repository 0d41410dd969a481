/** The options of a run on many hosts, from the validated values: what is not given stays undefined or has its default. */

import type { BatchSize } from '../../client/index.ts';
import { Expectation } from '../expectation.ts';
import type { Pick } from '../hosts/pick.ts';
import type { Mask } from '../render/mask.ts';
import type { Checked } from './check.ts';
import type { Invocation } from './settings.ts';
import { usageError } from './usage.ts';
import type { Threshold } from './values.ts';

export type OutputMode = 'stream' | 'group' | 'gather' | 'diff' | 'json' | 'json-result' | 'tui' | 'quiet';
export type ExitRule = 'worst' | 'main' | 'first' | 'max' | 'any' | 'all';

/** Of `upload` and `download`. */
export interface FileOptions {
  readonly recursive: boolean;
  readonly preserve: boolean;
  readonly resume: boolean;
  readonly follow: boolean;
  /** Bytes a second over all hosts. */
  readonly bandwidth: number | undefined;
  readonly sync: boolean;
  readonly checksum: boolean;
  readonly delete: boolean;
}

export interface RunOptions {
  /** Some of the hosts only; the seed is there even if nobody gave one. */
  readonly pick: Pick | undefined;
  /** As flagged; the effective ones are the selection's, which knows the configuration. */
  readonly parallel: number | undefined;
  readonly timeout: number | undefined;
  /** Connections being set up at a time; 0 is no limit. */
  readonly handshakes: number | undefined;
  readonly failFast: boolean;
  readonly maxFailures: Threshold | undefined;
  readonly retries: number;
  readonly stdin: boolean;
  /** Sizes of batches; none: all hosts are one. */
  readonly batch: readonly BatchSize[];
  /** Local command between batches. */
  readonly health: string | undefined;
  /** Seconds for the whole run; 0 is no limit. */
  readonly deadline: number;
  /** Local file to run on the hosts. */
  readonly script: string | undefined;
  /** Fill variables into the command. */
  readonly vars: boolean;
  readonly sudoPassword: boolean;
  /** What is recorded of the run. */
  readonly journal: 'no' | 'yes' | 'with-output';
  readonly exit: ExitRule;
  readonly dryRun: boolean;
  readonly files: FileOptions;
  readonly output: OutputMode;
  readonly outputDir: string | undefined;
  readonly masks: readonly Mask[];
  readonly expectSame: boolean;
  /** An earlier run to compare with: its number, or `last`. */
  readonly baseline: string | undefined;
  /** Each must match a line of a host's standard output. */
  readonly expect: readonly Expectation[];
  readonly color: 'auto' | 'always' | 'never';
  readonly prefix: boolean;
  readonly interactive: {
    readonly mode: 'single_node' | 'multiplex' | undefined;
    readonly promptFormat: string | undefined;
    readonly historyFile: string | undefined;
    readonly workDir: string | undefined;
  };
}

const outputMode = (values: Checked): OutputMode => {
  if (values.json !== undefined) return values.json === 'result' ? 'json-result' : 'json';
  if (values.group) return 'group';
  if (values.gather) return 'gather';
  if (values.tui) return 'tui';
  if (values.diff) return 'diff';
  return values.quiet ? 'quiet' : 'stream';
};

const pickOf = (count: number | undefined, seed: string | undefined): Pick | undefined => {
  if (count === undefined) {
    if (seed !== undefined) throw usageError('cluster', '--seed goes with --pick');
    return undefined;
  }
  if (count === 0) throw usageError('cluster', '--pick 0 leaves no host');
  return { count, seed: seed ?? String(Math.floor(Math.random() * 1_000_000)) };
};

export const runOptions = (values: Checked, invocation: Invocation): RunOptions => {
  const text = (id: string): string | undefined => values[id] as string | undefined;
  const number = (id: string): number | undefined => values[id] as number | undefined;
  const flag = (id: string): boolean => values[id] === true;
  let mode: 'single_node' | 'multiplex' | undefined;
  if (flag('single-node')) mode = 'single_node';
  else if (flag('multiplex')) mode = 'multiplex';
  return {
    pick: pickOf(number('pick'), text('seed')),
    parallel: number('parallel'),
    timeout: number('timeout'),
    handshakes: number('handshakes'),
    failFast: flag('fail-fast'),
    maxFailures: values['max-failures'] as Threshold | undefined,
    retries: number('retries') ?? 0,
    stdin: flag('stdin'),
    batch: (values.batch as readonly BatchSize[] | undefined) ?? [],
    health: text('health'),
    deadline: number('deadline') ?? 0,
    script: text('script'),
    vars: flag('vars'),
    sudoPassword: flag('sudo-password'),
    journal: flag('no-journal') ? 'no' : flag('record') ? 'with-output' : 'yes',
    exit: (text('exit') ?? 'worst') as ExitRule,
    // -G prints the settings and stops
    dryRun: flag('dry-run') || invocation.dump,
    files: {
      recursive: flag('recursive'),
      preserve: flag('preserve'),
      resume: flag('resume'),
      follow: flag('follow'),
      bandwidth: number('bandwidth'),
      sync: flag('sync'),
      checksum: flag('checksum'),
      delete: flag('delete'),
    },
    output: outputMode(values),
    outputDir: text('output-dir'),
    masks: (values.mask as readonly Mask[] | undefined) ?? [],
    expectSame: flag('expect-same'),
    baseline: text('baseline'),
    expect: ((values.expect as readonly string[] | undefined) ?? []).map(Expectation.parse),
    color: (text('color') ?? 'auto') as RunOptions['color'],
    prefix: !flag('no-prefix'),
    interactive: {
      mode,
      promptFormat: text('prompt-format'),
      historyFile: text('history-file'),
      workDir: text('work-dir'),
    },
  };
};
