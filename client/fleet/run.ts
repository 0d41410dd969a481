/**
 * A task on many hosts: how many at a time, when to try again, when to stop.
 *
 * Sequential inside a host, so a renderer's promise is all the back-pressure there is: the executor queues no output.
 * What connecting or a command means is the task's business; names, prose and exit codes are the command line's.
 */

import { SshError } from '../../protocol/index.ts';
import { batchEnds } from './batches.ts';
import { isDrop, isFailure, mayPass } from './classify.ts';
import { after, systemClock } from './clock.ts';
import { HostRun, type Shared } from './host-run.ts';
import { Slots } from './slots.ts';
import type {
  FleetClock,
  FleetHost,
  FleetOptions,
  FleetOutcome,
  HostClass,
  HostEvent,
  HostResult,
  HostSink,
  HostTask,
  StopCause,
} from './types.ts';

/**
 * Runs the task on every host and resolves when each has ended in its class. Rejects only when the sink fails, and
 * then after the hosts at work were ended.
 */
export function runOnHosts<H extends FleetHost>(
  hosts: readonly H[],
  task: HostTask<H>,
  sink: HostSink,
  options: FleetOptions = {},
): Promise<FleetOutcome> {
  return new FleetRun(hosts, task, sink, options).outcome();
}

const NOT_STARTED: HostResult = {
  class: 'not-started',
  attempts: 0,
  ms: 0,
  phases: {},
  bytes: { stdout: 0, stderr: 0 },
};

const orAll = (limit: number): number => (limit === 0 ? Number.POSITIVE_INFINITY : limit);

class FleetRun<H extends FleetHost> {
  private readonly hosts: readonly H[];
  private readonly sink: HostSink;
  private readonly options: FleetOptions;
  private readonly clock: FleetClock;
  private readonly random: () => number;
  private readonly parallel: number;
  private readonly tolerated: number;
  private readonly shared: Shared<H>;
  private readonly results: (HostResult | undefined)[];
  private readonly atWork = new Set<HostRun<H>>();
  /** Hosts in the pause before another try, each with what cancels the pause. */
  private readonly paused = new Map<HostRun<H>, () => void>();
  /** Hosts whose pause is over. */
  private again: HostRun<H>[] = [];
  private next = 0;
  private batchStart = 0;
  private readonly batchEnds: readonly number[];
  private batchNumber = 0;
  private askingHealth = false;
  /** No host is started meanwhile. */
  private held = false;
  private left: number;
  private failures = 0;
  private stopped: StopCause | undefined;
  private sinkError: { readonly error: unknown } | undefined;
  private settled!: () => void;
  private readonly whenSettled = new Promise<void>((resolve) => {
    this.settled = resolve;
  });

  constructor(hosts: readonly H[], task: HostTask<H>, sink: HostSink, options: FleetOptions) {
    this.hosts = hosts;
    this.sink = sink;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.parallel = orAll(options.parallel ?? 10);
    const { maxFailures } = options;
    this.tolerated =
      maxFailures === undefined
        ? Number.POSITIVE_INFINITY
        : typeof maxFailures === 'number'
          ? maxFailures
          : (hosts.length * maxFailures.percent) / 100;
    this.results = new Array(hosts.length);
    this.left = hosts.length;
    const { batch = [] } = options;
    this.batchEnds = batchEnds(hosts.length, typeof batch === 'number' ? [batch] : batch);
    this.shared = {
      task,
      sink,
      slots: new Slots(options.handshakeLimit ?? 16, options.gatewayLimit ?? 8),
      clock: this.clock,
      commandTimeout: options.commandTimeout ?? 0,
      grace: options.grace ?? 10_000,
      onSinkError: (error) => this.failSink(error),
      onEnd: (run) => this.attemptEnded(run),
    };
  }

  async outcome(): Promise<FleetOutcome> {
    const { stop, signal, deadline } = this.options;
    const startedAt = this.clock.now();
    const onStop = (): void => this.stopLaunching('stop');
    const onAbort = (): void => this.abortAll('abort', new SshError('aborted', 'interrupted'));
    stop?.addEventListener('abort', onStop);
    signal?.addEventListener('abort', onAbort);
    const cancelDeadline = deadline ? after(this.clock, deadline, () => this.atDeadline(deadline)) : undefined;
    try {
      this.options.steered?.({
        hold: (on) => {
          this.held = on;
          this.fill();
        },
        skip: (host) => this.skip(host),
      });
      if (signal?.aborted) onAbort();
      else if (stop?.aborted) onStop();
      this.fill();
      if (this.left > 0) await this.whenSettled;
    } finally {
      cancelDeadline?.();
      stop?.removeEventListener('abort', onStop);
      signal?.removeEventListener('abort', onAbort);
    }
    if (this.sinkError) throw this.sinkError.error;
    const ms = this.clock.now() - startedAt;
    return { results: this.results as HostResult[], ...(this.stopped && { stopped: this.stopped }), ms };
  }

  private get batchEnd(): number {
    return this.batchEnds[this.batchNumber] ?? 0;
  }

  private fill(): void {
    while (this.stopped === undefined && !this.held && this.atWork.size < this.parallel) {
      const run = this.again.shift() ?? this.nextHost();
      if (!run) return;
      this.atWork.add(run);
      run.launch();
    }
  }

  private nextHost(): HostRun<H> | undefined {
    this.passSkipped();
    if (this.next >= this.batchEnd) return undefined;
    const index = this.next++;
    return new HostRun(index, this.hosts[index]!, this.shared);
  }

  private passSkipped(): void {
    while (this.next < this.batchEnd && this.results[this.next] !== undefined) this.next++;
  }

  private skip(index: number): void {
    if (this.results[index] !== undefined) return;
    const isIt = (run: HostRun<H>): boolean => run.index === index;
    const atWork = [...this.atWork].find(isIt);
    if (atWork) return atWork.abort('cancelled', new SshError('aborted', 'skipped'));
    const waiting = [...this.paused.keys(), ...this.again].find(isIt);
    if (!waiting) return this.finish(index, NOT_STARTED);
    this.paused.get(waiting)?.();
    this.paused.delete(waiting);
    this.again = this.again.filter((run) => run !== waiting);
    this.finish(index, waiting.result!, waiting);
  }

  private attemptEnded(run: HostRun<H>): void {
    const result = run.result!;
    const pause = this.stopped === undefined ? this.pauseBeforeRetry(run, result) : undefined;
    if (pause === undefined) {
      this.finish(run.index, result, run);
      return;
    }
    this.atWork.delete(run);
    const cancel = after(this.clock, pause, () => {
      this.paused.delete(run);
      this.again.push(run);
      this.fill();
    });
    this.paused.set(run, cancel);
    const { index: host, attempt } = run;
    void this.send({ type: 'retry', host, attempt, delay: pause, class: result.class, error: result.error! });
    this.fill();
  }

  /** Milliseconds until another try, or undefined when there is none. */
  private pauseBeforeRetry(run: HostRun<H>, { error, class: end }: HostResult): number | undefined {
    if (!error || end === 'cancelled' || !mayPass(error, run.phaseNow)) return undefined;
    const { retries = 0, dropRetries = 6, backoff = { first: 500, max: 15_000 } } = this.options;
    let tries: number;
    if (isDrop(error, run.phaseNow) && run.drops < dropRetries) tries = run.drops++;
    else if (run.failures < retries) tries = run.failures++;
    else return undefined;
    // Jitter spreads the hosts that failed together; half of the pause stays, so that it remains one.
    return Math.min(backoff.first * 2 ** tries, backoff.max) * (0.5 + this.random() / 2);
  }

  /** The host's place in the run is free only when its result has been taken. */
  private finish(index: number, result: HostResult, run?: HostRun<H>): void {
    this.results[index] = result;
    const taken = this.send({ type: 'result', host: index, result });
    if (isFailure(result)) {
      this.failures++;
      if (this.options.failFast) this.abortAll('fail-fast', new SshError('aborted', 'another host failed'));
      else if (this.failures > this.tolerated) this.stopLaunching('max-failures');
    }
    const free = (): void => {
      if (run) this.atWork.delete(run);
      this.left--;
      if (this.left === 0) this.settled();
      else this.afterHost();
    };
    if (taken) void taken.then(free);
    else free();
  }

  private afterHost(): void {
    this.passSkipped();
    const batchOver = this.next === this.batchEnd && this.atWork.size + this.paused.size + this.again.length === 0;
    if (this.stopped === undefined && batchOver && this.batchEnd < this.hosts.length) void this.nextBatch();
    else this.fill();
  }

  private async nextBatch(): Promise<void> {
    if (this.askingHealth) return;
    this.askingHealth = true;
    const results = this.results.slice(this.batchStart, this.batchEnd) as HostResult[];
    let healthy = false;
    try {
      healthy = (await this.options.healthy?.({ number: this.batchNumber, first: this.batchStart, results })) ?? true;
    } catch (error) {
      this.failSink(error);
    }
    this.askingHealth = false;
    if (!healthy) {
      this.stopLaunching('unhealthy');
      return;
    }
    this.batchStart = this.batchEnd;
    this.batchNumber++;
    // All of the batch may have been skipped already.
    this.afterHost();
  }

  private stopLaunching(cause: StopCause): void {
    if (this.stopped !== undefined) return;
    this.stopped = cause;
    // Another try will not come: what the last one met is how the host ends.
    for (const [run, cancel] of this.paused) {
      cancel();
      this.again.push(run);
    }
    this.paused.clear();
    for (const run of this.again.splice(0)) this.finish(run.index, run.result!);
    const first = this.next;
    this.next = this.hosts.length;
    for (let index = first; index < this.hosts.length; index++) {
      if (this.results[index] === undefined) this.finish(index, NOT_STARTED);
    }
  }

  private abortAll(cause: StopCause, reason: SshError, classOf?: (run: HostRun<H>) => HostClass): void {
    const { stopped } = this;
    this.stopLaunching(cause);
    // A second Ctrl-C after the first: the run's story is the later, harder one.
    if (stopped !== undefined) this.stopped = cause;
    for (const run of this.atWork) run.abort(classOf?.(run) ?? 'cancelled', reason);
  }

  private atDeadline(deadline: number): void {
    const reason = new SshError('timeout', 'the run took too long', { detail: { what: 'run', after: deadline } });
    this.abortAll('deadline', reason, (run) => (run.phaseNow === 'command' ? 'command-timeout' : 'connect-timeout'));
  }

  private failSink(error: unknown): void {
    if (this.sinkError) return;
    this.sinkError = { error };
    this.abortAll('sink', new SshError('aborted', 'the output failed', { cause: error }));
  }

  private send(event: HostEvent): Promise<void> | undefined {
    try {
      return this.sink(event)?.catch((error) => this.failSink(error));
    } catch (error) {
      this.failSink(error);
      return undefined;
    }
  }
}
