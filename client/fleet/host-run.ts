/**
 * One host at work: the context its task sees, its phase clock, its timers, and the way from outcome to result.
 *
 * It decides nothing about other hosts; the run that owns it hears of the end through one callback.
 */

import { SshError } from '../../protocol/index.ts';
import { asSshError, classify } from './classify.ts';
import { after } from './clock.ts';
import type { Slots } from './slots.ts';
import type {
  FleetClock,
  FleetHost,
  HostClass,
  HostContext,
  HostResult,
  HostSink,
  HostTask,
  OutputStream,
  Phase,
  TaskOutcome,
} from './types.ts';

/** What every host of a run shares. */
export interface Shared<H extends FleetHost> {
  readonly task: HostTask<H>;
  readonly sink: HostSink;
  readonly slots: Slots;
  readonly clock: FleetClock;
  readonly commandTimeout: number | ((host: number) => number);
  readonly grace: number;
  readonly onSinkError: (error: unknown) => void;
  readonly onEnd: (run: HostRun<H>) => void;
}

export class HostRun<H extends FleetHost> implements HostContext {
  readonly index: number;
  attempt = 0;
  /** Set at the end of an attempt. */
  result: HostResult | undefined;
  phaseNow: Phase = 'connect';
  /** Drops by an overloaded server so far: counted apart from other failures. */
  drops = 0;
  failures = 0;
  private readonly host: H;
  private readonly shared: Shared<H>;
  private controller = new AbortController();
  private startedAt = 0;
  private phaseAt = 0;
  private phases: Partial<Record<Phase, number>> = {};
  private readonly bytes: Record<OutputStream, number> = { stdout: 0, stderr: 0 };
  private endAs: HostClass | undefined;
  private cancelTimer: (() => void) | undefined;
  private releases: (() => void)[] = [];
  private open = false;

  constructor(index: number, host: H, shared: Shared<H>) {
    this.index = index;
    this.host = host;
    this.shared = shared;
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  launch(): void {
    const { clock } = this.shared;
    this.attempt++;
    this.phaseAt = clock.now();
    if (this.attempt === 1) this.startedAt = this.phaseAt;
    else this.controller = new AbortController();
    this.phaseNow = 'connect';
    this.phases = {};
    this.result = undefined;
    this.open = true;
    this.emitState();
    Promise.resolve()
      .then(() => this.shared.task(this.host, this))
      .then(
        (outcome) => this.end(outcome ?? {}, undefined),
        (thrown) => this.end({}, asSshError(thrown)),
      );
  }

  /** Fires the task's signal; the task has the grace time to end what it started. */
  abort(endAs: HostClass, reason: SshError): void {
    if (!this.open || this.endAs !== undefined) return;
    this.endAs = endAs;
    this.cancelTimer?.();
    this.cancelTimer = after(this.shared.clock, this.shared.grace, () => this.end({}, reason));
    this.controller.abort(reason);
  }

  async handshake(): Promise<() => void> {
    const before = this.phaseNow;
    const slot = this.shared.slots.take(this.host.gateway, this.signal);
    this.phase('wait');
    const release = await slot;
    if (!this.open) {
      release();
      throw new SshError('aborted', 'the host was given up');
    }
    this.releases.push(release);
    this.phase(before);
    return release;
  }

  phase(phase: Phase): void {
    if (!this.open || phase === this.phaseNow) return;
    this.closePhase();
    this.phaseNow = phase;
    const { commandTimeout: limit, clock } = this.shared;
    const commandTimeout = typeof limit === 'number' ? limit : limit(this.index);
    if (phase === 'command' && commandTimeout > 0 && this.endAs === undefined) {
      this.cancelTimer = after(clock, commandTimeout, () => {
        const detail = { what: 'command', after: commandTimeout };
        this.abort('command-timeout', new SshError('timeout', 'the command took too long', { detail }));
      });
    }
    this.emitState();
  }

  output(stream: OutputStream, data: Uint8Array): void | Promise<void> {
    if (!this.open || data.length === 0) return;
    this.bytes[stream] += data.length;
    return this.emit(() => this.shared.sink({ type: 'output', host: this.index, stream, data }));
  }

  private emitState(): void {
    const { index, phaseNow, attempt } = this;
    this.emit(() => this.shared.sink({ type: 'state', host: index, phase: phaseNow, attempt }));
  }

  /** A sink that fails ends the run, not the task that happened to speak. */
  private emit(send: () => void | Promise<void>): void | Promise<void> {
    try {
      return send()?.catch(this.shared.onSinkError);
    } catch (error) {
      this.shared.onSinkError(error);
    }
  }

  private closePhase(): void {
    const now = this.shared.clock.now();
    this.phases[this.phaseNow] = (this.phases[this.phaseNow] ?? 0) + (now - this.phaseAt);
    this.phaseAt = now;
  }

  private end(outcome: TaskOutcome, thrown: SshError | undefined): void {
    // The late answer of a task that was given up after its grace.
    if (!this.open) return;
    this.closePhase();
    this.open = false;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    for (const release of this.releases) release();
    this.releases = [];
    this.result = this.conclude(outcome, thrown);
    this.shared.onEnd(this);
  }

  private conclude(outcome: TaskOutcome, thrown: SshError | undefined): HostResult {
    const { exitStatus, signal } = outcome;
    let error = thrown ?? outcome.error;
    if (!error && exitStatus === null && signal === undefined) {
      error = new SshError('channel-request', 'the channel closed without an exit status', { by: 'peer' });
    }
    let cls = error ? classify(error, this.phaseNow) : signal !== undefined ? 'signal' : exitStatus ? 'exit' : 'ok';
    let gone: boolean | undefined;
    // A command that came to its own end while we were about to stop it keeps that end.
    const byItself = !error && outcome.gone === undefined;
    if (this.endAs !== undefined && !byItself) {
      cls = this.endAs;
      if (error === undefined || error.code === 'aborted') error = this.signal.reason as SshError;
      if (this.phaseNow === 'command') gone = outcome.gone ?? false;
    }
    return {
      class: cls,
      ...(typeof exitStatus === 'number' && { exitStatus }),
      ...(signal !== undefined && { signal }),
      ...(error !== undefined && { error }),
      ...(gone !== undefined && { gone }),
      attempts: this.attempt,
      ms: this.shared.clock.now() - this.startedAt,
      phases: this.phases,
      bytes: { ...this.bytes },
    };
  }
}
