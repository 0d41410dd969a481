/** Ctrl-R: back through the history for lines that contain what is typed. Pure; Node's line editor has no such search. */

export type SearchStep =
  | { readonly kind: 'show' }
  /** The line found is the line; `rest` are the keys that ended the search, for the editor. */
  | { readonly kind: 'accept'; readonly rest: string }
  | { readonly kind: 'cancel' };

export const SEARCH_KEY = '\x12';

const ERASE = /^[\x7f\b]$/;
const CANCEL = /^[\x03\x07]$/;
const CONTROL = /[\x00-\x1f\x7f]/;

export class HistorySearch {
  readonly #history: readonly string[];
  #pattern = '';
  /** Place of the line found; -1 before there is one. */
  #at = -1;
  #failed = false;

  /** Newest first. */
  constructor(history: readonly string[]) {
    this.#history = history;
  }

  get prompt(): string {
    return `(${this.#failed ? 'failed ' : ''}reverse-i-search)\`${this.#pattern}': `;
  }

  get match(): string {
    return this.#history[this.#at] ?? '';
  }

  feed(typed: string): SearchStep {
    if (typed === SEARCH_KEY) this.#find(this.#at + 1);
    else if (ERASE.test(typed)) {
      this.#pattern = [...this.#pattern].slice(0, -1).join('');
      this.#at = -1;
      this.#find(0);
    } else if (CANCEL.test(typed)) return { kind: 'cancel' };
    else if (CONTROL.test(typed)) return { kind: 'accept', rest: typed === '\x1b' ? '' : typed };
    else {
      this.#pattern += typed;
      this.#find(Math.max(this.#at, 0));
    }
    return { kind: 'show' };
  }

  /** The same line again is no other find. */
  #find(from: number): void {
    if (this.#pattern === '') return;
    const { match } = this;
    const found = this.#history.findIndex(
      (line, place) => place >= from && line.includes(this.#pattern) && (place === this.#at || line !== match),
    );
    this.#failed = found < 0;
    if (found >= 0) this.#at = found;
  }
}
