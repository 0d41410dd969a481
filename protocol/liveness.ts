/**
 * Signs of life: when the peer was heard last, when to ask whether it is still there, when to give up, and how long
 * answers take. Time is told, never asked for.
 */

import { Disconnect, SshError } from './errors.ts';

export interface KeepaliveOptions {
  /** Milliseconds of silence before we ask. */
  readonly interval: number;
  /** Unanswered questions after which the peer counts as gone. */
  readonly count: number;
}

export class Liveness {
  readonly #options: KeepaliveOptions | undefined;
  #heardAt: number;
  #askedAt: number;
  #unanswered = 0;
  /** When the oldest unanswered question of the log-in left. */
  #questionAt: number | undefined;
  #roundTrip: number | undefined;

  constructor(options: KeepaliveOptions | undefined, now: number, roundTrip?: number) {
    this.#options = options;
    this.#roundTrip = roundTrip;
    this.#heardAt = this.#askedAt = now;
  }

  /** The quickest answer so far in milliseconds. */
  get roundTrip(): number | undefined {
    return this.#roundTrip;
  }

  /** Something came: whatever it is, the peer lives. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#unanswered = 0;
  }

  /** A question left whose answer can be told apart from everything else. */
  questioned(now: number): void {
    this.#questionAt ??= now;
  }

  answered(now: number): void {
    if (this.#questionAt === undefined) return;
    this.#roundTrip = Math.min(now - this.#questionAt, this.#roundTrip ?? Number.POSITIVE_INFINITY);
    this.#questionAt = undefined;
  }

  /** When to ask next; undefined for never. */
  deadline(): number | undefined {
    return this.#options === undefined ? undefined : Math.max(this.#heardAt, this.#askedAt) + this.#options.interval;
  }

  /** Whether it is time to ask; throws 'timeout' when it has been asked often enough. */
  due(now: number): boolean {
    const deadline = this.deadline();
    if (this.#options === undefined || deadline === undefined || now < deadline) return false;
    const { interval, count } = this.#options;
    if (this.#unanswered >= count) {
      throw new SshError('timeout', 'the peer gave no sign of life', {
        by: 'peer',
        disconnect: Disconnect.connectionLost,
        detail: { what: 'keepalive', after: interval * (count + 1) },
      });
    }
    this.#unanswered++;
    this.#askedAt = now;
    return true;
  }
}
