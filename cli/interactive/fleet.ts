/** The nodes' connections: all at the beginning, the lost ones again later; how many at a time is the fleet's business. */

import { isatty } from 'node:tty';
import { type HostPlan, type HostResult, type JumpPool, openHost, runOnHosts, SshError } from '../../client/index.ts';
import { forwardsOf } from '../commands/fleet.ts';
import { jumpPool, logTo, openContext, type RunContext, showBanner } from '../context.ts';
import { environment } from '../environment.ts';
import { describeError } from '../errors.ts';
import type { FleetEntry } from '../fleet-run.ts';
import type { RunOptions } from '../options/run.ts';
import { type NodeEvents, ShellNode } from './node.ts';

export interface FleetSettings {
  readonly entries: readonly FleetEntry[];
  readonly context: RunContext;
  readonly run: RunOptions;
  /** Hosts at a time. */
  readonly parallel: number;
  readonly directory: string | undefined;
  readonly events: NodeEvents;
  /** A connection that could not be had. */
  readonly onFailure: (node: ShellNode, text: string) => void;
}

/** How long a node may take for an interrupt or a goodbye, in milliseconds. */
const PATIENCE = 2000;

export class NodeFleet {
  readonly nodes: readonly ShellNode[];
  readonly #settings: FleetSettings;
  readonly #pool: JumpPool;

  constructor(settings: FleetSettings) {
    this.#settings = settings;
    const { entries, context, directory, events } = settings;
    this.#pool = jumpPool(context, 'many');
    this.nodes = entries.map(
      ({ name, plan }, index) =>
        new ShellNode({
          number: index + 1,
          host: name,
          user: plan.user,
          env: environment(plan, context.env),
          directory,
          events,
          random: (bytes) => context.crypto.random(bytes),
        }),
    );
  }

  /** Connects these; one result for each. Told of each that came to its end, good or bad. */
  async connect(
    nodes: readonly ShellNode[],
    signal: AbortSignal,
    onEach: () => void = () => {},
  ): Promise<readonly HostResult[]> {
    const { entries, context, run, parallel, onFailure } = this.#settings;
    const jobs = nodes.map((node) => ({ ...entries[node.number - 1]!, node }));
    const isTerminal = isatty(2);
    const { results } = await runOnHosts(
      jobs,
      async (job, host) => {
        const { node, name, plan } = job;
        const opened = await openHost(
          plan,
          openContext(context, {
            signal: host.signal,
            boundLogin: true,
            jump: this.#pool.jump,
            handshake: () => host.handshake(),
            onPhase: (phase) => host.phase(phase),
            onBanner: (message) => showBanner(message, context.log, isTerminal),
            warn: (text) => context.log.info(`${name}: ${text}`),
            log: logTo(context.log, `${name}: `),
          }),
        );
        host.phase('command');
        await node.attach(opened, await forwardsOf(job, node.number - 1, context, opened));
      },
      (event) => {
        if (event.type !== 'result') return;
        const { node, plan } = jobs[event.host]!;
        if (event.result.error !== undefined) onFailure(node, this.describe(plan, event.result.error));
        onEach();
      },
      {
        parallel,
        ...(run.handshakes !== undefined && { handshakeLimit: run.handshakes }),
        retries: run.retries,
        signal,
      },
    );
    return results;
  }

  describe(plan: HostPlan, error: unknown): string {
    if (!(error instanceof SshError)) return error instanceof Error ? error.message : 'the connection was closed';
    const { user, host, hostName, port } = plan;
    return describeError(error, { program: this.#settings.context.program, user, host, hostName, port });
  }

  planOf(node: ShellNode): HostPlan {
    return this.#settings.entries[node.number - 1]!.plan;
  }

  /** Ctrl-C for what runs on these; settles when it was sent, or could not be in time. */
  async interrupt(nodes: readonly ShellNode[]): Promise<void> {
    await inTime(Promise.allSettled(nodes.map((node) => node.interrupt())));
  }

  /** Ends everything; a node that does not answer is not waited for long. */
  async close(): Promise<void> {
    await inTime(Promise.allSettled(this.nodes.map((node) => node.close())).then(() => this.#pool.close()));
  }
}

async function inTime(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => void (timer = setTimeout(resolve, PATIENCE)));
  await Promise.race([work, late]);
  clearTimeout(timer);
}
