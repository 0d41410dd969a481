/**
 * `exec` and `ping` on many hosts: what one host is asked, and how what was started is ended.
 */

import {
  type Connection,
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
import type { Rendering } from '../render/index.ts';
import { SpooledStdin } from '../spooled-stdin.ts';
import { neutraliseLine } from '../terminal.ts';

/** How long a signal has to show, and how long a process has after TERM and KILL, to be reported gone (milliseconds). */
const SIGNAL_PATIENCE = 500;
const TERM_PATIENCE = 3000;
const KILL_PATIENCE = 2000;
/** Channel windows for many hosts: memory is their number times this. */
const FLEET_WINDOW = 1024 * 1024;

/** Runs the words as a command on every host of the selection; the exit code of section "many hosts". */
export async function runFleet(
  intent: ClusterIntent,
  context: RunContext,
  manners?: (entries: readonly FleetEntry[], rendering: () => Rendering) => Manners,
): Promise<number> {
  const isPing = intent.subcommand === 'ping';
  const command = isPing ? undefined : intent.words.join(' ');
  const entries = fleetEntries(intent, context, command);
  if (intent.run.dryRun) {
    printOut(dryRun(intent, entries, command));
    return 0;
  }
  const input = intent.run.stdin && !isPing ? await SpooledStdin.take() : undefined;
  const code = await runFleetJob(intent, context, entries, (rendering) => ({
    label: command ?? 'ping',
    timeout: (entry) => entry.selected.timeout * 1000,
    task: (entry, host, connect) =>
      command === undefined
        ? ping(host, connect)
        : exec(entry, host, context, connect, { command, input, expect: intent.run.expect }),
    ...bound(manners?.(entries, rendering)),
    ...(isPing && { exitCode: ({ results }) => pingCode(results.map((result) => result.class === 'ok')) }),
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

/** The plan of each host, as text or as JSON. */
export function dryRun(intent: ClusterIntent, entries: readonly FleetEntry[], command: string | undefined): string {
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

/** All answered 0, some 1, none 255. */
const pingCode = (answers: readonly boolean[]): number =>
  answers.every(Boolean) ? 0 : answers.some(Boolean) ? 1 : 255;

async function ping(host: HostContext, connect: Connect): Promise<TaskOutcome> {
  const { connection } = await connect();
  host.phase('command');
  await host.output('stdout', Buffer.from('alive\n'));
  await connection.close();
  return { exitStatus: 0 };
}

/** What every host is asked. */
interface Request {
  readonly command: string;
  readonly input: SpooledStdin | undefined;
  readonly expect: readonly Expectation[];
}

async function exec(
  entry: FleetEntry,
  host: HostContext,
  context: RunContext,
  connect: Connect,
  { command, input, expect }: Request,
): Promise<TaskOutcome> {
  const opened = await connect();
  const { connection } = opened;
  try {
    host.phase('command');
    const before = await forwardsOf(entry, host.index, context, opened);
    const expected = new Expected(expect);
    const handle = await connection.exec(command, {
      ...(before && { before }),
      env: environment(entry.plan, context.env),
      channel: { window: FLEET_WINDOW, maxWindow: FLEET_WINDOW },
      stdout: (chunk) => {
        expected.push(chunk);
        return host.output('stdout', chunk) as void | Promise<void>;
      },
      stderr: (chunk) => host.output('stderr', chunk) as void | Promise<void>,
    });
    // A command that ends without reading all of it is no failure of ours.
    if (input === undefined) handle.end();
    else
      void input
        .send((chunk) => handle.write(chunk))
        .then(
          () => handle.end(),
          () => handle.end(),
        );
    try {
      const outcome = outcomeOf(await untilAborted(handle, host.signal));
      return outcome.exitStatus === 0 ? { ...outcome, error: expected.end() } : outcome;
    } catch (error) {
      if (!host.signal.aborted) throw error;
      // Awaited here: the connection is closed when this function is left.
      return await endRemote(handle, connection);
    }
  } finally {
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
