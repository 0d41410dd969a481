/**
 * The one place that decides what the process exits with.
 *
 * It knows results and habits, nothing of how they came about. Exit codes of the ssh grammar are those of ssh(1).
 */

import type { HostClass, HostResult } from '../client/index.ts';

export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  timedOut: 3,
  unreachable: 4,
  notAllStarted: 5,
  interrupted: 130,
  /** The reader of our output went away: what a shell shows for a program that SIGPIPE ended. */
  brokenPipe: 141,
  /** ssh(1): every error that is not the remote command's own. */
  ssh: 255,
} as const;

export const EXIT_POLICIES = ['worst', 'main', 'first', 'max', 'any', 'all'] as const;

/**
 * `worst` is the default: the highest code of any class below. `main`, `first` and `max` answer with one host's own
 * status as ssh(1) would have (the main node; the first in the list that failed; the highest). `any` is content with
 * one host that ended `ok`, `all` says 0 or 1 and nothing finer.
 */
export type ExitPolicy = (typeof EXIT_POLICIES)[number];

const CLASS_CODE: Readonly<Record<HostClass, number>> = {
  ok: ExitCode.ok,
  exit: ExitCode.failed,
  unexpected: ExitCode.failed,
  channel: ExitCode.failed,
  signal: ExitCode.timedOut,
  'command-timeout': ExitCode.timedOut,
  dns: ExitCode.unreachable,
  refused: ExitCode.unreachable,
  'connect-timeout': ExitCode.unreachable,
  'host-key': ExitCode.unreachable,
  auth: ExitCode.unreachable,
  lost: ExitCode.unreachable,
  cancelled: ExitCode.notAllStarted,
  'not-started': ExitCode.notAllStarted,
};

/** Every class there is. */
export const HOST_CLASSES = Object.keys(CLASS_CODE) as readonly HostClass[];

/** What ssh(1) exits with: the remote's status, 255 for everything else. */
export const sshExitCode = (result: HostResult): number =>
  result.class === 'ok' ? ExitCode.ok : result.class === 'exit' ? (result.exitStatus ?? ExitCode.ssh) : ExitCode.ssh;

export interface FleetEnd {
  readonly results: readonly HostResult[];
  readonly policy?: ExitPolicy | undefined;
  /** Place of the main node in the list; default the first. */
  readonly main?: number | undefined;
  /** The code of the signal that interrupted the run (130 for Ctrl-C). */
  readonly interrupted?: number | undefined;
  /** Hosts that were to answer the same did not. */
  readonly differs?: boolean | undefined;
  /** Standard output was closed by its reader. */
  readonly brokenPipe?: boolean | undefined;
}

const worst = (results: readonly HostResult[]): number =>
  Math.max(...results.map((result) => CLASS_CODE[result.class]));

/** The exit code of a run on many hosts. */
export function fleetExitCode({
  results,
  policy = 'worst',
  main = 0,
  interrupted,
  differs,
  brokenPipe,
}: FleetEnd): number {
  // A run that had nobody to ask has earned no success.
  if (results.length === 0) return ExitCode.usage;
  const cutShort = results.some(({ class: end }) => end === 'cancelled' || end === 'not-started');
  // An interrupt that came too late to change anything is none.
  if (interrupted !== undefined && cutShort) return interrupted;
  if (brokenPipe && cutShort) return ExitCode.brokenPipe;
  const code = codeOf(results, policy, main);
  return code === ExitCode.ok && differs ? ExitCode.failed : code;
}

function codeOf(results: readonly HostResult[], policy: ExitPolicy, main: number): number {
  switch (policy) {
    case 'worst':
      return worst(results);
    case 'main':
      return sshExitCode(results[main] ?? results[0]!);
    case 'first':
      return results.map(sshExitCode).find((code) => code !== 0) ?? ExitCode.ok;
    case 'max':
      return Math.max(...results.map(sshExitCode));
    case 'any':
      return results.some((result) => result.class === 'ok') ? ExitCode.ok : worst(results);
    case 'all':
      return worst(results) === ExitCode.ok ? ExitCode.ok : ExitCode.failed;
  }
}
