/**
 * The terminal of the interactive mode, or the streams of a script: whole lines out, typed lines in.
 *
 * On a terminal Node's readline edits the line; what comes meanwhile is printed above it, and the line is drawn again.
 * Elsewhere nothing is prompted for, and standard output has the lines of the nodes alone.
 */

import { createInterface, type Interface } from 'node:readline';
import type { Writable } from 'node:stream';
import { windowSize } from '../session/raw-terminal.ts';
import { FdSink, readableOf, StdinReader, writableOf } from '../session/stdio.ts';
import { HistorySearch, SEARCH_KEY } from './history-search.ts';
import type { KeyFilter } from './keys.ts';

export interface ScreenOptions {
  /** Both ends are a terminal. */
  readonly terminal: boolean;
  /** Oldest first. */
  readonly history: readonly string[];
  readonly historySize: number;
  /** What the end of the line may become, and how much of it that replaces. */
  readonly complete: (line: string) => Promise<[string[], string]>;
  /** Between the terminal and the editor. */
  readonly keys: KeyFilter;
  /** Ctrl-C while lines are read. */
  readonly onInterrupt: () => void;
  /** Nobody sees our output any more. */
  readonly onClosed: () => void;
}

export class Screen {
  readonly terminal: boolean;
  readonly #options: ScreenOptions;
  readonly #out: Writable & { columns?: number };
  readonly #err: Writable;
  readonly #stdin: StdinReader;
  readonly #lines: string[] = [];
  #editor: Interface | undefined;
  #over = false;
  /** On the terminal's last line before anything is read. */
  #status = '';
  #wake: () => void = () => {};
  /** What is on the terminal's last line, before what is typed. */
  #prompt = '';
  /** Newest first. */
  readonly #history: string[];
  /** Ctrl-R, and what was typed before. */
  #search: { readonly search: HistorySearch; readonly before: string } | undefined;
  readonly #resized = (): void => {
    this.#out.columns = windowSize(1)?.columns ?? 80;
    this.#out.emit('resize');
  };

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.terminal = options.terminal;
    this.#history = [...options.history].reverse();
    this.#out = writableOf(new FdSink(1));
    this.#out.on('error', options.onClosed);
    this.#err = options.terminal ? this.#out : writableOf(new FdSink(2));
    if (!options.terminal) this.#err.on('error', () => {});
    this.#stdin = new StdinReader();
  }

  /** Begins to read. */
  start(): void {
    const { keys, historySize, complete, onInterrupt } = this.#options;
    if (!this.terminal) {
      this.#listen(createInterface({ input: readableOf(this.#stdin), terminal: false }));
      return;
    }
    const input = this.#stdin.terminal!;
    keys.intercept = (typed) => this.#searching(typed);
    keys.setRawMode = (on) => void input.setRawMode(on);
    input.pipe(keys);
    this.#out.columns = windowSize(1)?.columns ?? 80;
    process.on('SIGWINCH', this.#resized);
    const editor = createInterface({
      input: keys,
      output: this.#out,
      terminal: true,
      history: [...this.#history],
      historySize,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: null, found: [string[], string]) => void) => {
        void complete(line).then((found) => done(null, found));
      },
      prompt: '',
    });
    editor.on('SIGINT', onInterrupt);
    this.#listen(editor);
  }

  #listen(editor: Interface): void {
    this.#editor = editor;
    editor.on('line', (line) => {
      this.#lines.push(line);
      if (this.terminal) {
        this.#prompt = '';
        editor.setPrompt('');
        if (line.trim() !== '') this.#history.unshift(line);
      }
      this.#wake();
    });
    editor.on('close', () => this.end());
  }

  /** Lines are being read. */
  get reads(): boolean {
    return this.#editor !== undefined && !this.#over;
  }

  /** A line that other output goes above, until reading begins; nothing takes it away. */
  status(text: string): void {
    if (!this.terminal || this.#editor !== undefined || text === this.#status || this.#out.destroyed) return;
    this.#status = text;
    this.#out.write(`\r\x1b[K${text}`);
  }

  /** No more lines: what waits for one gets none. */
  end(): void {
    this.#over = true;
    this.#wake();
  }

  /** Takes the line that is being typed off the terminal; the editor draws it anew from where the cursor is. */
  #erase(editor: Interface): void {
    const { rows } = editor.getCursorPos();
    this.#out.write(`${rows > 0 ? `\x1b[${rows}A` : ''}\r\x1b[J`);
    // What it last drew is gone; readline has no call to say so.
    Object.assign(editor, { prevRows: 0 });
  }

  #redraw(prompt: string): void {
    const editor = this.#editor!;
    this.#erase(editor);
    this.#prompt = prompt;
    editor.setPrompt(prompt);
    editor.prompt(true);
  }

  /** Keys of a search in the history; returns what is for the editor. */
  #searching(typed: string): string {
    const editor = this.#editor!;
    if (this.#search === undefined) {
      if (typed !== SEARCH_KEY || this.#prompt === '') return typed;
      this.#search = { search: new HistorySearch(this.#history), before: editor.line };
    }
    const { search, before } = this.#search;
    const step = search.feed(typed);
    const searching = step.kind === 'show';
    this.#erase(editor);
    editor.setPrompt(searching ? search.prompt : this.#prompt);
    editor.write(null, { ctrl: true, name: 'e' });
    editor.write(null, { ctrl: true, name: 'u' });
    const line = step.kind === 'cancel' ? before : search.match || before;
    if (line !== '') editor.write(line);
    if (searching) return '';
    this.#search = undefined;
    return step.kind === 'accept' ? step.rest : '';
  }

  /** The next line; undefined at the end of the input. */
  async read(prompt: () => string): Promise<string | undefined> {
    const ahead = this.#lines.length > 0;
    if (!ahead && !this.#over && this.terminal) {
      this.#redraw(prompt());
    }
    while (this.#lines.length === 0 && !this.#over) await new Promise<void>((resolve) => void (this.#wake = resolve));
    const line = this.#lines.shift();
    // Typed while something ran: the record has it where it begins to run.
    if (ahead && this.terminal && line !== undefined) this.print(prompt() + line);
    if (line === undefined && this.terminal) this.#out.write('\n');
    return line;
  }

  /** The prompt says something else now. */
  refresh(prompt: string): void {
    if (!this.terminal || this.#prompt === '' || this.#over) return;
    if (this.#search === undefined) this.#redraw(prompt);
    else this.#prompt = prompt;
  }

  /** Ctrl-C at the prompt: what was typed stays to be seen, and is dropped. */
  abandon(): void {
    const editor = this.#editor;
    if (editor === undefined) return;
    const typed = `${this.#prompt}${editor.line}^C`;
    this.#erase(editor);
    editor.write(null, { ctrl: true, name: 'e' });
    editor.write(null, { ctrl: true, name: 'u' });
    this.print(typed);
  }

  /** What was typed ahead is not meant any more. */
  forget(): void {
    this.#lines.length = 0;
  }

  /** A line of ours: with the nodes' on a terminal, else on standard error. */
  print(text: string): void {
    void this.write(Buffer.from(`${text}\n`), this.terminal ? 1 : 2);
  }

  /** Whole lines. A promise: wait, the reader is behind. */
  write(bytes: Uint8Array, fd: 1 | 2): void | Promise<void> {
    const target = fd === 1 ? this.#out : this.#err;
    if (target.destroyed) return undefined;
    const editor = this.terminal && !this.#over ? this.#editor : undefined;
    let more: boolean;
    if (editor === undefined) {
      if (this.#status !== '') target.write('\r\x1b[K');
      more = target.write(bytes);
      if (this.#status !== '') target.write(this.#status);
    } else {
      this.#erase(editor);
      more = target.write(bytes);
      if (this.#prompt !== '' || editor.line !== '') editor.prompt(true);
    }
    if (more) return undefined;
    return new Promise((resolve) => {
      target.once('drain', resolve);
      target.once('close', resolve);
    });
  }

  /** Gives the terminal to somebody who asks a question; the function returned takes it back. */
  lend(): () => void {
    this.status('');
    const { terminal } = this.#stdin;
    if (terminal === undefined || this.#editor === undefined || this.#over) return () => {};
    const goOn = this.#stdin.hold();
    terminal.setRawMode(false);
    return () => {
      if (this.#over) return;
      terminal.setRawMode(true);
      goOn();
    };
  }

  /** The terminal as it was; settles when everything is written. */
  async close(): Promise<void> {
    this.#over = true;
    process.off('SIGWINCH', this.#resized);
    this.#editor?.close();
    this.#stdin.terminal?.setRawMode(false);
    this.#stdin.stop();
    for (const target of new Set([this.#out, this.#err])) {
      if (!target.destroyed) await new Promise<void>((resolve) => target.write('', () => resolve()));
    }
  }
}
