/**
 * `--tui`: a run on many hosts on the whole screen, as one more taker of its events.
 *
 * State is in board.ts (hosts) and view.ts (the person's), lines come from layout.ts, full-screen.ts has the terminal. Here
 * they are put together, at most so many times a second. Loaded only when asked for.
 */

import { isatty } from 'node:tty';
import { type FleetClock, type FleetOutcome, type HostEvent, SshError, type Steering } from '../../client/index.ts';
import { printErr } from '../print.ts';
import type { LineMask, Renderer } from '../render/index.ts';
import { neutralise, neutraliseLine } from '../terminal.ts';
import { Board } from './board.ts';
import { FullScreen } from './full-screen.ts';
import { screenLines } from './layout.ts';
import { Painter } from './painter.ts';
import { FIRST_VIEW, press, type View, type Wish } from './view.ts';

/** Between two drawings: 20 a second. */
const REDRAW = 50;
/** Without events the seconds still count. */
const TICK = 1000;
/** How long the last message stands at the foot. */
const NOTICE = 4000;
/** Messages kept for when the terminal is given back. */
const KEPT_MESSAGES = 500;

export interface TuiOptions {
  readonly names: readonly string[];
  /** What is run. */
  readonly title: string;
  readonly color: boolean;
  readonly clock: FleetClock;
  /** Of a host, in place of its last line. */
  readonly progress?: ((host: number) => string | undefined) | undefined;
  /** What of a host's output does not count when answers are compared. */
  readonly maskOf?: ((host: number) => LineMask) | undefined;
  /** Shells are behind the hosts. */
  readonly shells?: ShellControl | undefined;
}

/** What a person does with shells. */
export interface ShellControl {
  command(text: string, hosts: readonly number[]): void;
  /** Ctrl-C. */
  interrupt(): void;
}

/** Refuses before anything is connected. */
export function requireTerminal(): void {
  if (isatty(1)) return;
  const text =
    '--tui needs a terminal to draw on, and standard output is none: leave it out, or use --gather or --json';
  throw new SshError('usage', text, { detail: { grammar: 'cluster', exit: 2 } });
}

export class Tui implements Renderer {
  readonly #options: TuiOptions;
  readonly board: Board;
  readonly #screen: FullScreen;
  readonly #painter = new Painter();
  readonly #aborter = new AbortController();
  #view: View = FIRST_VIEW;
  #steering: Steering | undefined;
  #timer: unknown;
  #timerAt = Number.POSITIVE_INFINITY;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #notice = { text: '', until: 0 };
  readonly #messages: string[] = [];
  #leaving = false;
  #closed = false;
  #left!: () => void;
  readonly #whenLeft = new Promise<void>((resolve) => {
    this.#left = resolve;
  });

  constructor(options: TuiOptions) {
    this.#options = options;
    this.board = new Board(options.names, options.title, options.clock.now(), options.maskOf);
    this.#screen = new FullScreen({
      key: (name) => this.#press(name),
      redraw: () => {
        this.#painter.forget();
        this.#drawSoon();
      },
      ready: () => this.#drawSoon(),
      gone: () => {
        this.#aborter.abort();
        this.leave();
      },
    });
  }

  /** Fires when the person wants everything ended. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** The run begins: what may be done to it, and what ends our waiting for the person. */
  steer(steering: Steering, ended: AbortSignal): void {
    this.#steering = steering;
    this.open(ended);
  }

  /** Takes the terminal; `ended` gives it back. */
  open(ended: AbortSignal): void {
    this.#screen.open();
    ended.addEventListener('abort', () => this.leave(), { once: true });
  }

  /** Somebody asks on the terminal; the function returned ends it. */
  lend(): () => void {
    return this.#screen.lend();
  }

  event(event: HostEvent): void {
    this.board.apply(event, this.#options.clock.now());
    this.#drawSoon();
  }

  message(text: string): void {
    for (const line of neutralise(text).trimEnd().split('\n')) {
      this.#messages.push(line);
      this.#notice = { text: neutraliseLine(line), until: this.#options.clock.now() + NOTICE };
    }
    this.#messages.splice(0, this.#messages.length - KEPT_MESSAGES);
    this.#drawSoon();
  }

  /** Stays until it is left: what the hosts said is to be looked at. */
  async end(outcome: FleetOutcome): Promise<void> {
    this.board.took = outcome.ms;
    this.#drawSoon();
    if (!this.#leaving) await this.#whenLeft;
    await this.close();
  }

  /** Settles when the person leaves, or has to. */
  left(): Promise<void> {
    return this.#whenLeft;
  }

  /** The board shows something else. */
  changed(): void {
    this.#drawSoon();
  }

  /** Gives the terminal back, and says again what was said meanwhile. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.clock.clearTimeout(this.#timer);
    await this.#screen.close();
    printErr(this.#messages.map((line) => `${line}\n`).join(''));
  }

  leave(): void {
    this.#leaving = true;
    this.#left();
  }

  #press(key: string): void {
    const { board } = this;
    const { size } = this.#screen;
    const { view, wish } = press(this.#view, key, { board, size, shells: this.#options.shells !== undefined });
    this.#view = view;
    // A key answers a message, too.
    this.#notice = { text: '', until: 0 };
    if (wish !== undefined) this.#fulfil(wish);
    this.#drawSoon();
  }

  #fulfil(wish: Wish): void {
    switch (wish.kind) {
      case 'hold':
        return this.#steering?.hold(wish.on);
      case 'skip':
        for (const host of wish.hosts) this.#steering?.skip(host);
        return undefined;
      case 'abort':
        return this.#aborter.abort();
      case 'leave':
        this.#aborter.abort();
        return this.leave();
      case 'command':
        return this.#options.shells?.command(wish.text, wish.hosts);
      case 'interrupt':
        if (this.#options.shells !== undefined) return this.#options.shells.interrupt();
        if (this.board.took !== undefined) return this.leave();
        // As the terminal would without raw mode: signals.ts counts them.
        process.kill(process.pid, 'SIGINT');
        return undefined;
      case 'suspend':
        return this.#screen.suspend();
      case 'redraw':
        return this.#painter.forget();
    }
  }

  #drawSoon(): void {
    this.#arm(Math.max(0, this.#drawnAt + REDRAW - this.#options.clock.now()));
  }

  #arm(ms: number): void {
    const { clock } = this.#options;
    const at = clock.now() + ms;
    if (this.#closed || at >= this.#timerAt) return;
    clock.clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = clock.setTimeout(() => this.#draw(), ms);
  }

  #draw(): void {
    const { clock, color, progress, shells } = this.#options;
    const now = clock.now();
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#drawnAt = now;
    if (!this.#screen.busy) {
      const lines = screenLines({
        view: this.#view,
        board: this.board,
        size: this.#screen.size,
        shells: shells !== undefined,
        now,
        color,
        notice: this.#notice.until > now ? this.#notice.text : '',
        progress,
      });
      const text = this.#painter.paint(lines);
      if (text !== '') this.#screen.draw(text);
    }
    this.#arm(TICK);
  }
}
