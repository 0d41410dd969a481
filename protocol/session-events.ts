/**
 * What a session has to tell and nobody has taken yet, and its end: once, and the last of all. For a connection of our own
 * and for one that is shared alike; what an end means for the bytes on the wire is theirs.
 */

import { Disconnect, SshError } from './errors.ts';
import { limits } from './limits.ts';
import { Queue } from './queue.ts';

export class SessionEvents<E> {
  readonly #queue = new Queue<E>();
  #ended = false;
  #failure: SshError | undefined;

  get ended(): boolean {
    return this.#ended;
  }
  /** What ended it; undefined before, and when it ended in peace. */
  get failure(): SshError | undefined {
    return this.#failure;
  }

  emit(event: E): void {
    // A session that closes has its last words, one for each channel.
    if (!this.#ended && this.#queue.length >= limits.pendingEvents) {
      throw new SshError('limit', 'too many events wait to be taken', {
        by: 'peer',
        disconnect: Disconnect.byApplication,
      });
    }
    this.#queue.push(event);
  }

  poll(): E | undefined {
    return this.#queue.shift();
  }

  /** The end, unless it has been: `dying` may still emit, and `last` comes after that. */
  end(failure: SshError | undefined, dying: () => void, last: E): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    dying();
    this.#queue.push(last);
  }

  /** Runs a step; `failed` hears of an error of SSH in it, once, and not of one that is the caller's own fault. */
  guarded(step: () => void, failed: (error: SshError) => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof SshError) || error.code === 'usage') throw error;
      if (!this.#ended) failed(error);
    }
  }
}
