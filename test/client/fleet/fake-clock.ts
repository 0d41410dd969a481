/** A clock that stands still until it is told to go: no test of a timeout waits for one. */

import type { FleetClock } from '../../../client/index.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Lets everything that waits on promises alone run to its end. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class FakeClock implements FleetClock {
  private time = 0;
  private readonly timers = new Set<Timer>();

  get pending(): number {
    return this.timers.size;
  }

  now(): number {
    return this.time;
  }

  setTimeout(run: () => void, ms: number): Timer {
    const timer = { at: this.time + ms, run };
    this.timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.timers.delete(timer as Timer);
  }

  /** Goes on by `ms`, stopping at every timer that is due on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const due = [...this.timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers.delete(due);
      this.time = due.at;
      due.run();
      await settle();
    }
    this.time = end;
  }
}
