// A program on a pseudo-terminal, driven as a person would: by python3's pty module, since Node has none.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { requireServer } from '../../interop/process.ts';

export const hasPty = requireServer('python3');

export class Pty {
  /** Everything the terminal was shown. */
  output = '';
  /** The exit status, or the number of the signal below zero. */
  readonly exit: Promise<number>;
  /** The terminal's modes before the program and after it; to be compared, not read. */
  begin: unknown;
  end: unknown;
  readonly #child: ChildProcess;
  readonly #modes: ((modes: unknown) => void)[] = [];
  #seen = 0;
  #changed: () => void = () => {};

  constructor(argv: readonly string[], options: { rows?: number; columns?: number; env?: NodeJS.ProcessEnv } = {}) {
    const { rows = 24, columns = 80, env = process.env } = options;
    const driver = new URL('./pty.py', import.meta.url).pathname;
    this.#child = spawn('python3', [driver, ...argv], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...env, PTY_ROWS: String(rows), PTY_COLUMNS: String(columns) },
    });
    this.#child.stdin!.on('error', () => {});
    this.exit = new Promise((resolve) => {
      this.#child.once('close', () => resolve(-1));
      createInterface({ input: this.#child.stdout! }).on('line', (line) => {
        const what = JSON.parse(line) as {
          output?: string;
          exit?: number;
          modes?: unknown;
          begin?: unknown;
          end?: unknown;
        };
        if (what.output !== undefined) this.output += Buffer.from(what.output, 'base64').toString();
        if (what.modes !== undefined) this.#modes.shift()?.(what.modes);
        this.begin ??= what.begin;
        this.end = what.end;
        if (what.exit !== undefined) resolve(what.exit);
        this.#changed();
      });
    });
  }

  #tell(what: object): void {
    this.#child.stdin!.write(`${JSON.stringify(what)}\n`);
  }

  type(text: string): void {
    this.#tell({ send: Buffer.from(text).toString('base64') });
  }

  resize(rows: number, columns: number): void {
    this.#tell({ resize: [rows, columns] });
  }

  signal(name: NodeJS.Signals): void {
    this.#tell({ signal: name });
  }

  /** The terminal's modes now. */
  modes(): Promise<unknown> {
    this.#tell({ modes: true });
    return new Promise((resolve) => this.#modes.push(resolve));
  }

  /** Waits for text that was not waited for before. */
  async expect(pattern: RegExp, milliseconds = 10_000): Promise<RegExpExecArray> {
    const end = Date.now() + milliseconds;
    for (;;) {
      const match = pattern.exec(this.output.slice(this.#seen));
      if (match !== null) {
        this.#seen += match.index + match[0].length;
        return match;
      }
      const left = end - Date.now();
      if (left <= 0) throw new Error(`no ${pattern} in ${JSON.stringify(this.output.slice(this.#seen))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 500));
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    this.#child.stdin!.end();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
