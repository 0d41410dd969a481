/**
 * Hides when keys are struck (ObscureKeystrokeTiming of ssh_config(5)): while somebody types, what they type leaves at a
 * steady pace, and for a while after the last key PINGs of the same size leave in its place (OpenSSH PROTOCOL section
 * 1.10), whose answers look like echoes. Anything larger than typing turns the cover off and passes at once.
 */

import type { Channel } from './connection/channel.ts';

/** More than this is no typing. */
const KEYSTROKE_BYTES = 256;
/** Fake keys go on for a random time in this range after the last real one, in milliseconds. */
const CHAFF_MIN = 1024;
const CHAFF_RANGE = 2048;
/** The pace varies by this share either way, so that it is no clock of ours that leaks instead. */
const JITTER = 0.1;

export class KeystrokeCover {
  readonly #channel: Channel;
  readonly #interval: number;
  readonly #random: () => number;
  /** When the next packet leaves, real or not; undefined: nobody has typed lately. */
  #nextAt: number | undefined;
  #chaffUntil = 0;
  #due = false;

  /** `random` gives numbers from 0 up to 1. */
  constructor(channel: Channel, interval: number, random: () => number) {
    this.#channel = channel;
    this.#interval = interval;
    this.#random = random;
  }

  /** Undefined as well when `step` is wanted rather than the clock. */
  deadline(): number | undefined {
    return this.#due ? undefined : this.#nextAt;
  }

  tick(now: number): void {
    if (this.#nextAt !== undefined && now >= this.#nextAt) this.#due = true;
  }

  /** Before packets are formed: holds the channel's data or lets it go; true when a fake key is to leave. */
  step(now: number): boolean {
    const { buffered, state } = this.#channel;
    if (buffered > KEYSTROKE_BYTES || state !== 'open') return this.stop();
    if (this.#nextAt === undefined) {
      if (buffered > 0) this.#typed(now);
      return false;
    }
    this.#channel.held = !this.#due;
    if (!this.#due) return false;
    if (buffered > 0) this.#typed(now);
    else if (now >= this.#chaffUntil) return this.stop();
    else this.#schedule(now);
    return buffered === 0;
  }

  #typed(now: number): void {
    this.#chaffUntil = now + CHAFF_MIN + CHAFF_RANGE * this.#random();
    this.#schedule(now);
  }

  #schedule(now: number): void {
    this.#due = false;
    this.#nextAt = now + this.#interval * (1 - JITTER + 2 * JITTER * this.#random());
  }

  /** Lets go of what is held; the next key begins anew. */
  stop(): false {
    this.#nextAt = undefined;
    this.#due = this.#channel.held = false;
    return false;
  }
}
