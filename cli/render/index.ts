/**
 * From the options of a run to its one renderer: mode, files, status line and summary, on the two streams.
 *
 * It asks the streams what they are (terminal, pipe, the same place) so that no mode has to.
 */

import type { Writable } from 'node:stream';
import type { FleetClock, FleetOutcome, HostEvent } from '../../client/index.ts';
import { type ColorChoice, neutralise, wantsColor } from '../terminal.ts';
import { Answers } from './answers.ts';
import { type Baseline, BaselineCheck, type BaselineOptions, type CompareOptions } from './baseline.ts';
import { BaselineDiff } from './baseline-diff.ts';
import { DiffRenderer } from './diff.ts';
import { FilesRenderer } from './files.ts';
import { GatherRenderer } from './gather.ts';
import { type CollectOptions, GroupRenderer } from './group.ts';
import { JsonEvents, type JsonOptions, JsonResults, type Note } from './json.ts';
import type { Mask } from './mask.ts';
import { Output, samePlace } from './output.ts';
import { combine, type Renderer, type RenderHost } from './renderer.ts';
import { SameCheck } from './same.ts';
import { SpillStore } from './spill.ts';
import { StatusLine } from './status.ts';
import { type Look, StreamRenderer } from './stream.ts';
import { SummaryRenderer } from './summary.ts';
import { type Progress, Tally } from './tally.ts';

export type { Baseline, Earlier } from './baseline.ts';
export { fileNames } from './files.ts';
export { LineMask, MaskStream } from './mask.ts';
export type { Renderer, RenderHost } from './renderer.ts';
export { classLabel } from './renderer.ts';
export type { Progress } from './tally.ts';

/** `none` shows no remote output: files alone. */
export type OutputMode = 'stream' | 'group' | 'gather' | 'diff' | 'json' | 'json-result' | 'none';

const SIZES_SHOWN = 3;

/** What is asked of process.stdout and process.stderr. */
export type OutStream = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly fd?: number };

export interface RenderOptions {
  readonly hosts: readonly RenderHost[];
  /** Default: `none` with an output directory, else `stream`. */
  readonly mode?: OutputMode | undefined;
  readonly outputDir?: string | undefined;
  /** Named in the headers of the files. */
  readonly command: string;
  /** What may differ from host to host in answers that are alike. */
  readonly masks?: readonly Mask[] | undefined;
  /** Say whether all hosts answer the same. */
  readonly expectSame?: boolean | undefined;
  /** Compare with an earlier run. */
  readonly baseline?: Baseline | undefined;
  /** Remote output and nothing of ours: no status line, no summary. */
  readonly quiet?: boolean | undefined;
  /** Default true; false: no host names in front of lines and above blocks. */
  readonly prefix?: boolean | undefined;
  readonly color?: ColorChoice | undefined;
  /** Names are written in full and not aligned, even for somebody who watches. */
  readonly plain?: boolean | undefined;
  readonly stdout: OutStream;
  readonly stderr: OutStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: FleetClock;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
  /** The reader of stdout or stderr went away: the run has no more purpose. */
  readonly onClosed?: (() => void) | undefined;
  /** Memory for waiting output. */
  readonly spillBudget?: number | undefined;
  /** Shows everything in place of a mode and the status line: the whole screen. */
  readonly view?: (Renderer & { message(text: string): void }) | undefined;
  /** For the status line. */
  readonly progress?: Progress | undefined;
}

export interface Rendering extends Renderer {
  /** A message of ours on stderr, whole lines, in order with everything else. */
  message(text: string): void;
  /** Where the run stands, when no status line shows it. */
  standing(): string | undefined;
  /** An event of the command's own about a host; only `json` shows it. */
  note(host: number, fields: Note): void;
  /** After the end: did hosts not answer the same, or not as they did, when they were to? */
  differs(): boolean;
}

export function createRenderer(options: RenderOptions): Rendering {
  const { hosts, stdout, stderr, clock, now } = options;
  const mode = options.mode ?? (options.outputDir === undefined ? 'stream' : 'none');
  const isJson = mode === 'json' || mode === 'json-result';
  const store = new SpillStore(options.spillBudget);
  const watched = stdout.isTTY === true && stderr.isTTY === true && !options.quiet && !isJson && !options.view;
  const collects = mode === 'gather' || mode === 'diff';
  const masks = options.masks ?? [];
  const compares = collects || options.expectSame || options.baseline !== undefined;
  const answers = compares ? new Answers({ hosts, store, masks, keep: collects }) : undefined;
  const counted = {
    hosts,
    clock,
    progress: options.progress,
    ...(answers && { answers: () => answerSizes(answers.sizes()) }),
  };
  const write = (text: string): void => void stderr.write(text);
  const status = watched ? new StatusLine({ ...counted, write, columns: () => stderr.columns ?? 80 }) : undefined;
  const tally = status ?? new Tally(counted);
  const aside = { onClosed: options.onClosed, before: () => status?.hide(), after: () => status?.drawSoon() };
  const out = new Output(stdout, aside);
  const shared =
    stdout === stderr || (stdout.fd !== undefined && stderr.fd !== undefined && samePlace(stdout.fd, stderr.fd));
  const err = shared ? out : new Output(stderr, aside);
  const isUnwanted = (): boolean => out.closed;
  const looks = { stdout: lookOf(stdout, options), stderr: lookOf(stderr, options) };
  const parts: Renderer[] = [];
  if (options.outputDir !== undefined) {
    parts.push(new FilesRenderer({ dir: options.outputDir, hosts, command: options.command, now }));
  }
  const compare = answers && { hosts, answers, masks, baseline: options.baseline };
  if (answers) parts.push(answers);
  const view =
    options.view ?? modeRenderer(mode, { hosts, store, out, err, looks, prefix: options.prefix ?? true, now }, compare);
  if (view) parts.push(view);
  parts.push(tally);
  if (!options.quiet && !isJson) parts.push(new SummaryRenderer({ hosts, err, color: looks.stderr.color, isUnwanted }));
  const json = view instanceof JsonEvents || view instanceof JsonResults ? view : undefined;
  // The summary is the last word, but as prose the verdicts stand under it.
  const told = { json, err: options.quiet || isJson ? undefined : err, isUnwanted };
  const checks = compare === undefined ? [] : checksOf({ ...compare, ...told }, options.expectSame ?? false);
  parts.splice(json === undefined ? parts.length : parts.indexOf(json), 0, ...checks);
  const all = combine(parts);
  return {
    event: (event: HostEvent) => all.event(event),
    async end(outcome: FleetOutcome): Promise<void> {
      try {
        await all.end(outcome);
        await out.end();
        if (err !== out) await err.end();
      } finally {
        store.close();
      }
    },
    message: (text) => (options.view ? options.view.message(text) : err.writeText(neutralise(text))),
    standing: () => (status || options.view ? undefined : tally.text()),
    note(host, fields) {
      if (view instanceof JsonEvents) view.note(host, fields);
    },
    differs: () => checks.some(({ differs }) => differs),
  };
}

/** `3 answers (45, 1, 1)`; nothing as long as all are alike. */
function answerSizes(sizes: readonly number[]): string {
  if (sizes.length < 2) return '';
  const shown = sizes.slice(0, SIZES_SHOWN).join(', ');
  return `${sizes.length} answers (${shown}${sizes.length > SIZES_SHOWN ? ' ...' : ''})`;
}

type Compare = Omit<CompareOptions, 'baseline'> & { readonly baseline: Baseline | undefined };

const diffRenderer = (options: CollectOptions, { baseline, ...compare }: Compare): Renderer =>
  baseline === undefined
    ? new DiffRenderer(options, compare.answers)
    : new BaselineDiff(options, { ...compare, baseline });

function checksOf({ baseline, ...told }: Compare & Omit<BaselineOptions, 'baseline'>, expectSame: boolean) {
  const checks: (SameCheck | BaselineCheck)[] = [];
  if (expectSame) checks.push(new SameCheck(told));
  if (baseline !== undefined) checks.push(new BaselineCheck({ ...told, baseline }));
  return checks;
}

function modeRenderer(
  mode: OutputMode,
  options: CollectOptions & JsonOptions,
  compare: Compare | undefined,
): Renderer | undefined {
  switch (mode) {
    case 'stream':
      return new StreamRenderer(options);
    case 'group':
      return new GroupRenderer(options);
    case 'gather':
      return new GatherRenderer(options, compare!.answers);
    case 'diff':
      return diffRenderer(options, compare!);
    case 'json':
      return new JsonEvents(options);
    case 'json-result':
      return new JsonResults(options);
    case 'none':
      return undefined;
  }
}

function lookOf(stream: OutStream, { stdout, color = 'auto', env, plain }: RenderOptions): Look {
  const harmless = stream.isTTY === true;
  // Into a pipe or file the rule is `host: line` on both streams, colour only when it was asked for.
  const live = harmless && stdout.isTTY === true && plain !== true;
  return { harmless, live, color: wantsColor(color, live, env) };
}
