/**
 * Questions to the person in front of us: on /dev/tty, whatever standard input is, or through SSH_ASKPASS by ssh(1)'s
 * rules. One at a time; who asks for what is being asked for already gets the same answer.
 *
 * The terminal is read raw, so that Node itself puts it back however the process ends. Texts come from servers too, and
 * are made harmless.
 */

import { spawn } from 'node:child_process';
import { constants, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { PromptRequest } from '../client/index.ts';
import type { AskingPrompter } from './context.ts';
import { LineInput } from './session/line-input.ts';
import { neutralise } from './terminal.ts';

export interface PromptOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of hidden answers, so that they never show up in a message. */
  readonly onSecret?: (secret: string) => void;
  /** Messages; default standard error. */
  readonly write?: (text: string) => void;
}

const DEFAULT_ASKPASS = '/usr/bin/ssh-askpass';

/** An askpass program that prints more than this has no answer for us. */
const LONGEST_ANSWER = 4096;

/** A question, and how many wait for its answer. */
interface Question {
  readonly answer: Promise<string | undefined>;
  readonly given: AbortController;
  waiting: number;
}

export type AskpassUse = 'never' | 'without-terminal' | 'always';

/** SSH_ASKPASS_REQUIRE and DISPLAY, as ssh(1) reads them. */
export function askpassUse(env: Readonly<Record<string, string | undefined>>): AskpassUse {
  const display = Boolean(env.DISPLAY || env.WAYLAND_DISPLAY);
  switch (env.SSH_ASKPASS_REQUIRE?.toLowerCase()) {
    case 'never':
      return 'never';
    case 'force':
      return 'always';
    case 'prefer':
      return display ? 'always' : 'never';
    default:
      return display ? 'without-terminal' : 'never';
  }
}

export class TerminalPrompter implements AskingPrompter {
  onAsk: AskingPrompter['onAsk'];
  readonly #options: PromptOptions;
  readonly #asked = new Map<string, Question>();
  #last: Promise<unknown> = Promise.resolve();
  readonly #untold: string[] = [];

  constructor(options: PromptOptions) {
    this.#options = options;
  }

  tell(text: string): void {
    const say = (): void => {
      // With a screen of somebody's in the way it is seen only together with the question.
      if (this.onAsk !== undefined) this.#untold.push(text);
      else this.#say(text);
    };
    // In turn with the questions: what belongs to the next one must not show up under another.
    if (this.#asked.size === 0) say();
    else this.#last = this.#last.then(say);
  }

  #say(text: string): void {
    (this.#options.write ?? writeStderr)(`${neutralise(text).replace(/\n+$/, '')}\n`);
  }

  async idle(): Promise<void> {
    while (this.#asked.size > 0) await this.#last;
  }

  async ask(request: PromptRequest, signal?: AbortSignal): Promise<string | undefined> {
    if (signal?.aborted) return undefined;
    const question = this.#question(request);
    question.waiting++;
    let leave = (): void => {};
    const left = new Promise<undefined>((resolve) => {
      leave = () => resolve(undefined);
    });
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([question.answer, left]);
    } finally {
      signal?.removeEventListener('abort', leave);
      if (--question.waiting === 0) question.given.abort();
    }
  }

  #question(request: PromptRequest): Question {
    const known = this.#asked.get(request.purpose);
    if (known !== undefined) return known;
    const given = new AbortController();
    const answer = this.#last.then(() => (given.signal.aborted ? undefined : this.#put(request, given.signal)));
    const question: Question = { answer, given, waiting: 0 };
    this.#asked.set(request.purpose, question);
    const done = (): void => {
      if (this.#asked.get(request.purpose) === question) this.#asked.delete(request.purpose);
    };
    // Given up while it waited: who asks again later asks anew.
    given.signal.addEventListener('abort', done, { once: true });
    this.#last = answer.then(done, done);
    return question;
  }

  async #put(request: PromptRequest, signal: AbortSignal): Promise<string | undefined> {
    const leave = this.onAsk?.();
    for (const text of this.#untold.splice(0)) this.#say(text);
    try {
      const answer = await this.#reach(request, signal);
      if (answer !== undefined && !request.echo) this.#options.onSecret?.(answer);
      return answer;
    } finally {
      leave?.();
    }
  }

  #reach(request: PromptRequest, signal: AbortSignal): Promise<string | undefined> {
    const use = askpassUse(this.#options.env);
    const text = neutralise(request.text);
    if (use !== 'always') {
      const terminal = openTerminal();
      if (terminal !== undefined) return askTerminal(terminal, text, request.echo, signal);
    }
    return use === 'never' ? Promise.resolve(undefined) : this.#askProgram(text, signal);
  }

  #askProgram(text: string, signal: AbortSignal): Promise<string | undefined> {
    const { env, write = writeStderr } = this.#options;
    const program = env.SSH_ASKPASS || DEFAULT_ASKPASS;
    return new Promise((resolve) => {
      const child = spawn(program, [text], { env: { ...env }, stdio: ['ignore', 'pipe', 'inherit'], signal });
      let answer = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        if (answer.length < LONGEST_ANSWER) answer += part;
      });
      child.once('error', (error) => {
        if (!signal.aborted) write(`ssh_askpass: exec(${program}): ${error.message}\n`);
        resolve(undefined);
      });
      child.once('close', (status) => resolve(status === 0 ? /^[^\r\n]*/.exec(answer)![0] : undefined));
    });
  }
}

function openTerminal(): number | undefined {
  try {
    return openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

const SIGNALS = { interrupt: 'SIGINT', quit: 'SIGQUIT', suspend: 'SIGTSTP' } as const;

/** How long a signal of ours takes to come back as an event, and more. */
const SIGNAL_MS = 20;

/** Asks on the terminal, and closes it. Keys that send signals do so, with the terminal restored first. */
function askTerminal(fd: number, text: string, echo: boolean, signal: AbortSignal): Promise<string | undefined> {
  const terminal = new ReadStream(fd);
  const show = (part: string): void => {
    try {
      writeSync(fd, part);
    } catch {
      // The terminal is gone, which ends the reading as well.
    }
  };
  let input = new LineInput();
  return new Promise((resolve) => {
    const restore = (): void => {
      terminal.off('data', take);
      signal.removeEventListener('abort', give);
      terminal.setRawMode(false);
      show('\n');
      terminal.destroy();
    };
    const give = (): void => {
      restore();
      resolve(undefined);
    };
    const take = (chunk: Buffer): void => {
      for (const byte of chunk) {
        const typed = input.type(byte);
        if (typed.did === 'edit') {
          if (echo) show(typed.echo);
        } else if (typed.did === 'suspend') {
          terminal.setRawMode(false);
          process.kill(process.pid, SIGNALS.suspend);
          terminal.setRawMode(true);
          input = new LineInput();
          show(`\r${text}`);
        } else {
          // What was typed beyond the line was not meant for the next question.
          restore();
          if (typed.did === 'line') resolve(typed.line);
          else if (typed.did === 'end') resolve(undefined);
          else {
            process.kill(process.pid, SIGNALS[typed.did]);
            // Those who handle the signal hear of it before those who asked.
            setTimeout(resolve, SIGNAL_MS, undefined);
          }
          return;
        }
      }
    };
    signal.addEventListener('abort', give, { once: true });
    terminal.once('error', give);
    terminal.once('end', give);
    terminal.setRawMode(true);
    show(`\r${text}`);
    terminal.on('data', take);
  });
}

function writeStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody is left to be told.
  }
}
