/**
 * The settings gathered for one host while sources are read in their order: the first value wins, lists grow. Knows
 * nothing of files; the default values are filled in by resolve.ts.
 */

import { type KeywordName, keywords, type ValueOf } from './keywords.ts';
import type { ValueType } from './values.ts';

/** Where a value came from, for people. */
export type Origin = string;

export class Settings {
  readonly #values = new Map<KeywordName, unknown>();
  readonly #origins = new Map<KeywordName, Origin>();

  get<K extends KeywordName>(name: K): ValueOf<K> | undefined {
    return this.#values.get(name) as ValueOf<K> | undefined;
  }

  entries(): IterableIterator<[KeywordName, unknown]> {
    return this.#values.entries();
  }

  has(name: KeywordName): boolean {
    return this.#values.has(name);
  }

  /** A value from the next source: does nothing when an earlier one has decided. */
  add(name: KeywordName, value: unknown, origin: Origin): void {
    // ProxyCommand and ProxyJump compete: whichever comes first shuts the other out (ssh_config(5) ProxyJump).
    // `ProxyJump none` leaves room for a ProxyCommand.
    if (name === 'proxycommand' && this.has('proxyjump') && this.get('proxyjump') !== 'none') return;
    if (name === 'proxyjump' && this.has('proxycommand')) return;
    const type: ValueType<unknown> = keywords[name].type;
    if (type.merge !== undefined) {
      this.#values.set(name, type.merge(this.#values.get(name) ?? type.initial, value));
      if (!this.#origins.has(name)) this.#origins.set(name, origin);
    } else if (!this.#values.has(name)) {
      this.#values.set(name, value);
      this.#origins.set(name, origin);
    }
  }

  /** Replaces whatever stands there: options such as `-C` and `-4`, and what the program itself works out. */
  put(name: KeywordName, value: unknown, origin: Origin): void {
    this.#values.set(name, value);
    this.#origins.set(name, origin);
  }

  /** Which source decided each keyword that is set. */
  origins(): Readonly<Partial<Record<KeywordName, Origin>>> {
    return Object.fromEntries(this.#origins);
  }
}
