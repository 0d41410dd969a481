/**
 * The live line at the foot of a terminal: done, running, pending, failed, and the hosts that take longest.
 *
 * Drawn at most ten times a second and cut to the terminal's width. It leaves no state behind but the line itself,
 * which `hide` takes away; the cursor is never hidden.
 */

import type { FleetClock, FleetOutcome, HostEvent } from '../../client/index.ts';
import { cutToWidth } from '../terminal.ts';
import type { Renderer } from './renderer.ts';
import { Tally, type TallyOptions } from './tally.ts';

/** A run shorter than this shows no line at all. */
const FIRST_DRAW = 300;
const REDRAW = 100;
/** Without events the seconds still count. */
const TICK = 1000;

export interface StatusOptions extends TallyOptions {
  /** Straight to the terminal, unbuffered. */
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly clock: FleetClock;
}

export class StatusLine implements Renderer {
  private readonly options: StatusOptions;
  private readonly tally: Tally;
  private visible = false;
  private over = false;
  private drawnAt: number;
  private timer: unknown;
  private timerAt = Number.POSITIVE_INFINITY;

  constructor(options: StatusOptions) {
    this.options = options;
    this.tally = new Tally(options);
    // As if just drawn, so that the first line comes only after a while.
    this.drawnAt = options.clock.now() + FIRST_DRAW - REDRAW;
    this.drawSoon();
  }

  event(event: HostEvent): void {
    if (event.type === 'output') return;
    this.tally.event(event);
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
    return this.tally.text();
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
