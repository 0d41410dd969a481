/**
 * The vocabulary of a run on many hosts: what a task is given, what it answers, and the events a renderer sees.
 *
 * No network and no prose in here. A host is known by its place in the list; names belong to whoever prints them.
 */

import type { SshError } from '../../protocol/index.ts';
import type { BatchSize } from './batches.ts';

/** Every host ends in exactly one of these. */
export type HostClass =
  | 'ok'
  | 'exit'
  | 'signal'
  | 'unexpected'
  | 'command-timeout'
  | 'dns'
  | 'refused'
  | 'connect-timeout'
  | 'host-key'
  | 'auth'
  | 'channel'
  | 'lost'
  | 'cancelled'
  | 'not-started';

/**
 * Where a host stands. `wait` is the queue for a handshake slot; `connect` lasts until the server's identification
 * line, `handshake` until the first NEWKEYS, and from `command` on nothing is ever tried a second time.
 */
export type Phase = 'wait' | 'connect' | 'handshake' | 'auth' | 'command';

export type OutputStream = 'stdout' | 'stderr';

/** All the executor asks of a host; plans carry more. */
export interface FleetHost {
  readonly name: string;
  /** Hosts that share this key are reached through one gateway, which has a limit of its own. */
  readonly gateway?: string | undefined;
}

/** What a task says when it comes to its end; an empty answer is success. */
export interface TaskOutcome {
  /** null: the channel closed without a status. */
  readonly exitStatus?: number | null | undefined;
  readonly signal?: string | undefined;
  /** After an abort: is the remote process known to be gone? */
  readonly gone?: boolean | undefined;
  /** What is wrong although it came to its end; decides the class. */
  readonly error?: SshError | undefined;
}

export interface HostResult {
  readonly class: HostClass;
  readonly exitStatus?: number;
  readonly signal?: string;
  readonly error?: SshError;
  /** Only when we ended the remote process: is it known to be gone? */
  readonly gone?: boolean;
  readonly attempts: number;
  /** Milliseconds from the first launch to the end, pauses between attempts included. */
  readonly ms: number;
  /** Milliseconds in each phase of the last attempt. */
  readonly phases: Readonly<Partial<Record<Phase, number>>>;
  readonly bytes: Readonly<Record<OutputStream, number>>;
}

export type HostEvent =
  | { readonly type: 'state'; readonly host: number; readonly phase: Phase; readonly attempt: number }
  | {
      readonly type: 'retry';
      readonly host: number;
      readonly attempt: number;
      readonly delay: number;
      readonly class: HostClass;
      readonly error: SshError;
    }
  /** The bytes belong to the receiver and are never reused. */
  | { readonly type: 'output'; readonly host: number; readonly stream: OutputStream; readonly data: Uint8Array }
  | { readonly type: 'result'; readonly host: number; readonly result: HostResult };

/** Takes the events of a run. A promise holds back the host the event came from until it resolves. */
export type HostSink = (event: HostEvent) => void | Promise<void>;

/** What a task has at hand while it works on one host. */
export interface HostContext {
  readonly index: number;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Fires with an `SshError` at the command timeout, the deadline, a fail-fast or an abort of the run. */
  readonly signal: AbortSignal;
  /** Waits for a handshake slot; call the answer when the handshake is over (the end of the task does it too). */
  handshake(): Promise<() => void>;
  phase(phase: Phase): void;
  output(stream: OutputStream, data: Uint8Array): void | Promise<void>;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a task with nothing to say need not say it
export type HostTask<H extends FleetHost> = (host: H, context: HostContext) => Promise<TaskOutcome | void>;

/** Time from outside, so that tests need not wait. */
export interface FleetClock {
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** Why a run ended before every host had its turn. */
export type StopCause = 'fail-fast' | 'max-failures' | 'deadline' | 'unhealthy' | 'stop' | 'abort' | 'sink';

export interface FleetOptions {
  /** Hosts at work at one time; 0 = all. Default 10. */
  readonly parallel?: number | undefined;
  /** Key exchanges in flight: they are CPU, and late ones meet the server's login grace time. 0 = no limit. Default 16. */
  readonly handshakeLimit?: number | undefined;
  /** Handshakes in flight through one gateway; 0 = no limit. Default 8, below sshd's MaxStartups of 10. */
  readonly gatewayLimit?: number | undefined;
  /** Milliseconds from `phase('command')`, for all or host by host; 0 = none. */
  readonly commandTimeout?: number | ((host: number) => number) | undefined;
  /** Milliseconds for the whole run; 0 = none. */
  readonly deadline?: number | undefined;
  /** The first failure ends the run, hosts at work included. */
  readonly failFast?: boolean | undefined;
  /** More failures than this and no further host is launched; those at work finish. */
  readonly maxFailures?: number | { readonly percent: number } | undefined;
  /** Further tries after a connection failed before the command was sent. Default 0. */
  readonly retries?: number | undefined;
  /** Further tries, beyond `retries`, for a server that hangs up before it identifies itself (MaxStartups). Default 6. */
  readonly dropRetries?: number | undefined;
  /** Pauses between tries in milliseconds: doubled from `first` up to `max`, with jitter. Default 500 and 15000. */
  readonly backoff?: { readonly first: number; readonly max: number } | undefined;
  /**
   * Hosts of one batch, or of each in turn, the last size for all that follow; the next begins when all hosts of one
   * have ended. 0 = all.
   */
  readonly batch?: number | readonly BatchSize[] | undefined;
  /** Asked between two batches; false leaves the rest unstarted. */
  readonly healthy?: ((batch: BatchReport) => boolean | Promise<boolean>) | undefined;
  /** First Ctrl-C: launch nothing more. */
  readonly stop?: AbortSignal | undefined;
  /** Second Ctrl-C: end what runs. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds an aborted task has to end its remote process before it is given up. Default 10000. */
  readonly grace?: number | undefined;
  /** Given what a person may do to the run while it goes on, before its first host starts. */
  readonly steered?: ((steering: Steering) => void) | undefined;
  readonly clock?: FleetClock | undefined;
  readonly random?: (() => number) | undefined;
}

/** What may be done to a run from outside while it goes on. */
export interface Steering {
  /** While true no host is started, nor tried again; those at work go on. */
  hold(on: boolean): void;
  /** Leaves out a host that waits for its turn, and ends one at work. */
  skip(host: number): void;
}

export interface BatchReport {
  /** 0 for the first batch. */
  readonly number: number;
  /** Place of the batch's first host in the list. */
  readonly first: number;
  readonly results: readonly HostResult[];
}

export interface FleetOutcome {
  /** One for every host, in the order of the list. */
  readonly results: readonly HostResult[];
  readonly stopped?: StopCause;
  readonly ms: number;
}
