/**
 * The local terminal of a PTY session: its modes and size for pty-req, raw mode, and the way back from it.
 *
 * Node has no termios. Its own raw mode leaves output processing on (a line feed would become CR LF, which full-screen
 * programs do not survive), so stty(1) sets the rest; leaving goes through Node alone, which puts back everything it
 * found. Without stty the session works with Node's raw mode and the server's default modes. There is no way to the
 * size in pixels.
 */

import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { isatty, type ReadStream, WriteStream } from 'node:tty';
import type { PtyOptions, TerminalMode } from '../../client/index.ts';

export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

export type TerminalModes = Partial<Record<TerminalMode, number>>;

/** Names of stty -a, as GNU, BusyBox and the BSDs print them. */
const CHARACTERS: Readonly<Record<string, TerminalMode>> = {
  intr: 'VINTR',
  quit: 'VQUIT',
  erase: 'VERASE',
  kill: 'VKILL',
  eof: 'VEOF',
  eol: 'VEOL',
  eol2: 'VEOL2',
  start: 'VSTART',
  stop: 'VSTOP',
  susp: 'VSUSP',
  dsusp: 'VDSUSP',
  rprnt: 'VREPRINT',
  reprint: 'VREPRINT',
  werase: 'VWERASE',
  lnext: 'VLNEXT',
  swtch: 'VSWTCH',
  status: 'VSTATUS',
  discard: 'VDISCARD',
};

const FLAGS: ReadonlySet<string> = new Set(
  `ignpar parmrk inpck istrip inlcr igncr icrnl iuclc ixon ixany ixoff imaxbel iutf8
   isig icanon xcase echo echoe echok echonl noflsh tostop iexten echoctl echoke pendin
   opost olcuc onlcr ocrnl onocr onlret cs7 cs8 parenb parodd`.split(/\s+/),
);

/** RFC 4254 section 8: a character that is not set. */
const NO_CHARACTER = 255;

function characterOf(text: string): number | undefined {
  if (/^(<undef>|undef|\^-)$/.test(text)) return NO_CHARACTER;
  const match = /^(M-)?(\^)?(.)$/.exec(text);
  if (match === null) return undefined;
  const code = match[3]!.charCodeAt(0);
  return (match[1] ? 0x80 : 0) + (match[2] ? (code === 0x3f ? 0x7f : code & 0x1f) : code);
}

/** What `stty -a` says, as RFC 4254 section 8 wants it, and the size when it is there. */
export function parseStty(text: string): { readonly modes: TerminalModes; readonly size: WindowSize | undefined } {
  const modes: TerminalModes = {};
  const speed = /\bspeed (\d+) baud/.exec(text)?.[1];
  const input = /\bispeed (\d+) baud/.exec(text)?.[1] ?? speed;
  const output = /\bospeed (\d+) baud/.exec(text)?.[1] ?? speed;
  if (input !== undefined) modes.ISPEED = Number(input);
  if (output !== undefined) modes.OSPEED = Number(output);
  const rest = text.replace(/(\w+) = ([^;\n]+|;);/g, (_all, name: string, value: string) => {
    const mode = CHARACTERS[name];
    const character = characterOf(value.trim());
    if (mode !== undefined && character !== undefined) modes[mode] = character;
    return ' ';
  });
  for (const word of rest.split(/[\s;]+/)) {
    const name = word.replace(/^-/, '');
    if (FLAGS.has(name)) modes[name.toUpperCase() as TerminalMode] = word === name ? 1 : 0;
  }
  // The two are bits that overlap (CS8 contains CS7), and servers set them one after the other.
  const sevenBits = modes.CS7 === 1;
  delete modes.CS7;
  if (modes.CS8 !== undefined || sevenBits) Object.assign(modes, { CS8: sevenBits ? 0 : 1, CS7: 1 });
  const rows = /\brows (\d+)|(\d+) rows/.exec(rest);
  const columns = /\bcolumns (\d+)|(\d+) columns/.exec(rest);
  const size =
    rows && columns ? { rows: Number(rows[1] ?? rows[2]), columns: Number(columns[1] ?? columns[2]) } : undefined;
  return { modes, size };
}

function stty(fd: number, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('stty', args, { stdio: [fd, 'pipe', 'ignore'], encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

const firstTerminal = (): number | undefined => [0, 1, 2].find((fd) => isatty(fd));

/** The window of the terminal that we are on, now. */
export function windowSize(fd = firstTerminal()): WindowSize | undefined {
  if (fd === undefined) return undefined;
  let own: number | undefined;
  try {
    own = openSync(`/proc/self/fd/${fd}`, constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    try {
      own = openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
    } catch {
      return undefined;
    }
  }
  try {
    // A stream asks for the size only when it is made.
    const stream = new WriteStream(own);
    own = undefined;
    const { columns, rows } = stream;
    stream.destroy();
    return columns === undefined || rows === undefined ? undefined : { columns, rows };
  } catch {
    return undefined;
  } finally {
    if (own !== undefined) closeSync(own);
  }
}

/** What pty-req says of our terminal; without one, size zero ("unknown") and the server's own modes. */
export function describeTerminal(term: string): PtyOptions {
  const fd = firstTerminal();
  const text = fd === undefined ? undefined : stty(fd, ['-a']);
  const { modes, size } = text === undefined ? { modes: {}, size: undefined } : parseStty(text);
  const { columns, rows } = size ?? windowSize(fd) ?? { columns: 0, rows: 0 };
  return { term, columns, rows, modes };
}

/** What ssh(1)'s raw mode has beyond Node's. */
const RAW_SETTINGS = ['ignpar', '-inlcr', '-igncr', '-ixany', '-ixoff', '-opost', '-echonl'];

const DEADLY = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** Raw mode as long as a session lasts: every way out of the process leaves the terminal as it was. */
export class RawTerminal {
  readonly #stream: ReadStream;
  readonly #fd: number;
  #active = false;
  /** The window has another size. */
  onResize: (size: WindowSize) => void = () => {};
  /** Raw mode is about to end: at `leave`, before a stop, before a deadly signal. */
  onLeave: () => void = () => {};

  constructor(stream: ReadStream, fd = 0) {
    this.#stream = stream;
    this.#fd = fd;
  }

  get active(): boolean {
    return this.#active;
  }

  enter(): void {
    if (this.#active) return;
    this.#active = true;
    this.#apply();
    process.on('exit', this.#restore);
    process.on('SIGTSTP', this.suspend);
    process.on('SIGCONT', this.#continued);
    process.on('SIGWINCH', this.#resized);
    for (const name of DEADLY) process.on(name, this.#dying);
  }

  leave(): void {
    if (!this.#active) return;
    this.#active = false;
    this.onLeave();
    this.#restore();
    process.off('exit', this.#restore);
    process.off('SIGTSTP', this.suspend);
    process.off('SIGCONT', this.#continued);
    process.off('SIGWINCH', this.#resized);
    for (const name of DEADLY) process.off(name, this.#dying);
  }

  #apply(): void {
    this.#stream.setRawMode(true);
    stty(this.#fd, RAW_SETTINGS);
  }

  readonly #restore = (): void => void this.#stream.setRawMode(false);

  /** Stops the process as Ctrl-Z does, with the terminal as its shell left it; returns when it goes on. */
  readonly suspend = (): void => {
    const raw = this.#active;
    this.leave();
    // Not SIGSTOP: where no shell could continue us, this one does nothing.
    process.kill(process.pid, 'SIGTSTP');
    if (!raw) return;
    this.enter();
    this.#resized();
  };

  /** Stopped by somebody else: the shell has changed the modes since. */
  readonly #continued = (): void => {
    this.#restore();
    this.#apply();
    this.#resized();
  };

  readonly #resized = (): void => {
    const size = windowSize(this.#fd);
    if (size !== undefined) this.onResize(size);
  };

  /** Ours is the only handler: then the signal does what it would do without any, after the terminal is back. */
  readonly #dying = (name: NodeJS.Signals): void => {
    if (process.listenerCount(name) > 1) return;
    this.leave();
    process.kill(process.pid, name);
  };
}
