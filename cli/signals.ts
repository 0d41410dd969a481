/**
 * Ctrl-C and its kin, installed once for every mode.
 *
 * In two stages for many hosts: the first interrupt stops launching, the second ends what runs, a third leaves at
 * once. With one stage the first already ends. TERM and HUP never wait for a second. What "ending" means is up to
 * whoever listens to the two signals; raw-mode key strokes never come here.
 */

import type { EventEmitter } from 'node:events';

type Name = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

const CODE: Readonly<Record<Name, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

export interface InterruptOptions {
  /** 2: the first Ctrl-C only stops launching. Default 1. */
  readonly stages?: 1 | 2;
  /** Told of every stage reached, to say so. */
  readonly onStage?: (stage: 'stop' | 'abort') => void;
  /** For tests; default the process. */
  readonly source?: Pick<EventEmitter, 'on' | 'off'>;
  readonly exit?: (code: number) => void;
}

export class Interrupts {
  private readonly stopper = new AbortController();
  private readonly aborter = new AbortController();
  private readonly options: InterruptOptions;
  private readonly source: Pick<EventEmitter, 'on' | 'off'>;
  private readonly handlers: readonly (readonly [Name, () => void])[];
  /** The exit code of the signal that came first, or undefined. */
  code: number | undefined;

  constructor(options: InterruptOptions = {}) {
    this.options = options;
    this.source = options.source ?? process;
    this.handlers = (Object.keys(CODE) as Name[]).map((name) => [name, () => this.receive(name)]);
    for (const [name, handler] of this.handlers) this.source.on(name, handler);
  }

  /** Launch nothing more. */
  get stop(): AbortSignal {
    return this.stopper.signal;
  }

  /** End what runs. */
  get abort(): AbortSignal {
    return this.aborter.signal;
  }

  /** Gives the signals back to their default. */
  dispose(): void {
    for (const [name, handler] of this.handlers) this.source.off(name, handler);
  }

  private receive(name: Name): void {
    this.code ??= CODE[name];
    if (this.aborter.signal.aborted) {
      // Whoever should have ended by now does not: the person in front of us decides.
      (this.options.exit ?? process.exit)(this.code);
      return;
    }
    const first = !this.stopper.signal.aborted;
    this.stopper.abort();
    if (first && name === 'SIGINT' && this.options.stages === 2) {
      this.options.onStage?.('stop');
      return;
    }
    this.options.onStage?.('abort');
    this.aborter.abort();
  }
}
