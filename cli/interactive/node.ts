/**
 * One node: its connection, and the shell that lives on it between the commands.
 *
 * No pty, so nothing echoes and the two streams stay apart. A shell that ends (`set -e`, a fatal expansion) is replaced
 * where it was; a connection that is lost stays lost until somebody asks for another. What is shown, and how, is the
 * caller's.
 */

import { type Connection, type ExecHandle, type ExecOptions, type Opened, SshError } from '../../client/index.ts';
import { type Mark, MarkerStream } from './marker.ts';
import { LONGEST_ANSWER } from './paths.ts';
import type { PromptNode } from './prompt.ts';
import {
  bootstrap,
  changeDirectory,
  commandText,
  interruptText,
  preparation,
  quote,
  type Token,
} from './shell-text.ts';

export type Stream = 'stdout' | 'stderr';

export interface NodeEvents {
  /** A promise holds back what comes next. */
  lines(node: ShellNode, stream: Stream, lines: readonly Uint8Array[]): void | Promise<void>;
  /** The connection is gone; told once for each. */
  lost(node: ShellNode, error: unknown): void;
  /** The shell ended and another one took its place, without the variables of the first. */
  restarted(node: ShellNode, status: number | undefined): void;
}

export interface NodeOptions {
  readonly number: number;
  readonly host: string;
  readonly user: string;
  readonly env: readonly (readonly [name: string, value: string])[];
  /** Where the first shell starts. */
  readonly directory: string | undefined;
  readonly events: NodeEvents;
  /** Unguessable bytes: output must not be able to end a command. */
  readonly random: (bytes: number) => Uint8Array;
}

/** What one command came to; no status: the shell or the connection ended under it. */
export interface CommandEnd {
  readonly status: number | undefined;
}

interface Waiting {
  readonly sequence: number;
  mark: Mark | undefined;
  stderrDone: boolean;
  readonly resolve: (end: CommandEnd) => void;
}

/** Memory is the number of nodes times this. */
const WINDOW = 1024 * 1024;

/** A shell that has not answered by now (a profile that waits for somebody) will not, in milliseconds. */
const START_PATIENCE = 30_000;

/** Somebody waits for a completion, in milliseconds. */
const ASK_PATIENCE = 3000;

/** Of each half of a marker's token. */
const HALF_BYTES = 12;

/** A shell and what of its output is not ours to show. */
interface Shell {
  readonly handle: ExecHandle;
  readonly token: Token;
  ready: boolean;
}

export class ShellNode implements PromptNode {
  readonly number: number;
  readonly host: string;
  readonly user: string;
  pwd: string | undefined;
  connected = false;
  selected = true;
  readonly #options: NodeOptions;
  #opened: Opened | undefined;
  #shell: Shell | undefined;
  #pid = 0;
  #zsh = false;
  #sequence = 0;
  #waiting: Waiting[] = [];
  #leaving = false;
  /** Further requests for each session: agent forwarding. */
  #before: ExecOptions['before'];

  constructor(options: NodeOptions) {
    this.#options = options;
    this.number = options.number;
    this.host = options.host;
    this.user = options.user;
  }

  get label(): string {
    return `node${this.number}`;
  }

  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** Takes the connection; settles when a shell is there, in the directory of the last one. */
  async attach(opened: Opened, before: ExecOptions['before']): Promise<void> {
    this.#opened = opened;
    this.#before = before;
    const { connection } = opened;
    const { pwd } = this;
    try {
      await this.#startShell(connection);
    } catch (error) {
      void connection.close();
      throw error;
    }
    this.connected = true;
    void connection.closed.then((error) => this.#lost(connection, error));
    await this.#goTo(pwd);
  }

  /** To where the last shell was, or where the user wants the first one. */
  async #goTo(before: string | undefined): Promise<void> {
    const { directory } = this.#options;
    if (before !== undefined) await this.run(`cd ${quote(before)}`);
    else if (directory !== undefined) await this.run(changeDirectory(directory));
  }

  async #startShell(connection: Connection): Promise<void> {
    const half = (): string => Buffer.from(this.#options.random(HALF_BYTES)).toString('hex');
    const token: Token = { first: half(), second: half() };
    const handle = await connection.exec(bootstrap, {
      env: this.#options.env,
      ...(this.#before && { before: this.#before }),
      channel: { window: WINDOW, maxWindow: WINDOW },
    });
    const shell: Shell = { handle, token, ready: false };
    this.#shell = shell;
    const ready = this.#expect(0);
    const streams = { stdout: new MarkerStream(token), stderr: new MarkerStream(token) };
    for (const stream of ['stdout', 'stderr'] as const) {
      handle.io.sink(stream === 'stderr', (chunk) => this.#take(shell, stream, streams[stream].push(chunk)));
    }
    /** What came last and had no end of line. */
    const rest = async (): Promise<void> => {
      await this.#take(shell, 'stdout', streams.stdout.end());
      await this.#take(shell, 'stderr', streams.stderr.end());
    };
    const ended = handle.exit.then(async (exit) => {
      await rest();
      await this.#shellEnded(connection, shell, exit.status);
    }, rest);
    handle.write(Buffer.from(preparation(token)))?.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, START_PATIENCE, undefined);
    });
    const first = await Promise.race([ready, ended.then(() => undefined), late]);
    clearTimeout(timer);
    if (first?.status !== undefined) {
      shell.ready = true;
      return;
    }
    this.#shell = undefined;
    handle.close();
    this.#fail();
    throw new SshError('unsupported', 'the shell did not start');
  }

  #expect(sequence: number): Promise<CommandEnd> {
    return new Promise((resolve) => {
      this.#waiting.push({ sequence, mark: undefined, stderrDone: false, resolve });
    });
  }

  async #take(shell: Shell, stream: Stream, pieces: ReturnType<MarkerStream['push']>): Promise<void> {
    let lines: Uint8Array[] = [];
    const show = async (): Promise<void> => {
      // What a profile says before the shell is ready was not asked for.
      if (shell.ready && lines.length > 0) await this.#options.events.lines(this, stream, lines);
      lines = [];
    };
    for (const piece of pieces) {
      if ('line' in piece) lines.push(piece.line);
      else {
        await show();
        this.#marked(shell, stream, piece.mark);
      }
    }
    await show();
  }

  #marked(shell: Shell, stream: Stream, mark: Mark): void {
    if (shell !== this.#shell) return;
    const waiting = this.#waiting.find(({ sequence }) => sequence === mark.sequence);
    if (waiting === undefined) return;
    if (stream === 'stdout') waiting.mark = mark;
    else waiting.stderrDone = true;
    if (waiting.mark === undefined || !waiting.stderrDone) return;
    this.#waiting = this.#waiting.filter((each) => each !== waiting);
    this.#pid = waiting.mark.pid;
    this.#zsh = waiting.mark.zsh;
    // Until the first cd of ours is done, the shell is not yet where it is to be.
    if (mark.sequence > 0 || this.pwd === undefined) this.pwd = waiting.mark.pwd;
    if (mark.sequence === 0) shell.ready = true;
    waiting.resolve({ status: waiting.mark.status });
  }

  /** Settles when the command has ended and its output was taken; commands wait for those before them. */
  async run(text: string): Promise<CommandEnd> {
    const shell = this.#shell;
    if (shell === undefined) return { status: undefined };
    const sequence = ++this.#sequence;
    const end = this.#expect(sequence);
    shell.handle.write(Buffer.from(commandText(text, sequence, shell.token, this.#zsh)))?.catch(() => {});
    return end;
  }

  /** Ctrl-C, for what the shell runs now. Servers pass no signals on for everybody, so a command does it. */
  async interrupt(): Promise<void> {
    const connection = this.#opened?.connection;
    if (!this.busy || connection === undefined || this.#pid === 0) return;
    try {
      const helper = await connection.exec(interruptText(this.#pid), { stdout: () => undefined });
      helper.end();
      await helper.exit;
    } catch {
      // No room for another session: some servers can do it themselves.
      this.#shell?.handle.kill('INT');
    }
  }

  /** What a command of ours prints, beside the shell; empty when the node does not answer in time. */
  async ask(command: string): Promise<string> {
    const connection = this.#opened?.connection;
    const parts: Uint8Array[] = [];
    let size = 0;
    if (connection === undefined) return '';
    try {
      const take = (chunk: Uint8Array): void => {
        if (size < LONGEST_ANSWER) parts.push(chunk);
        size += chunk.length;
      };
      const helper = await connection.exec(command, { stdout: take, stderr: () => undefined });
      helper.end();
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([helper.exit, new Promise((resolve) => void (timer = setTimeout(resolve, ASK_PATIENCE)))]);
      clearTimeout(timer);
      helper.close();
    } catch {
      // No room for another session, or no connection any more.
    }
    return Buffer.concat(parts).subarray(0, LONGEST_ANSWER).toString();
  }

  /** Nobody will hear of these any more. */
  #fail(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ status: undefined });
  }

  async #shellEnded(connection: Connection, shell: Shell, status: number | undefined): Promise<void> {
    if (shell !== this.#shell || connection.isClosed || this.#leaving) return;
    if (!shell.ready) return this.#fail();
    this.#shell = undefined;
    const given = this.#waiting.splice(0);
    const { pwd } = this;
    try {
      await this.#startShell(connection);
      this.#options.events.restarted(this, status);
      await this.#goTo(pwd);
    } catch (error) {
      this.#lost(connection, error);
      void connection.close();
    } finally {
      for (const waiting of given) waiting.resolve({ status: undefined });
    }
  }

  #lost(connection: Connection, error: unknown): void {
    if (connection !== this.#opened?.connection) return;
    this.#opened = undefined;
    this.#shell = undefined;
    const was = this.connected;
    this.connected = false;
    this.#fail();
    if (was && !this.#leaving) this.#options.events.lost(this, error);
  }

  /** Ends the shell and the connection. */
  async close(): Promise<void> {
    this.#leaving = true;
    const opened = this.#opened;
    if (opened === undefined) return;
    await opened.hostKeysUpdated();
    this.#shell?.handle.close();
    await opened.connection.close();
  }
}
