/** The history file: one command a line, shared by sessions that only ever append. A file that cannot be had is no reason not to work. */

import { appendFileSync, readFileSync, statSync } from 'node:fs';

/** Lines that are kept in memory. */
export const HISTORY_SIZE = 1000;

/** More than this of the file is not read. */
const LARGEST = 4 * 1024 * 1024;

/** Oldest first. */
export function loadHistory(file: string): string[] {
  try {
    if (statSync(file).size > LARGEST) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-HISTORY_SIZE);
  } catch {
    return [];
  }
}

export class History {
  readonly #file: string;
  readonly #warn: (text: string) => void;
  #last: string | undefined;
  #broken = false;

  constructor(file: string, last: string | undefined, warn: (text: string) => void) {
    this.#file = file;
    this.#last = last;
    this.#warn = warn;
  }

  /** A line that begins with a blank is not for the file, as in other shells. */
  add(line: string): void {
    if (this.#broken || line.trim() === '' || /^\s/.test(line) || line === this.#last) return;
    this.#last = line;
    try {
      appendFileSync(this.#file, `${line}\n`, { mode: 0o600 });
    } catch (error) {
      this.#broken = true;
      this.#warn(`the history is not kept: ${this.#file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  }
}
