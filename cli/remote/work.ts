/**
 * What a run asks of its hosts: a command or a script, filled in for each of them, with or without sudo's password; and
 * what has to be there on a host before it can run.
 */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Connection, type ExecHandle, type Prompter, SshError, systemError } from '../../client/index.ts';
import { RemoteFolder, type RemoteProgram, shell } from './folder.ts';
import {
  newMark,
  SUDO_AFTER,
  SUDO_AROUND,
  SUDO_BEFORE,
  SUDO_END,
  SUDO_NAME,
  SUDO_NAMES,
  SudoWatch,
  sudoProgram,
} from './sudo.ts';
import { fillVariables, shellWord, type Variables } from './variables.ts';

export interface WorkOptions {
  readonly words: readonly string[];
  /** Local file. */
  readonly script: string | undefined;
  readonly vars: boolean;
  readonly sudoPassword: string | undefined;
}

/** A command that is ready to be started, with what belongs to it. */
export interface Ready {
  readonly command: string;
  /** Standard input is for sudo's password: it stays open, and stderr goes through `stderr`. */
  readonly sudo?: {
    stderr(chunk: Uint8Array): Uint8Array;
    begin(handle: ExecHandle): Promise<never>;
    rest(): Uint8Array;
  };
  /** What was put on the host goes: needed only when the command did not come to its end. */
  remove(): Promise<void>;
}

const nothing = async (): Promise<void> => {};

export class Work {
  readonly #options: WorkOptions;
  readonly #script: RemoteProgram | undefined;

  /** Reads the script. */
  constructor(options: WorkOptions) {
    this.#options = options;
    this.#script = options.script === undefined ? undefined : readScript(options.script);
  }

  /** What the files and the journal call it. */
  get label(): string {
    const { script, words } = this.#options;
    return script === undefined ? words.join(' ') : [script, ...words.map(shellWord)].join(' ');
  }

  /** What a host runs, for a person to read. */
  text(variables: Variables): string {
    const { script } = this.#options;
    if (script === undefined) return this.#command(variables);
    return [script, ...this.#words(variables).map(shellWord)].join(' ');
  }

  /** Puts on the host what the command needs. */
  async prepare(connection: Connection, variables: Variables, signal: AbortSignal): Promise<Ready> {
    const { sudoPassword } = this.#options;
    const script = this.#script;
    if (script === undefined && sudoPassword === undefined)
      return { command: this.#command(variables), remove: nothing };
    const mark = newMark();
    const stand = { name: SUDO_NAME, content: sudoProgram(mark) };
    const folder = new RemoteFolder(connection);
    try {
      await folder.make(script ?? stand, signal);
      if (script !== undefined && sudoPassword !== undefined) await folder.put(stand, signal);
    } catch (error) {
      await folder.remove();
      throw error;
    }
    const words = script === undefined ? [this.#command(variables)] : [script.name, ...this.#words(variables)];
    return {
      command: shell(around(script !== undefined, sudoPassword !== undefined), folder.path, ...words),
      ...(sudoPassword !== undefined && { sudo: answering(mark, sudoPassword) }),
      remove: () => folder.remove(),
    };
  }

  #command(variables: Variables): string {
    const command = this.#options.words.join(' ');
    return this.#options.vars ? fillVariables(command, variables) : command;
  }

  #words(variables: Variables): readonly string[] {
    const { words, vars } = this.#options;
    return vars ? words.map((word) => fillVariables(word, variables)) : words;
  }
}

/** $0 is the folder; it goes when the program has ended, and when the shell around it is told to. */
function around(hasScript: boolean, hasSudo: boolean): string {
  const program = hasScript ? 'f="$d/$1"; shift; "$f" "$@"' : '"${SHELL:-/bin/sh}" -c "$1"';
  return [
    'd="$0"',
    `c() { ${hasSudo ? `${SUDO_AFTER}; ` : ''}rm -rf "$d"; }`,
    ...(hasSudo ? [`t() { ${SUDO_END}; }`] : []),
    `trap "${hasSudo ? 't; ' : ''}c; exit 143" HUP INT TERM`,
    ...(hasSudo ? [SUDO_BEFORE] : []),
    `${program}${hasSudo ? ` ${SUDO_AROUND}` : ''}`,
    'r=$?',
    'c',
    'exit $r',
  ].join('; ');
}

function answering(mark: string, password: string): NonNullable<Ready['sudo']> {
  let handle: ExecHandle | undefined;
  let refuse: (error: SshError) => void = () => {};
  const refusal = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  refusal.catch(() => {});
  let isRefused = false;
  const watch = new SudoWatch(mark, {
    answer: () => void handle?.write(Buffer.from(`${password}\n`)),
    refused: () => {
      isRefused = true;
      refuse(new SshError('auth', 'sudo does not accept the password', { by: 'peer' }));
    },
  });
  return {
    // What is said while we end the command is no news.
    stderr: (chunk) => (isRefused ? chunk.subarray(0, 0) : watch.pass(chunk)),
    begin(started) {
      handle = started;
      return refusal;
    },
    rest: () => watch.rest(),
  };
}

function readScript(path: string): RemoteProgram {
  const name = basename(path).replace(/[^\w.-]/g, '_');
  try {
    return {
      name: SUDO_NAMES.includes(name) || /^\.*$/.test(name) ? `script-${name}` : name,
      content: readFileSync(path),
    };
  } catch (error) {
    throw new SshError('usage', `the script ${path} cannot be read: ${systemError(error)}`, {
      detail: { grammar: 'cluster', exit: 2 },
      cause: error,
    });
  }
}

/** --sudo-password: BSSH_SUDO_PASSWORD, or the answer of whoever sits there. */
export async function askSudoPassword(
  env: Readonly<Record<string, string | undefined>>,
  prompter: Prompter,
  hide: (secret: string) => void,
): Promise<string> {
  const password =
    env.BSSH_SUDO_PASSWORD ||
    (await prompter.ask({ text: "sudo's password on the hosts: ", echo: false, purpose: 'sudo' }));
  if (password === undefined)
    throw new SshError('usage', "sudo's password was asked for and not given", {
      detail: { grammar: 'cluster', exit: 2 },
    });
  hide(password);
  return password;
}
