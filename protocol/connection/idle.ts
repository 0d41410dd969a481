/**
 * Channels that end when nothing has passed for a while, as ChannelTimeout of ssh_config(5) wants it: each by its own
 * limit, and all of them together by one for the whole connection. Time is told, never asked for.
 */

import type { Channel } from './channel.ts';

interface Watch {
  readonly after: number;
  /** When it was used last; undefined until the clock has been read after the limit was set. */
  at: number | undefined;
}

export class IdleWatch {
  readonly #watched = new Map<Channel, Watch>();
  #all: Watch | undefined;
  #now = 0;

  /** `after` in milliseconds; 0 for no limit. */
  limit(channel: Channel, after: number): void {
    if (after > 0) this.#watched.set(channel, { after, at: undefined });
    else this.#watched.delete(channel);
  }

  /** No channel at all was used for so long: all of them end. */
  limitAll(after: number): void {
    this.#all = after > 0 ? { after, at: undefined } : undefined;
  }

  used(channel: Channel): void {
    const watch = this.#watched.get(channel);
    if (watch !== undefined) watch.at = this.#now;
    if (this.#all !== undefined) this.#all.at = this.#now;
  }

  forget(channel: Channel): void {
    this.#watched.delete(channel);
  }

  deadline(): number | undefined {
    if (this.#unlimited) return undefined;
    let first = Number.POSITIVE_INFINITY;
    for (const { after, at } of this.#watches()) if (at !== undefined) first = Math.min(first, at + after);
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  /** Nothing is limited: the common case, asked about several times a packet. */
  get #unlimited(): boolean {
    return this.#all === undefined && this.#watched.size === 0;
  }

  *#watches(): Iterable<Watch> {
    if (this.#all !== undefined) yield this.#all;
    yield* this.#watched.values();
  }

  /** Those of `channels` that have had their time, each said once. */
  overdue(now: number, channels: Iterable<Channel>): Channel[] {
    this.#now = now;
    if (this.#unlimited) return [];
    const isOver = (watch: Watch | undefined): boolean => {
      if (watch === undefined) return false;
      watch.at ??= now;
      return now >= watch.at + watch.after;
    };
    const all = isOver(this.#all);
    if (all) this.#all!.at = now;
    const over = [...channels].filter((channel) => isOver(this.#watched.get(channel)) || all);
    for (const channel of over) this.#watched.delete(channel);
    return over;
  }
}
