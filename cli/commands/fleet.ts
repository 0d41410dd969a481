/**
 * `exec` and `ping` on many hosts: what one host is asked, and how what was started is ended.
 */

import {
  batchEnds,
  type ExecHandle,
  type Exit,
  forwardAgent,
  forwardedAgent,
  type HostContext,
  type Opened,
  SshError,
  setUpForwards,
  type TaskOutcome,
  withoutForwarding,
} from '../../client/index.ts';
import { logTo, type RunContext } from '../context.ts';
import { environment } from '../environment.ts';
import { type Expectation, Expected } from '../expectation.ts';
import { type Connect, type FleetEntry, fleetEntries, type Manners, runFleetJob } from '../fleet-run.ts';
import type { ClusterIntent } from '../grammar.ts';
import { printOut } from '../print.ts';
import { endRemote, outcomeOf } from '../remote/end.ts';
import type { Variables } from '../remote/variables.ts';
import { askSudoPassword, type Ready, Work } from '../remote/work.ts';
import type { Rendering } from '../render/index.ts';
import { SpooledStdin } from '../spooled-stdin.ts';
import { neutraliseLine } from '../terminal.ts';
import { Steps } from './steps.ts';

/** Channel windows for many hosts: memory is their number times this. */
const FLEET_WINDOW = 1024 * 1024;

/** Runs the words as a command on every host of the selection; the exit code of section "many hosts". */
export async function runFleet(
  intent: ClusterIntent,
  context: RunContext,
  manners?: (entries: readonly FleetEntry[], rendering: () => Rendering) => Manners,
): Promise<number> {
  if (intent.subcommand === 'ping') return pingAll(intent, context);
  const { words, run } = intent;
  const entries = fleetEntries(intent, context, words.join(' '));
  const { script, vars } = run;
  const shown = new Work({ words, script, vars, sudoPassword: undefined });
  // Every host's, before the first is started: one that cannot be told its command must not find out in the middle.
  const texts = vars || run.dryRun ? entries.map((entry, index) => shown.text(variablesOf(entry, index))) : [];
  if (run.dryRun) {
    printOut(dryRun(intent, entries, texts));
    return 0;
  }
  const sudoPassword = run.sudoPassword
    ? await askSudoPassword(context.env, context.prompter, (secret) => context.log.hide(secret))
    : undefined;
  const work = sudoPassword === undefined ? shown : new Work({ words, script, vars, sudoPassword });
  const input = run.stdin ? await SpooledStdin.take() : undefined;
  const code = await runFleetJob(intent, context, entries, (rendering) => ({
    label: work.label,
    timeout: (entry) => entry.selected.timeout * 1000,
    task: (entry, host, connect) => exec(entry, host, context, connect, { work, input, expect: run.expect }),
    ...bound(manners?.(entries, rendering)),
  }));
  input?.close();
  return code;
}

/** The parts of somebody's manners, to be parts of a job. */
const bound = (manners: Manners | undefined): Manners =>
  manners === undefined
    ? {}
    : {
        plain: manners.plain ?? false,
        observe: (event) => manners.observe?.(event),
        ...(manners.interrupts && { interrupts: () => manners.interrupts!() }),
        ...(manners.exitCode && { exitCode: (...end) => manners.exitCode!(...end) }),
      };

async function pingAll(intent: ClusterIntent, context: RunContext): Promise<number> {
  const entries = fleetEntries(intent, context, undefined);
  if (intent.run.dryRun) {
    printOut(dryRun(intent, entries));
    return 0;
  }
  const { output } = intent.run;
  // Who compares answers wants them alike; programs have the times with the result.
  const steps = output === 'stream' || output === 'group' ? new Steps() : undefined;
  return runFleetJob(intent, context, entries, () => ({
    label: 'ping',
    timeout: (entry) => entry.selected.timeout * 1000,
    task: (_, host, connect) => ping(host, connect, steps),
    observe: (event) => steps?.event(event),
    exitCode: ({ results }) => pingCode(results.map((result) => result.class === 'ok')),
  }));
}

const variablesOf = ({ name, plan }: FleetEntry, index: number): Variables => ({
  host: plan.hostName,
  node: name,
  index: String(index),
  user: plan.user,
  port: String(plan.port),
});

/** The plan of each host, as text or as JSON. */
export function dryRun(
  intent: ClusterIntent,
  entries: readonly FleetEntry[],
  commands: readonly string[] = [],
): string {
  const { output, batch } = intent.run;
  const json = output === 'json' || output === 'json-result';
  const ends = batchEnds(entries.length, batch);
  const batchOf = (index: number): number => ends.findIndex((end) => index < end);
  const row = ({ name, plan }: FleetEntry, index: number) => ({
    version: 1,
    ...(batch.length > 0 && { batch: batchOf(index) + 1 }),
    host: name,
    hostName: plan.hostName,
    port: plan.port,
    user: plan.user,
    jump: plan.proxyJump.map((hop) => hop.host),
    command: commands[index],
  });
  if (json) return entries.map((entry, index) => `${JSON.stringify(row(entry, index))}\n`).join('');
  return entries
    .flatMap((entry, index) => {
      const { host, hostName, port, user, jump, command } = row(entry, index);
      const via = jump.length === 0 ? '' : ` via ${jump.join(', ')}`;
      const line = `${host}: ${user}@${hostName}:${port}${via}${command === undefined ? '' : `: ${command}`}`;
      const number = batchOf(index);
      const first = ends[number - 1] ?? 0;
      const size = ends[number]! - first;
      const heading = `batch ${number + 1} of ${ends.length}: ${size} host${size === 1 ? '' : 's'}`;
      return batch.length > 0 && index === first ? [heading, line] : [line];
    })
    .map((line) => `${neutraliseLine(line)}\n`)
    .join('');
}

/** All answered 0, some 1, none 255. */
const pingCode = (answers: readonly boolean[]): number =>
  answers.every(Boolean) ? 0 : answers.some(Boolean) ? 1 : 255;

async function ping(host: HostContext, connect: Connect, steps: Steps | undefined): Promise<TaskOutcome> {
  const { connection } = await connect();
  host.phase('command');
  await host.output('stdout', Buffer.from(`alive${steps?.text(host.index) ?? ''}\n`));
  await connection.close();
  return { exitStatus: 0 };
}

/** What every host is asked. */
interface Request {
  readonly work: Work;
  readonly input: SpooledStdin | undefined;
  readonly expect: readonly Expectation[];
}

/** Never settles but to tell of input that could not be read: a command must not take a part of it for the whole. */
function feed(input: SpooledStdin, handle: ExecHandle): Promise<never> {
  return new Promise((_, reject) => {
    input
      .send((chunk) => handle.write(chunk))
      .then(
        () => handle.end(),
        (error) => {
          // A command that ends without reading all of it is no failure of ours.
          if (error instanceof SshError && error.code === 'file') reject(error);
          else handle.end();
        },
      );
  });
}

async function exec(
  entry: FleetEntry,
  host: HostContext,
  context: RunContext,
  connect: Connect,
  { work, input, expect }: Request,
): Promise<TaskOutcome> {
  const opened = await connect();
  const { connection } = opened;
  let ready: Ready | undefined;
  let outcome: TaskOutcome | undefined;
  try {
    host.phase('command');
    const before = await forwardsOf(entry, host.index, context, opened);
    const expected = new Expected(expect);
    ready = await work.prepare(connection, variablesOf(entry, host.index), host.signal);
    const { command, sudo } = ready;
    const handle = await connection.exec(command, {
      ...(before && { before }),
      env: environment(entry.plan, context.env),
      channel: { window: FLEET_WINDOW, maxWindow: FLEET_WINDOW },
      noInput: input === undefined && sudo === undefined,
      stdout: (chunk) => {
        expected.push(chunk);
        return host.output('stdout', chunk) as void | Promise<void>;
      },
      stderr: (chunk) => host.output('stderr', sudo?.stderr(chunk) ?? chunk) as void | Promise<void>,
    });
    const refused = sudo?.begin(handle);
    const fed = input === undefined ? undefined : feed(input, handle);
    try {
      const exit = untilAborted(handle, host.signal);
      outcome = outcomeOf(await Promise.race([exit, ...[refused, fed].filter((each) => each !== undefined)]));
      if (sudo !== undefined) await host.output('stderr', sudo.rest());
      if (outcome.exitStatus === 0) outcome = { ...outcome, error: expected.end() };
    } catch (error) {
      const isRefusal = error instanceof SshError && error.code === 'auth';
      if (!host.signal.aborted && !isRefusal) throw error;
      // Awaited here: the connection is closed when this function is left.
      const ended = await endRemote(handle, connection);
      if (isRefusal) throw error;
      return ended;
    }
    return outcome;
  } finally {
    // What came to its end has cleaned up behind itself.
    if (typeof outcome?.exitStatus !== 'number') await ready?.remove();
    void connection.close();
  }
}

/**
 * What is forwarded in a run on many hosts: a local listener can exist once, so -L and -D belong to the first host; -R and
 * the agent belong to every host.
 */
export async function forwardsOf(
  entry: FleetEntry,
  index: number,
  context: RunContext,
  { connection, distrusted }: Opened,
) {
  const warn = (text: string): void => context.log.error(`${entry.name}: ${text}`);
  const log = logTo(context.log, `${entry.name}: `);
  const planned = distrusted ? withoutForwarding(entry.plan.forwards, warn) : entry.plan.forwards;
  const list = planned.list.filter(({ type }) => index === 0 || type.startsWith('remote'));
  if (list.length > 0) {
    const forwards = await setUpForwards(
      connection,
      { ...planned, list },
      { addressFamily: entry.plan.addressFamily, warn, log },
    );
    if (forwards.fatal)
      throw new SshError('channel-request', 'a forwarding could not be set up', { detail: { request: 'forwarding' } });
  }
  const agent = planned.agent.on ? forwardedAgent(entry.plan) : undefined;
  return agent === undefined ? undefined : forwardAgent(connection, agent, { log }).request;
}

function untilAborted(handle: ExecHandle, signal: AbortSignal): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    handle.exit.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
