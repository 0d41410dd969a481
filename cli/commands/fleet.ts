/**
 * `exec` and `ping` on many hosts: plans, then one task a host, events to one renderer, one exit code.
 */

import {
  type Connection,
  type ExecHandle,
  type Exit,
  forwardAgent,
  forwardedAgent,
  type HostContext,
  type HostPlan,
  type JumpPool,
  openHost,
  runOnHosts,
  SshError,
  setUpForwards,
  systemClock,
  type TaskOutcome,
  withoutForwarding,
} from '../../client/index.ts';
import { jumpPool, logTo, openContext, planLevel, type RunContext, showBanner } from '../context.ts';
import { environment } from '../environment.ts';
import { fleetExitCode } from '../exit.ts';
import type { ClusterIntent } from '../grammar.ts';
import type { SelectedHost } from '../hosts/select.ts';
import { planMany } from '../plan.ts';
import { createRenderer } from '../render/index.ts';
import { Interrupts } from '../signals.ts';
import { neutraliseLine } from '../terminal.ts';

/** How long a signal has to show, and how long a process has after TERM and KILL, to be reported gone (milliseconds). */
const SIGNAL_PATIENCE = 500;
const TERM_PATIENCE = 3000;
const KILL_PATIENCE = 2000;
/** Channel windows for many hosts: memory is their number times this. */
const FLEET_WINDOW = 1024 * 1024;

interface FleetEntry {
  readonly name: string;
  readonly gateway: string | undefined;
  readonly selected: SelectedHost;
  readonly plan: HostPlan;
}

function plans(intent: ClusterIntent, context: RunContext, command: string | undefined): FleetEntry[] {
  return intent.selection!.hosts.map((selected) => {
    const plan = planMany(selected, intent.invocation, command, context.resolve);
    const gateway =
      plan.proxyJump.length === 0
        ? undefined
        : plan.proxyJump.map((hop) => `${hop.user ?? ''}@${hop.host}:${hop.port ?? ''}`).join(',');
    return { name: selected.name, gateway, selected, plan };
  });
}

/** Runs the words as a command on every host of the selection; the exit code of section "many hosts". */
export async function runFleet(intent: ClusterIntent, context: RunContext): Promise<number> {
  const command = intent.subcommand === 'ping' ? undefined : intent.words.join(' ');
  const entries = plans(intent, context, command);
  const first = entries[0];
  if (first !== undefined && context.log.level === 'info') context.log.level = planLevel(first.plan);
  if (intent.run.dryRun) {
    process.stdout.write(dryRun(intent, entries, command));
    return 0;
  }
  if (entries.length === 0)
    throw new SshError('usage', 'no host is left to run on', { detail: { grammar: 'cluster', exit: 2 } });
  return execute(intent, context, entries, command);
}

function dryRun(intent: ClusterIntent, entries: readonly FleetEntry[], command: string | undefined): string {
  const json = intent.run.output === 'json' || intent.run.output === 'json-result';
  const row = ({ name, plan }: FleetEntry) => ({
    version: 1,
    host: name,
    hostName: plan.hostName,
    port: plan.port,
    user: plan.user,
    jump: plan.proxyJump.map((hop) => hop.host),
    command,
  });
  if (json) return entries.map((entry) => `${JSON.stringify(row(entry))}\n`).join('');
  return entries
    .map((entry) => {
      const { host, hostName, port, user, jump } = row(entry);
      const via = jump.length === 0 ? '' : ` via ${jump.join(', ')}`;
      return neutraliseLine(`${host}: ${user}@${hostName}:${port}${via}${command === undefined ? '' : `: ${command}`}`);
    })
    .map((line) => `${line}\n`)
    .join('');
}

async function execute(
  intent: ClusterIntent,
  context: RunContext,
  entries: readonly FleetEntry[],
  command: string | undefined,
): Promise<number> {
  const { run, selection } = intent;
  const closed = new AbortController();
  const rendering = createRenderer({
    hosts: entries.map(({ name, plan }) => ({ name, host: plan.hostName, user: plan.user, port: plan.port })),
    mode:
      run.output === 'quiet'
        ? run.outputDir === undefined
          ? 'stream'
          : 'none'
        : run.outputDir !== undefined && run.output === 'stream'
          ? undefined
          : run.output,
    outputDir: run.outputDir,
    command: command ?? 'ping',
    quiet: run.output === 'quiet' || context.log.level === 'quiet',
    prefix: run.prefix,
    color: run.color,
    stdout: process.stdout,
    stderr: process.stderr,
    env: context.env,
    clock: systemClock,
    now: Date.now,
    onClosed: () => closed.abort(),
  });
  if (intent.invocation.logFile === undefined) context.log.redirect((text) => rendering.message(text));
  const interrupts = new Interrupts({
    stages: 2,
    onStage: (stage) =>
      rendering.message(
        stage === 'stop'
          ? 'Interrupted: no further hosts are started; once more ends what runs.\n'
          : 'Ending what runs ...\n',
      ),
  });
  const pool = jumpPool(context, 'many');
  try {
    const outcome = await runOnHosts(
      entries,
      (entry, host) =>
        command === undefined ? ping(entry, host, context, pool) : exec(entry, host, context, pool, command),
      (event) => rendering.event(event),
      {
        parallel: selection!.parallel,
        ...(run.handshakes !== undefined && { handshakeLimit: run.handshakes }),
        commandTimeout: (index) => entries[index]!.selected.timeout * 1000,
        failFast: run.failFast,
        ...(run.maxFailures !== undefined && {
          maxFailures: 'count' in run.maxFailures ? run.maxFailures.count : run.maxFailures,
        }),
        retries: run.retries,
        stop: interrupts.stop,
        signal: AbortSignal.any([interrupts.abort, closed.signal]),
      },
    );
    await rendering.end(outcome);
    const main = entries.findIndex(({ name }) => name === selection!.main);
    return command === undefined
      ? pingCode(outcome.results.map((result) => result.class === 'ok'))
      : fleetExitCode({
          results: outcome.results,
          policy: run.exit,
          ...(main >= 0 && { main }),
          interrupted: interrupts.code,
          brokenPipe: closed.signal.aborted,
        });
  } finally {
    interrupts.dispose();
    await pool.close();
  }
}

/** All answered 0, some 1, none 255. */
const pingCode = (answers: readonly boolean[]): number =>
  answers.every(Boolean) ? 0 : answers.some(Boolean) ? 1 : 255;

async function connection(entry: FleetEntry, host: HostContext, context: RunContext, pool: JumpPool) {
  const isTerminal = process.stderr.isTTY === true;
  return openHost(
    entry.plan,
    openContext(context, {
      signal: host.signal,
      jump: pool.jump,
      handshake: () => host.handshake(),
      onPhase: (phase) => host.phase(phase),
      onBanner: (message) => showBanner(message, context.log, isTerminal),
      warn: (text) => context.log.info(`${entry.name}: ${text}`),
      log: logTo(context.log, `${entry.name}: `),
    }),
  );
}

async function ping(entry: FleetEntry, host: HostContext, context: RunContext, pool: JumpPool): Promise<TaskOutcome> {
  const { connection: opened } = await connection(entry, host, context, pool);
  host.phase('command');
  await host.output('stdout', Buffer.from('alive\n'));
  await opened.close();
  return { exitStatus: 0 };
}

async function exec(
  entry: FleetEntry,
  host: HostContext,
  context: RunContext,
  pool: JumpPool,
  command: string,
): Promise<TaskOutcome> {
  const { connection: opened, distrusted } = await connection(entry, host, context, pool);
  try {
    host.phase('command');
    const forwards = await forwardsOf(entry, host, context, opened, distrusted);
    const handle = await opened.exec(command, {
      ...(forwards.request && { before: forwards.request }),
      env: environment(entry.plan, context.env),
      channel: { window: FLEET_WINDOW, maxWindow: FLEET_WINDOW },
      stdout: (chunk) => host.output('stdout', chunk) as void | Promise<void>,
      stderr: (chunk) => host.output('stderr', chunk) as void | Promise<void>,
    });
    handle.end();
    try {
      return outcomeOf(await untilAborted(handle, host.signal));
    } catch (error) {
      if (!host.signal.aborted) throw error;
      // Awaited here: the connection is closed when this function is left.
      return await endRemote(handle, opened);
    }
  } finally {
    void opened.close();
  }
}

/**
 * What is forwarded in a run on many hosts: a local listener can exist once, so -L and -D belong to the first host; -R and
 * the agent belong to every host.
 */
async function forwardsOf(
  entry: FleetEntry,
  host: HostContext,
  context: RunContext,
  opened: Connection,
  distrusted: boolean,
) {
  const warn = (text: string): void => context.log.error(`${entry.name}: ${text}`);
  const log = logTo(context.log, `${entry.name}: `);
  const planned = distrusted ? withoutForwarding(entry.plan.forwards, warn) : entry.plan.forwards;
  const list = planned.list.filter(({ type }) => host.index === 0 || type.startsWith('remote'));
  if (list.length > 0) {
    const forwards = await setUpForwards(
      opened,
      { ...planned, list },
      { addressFamily: entry.plan.addressFamily, warn, log },
    );
    if (forwards.fatal)
      throw new SshError('channel-request', 'a forwarding could not be set up', { detail: { request: 'forwarding' } });
  }
  const agent = planned.agent.on ? forwardedAgent(entry.plan) : undefined;
  return { request: agent === undefined ? undefined : forwardAgent(opened, agent, { log }).request };
}

function untilAborted(handle: ExecHandle, signal: AbortSignal): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    handle.exit.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

const outcomeOf = (exit: Exit): TaskOutcome => ({
  exitStatus: exit.status ?? null,
  ...(exit.signal !== undefined && { signal: exit.signal }),
});

/**
 * Signals every other process that this connection's server process started: each leads a session, hence a group, of its
 * own. For servers that do not pass signals on (OpenSSH does not for root).
 */
const signalSiblings = (name: 'TERM' | 'KILL'): string =>
  `for p in $(ps -A -o pid= -o ppid= | awk -v s=$PPID '$2 == s { print $1 }'); do [ "$p" = $$ ] || kill -${name} -- -$p; done 2>/dev/null`;

/** TERM, then KILL; tells whether the server reported the end of the process. */
async function endRemote(handle: ExecHandle, connection: Connection): Promise<TaskOutcome> {
  const siblings = (name: 'TERM' | 'KILL') => async () => {
    const helper = await connection.exec(signalSiblings(name));
    helper.end();
  };
  const steps: readonly (readonly [attempt: () => void | Promise<void>, patience: number])[] = [
    [() => handle.kill('TERM'), SIGNAL_PATIENCE],
    [siblings('TERM'), TERM_PATIENCE],
    [() => handle.kill('KILL'), SIGNAL_PATIENCE],
    [siblings('KILL'), KILL_PATIENCE],
  ];
  for (const [attempt, patience] of steps) {
    const ended = await Promise.race([
      handle.exit.catch(() => undefined),
      // A server without room for another session leaves us with the other ways.
      Promise.resolve(attempt()).then(
        () => after(patience),
        () => after(patience),
      ),
    ]);
    if (ended !== undefined) return { ...outcomeOf(ended), gone: true };
    if (connection.isClosed) break;
  }
  handle.close();
  return { gone: false };
}

const after = (ms: number): Promise<undefined> =>
  new Promise((resolve) => void setTimeout(() => resolve(undefined), ms));
