/** The system's clock, and a timer without setTimeout's limit of 2^31-1 milliseconds (which would fire at once). */

import type { FleetClock } from './types.ts';

const LONGEST = 2 ** 31 - 1;

export const systemClock: FleetClock = {
  now: () => performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

/** Runs something once after `ms`; the answer cancels it. */
export function after(clock: FleetClock, ms: number, run: () => void): () => void {
  let timer: unknown;
  const arm = (left: number): void => {
    timer = clock.setTimeout(left > LONGEST ? () => arm(left - LONGEST) : run, Math.min(left, LONGEST));
  };
  arm(ms);
  return () => clock.clearTimeout(timer);
}
