/**
 * What every command on many hosts has in common: the plans, the connection of one host, and the run with its renderer,
 * its interrupts and its end. What is done on a host is the command's.
 */

import { isatty } from 'node:tty';
import {
  collectAtOnce,
  type FleetOutcome,
  type HostContext,
  type HostEvent,
  type HostPlan,
  type JumpPool,
  manyShortRuns,
  type Opened,
  openHost,
  runOnHosts,
  SshError,
  stayYoung,
  systemClock,
  type TaskOutcome,
} from '../client/index.ts';
import { openBaseline } from './baseline.ts';
import { jumpPool, logTo, openContext, planLevel, type RunContext, showBanner } from './context.ts';
import { fleetExitCode } from './exit.ts';
import type { ClusterIntent } from './grammar.ts';
import { healthCheck } from './health.ts';
import type { SelectedHost } from './hosts/select.ts';
import { formatHostSpec } from './hosts/spec.ts';
import { checkOpenFiles } from './open-files.ts';
import type { RunOptions } from './options/run.ts';
import { planMany } from './plan.ts';
import {
  createRenderer,
  LineMask,
  type OutputMode,
  type Progress,
  type RenderHost,
  type Rendering,
} from './render/index.ts';
import { runJournal } from './run-journal.ts';
import { Interrupts } from './signals.ts';
import { wantsColor } from './terminal.ts';
import type { Tui } from './tui/index.ts';

export interface FleetEntry {
  readonly name: string;
  readonly gateway: string | undefined;
  readonly selected: SelectedHost;
  readonly plan: HostPlan;
}

/** A plan for each host of the selection, which must not be empty; the log has the level they ask for. */
export function fleetEntries(intent: ClusterIntent, context: RunContext, command: string | undefined): FleetEntry[] {
  manyShortRuns(intent.selection!.hosts.length);
  collectAtOnce();
  const entries = intent.selection!.hosts.map((selected): FleetEntry => {
    const plan = planMany(selected, intent.invocation, command, context.resolve);
    const gateway =
      plan.proxyJump.length === 0
        ? undefined
        : plan.proxyJump.map((hop) => `${hop.user ?? ''}@${hop.host}:${hop.port ?? ''}`).join(',');
    return { name: selected.name, gateway, selected, plan };
  });
  const first = entries[0];
  if (first !== undefined && context.log.level === 'info') context.log.level = planLevel(first.plan);
  if (first === undefined && !intent.run.dryRun)
    throw new SshError('usage', 'no host is left to run on', { detail: { grammar: 'cluster', exit: 2 } });
  return entries;
}

/** Milliseconds to end what runs on a host and to clean up there: more than the steps of that together. */
const GRACE = 15_000;

export type Connect = () => Promise<Opened>;

/** How a run behaves towards people, where that is another program's way and not ours. */
export interface Manners {
  /** Names as they are, even on a terminal. */
  readonly plain?: boolean;
  /** Sees every event when it has been shown. */
  observe?(event: HostEvent): void;
  interrupts?(): Pick<Interrupts, 'stop' | 'abort' | 'code' | 'dispose'>;
  /** Instead of the exit rules of commands. */
  exitCode?(outcome: FleetOutcome, interrupted: number | undefined): number;
}

export interface FleetJob extends Manners {
  /** What the files of --output-dir say was run. */
  readonly label: string;
  /** Milliseconds; 0 is no limit. */
  readonly timeout: (entry: FleetEntry) => number;
  readonly progress?: Progress | undefined;
  task(entry: FleetEntry, host: HostContext, connect: Connect): Promise<TaskOutcome>;
  /** Before the summary. */
  conclude?(rendering: Rendering): void;
}

const modeOf = ({ output, outputDir }: RunOptions): OutputMode | undefined => {
  if (output === 'tui') return 'none';
  if (output === 'quiet') return outputDir === undefined ? 'stream' : 'none';
  return outputDir !== undefined && output === 'stream' ? undefined : output;
};

/** Runs the job on every host; gives the exit code. `begin` sees the renderer first. */
export async function runFleetJob(
  intent: ClusterIntent,
  context: RunContext,
  entries: readonly FleetEntry[],
  begin: (rendering: () => Rendering) => FleetJob,
): Promise<number> {
  const { run, selection } = intent;
  checkOpenFiles(
    entries.map(({ plan }) => plan),
    selection!.parallel,
    { own: intent.subcommand === 'download' ? 1 : 0 },
  );
  stayYoung(Math.min(entries.length, selection!.parallel || entries.length));
  const closed = new AbortController();
  const recorded = entries.map(({ name, selected }) => ({ name, target: formatHostSpec(selected) }));
  const baseline = run.baseline === undefined ? undefined : openBaseline(run.baseline, context.env, recorded);
  const job = begin(() => rendering);
  const tui = run.output === 'tui' ? await openTui(entries, context, run, job) : undefined;
  const rendering = createRenderer({
    hosts: entries.map(renderHost),
    mode: modeOf(run),
    outputDir: run.outputDir,
    command: job.label,
    quiet: run.output === 'quiet' || context.log.level === 'quiet',
    prefix: run.prefix,
    masks: run.masks,
    expectSame: run.expectSame,
    baseline,
    color: run.color,
    plain: job.plain,
    stdout: process.stdout,
    stderr: process.stderr,
    env: context.env,
    clock: systemClock,
    now: Date.now,
    onClosed: () => closed.abort(),
    progress: job.progress,
    view: tui,
  });
  const direct =
    intent.invocation.logFile === undefined ? context.log.redirect((text) => rendering.message(text)) : undefined;
  const interrupts = job.interrupts?.() ?? ourInterrupts(rendering);
  const pool = jumpPool(context, 'many');
  const isTerminal = isatty(2);
  const onBanner = (message: Uint8Array): void => {
    if (tui === undefined) showBanner(message, context.log, isTerminal);
    else context.log.info(Buffer.from(message).toString());
  };
  const over = new AbortController();
  const signal = AbortSignal.any([interrupts.abort, closed.signal, ...(tui ? [tui.signal] : [])]);
  const journal = runJournal(
    {
      journal: run.journal,
      argv: intent.argv,
      command: job.label,
      hosts: recorded,
    },
    context,
  );
  let outcome: FleetOutcome;
  let code: number;
  try {
    outcome = await runOnHosts(
      entries,
      (entry, host) => job.task(entry, host, () => connection(entry, host, context, pool, onBanner)),
      (event) => {
        journal?.event(event);
        const wait = rendering.event(event);
        job.observe?.(event);
        return wait;
      },
      {
        parallel: selection!.parallel,
        ...(run.handshakes !== undefined && { handshakeLimit: run.handshakes }),
        commandTimeout: (index) => job.timeout(entries[index]!),
        failFast: run.failFast,
        ...(run.maxFailures !== undefined && {
          maxFailures: 'count' in run.maxFailures ? run.maxFailures.count : run.maxFailures,
        }),
        retries: run.retries,
        batch: run.batch,
        ...(run.health !== undefined && {
          healthy: healthCheck({
            command: run.health,
            hosts: entries.length,
            env: context.env,
            say: (text) => rendering.message(text),
            signal: AbortSignal.any([interrupts.stop, signal, over.signal]),
          }),
        }),
        deadline: run.deadline * 1000,
        grace: GRACE,
        stop: interrupts.stop,
        signal,
        steered: (steering) => tui?.steer(steering, interrupts.abort),
      },
    );
    job.conclude?.(rendering);
    await rendering.end(outcome);
    const main = entries.findIndex(({ name }) => name === selection!.main);
    code =
      job.exitCode?.(outcome, interrupts.code) ??
      fleetExitCode({
        results: outcome.results,
        policy: run.exit,
        ...(main >= 0 && { main }),
        interrupted: interrupts.code,
        differs: rendering.differs(),
        brokenPipe: closed.signal.aborted,
      });
  } finally {
    over.abort();
    await tui?.close();
    if (direct !== undefined) context.log.redirect(direct);
    interrupts.dispose();
    await pool.close();
  }
  // What it may have to say comes after the summary.
  journal?.end(outcome, code);
  return code;
}

function ourInterrupts(rendering: Rendering): Interrupts {
  const onStage = (stage: 'stop' | 'abort'): void => {
    const standing = rendering.standing();
    rendering.message(
      stage === 'stop'
        ? `Interrupted: no further hosts are started; once more ends what runs.\n${standing === undefined ? '' : `${standing}\n`}`
        : 'Ending what runs ...\n',
    );
  };
  return new Interrupts({ stages: 2, onStage });
}

const renderHost = ({ name, plan }: FleetEntry): RenderHost => ({
  name,
  host: plan.hostName,
  user: plan.user,
  port: plan.port,
});

/** The whole screen for the run; loaded only when asked for. */
async function openTui(
  entries: readonly FleetEntry[],
  context: RunContext,
  run: RunOptions,
  job: FleetJob,
): Promise<Tui> {
  const { requireTerminal, Tui } = await import('./tui/index.ts');
  requireTerminal();
  const tui = new Tui({
    names: entries.map(({ name }) => name),
    title: job.label,
    color: wantsColor(run.color, true, context.env),
    clock: systemClock,
    progress: job.progress && ((host) => job.progress!.host(host)),
    maskOf: run.masks.length === 0 ? undefined : (host) => new LineMask(run.masks, renderHost(entries[host]!)),
  });
  context.prompter.onAsk = () => tui.lend();
  return tui;
}

function connection(
  entry: FleetEntry,
  host: HostContext,
  context: RunContext,
  pool: JumpPool,
  onBanner: (message: Uint8Array) => void,
): Promise<Opened> {
  return openHost(
    entry.plan,
    openContext(context, {
      signal: host.signal,
      boundLogin: true,
      jump: pool.jump,
      handshake: () => host.handshake(),
      onPhase: (phase) => host.phase(phase),
      onBanner,
      warn: (text) => context.log.info(`${entry.name}: ${text}`),
      // Without a log nothing is worded for it: notes of a thousand log-ins cost more than one would think.
      log: context.log.wants('verbose') ? logTo(context.log, `${entry.name}: `) : undefined,
    }),
  );
}
