/** Where a run stands, in a line: done, running, pending, failed, and the hosts that take longest. It writes nothing. */

import { type FleetClock, type HostEvent, isFailure } from '../../client/index.ts';
import { neutraliseLine } from '../terminal.ts';
import type { Renderer, RenderHost } from './renderer.ts';

const SLOWEST = 3;

/** What a run that knows its amount of work says beside the counts. */
export interface Progress {
  /** Of one host, in place of its seconds; undefined while there is nothing to say. */
  host(index: number): string | undefined;
  total(): string | undefined;
}

export interface TallyOptions {
  readonly hosts: readonly RenderHost[];
  readonly clock: Pick<FleetClock, 'now'>;
  readonly progress?: Progress | undefined;
  /** What the answers so far look like; empty for nothing to say. */
  readonly answers?: (() => string) | undefined;
}

export class Tally implements Renderer {
  private readonly options: TallyOptions;
  /** Hosts at work and since when; the longest are first. */
  private readonly running = new Map<number, number>();
  private ok = 0;
  private failed = 0;
  private ended = 0;

  constructor(options: TallyOptions) {
    this.options = options;
  }

  event(event: HostEvent): void {
    if (event.type === 'output') return;
    const { host } = event;
    if (event.type === 'state') {
      if (!this.running.has(host)) this.running.set(host, this.options.clock.now());
    } else {
      this.running.delete(host);
    }
    if (event.type === 'result') {
      this.ended++;
      if (event.result.class === 'ok') this.ok++;
      else if (isFailure(event.result)) this.failed++;
    }
  }

  end(): void {}

  text(): string {
    const { hosts, clock, progress, answers } = this.options;
    const pending = hosts.length - this.ended - this.running.size;
    const counts = `${this.ok} done, ${this.running.size} running, ${pending} pending, ${this.failed} failed`;
    const slowest: string[] = [];
    for (const [host, since] of this.running) {
      if (slowest.length === SLOWEST) break;
      const work = progress?.host(host) ?? `${Math.floor((clock.now() - since) / 1000)}s`;
      slowest.push(`${hosts[host]!.name} ${work}`);
    }
    const parts = [counts, answers?.() ?? '', progress?.total() ?? '', slowest.join(', ')].filter(
      (part) => part !== '',
    );
    return neutraliseLine(parts.join(' | '));
  }
}
