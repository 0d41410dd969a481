/**
 * The live line at the foot of a terminal: done, running, pending, failed, and the hosts that take longest.
 *
 * Drawn at most ten times a second and cut to the terminal's width. It leaves no state behind but the line itself,
 * which `hide` takes away; the cursor is never hidden.
 */

import { type FleetClock, type FleetOutcome, type HostEvent, isFailure } from '../../client/index.ts';
import { cutToWidth, neutraliseLine } from '../terminal.ts';
import type { Renderer, RenderHost } from './renderer.ts';

/** A run shorter than this shows no line at all. */
const FIRST_DRAW = 300;
const REDRAW = 100;
/** Without events the seconds still count. */
const TICK = 1000;
const SLOWEST = 3;

export interface StatusOptions {
  readonly hosts: readonly RenderHost[];
  /** Straight to the terminal, unbuffered. */
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly clock: FleetClock;
  readonly progress?: Progress | undefined;
  /** What the answers so far look like; empty for nothing to say. */
  readonly answers?: (() => string) | undefined;
}

/** What a run that knows its amount of work says beside the counts. */
export interface Progress {
  /** Of one host, in place of its seconds; undefined while there is nothing to say. */
  host(index: number): string | undefined;
  total(): string | undefined;
}

export class StatusLine implements Renderer {
  private readonly options: StatusOptions;
  /** Hosts at work and since when; the longest are first. */
  private readonly running = new Map<number, number>();
  private ok = 0;
  private failed = 0;
  private ended = 0;
  private visible = false;
  private over = false;
  private drawnAt: number;
  private timer: unknown;
  private timerAt = Number.POSITIVE_INFINITY;

  constructor(options: StatusOptions) {
    this.options = options;
    // As if just drawn, so that the first line comes only after a while.
    this.drawnAt = options.clock.now() + FIRST_DRAW - REDRAW;
    this.drawSoon();
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
    this.drawSoon();
  }

  end(_outcome: FleetOutcome): void {
    this.over = true;
    this.options.clock.clearTimeout(this.timer);
    this.hide();
  }

  /** Out of the way of other output; it comes back by itself. */
  hide(): void {
    if (!this.visible) return;
    this.visible = false;
    this.options.write('\r\x1b[K');
  }

  drawSoon(): void {
    this.arm(Math.max(0, this.drawnAt + REDRAW - this.options.clock.now()));
  }

  /** The text of the line, whatever its length. */
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

  private arm(ms: number): void {
    const { clock } = this.options;
    const at = clock.now() + ms;
    if (this.over || at >= this.timerAt) return;
    clock.clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = clock.setTimeout(() => this.draw(), ms);
  }

  private draw(): void {
    const { clock, write, columns } = this.options;
    this.timerAt = Number.POSITIVE_INFINITY;
    this.drawnAt = clock.now();
    // The last column stays free: some terminals wrap as soon as it is written.
    write(`\r\x1b[K${cutToWidth(this.text(), columns() - 1)}`);
    this.visible = true;
    this.arm(TICK);
  }
}
