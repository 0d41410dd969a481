/**
 * What every output mode is: a taker of events, and something to say at the end.
 *
 * Modes know hosts by name only; they decide neither what runs nor what the process exits with.
 */

import type { FleetOutcome, HostEvent, HostResult } from '../../client/index.ts';

/** What a renderer may know of a host. */
export interface RenderHost {
  /** As the user calls it; distinct from all others of the run. */
  readonly name: string;
  readonly host?: string | undefined;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

export interface Renderer {
  /** A promise holds the event's host back. */
  event(event: HostEvent): void | Promise<void>;
  /** After the last event; resolves when all is written. */
  end(outcome: FleetOutcome): void | Promise<void>;
}

/** Several renderers as one: each event to each, held back by the slowest. */
export function combine(parts: readonly Renderer[]): Renderer {
  return {
    event(event) {
      let waits: Promise<void> | undefined;
      for (const part of parts) {
        const wait = part.event(event);
        if (wait) waits = waits ? Promise.all([waits, wait]).then(() => {}) : wait;
      }
      return waits;
    },
    async end(outcome) {
      for (const part of parts) await part.end(outcome);
    },
  };
}

/** `ok`, `exit 3`, `signal TERM`, `refused`: how a class is written everywhere. */
export const classLabel = (result: Pick<HostResult, 'class' | 'exitStatus' | 'signal'>): string => {
  if (result.class === 'exit') return `exit ${result.exitStatus}`;
  if (result.class === 'signal') return `signal ${result.signal}`;
  return result.class;
};
