/** How long each step to a host took, for `ping`: what its states say, without the wait for a turn. */

import { type HostEvent, type Phase, systemClock } from '../../client/index.ts';

const SHOWN: readonly Phase[] = ['connect', 'handshake', 'auth'];

interface Way {
  readonly attempt: number;
  phase: Phase;
  since: number;
  readonly spent: Map<Phase, number>;
}

export class Steps {
  readonly #ways = new Map<number, Way>();

  event(event: HostEvent): void {
    if (event.type !== 'state') return;
    const { host, phase, attempt } = event;
    const now = systemClock.now();
    const way = this.#ways.get(host);
    // Only the try that led there counts.
    if (way?.attempt !== attempt) {
      this.#ways.set(host, { attempt, phase, since: now, spent: new Map() });
      return;
    }
    way.spent.set(way.phase, (way.spent.get(way.phase) ?? 0) + now - way.since);
    way.phase = phase;
    way.since = now;
  }

  /** `: connect 1 ms, handshake 9 ms, auth 4 ms`, when the host is reached. */
  text(host: number): string {
    const spent = this.#ways.get(host)?.spent;
    return `: ${SHOWN.map((phase) => `${phase} ${Math.round(spent?.get(phase) ?? 0)} ms`).join(', ')}`;
  }
}
