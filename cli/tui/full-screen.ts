/**
 * The terminal of the full-screen view: the other screen and raw mode as long as it is shown, keys, and the size. However
 * the process is left, stopped or killed, the terminal is as it was.
 */

import { close, constants, openSync } from 'node:fs';
import { SshError } from '../../client/index.ts';
import { writeAll } from '../print.ts';
import { RawTerminal, type WindowSize, windowSize } from '../session/raw-terminal.ts';
import { FdSink, StdinReader } from '../session/stdio.ts';
import { keysOf } from './keys.ts';

/** The other screen without a cursor and without wrapping: a line that is wider than we thought must not move the rest. */
const SHOW = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J';
const HIDE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

const FALLBACK: WindowSize = { columns: 80, rows: 24 };

export interface ScreenEvents {
  key(name: string): void;
  /** Everything is to be drawn: another size, or the terminal was somebody else's meanwhile. */
  redraw(): void;
  /** It took what was drawn last. */
  ready(): void;
  /** Nobody sees us any more. */
  gone(): void;
}

/** The keyboard, as long as it is ours. */
interface Keyboard {
  readonly fd: number;
  readonly reader: StdinReader;
  readonly raw: RawTerminal;
}

/** The terminal itself, so that standard input may be something else. */
function openTerminal(): number {
  try {
    return openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return 0;
  }
}

export class FullScreen {
  size: WindowSize = windowSize(1) ?? FALLBACK;
  readonly #events: ScreenEvents;
  readonly #sink = new FdSink(1);
  #keyboard: Keyboard | undefined;
  #shown = false;
  #busy = false;
  readonly #hide = (): void => {
    if (!this.#shown) return;
    this.#shown = false;
    try {
      writeAll(1, Buffer.from(HIDE));
    } catch {
      // The terminal is gone.
    }
  };

  constructor(events: ScreenEvents) {
    this.#events = events;
    this.#sink.onClosed = () => events.gone();
  }

  /** Takes the terminal. */
  open(): void {
    process.on('exit', this.#hide);
    this.#listen();
  }

  #listen(): void {
    const fd = openTerminal();
    const reader = new StdinReader(fd);
    if (reader.terminal === undefined) {
      throw new SshError('usage', '--tui needs a terminal to read keys from', {
        detail: { grammar: 'cluster', exit: 2 },
      });
    }
    const raw = new RawTerminal(reader.terminal, fd);
    raw.onLeave = this.#hide;
    raw.onResize = (size) => {
      this.size = size;
      this.#show();
    };
    this.#keyboard = { fd, reader, raw };
    raw.enter();
    this.#show();
    void reader
      .start((chunk) => {
        for (const key of keysOf(Buffer.from(chunk).toString())) this.#events.key(key);
      })
      .then(() => {
        if (this.#keyboard?.reader === reader) this.#events.gone();
      });
  }

  #deafen(): void {
    const { fd, reader, raw } = this.#keyboard!;
    this.#keyboard = undefined;
    raw.leave();
    reader.stop();
    // Where there is no /proc the reader had this one, and has closed it.
    if (fd !== 0) close(fd, () => {});
  }

  /** Nothing can be drawn now: it is not ours, or behind with what was drawn last. */
  get busy(): boolean {
    return this.#busy || !this.#shown;
  }

  draw(text: string): void {
    const waiting = this.#sink.write(Buffer.from(text));
    if (waiting === undefined) return;
    this.#busy = true;
    void waiting.then(() => {
      this.#busy = false;
      this.#events.ready();
    });
  }

  #show(): void {
    if (!this.#shown) writeAll(1, Buffer.from(SHOW));
    this.#shown = true;
    this.#events.redraw();
  }

  suspend(): void {
    this.#keyboard?.raw.suspend();
  }

  /** Gives the terminal to somebody who asks a question; the function returned takes it back. */
  lend(): () => void {
    if (this.#keyboard === undefined) return () => {};
    const { raw, reader } = this.#keyboard;
    const goOn = reader.hold();
    raw.leave();
    return () => {
      if (this.#keyboard === undefined) return;
      raw.enter();
      this.#show();
      goOn();
    };
  }

  /** The terminal as it was. */
  async close(): Promise<void> {
    await this.#sink.flush();
    if (this.#keyboard !== undefined) this.#deafen();
    process.off('exit', this.#hide);
  }
}
