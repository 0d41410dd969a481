/**
 * What is kept of a run on many hosts: how it was called, how each host ended, and the digest of what it printed.
 *
 * The output itself is kept only when the run was told to (`--record`). A record never holds a secret that was asked for:
 * those are no part of a command line.
 */

import type { HostClass, OutputStream, StopCause } from '../../client/index.ts';

/** Raised when a field changes its meaning; records of other versions are passed over. */
export const RECORD_VERSION = 1;

export interface HostRecord {
  /** As the run called it: unique in the run. */
  readonly name: string;
  /** `[user@]host[:port]` of the selection: the same host in another run, whatever that calls it. */
  readonly target: string;
  readonly class: HostClass;
  readonly exitStatus?: number;
  readonly signal?: string;
  readonly error?: string;
  readonly bytes: Readonly<Record<OutputStream, number>>;
  /** SHA-256 in hex; absent for a stream longer than DIGESTED_BYTES and for a host that was not started. */
  readonly digest: Readonly<Partial<Record<OutputStream, string>>>;
  /** Where the kept output lies in the run's output file: whole streams only. */
  readonly kept?: Readonly<Partial<Record<OutputStream, readonly [offset: number, length: number]>>>;
}

export interface RunRecord {
  readonly v: typeof RECORD_VERSION;
  /** A number, higher for later runs. */
  readonly id: number;
  /** UTC, ISO 8601: when it began. */
  readonly time: string;
  readonly ms: number;
  /** Without the program's name; run again with these in `cwd`. */
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The command, or the subcommand and its words. */
  readonly command: string;
  readonly exit: number;
  readonly stopped?: StopCause;
  readonly hosts: readonly HostRecord[];
}
