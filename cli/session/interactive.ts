/**
 * One session of ssh(1) from its start to the exit code: our streams and terminal on one side, a channel on the other.
 *
 * Back-pressure goes both ways, bytes pass unchanged. The connection is the caller's: it opened it, closes it, and says
 * what ended it, except where ssh(1) has words of its own for that.
 */

import { spawn } from 'node:child_process';
import { type Connection, type ExecHandle, type Exit, SshError } from '../../client/index.ts';
import type { AskingPrompter } from '../context.ts';
import { LOG_LEVELS, type Log } from '../log.ts';
import { neutraliseLine } from '../terminal.ts';
import {
  commandHelp,
  EscapeMachine,
  type EscapeStep,
  type ForwardKind,
  parseEscapeCommand,
  shownEscape,
} from './escapes.ts';
import { RawTerminal } from './raw-terminal.ts';
import type { FdSink, StdinReader } from './stdio.ts';

/** Port forwardings, as far as `~C`, `~#` and `~&` have to do with them. */
export interface ForwardControl {
  /** `bad`: not a specification; `failed`: could not be had, and the user was told why. */
  add(kind: ForwardKind, spec: string): Promise<'done' | 'bad' | 'failed'>;
  cancel(kind: ForwardKind, listen: string): Promise<'done' | 'bad' | 'unknown'>;
  /** Lines for `~#` beside the session's own. */
  connections(): readonly string[];
  /** No new connections (`~&`). */
  stopListening(): void;
  /** Settles when no connection is being forwarded any more. */
  idle(): Promise<void>;
}

export interface SessionOptions {
  readonly handle: ExecHandle;
  readonly connection: Connection;
  /** Absent (`-n`): nothing is read, the command finds its input at its end. */
  readonly stdin?: StdinReader | undefined;
  readonly stdout: FdSink;
  readonly stderr: FdSink;
  /** As messages call it. */
  readonly host: string;
  /** Somebody else holds the connection. */
  readonly shared?: boolean;
  /** A pty was asked for. */
  readonly tty: boolean;
  /** RequestTTY yes or force: without a pty there is no session. */
  readonly ttyRequired?: boolean;
  readonly escapeChar?: number | 'none';
  /** Milliseconds between packets while keys are typed; 0 = as they come. */
  readonly obscureKeystrokes?: number;
  /** EnableEscapeCommandline and PermitLocalCommand. */
  readonly commandLine?: boolean;
  readonly permitLocalCommand?: boolean;
  readonly forwards?: ForwardControl | undefined;
  readonly log: Log;
  /** Whoever asks questions meanwhile: they get the terminal as it is outside. */
  readonly asking?: Pick<AskingPrompter, 'onAsk' | 'idle'> | undefined;
  /** Ends the session; `code` is what Interrupts has (128 + the signal's number). */
  readonly interrupts?: { readonly abort: AbortSignal; readonly code: number | undefined } | undefined;
}

/** Every way ssh(1) has of not having a status. */
const NO_STATUS = 255;

/** RFC 4335: how long, in milliseconds. */
const BREAK_LENGTH = Uint8Array.of(0, 0, 0x03, 0xe8);

/** OpenSSH PROTOCOL section 2.1: the other side need not send any more. */
const END_OF_WRITE = 'eow@openssh.com';

/** How long output that nobody takes may hold up the end of a session that the user has ended. */
const LAST_WORDS_MS = 200;

const EOT = Uint8Array.of(0x04);

/** Pumps until the command has ended; resolves with what the process is to exit with, the terminal restored. */
export function runSession(options: SessionOptions): Promise<number> {
  return new InteractiveSession(options).run();
}

type End =
  | { readonly how: 'exit'; readonly exit: Exit }
  | { readonly how: 'disconnect' }
  | { readonly how: 'interrupt' };

/** What ssh(1) says of a connection that ended without a word after the log-in; undefined for every other error. */
export function lostConnection(error: unknown, host: string): string | undefined {
  if (!(error instanceof SshError) || error.code !== 'lost') return undefined;
  if (['identification', 'kex', 'auth'].includes(String(error.detail.phase))) return undefined;
  const errno = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return errno === 'ECONNRESET'
    ? `Read from remote host ${host}: Connection reset by peer`
    : `Connection to ${host} closed by remote host.`;
}

class InteractiveSession {
  readonly #options: SessionOptions;
  readonly #raw: RawTerminal | undefined;
  readonly #escapes: EscapeMachine | undefined;
  /** The escape character as it is shown. */
  readonly #key: string;
  #finish!: (end: End) => void;
  readonly #ended: Promise<End>;
  /** Output waits while the command line is open. */
  #gate: Promise<void> | undefined;
  #openGate: () => void = () => {};
  #closeCommand: () => void = () => {};
  /** The terminal is no longer ours. */
  #left = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { stdin, tty, escapeChar = 0x7e, commandLine = false } = options;
    this.#raw = tty && stdin?.terminal ? new RawTerminal(stdin.terminal) : undefined;
    this.#escapes = tty && escapeChar !== 'none' ? new EscapeMachine({ escapeChar, commandLine }) : undefined;
    this.#key = escapeChar === 'none' ? '' : shownEscape(escapeChar);
    this.#ended = new Promise((resolve) => void (this.#finish = resolve));
  }

  async run(): Promise<number> {
    const { handle, interrupts } = this.#options;
    const interrupt = (): void => this.#finish({ how: 'interrupt' });
    interrupts?.abort.addEventListener('abort', interrupt, { once: true });
    if (interrupts?.abort.aborted) interrupt();
    try {
      if (!(await this.#enterTerminal())) return NO_STATUS;
      this.#connectStreams();
      const end = await Promise.race([this.#ended, handle.exit.then((exit): End => ({ how: 'exit', exit }))]);
      this.#leaveTerminal();
      return await this.#conclude(end);
    } catch (error) {
      this.#leaveTerminal();
      return await this.#lost(error);
    } finally {
      interrupts?.abort.removeEventListener('abort', interrupt);
    }
  }

  /** Whether the session can go on. */
  async #enterTerminal(): Promise<boolean> {
    const { handle, tty, ttyRequired = false, log, asking } = this.#options;
    if (!tty) return true;
    if (!(await handle.ptyGranted)) {
      // And no raw mode: nobody would be left to echo.
      log.error(`PTY allocation request failed on channel ${handle.io.channel.id}`);
      return !ttyRequired;
    }
    if (this.#raw !== undefined) {
      await asking?.idle?.();
      this.#raw.onResize = (size) => handle.resize(size);
      this.#raw.enter();
      log.raw = true;
      this.#obscureKeystrokes();
      if (asking !== undefined) asking.onAsk = () => this.#lend();
    }
    return true;
  }

  /** For a question: no raw mode, and neither output nor typing of the session gets in between. */
  #lend(): () => void {
    const { stdin, log } = this.#options;
    const raw = this.#raw?.active ? this.#raw : undefined;
    const goOn = stdin?.hold();
    raw?.leave();
    log.raw = false;
    const open = this.#gate === undefined ? this.#shutGate() : undefined;
    return () => {
      if (this.#left) return;
      raw?.enter();
      log.raw = raw !== undefined;
      open?.();
      goOn?.();
    };
  }

  /** Output waits until the function returned is called. */
  #shutGate(): () => void {
    this.#gate = new Promise((resolve) => void (this.#openGate = resolve));
    return () => {
      this.#gate = undefined;
      this.#openGate();
    };
  }

  #obscureKeystrokes(): void {
    const { obscureKeystrokes: interval = 0, connection, handle, log } = this.#options;
    if (interval === 0) return;
    const hidden = connection.obscureKeystrokes(handle.io.channel, interval);
    log.debug(1, hidden ? `keystrokes leave every ${interval} ms` : 'the server cannot hide the timing of keystrokes');
  }

  #leaveTerminal(): void {
    const { stdin, log, asking } = this.#options;
    if (asking !== undefined) asking.onAsk = undefined;
    this.#left = true;
    if (this.#raw?.active) {
      this.#raw.leave();
      log.raw = false;
    }
    stdin?.stop();
    this.#openGate();
  }

  #connectStreams(): void {
    const { handle, stdin, stdout, stderr, connection } = this.#options;
    const { io } = handle;
    const openssh = /^OpenSSH/.test(connection.session.peerVersion?.software ?? '');
    stdout.onClosed = () => {
      // Only OpenSSH knows this; others have taken a request they do not know for an error.
      if (openssh) io.notify(END_OF_WRITE, new Uint8Array(0));
    };
    io.sink(false, (chunk) => this.#output(stdout, chunk));
    io.sink(true, (chunk) => this.#output(stderr, chunk));
    const others = io.onRequest;
    io.onRequest = (event) => {
      // OpenSSH tells only its own kind that nobody reads any more; that the command has ended, it tells everybody.
      const ended = openssh && (event.request === 'exit-status' || event.request === 'exit-signal');
      if (ended || event.request === END_OF_WRITE) stdin?.stop();
      return event.request === END_OF_WRITE || others(event);
    };
    if (stdin === undefined) handle.end();
    else void stdin.start((chunk, taken) => this.#input(chunk, taken)).then(() => handle.end());
  }

  #output(sink: FdSink, chunk: Uint8Array): void | Promise<void> {
    return this.#gate === undefined ? sink.write(chunk) : this.#gate.then(() => sink.write(chunk));
  }

  #input(chunk: Uint8Array, taken: () => void): void | Promise<void> {
    const { handle } = this.#options;
    if (this.#escapes === undefined) return handle.write(chunk, taken);
    const steps = this.#escapes.feed(chunk);
    const only = steps.length === 1 ? steps[0]! : undefined;
    return only?.step === 'send' ? handle.write(only.data) : this.#takeSteps(steps);
  }

  async #takeSteps(steps: readonly EscapeStep[]): Promise<void> {
    for (const each of steps) await this.#take(each);
  }

  async #take(each: EscapeStep): Promise<void> {
    const { handle, connection } = this.#options;
    switch (each.step) {
      case 'send':
        return handle.write(each.data);
      case 'show':
        return this.#show(each.text);
      case 'command-open':
        this.#closeCommand = this.#shutGate();
        return undefined;
      case 'command':
        if (each.line !== undefined) await this.#command(each.line);
        return this.#closeCommand();
      case 'verbosity':
        return this.#verbosity(each.by);
      case 'disconnect':
        return this.#finish({ how: 'disconnect' });
      case 'suspend':
        return this.#raw?.suspend();
      case 'background':
        return this.#background();
      case 'list':
        return this.#list();
      case 'break':
        // A server that has no breaks says so; there is nothing to be done about it.
        return void handle.io.request('break', BREAK_LENGTH).catch(() => {});
      case 'rekey':
        return connection.rekey();
    }
  }

  #show(text: string): void | Promise<void> {
    return this.#options.stderr.write(Buffer.from(text));
  }

  #say(text: string): void | Promise<void> {
    return this.#show(`${text}\r\n`);
  }

  #verbosity(by: 1 | -1): void | Promise<void> {
    const { log } = this.#options;
    const at = LOG_LEVELS.indexOf(log.level) + by;
    log.level = LOG_LEVELS[Math.min(Math.max(at, 0), LOG_LEVELS.length - 1)]!;
    const name = log.level === 'quiet' ? 'SILENT' : log.level === 'debug1' ? 'DEBUG' : log.level.toUpperCase();
    return this.#say(`${this.#key}${by > 0 ? 'v' : 'V'} [LogLevel ${name}]`);
  }

  #list(): void | Promise<void> {
    const { handle, forwards } = this.#options;
    const { id, peerId, buffered, unread } = handle.io.channel;
    const own = `#${id} client-session (t4 [session] r${peerId} i0/${buffered} o0/${unread})`;
    const lines = [own, ...(forwards?.connections() ?? [])].map((line) => `  ${neutraliseLine(line)}`);
    return this.#say(['The following connections are open:', ...lines].join('\r\n'));
  }

  /**
   * `~&`. Node cannot fork, so this process cannot leave its terminal by itself: it stops, and the user's shell takes
   * it to the background.
   */
  async #background(): Promise<void> {
    const { handle, stdin, forwards, log } = this.#options;
    const waits = 'stopped: type bg to let it wait for its connections in the background';
    await this.#say(`${this.#key}& [${waits}]`);
    forwards?.stopListening();
    await handle.write(EOT);
    this.#raw?.leave();
    log.raw = false;
    stdin?.stop();
    this.#raw?.suspend();
  }

  async #command(line: string): Promise<void> {
    const { permitLocalCommand = false, forwards } = this.#options;
    const asked = parseEscapeCommand(line, permitLocalCommand);
    switch (asked.command) {
      case 'nothing':
        return undefined;
      case 'help':
        return this.#show(commandHelp(permitLocalCommand));
      case 'invalid':
        return this.#say('Invalid command.');
      case 'shell':
        return this.#localCommand(asked.line);
      case 'forward': {
        const answer = (await forwards?.add(asked.kind, asked.spec)) ?? 'failed';
        if (answer === 'done') return this.#say('Forwarding port.');
        if (answer === 'failed') return this.#say('Port forwarding failed.');
        return this.#say(`Bad ${asked.kind === 'remote' ? 'remote' : 'local'} forwarding specification.`);
      }
      case 'cancel': {
        const answer = (await forwards?.cancel(asked.kind, asked.spec)) ?? 'unknown';
        if (answer === 'done') return this.#say('Canceled forwarding.');
        return this.#say(answer === 'bad' ? 'Bad forwarding close specification.' : 'Unknown port forwarding.');
      }
    }
  }

  /** On the terminal as it is outside; an empty command is a shell. */
  #localCommand(line: string): Promise<void> {
    const raw = this.#raw?.active ? this.#raw : undefined;
    raw?.leave();
    const shell = process.env.SHELL || '/bin/sh';
    const args = line.trim() === '' ? [] : ['-c', line];
    return new Promise((resolve) => {
      const done = (): void => {
        raw?.enter();
        resolve();
      };
      const child = spawn(shell, args, { stdio: 'inherit' });
      child.once('error', done);
      child.once('close', done);
    });
  }

  async #conclude(end: End): Promise<number> {
    const { handle, stdout, stderr, forwards, interrupts, log } = this.#options;
    if (end.how === 'interrupt') {
      log.verbose(`Killed by signal ${(interrupts?.code ?? 128) - 128}.`);
      return NO_STATUS;
    }
    if (end.how === 'disconnect') {
      handle.io.discard();
      await Promise.race([
        Promise.all([stdout.flush(), stderr.flush()]),
        new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS)),
      ]);
      await this.#goodbye();
      return NO_STATUS;
    }
    await stdout.flush();
    await stderr.flush();
    if (forwards !== undefined) {
      const cut = await Promise.race([forwards.idle(), this.#options.connection.closed, this.#ended]);
      if (cut instanceof Object && 'how' in cut) return this.#conclude(cut);
    }
    await this.#goodbye();
    if (stdout.error !== undefined) log.error(`write to standard output: ${stdout.error.message}`);
    log.debug(1, () => `Exit status ${end.exit.status ?? -1}`);
    return end.exit.status === undefined ? NO_STATUS : end.exit.status & 0xff;
  }

  /** Beside the log, as ssh(1) says it; -q silences this one. */
  async #goodbye(): Promise<void> {
    const { tty, log, host, stderr, shared = false } = this.#options;
    if (!tty || !log.wants('info')) return;
    await this.#say(`${shared ? 'Shared connection' : 'Connection'} to ${host} closed.`);
    await stderr.flush();
  }

  /** The connection ended under the session. What ssh(1) says of a lost one it says even with -q. */
  async #lost(error: unknown): Promise<number> {
    const { stdout, stderr, host } = this.#options;
    await stdout.flush();
    await stderr.flush();
    const text = lostConnection(error, host);
    if (text === undefined) throw error;
    await this.#say(text);
    await this.#goodbye();
    await stderr.flush();
    return NO_STATUS;
  }
}
