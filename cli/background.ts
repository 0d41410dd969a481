/**
 * Going to the background: `-f`, and the holder of a shared connection that ControlPersist leaves behind.
 *
 * Node cannot fork, and a connection cannot move to another process. So the one that stays is started first, with the
 * same arguments, and owns the connection from its beginning; the one in front waits, lends it its terminal for
 * questions, and leaves when it says `ready`. It is in a session of its own, out of reach of the terminal's signals,
 * except when a ProxyCommand may want that terminal: then it stays in ours and turns those signals down.
 *
 *     in front:  startBackground({ part: 'fork', ... })  ->  { kind: 'ready' }: exit 0, or { kind: 'ended', code }
 *     behind:    backgroundPart()?.prompter               instead of a terminal's
 *                backgroundPart()?.ready()                logged in and forwarding, the session started
 */

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Prompter, PromptRequest } from '../client/index.ts';
import { printErr } from './print.ts';

export type BackgroundPart = 'fork' | 'master';

/** Says which part a process plays; means something only to one that has been started with a channel to its parent. */
const VARIABLE = 'BSSH_BACKGROUND';
/** Added to the part: the process shares the terminal's session. */
const ATTACHED = '+attached';
/** Added to the part: once it is ready it says nothing any more. */
const QUIET = '+quiet';
/** Milliseconds for what was said just before `ready`. */
const LAST_WORDS = 500;

type FromChild =
  | { readonly kind: 'ready' }
  /** Somebody else holds the connection already. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'tell'; readonly text: string }
  | { readonly kind: 'ask'; readonly id: number; readonly request: PromptRequest }
  | { readonly kind: 'withdraw'; readonly id: number };
interface FromParent {
  readonly id: number;
  readonly answer?: string;
}

export interface StartOptions {
  readonly part: BackgroundPart;
  readonly prompter: Prompter;
  /** A command runs there, whose output comes to our standard output and error. */
  readonly output: boolean;
  /** Messages go on to our standard error for good, as those of `-v` do. Default: until it is ready. */
  readonly talks?: boolean;
  /** Stays in the terminal's session, for a ProxyCommand that asks there. */
  readonly attached: boolean;
  readonly signal?: AbortSignal | undefined;
}

export type BackgroundOutcome =
  | { readonly kind: 'ready' }
  | { readonly kind: 'taken' }
  | { readonly kind: 'ended'; readonly code: number };

/** Runs this program once more, behind; settles when that is ready or has ended. */
export function startBackground({
  part,
  prompter,
  output,
  talks = false,
  attached,
  signal,
}: StartOptions): Promise<BackgroundOutcome> {
  const quiet = !output && !talks;
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: !attached,
    // What is said before `ready` comes through us, so that nobody's terminal or pipeline is held open after it.
    stdio: ['ignore', output ? 'inherit' : 'ignore', quiet ? 'pipe' : 'inherit', 'ipc'],
    env: { ...process.env, [VARIABLE]: part + (attached ? ATTACHED : '') + (quiet ? QUIET : '') },
  });
  child.stderr?.on('data', (chunk: Uint8Array) => printErr(chunk));
  const asked = new Map<number, AbortController>();
  return new Promise((resolve) => {
    const onAbort = (): void => void child.kill('SIGTERM');
    const settle = async (outcome: BackgroundOutcome): Promise<void> => {
      signal?.removeEventListener('abort', onAbort);
      for (const question of asked.values()) question.abort();
      child.removeAllListeners();
      child.on('error', () => {});
      if (child.connected) child.disconnect();
      child.unref();
      if (child.stderr !== null) await lastWords(child.stderr);
      resolve(outcome);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    child.once('error', () => settle({ kind: 'ended', code: 255 }));
    // A signal ended it: ssh(1) has no other code for that.
    child.once('close', (code) => settle({ kind: 'ended', code: code ?? 255 }));
    child.on('message', (message: FromChild) => {
      switch (message.kind) {
        case 'tell':
          return prompter.tell(message.text);
        case 'withdraw':
          return asked.get(message.id)?.abort();
        case 'ask': {
          const { id, request } = message;
          const question = new AbortController();
          asked.set(id, question);
          const answered = (answer: string | undefined): void => {
            asked.delete(id);
            if (child.connected) child.send({ id, ...(answer !== undefined && { answer }) } satisfies FromParent);
          };
          prompter.ask(request, question.signal).then(answered, () => answered(undefined));
          return;
        }
        default:
          settle(message);
      }
    });
  });
}

/** Settles when no more can come, or takes too long. */
function lastWords(stderr: Readable): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => stderr.destroy(), LAST_WORDS);
    stderr.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (stderr.destroyed) stderr.emit('close');
  });
}

/** The process that stays, from its own point of view. */
export class Background {
  readonly part: BackgroundPart;
  /** Asks the person in front of the process that started us. */
  readonly prompter: Prompter;
  readonly #attached: boolean;
  readonly #quiet: boolean;
  readonly #answers = new Map<number, (answer: string | undefined) => void>();
  #nextId = 0;
  /** Who waits for us has left: so do we, in order. */
  readonly #onOrphaned = (): void => void process.kill(process.pid, 'SIGTERM');

  constructor(part: BackgroundPart, attached: boolean, quiet: boolean) {
    this.part = part;
    this.#attached = attached;
    this.#quiet = quiet;
    this.prompter = {
      ask: (request, signal) => this.#ask(request, signal),
      tell: (text) => this.#send({ kind: 'tell', text }),
    };
    process.on('disconnect', this.#onOrphaned);
    process.on('message', ({ id, answer }: FromParent) => {
      this.#answers.get(id)?.(answer);
      this.#answers.delete(id);
    });
  }

  #send(message: FromChild, sent?: () => void): void {
    if (process.connected) process.send?.(message, undefined, undefined, sent);
    else sent?.();
  }

  #ask(request: PromptRequest, signal?: AbortSignal): Promise<string | undefined> {
    // Once we are alone there is nobody to ask.
    if (!process.connected || signal?.aborted) return Promise.resolve(undefined);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      signal?.addEventListener('abort', () => {
        if (!this.#answers.delete(id)) return;
        this.#send({ kind: 'withdraw', id });
        resolve(undefined);
      });
      this.#send({ kind: 'ask', id, request });
    });
  }

  /** Nobody needs us: another process holds the connection. The caller ends. */
  taken(): Promise<void> {
    return this.#leave({ kind: 'taken' });
  }

  /** Everything is set up: the process in front may leave, and our outputs are over unless a command writes there. */
  ready(): Promise<void> {
    if (this.#quiet) for (const fd of [1, 2] as const) release(fd);
    if (this.#attached) {
      for (const name of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTSTP'] as const) {
        process.removeAllListeners(name);
        process.on(name, () => {});
      }
    }
    return this.#leave({ kind: 'ready' });
  }

  #leave(message: FromChild): Promise<void> {
    process.off('disconnect', this.#onOrphaned);
    for (const answer of this.#answers.values()) answer(undefined);
    this.#answers.clear();
    return new Promise((resolve) =>
      this.#send(message, () => {
        if (process.connected) process.disconnect();
        resolve();
      }),
    );
  }
}

/** Closes an output of ours: we stay, and somebody may wait for its end. */
function release(fd: 1 | 2): void {
  try {
    // The lowest free number is the one that was closed a moment before.
    closeSync(fd);
    openSync('/dev/null', 'w');
  } catch {
    // It was closed already.
  }
}

let background: Background | undefined;

/** The part this process plays; undefined for one that a person started. */
export function backgroundPart(): Background | undefined {
  const value = process.env[VARIABLE];
  if (value !== undefined) {
    // What we start in turn is no part of us.
    delete process.env[VARIABLE];
    const [part, ...rest] = value.split(/(?=\+)/);
    if (process.send !== undefined && (part === 'fork' || part === 'master'))
      background = new Background(part, rest.includes(ATTACHED), rest.includes(QUIET));
  }
  return background;
}
