/**
 * Ctrl-C as pdsh has it: the first says what every host is doing, a second within a second ends all, Ctrl-Z within a
 * second gives up those that have not begun. In batch mode the first ends all.
 */

import type { EventEmitter } from 'node:events';

export interface PdshInterruptOptions {
  readonly batch: boolean;
  /** Lines about what is going on. */
  readonly status: () => readonly string[];
  readonly say: (text: string) => void;
  /** For tests; default the process and its clock. */
  readonly source?: Pick<EventEmitter, 'on' | 'off'>;
  readonly now?: () => number;
}

const window = 1000;

export class PdshInterrupts {
  readonly #stopper = new AbortController();
  readonly #aborter = new AbortController();
  readonly #options: PdshInterruptOptions;
  readonly #handlers: readonly (readonly [NodeJS.Signals, () => void])[];
  #last = Number.NEGATIVE_INFINITY;
  code: number | undefined;

  constructor(options: PdshInterruptOptions) {
    this.#options = options;
    this.#handlers = [
      ['SIGINT', () => this.#interrupt()],
      ['SIGTSTP', () => this.#suspend()],
      ['SIGTERM', () => this.#end(143)],
      ['SIGHUP', () => this.#end(129)],
    ];
    for (const [name, handler] of this.#handlers) (options.source ?? process).on(name, handler);
  }

  get stop(): AbortSignal {
    return this.#stopper.signal;
  }

  get abort(): AbortSignal {
    return this.#aborter.signal;
  }

  dispose(): void {
    for (const [name, handler] of this.#handlers) (this.#options.source ?? process).off(name, handler);
  }

  #recent(): boolean {
    return (this.#options.now ?? Date.now)() - this.#last < window;
  }

  #interrupt(): void {
    const { batch, say, status } = this.#options;
    if (batch || this.#recent()) {
      say(batch ? 'batch mode interrupt, aborting.' : 'interrupt, aborting.');
      this.#end(1);
      return;
    }
    this.#last = (this.#options.now ?? Date.now)();
    say('interrupt (one more within 1 sec to abort)');
    say(' (^Z within 1 sec to cancel pending threads)');
    for (const line of status()) say(line);
  }

  #suspend(): void {
    if (this.#recent()) this.#stopper.abort();
    else process.kill(process.pid, 'SIGSTOP');
  }

  #end(code: number): void {
    // who asks again will not wait any longer
    if (this.#aborter.signal.aborted) process.exit(code);
    this.code ??= code;
    this.#stopper.abort();
    this.#aborter.abort();
  }
}
