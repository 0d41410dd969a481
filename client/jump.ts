/**
 * Jump hosts (ProxyJump): one connection for each distinct chain of hops, shared by every target behind it.
 *
 * Each hop is a host like any other, with its own plan, host key, keys and prompts, opened through the hop before it. A
 * gateway is dialled once for all who wait, lives while it is used and a little longer, and is dialled anew when it died.
 */

import { SshError } from '../protocol/index.ts';
import {
  abortable,
  abortError,
  type ByteStream,
  type ChannelIo,
  channelBytes,
  monotonicNow,
} from '../transport/index.ts';
import type { Destination } from './config/destination.ts';
import type { HostPlan } from './config/plan.ts';
import type { Connection } from './connection.ts';
import { isDrop } from './fleet/classify.ts';
import type { Phase } from './fleet/types.ts';
import { openDirect } from './forward/local.ts';
import { type OpenContext, openHost } from './open.ts';

export interface JumpPoolOptions {
  /**
   * The plan of a hop. `via` are the hops before it as they were asked for; empty for the first one, whose own
   * ProxyJump then counts.
   */
  resolve(hop: Destination, via: readonly Destination[]): HostPlan | Promise<HostPlan>;
  /** What a hop is opened with: prompts, keys, log. How it is reached and when it is given up is decided here. */
  context(plan: HostPlan): Omit<OpenContext, 'jump' | 'signal' | 'handshake'>;
  /** Milliseconds an unused gateway is kept; default 5000. */
  readonly linger?: number;
  /** Tries, beyond the first, for a gateway that sheds load or has no channel to spare. Default 6. */
  readonly retries?: number;
  /** First pause between such tries in milliseconds, doubled each time up to 15 s. Default 500. */
  readonly backoff?: number;
}

type To = { readonly host: string; readonly port: number };

const LINGER = 5000;
const RETRIES = 6;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** Milliseconds for which a failure of the network stands for those who come a moment later. */
const FAILURE_MEMORY = 1000;
/** Hops behind one another, configured ones included; ssh(1) has a process for each. */
const DEPTH = 32;

/** Failures that another try would only repeat, with its prompts: they stand for good. */
const lasting: ReadonlySet<string> = new Set([
  'host-key',
  'host-key-signature',
  'auth',
  'config',
  'no-common-algorithm',
]);

const labelOf = ({ user, hostName, port }: HostPlan): string => `${user}@${hostName}:${port}`;

interface Failure {
  readonly error: SshError;
  readonly until: number;
}

interface Way {
  readonly key: string;
  readonly plan: HostPlan;
}

export class JumpPool {
  readonly #options: JumpPoolOptions;
  /** By the hops as they were asked for. */
  readonly #plans = new Map<string, Promise<HostPlan>>();
  readonly #gateways = new Map<string, Gateway>();
  readonly #failures = new Map<string, Failure>();
  #closed = false;

  constructor(options: JumpPoolOptions) {
    this.#options = options;
  }

  /** Gateways that are open or being opened. */
  get size(): number {
    return this.#gateways.size;
  }

  /** For `OpenContext.jump`: a byte stream to `to` through `hops`, nearest first. */
  readonly jump = async (
    hops: readonly Destination[],
    to: To,
    signal: AbortSignal | undefined,
  ): Promise<ByteStream> => {
    for (let attempt = 0; ; attempt++) {
      const gateway = await this.#gateway(hops, signal);
      const io = await this.#open(gateway, to, attempt, signal);
      if (io !== undefined) return channelBytes(io);
    }
  };

  /** undefined: try again. The gateway is left when the channel ends. */
  async #open(
    gateway: Gateway,
    to: To,
    attempt: number,
    signal: AbortSignal | undefined,
  ): Promise<ChannelIo | undefined> {
    const { retries = RETRIES } = this.#options;
    try {
      const io = await gateway.reach(to, signal);
      void io.closed.then(() => gateway.leave());
      return io;
    } catch (error) {
      gateway.leave();
      if (!(error instanceof SshError) || error.code === 'aborted') throw error;
      const died = gateway.connection.isClosed;
      const full = error.code === 'limit' || (error.code === 'channel-open' && error.detail.reason === 4);
      if ((died && attempt === 0) || (full && attempt < retries)) {
        if (full) await pause(this.#pauseFor(attempt), signal);
        return undefined;
      }
      throw new SshError('proxy', 'the jump host could not reach the target', {
        cause: error,
        detail: { hop: gateway.label, ...to },
      });
    }
  }

  #pauseFor(attempt: number): number {
    return Math.min(LONGEST_PAUSE, (this.#options.backoff ?? FIRST_PAUSE) * 2 ** attempt);
  }

  /** An open gateway at the end of `hops`, entered. */
  async #gateway(hops: readonly Destination[], signal: AbortSignal | undefined): Promise<Gateway> {
    const { key, plan } = await this.#way(hops, []);
    for (;;) {
      if (this.#closed) throw new SshError('closed', 'the jump hosts are closed');
      if (signal?.aborted) throw abortError(signal);
      const failure = this.#failures.get(key);
      if (failure !== undefined && monotonicNow() < failure.until) throw failure.error;
      const gateway = this.#gateways.get(key) ?? this.#dial(key, plan);
      gateway.enter();
      try {
        await abortable(gateway.opened, signal);
      } catch (error) {
        gateway.leave();
        throw error;
      }
      if (!gateway.connection.isClosed) return gateway;
      gateway.leave();
      this.#forget(key, gateway);
    }
  }

  #forget(key: string, gateway: Gateway): void {
    if (this.#gateways.get(key) === gateway) this.#gateways.delete(key);
  }

  #dial(key: string, plan: HostPlan): Gateway {
    const gateway = new Gateway(labelOf(plan), this.#options.linger ?? LINGER, () => this.#forget(key, gateway));
    this.#gateways.set(key, gateway);
    this.#failures.delete(key);
    gateway.start(async (signal) => {
      try {
        return await this.#dialPatiently(plan, signal);
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        const failure = hopFailure(error, labelOf(plan));
        const stands = causes(failure).some(({ code }) => lasting.has(code));
        if (!signal.aborted) {
          this.#failures.set(key, {
            error: failure,
            until: stands ? Number.POSITIVE_INFINITY : monotonicNow() + FAILURE_MEMORY,
          });
        }
        throw failure;
      }
    });
    return gateway;
  }

  /** A server beyond its MaxStartups hangs up without a word: it is asked again, later and later. */
  async #dialPatiently(plan: HostPlan, signal: AbortSignal): Promise<Connection> {
    const { retries = RETRIES } = this.#options;
    const context = this.#options.context(plan);
    for (let attempt = 0; ; attempt++) {
      let phase: Phase = 'connect';
      try {
        const opened = await openHost(plan, {
          ...context,
          jump: this.jump,
          signal,
          onPhase: (next) => {
            phase = next;
            context.onPhase?.(next);
          },
        });
        return opened.connection;
      } catch (error) {
        if (attempt >= retries || !(error instanceof SshError) || !isDrop(error, phase)) throw error;
        context.log?.(1, `${labelOf(plan)} hung up before it spoke; trying again`);
        // Up to half as long again, so that processes that were turned away together do not come back together.
        await pause(this.#pauseFor(attempt) * (1 + context.crypto.random(1)[0]! / 512), signal);
      }
    }
  }

  /** Hosts that could not be reached or logged in to are tried again. */
  forgetFailures(): void {
    this.#failures.clear();
  }

  /** The plan of the last hop, and what makes its chain distinct. */
  async #way(hops: readonly Destination[], above: readonly string[]): Promise<Way> {
    const asked = JSON.stringify(hops.map(({ user, host, port }) => [user, host, port]));
    const hop = hops.at(-1);
    if (hop === undefined) throw new SshError('usage', 'no jump host is named');
    if (above.includes(asked) || above.length >= DEPTH) throw loop(hop.host);
    let resolving = this.#plans.get(asked);
    if (resolving === undefined) {
      resolving = this.#resolve(hop, hops.slice(0, -1));
      this.#plans.set(asked, resolving);
    }
    const plan = await resolving;
    const before = plan.proxyJump.length === 0 ? '' : (await this.#way(plan.proxyJump, [...above, asked])).key;
    return { key: JSON.stringify([before, plan.proxyCommand ?? '', labelOf(plan), plan.hostKey.alias ?? '']), plan };
  }

  async #resolve(hop: Destination, via: readonly Destination[]): Promise<HostPlan> {
    const resolved = await this.#options.resolve(hop, via);
    const { proxyCommand: _, ...rest } = resolved;
    // The hops named before this one outrank its own configuration, as `ssh -J` has it.
    const plan: HostPlan = via.length > 0 ? { ...rest, proxyJump: via } : resolved;
    const last = plan.proxyJump.at(-1);
    if (last !== undefined && isSame(last, plan)) throw loop(last.host);
    return plan;
  }

  /** Ends every gateway, and with it what runs through it. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#gateways.values()];
    this.#gateways.clear();
    await Promise.all(all.map((gateway) => gateway.close()));
  }
}

const loop = (host: string): SshError =>
  new SshError('config', `jumphost loop via ${host}`, { detail: { reason: 'jump-loop', hop: host } });

/** Whether a host is to be reached through itself. */
const isSame = (hop: Destination, plan: HostPlan): boolean =>
  hop.host === plan.host && (hop.port ?? 22) === plan.port && (hop.user ?? plan.user) === plan.user;

/** One connection, its users, and the time it may be without any. */
class Gateway {
  readonly label: string;
  readonly #linger: number;
  readonly #gone: () => void;
  readonly #abort = new AbortController();
  #opened: Promise<void> | undefined;
  #connection: Connection | undefined;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(label: string, linger: number, gone: () => void) {
    this.label = label;
    this.#linger = linger;
    this.#gone = gone;
  }

  start(dial: (signal: AbortSignal) => Promise<Connection>): void {
    this.#opened = dial(this.#abort.signal).then(
      (connection) => {
        this.#connection = connection;
        void connection.closed.then(() => this.#over());
      },
      (error: unknown) => {
        this.#over();
        throw error;
      },
    );
    this.#opened.catch(() => {});
  }

  #over(): void {
    clearTimeout(this.#timer);
    this.#gone();
  }

  get opened(): Promise<void> {
    return this.#opened!;
  }

  /** Only after `opened`. */
  get connection(): Connection {
    return this.#connection!;
  }

  enter(): void {
    this.#users++;
    clearTimeout(this.#timer);
  }

  leave(): void {
    if (--this.#users > 0) return;
    if (this.#connection === undefined) {
      // Nobody waits for it any more.
      this.#gone();
      this.#abort.abort(new SshError('aborted', 'the jump host is not needed any more'));
    } else if (!this.#connection.isClosed) {
      this.#timer = setTimeout(() => void this.close(), this.#linger);
    }
  }

  async reach(to: To, signal: AbortSignal | undefined): Promise<ChannelIo> {
    const opening = openDirect(this.connection, { kind: 'tcp', ...to });
    try {
      return await abortable(opening, signal);
    } catch (error) {
      // It may still open: nobody takes it then.
      opening.then(
        (io) => {
          io.discard();
          io.close();
        },
        () => {},
      );
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#over();
    this.#abort.abort(new SshError('closed', 'the jump hosts are closed'));
    await this.#connection?.close();
  }
}

/** The error told to all who wait for a hop; a hop before it that failed has said so itself. */
function hopFailure(error: SshError, hop: string): SshError {
  if (error.code === 'proxy' && error.detail.hop !== undefined) return error;
  return new SshError('proxy', `the jump host ${hop} failed`, { cause: error, detail: { hop } });
}

function causes(error: SshError): SshError[] {
  return error.cause instanceof SshError ? [error, ...causes(error.cause)] : [error];
}

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<void>((resolve) => void (timer = setTimeout(resolve, ms)));
  return abortable(waited, signal).finally(() => clearTimeout(timer));
};
