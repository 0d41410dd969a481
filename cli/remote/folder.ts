/**
 * A private folder on the other side for a program that is to run there: made, filled and removed by commands, so that
 * no SFTP is needed.
 *
 * Its name cannot be guessed, and making it fails when it is there already, so nobody else has a hand in it. It is in the
 * first place that lets the user write and run files.
 */

import { randomBytes } from 'node:crypto';
import { type Connection, SshError } from '../../client/index.ts';
import { shellWord } from './variables.ts';

/** Of what a small command says, this much is read. */
const ANSWER = 4096;
const REMOVE_MS = 2000;

/** What nobody guesses. */
export const randomName = (): string => randomBytes(12).toString('hex');

export interface RemoteProgram {
  readonly name: string;
  readonly content: Uint8Array;
}

interface Answer {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const PLACES = 'for b in "${TMPDIR:-/tmp}" "${HOME:-/tmp}" /var/tmp';

/**
 * For `sh -c` in single quotes, and log-in shells of every family: no quote, no `!`, no line break. $0 is the name of the
 * folder, $1 that of the program, $2 announces the answer.
 */
const MAKE = [
  'umask 077',
  // A folder that no program may be run from is found out by a file that should be executable.
  `${PLACES}; do d="$b/$0"`,
  'mkdir -m 700 "$d" 2>/dev/null || continue',
  'if : > "$d/$1" && chmod 700 "$d/$1" && [ -x "$d/$1" ]; then cat > "$d/$1" && echo && echo "$2$d" && exit 0; e=$?; rm -rf "$d"; exit $e; fi',
  'rm -rf "$d"',
  'done',
  'echo "no folder lets a program be written and run: tried ${TMPDIR:-/tmp}, $HOME and /var/tmp" >&2',
  'exit 1',
].join('; ');

/** Wherever it is: the answer may not have come. */
const REMOVE = `${PLACES}; do rm -rf "$b/$0"; done`;

const PUT = 'umask 077; cat > "$0" && chmod 700 "$0"';

export const shell = (script: string, ...words: readonly string[]): string =>
  ['/bin/sh', '-c', `'${script}'`, ...words.map(shellWord)].join(' ');

export class RemoteFolder {
  /** Of the folder, once it is there. */
  path = '';
  readonly #connection: Connection;
  readonly #name = `.bssh-${randomName()}`;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Makes the folder with its first program in it. */
  async make(program: RemoteProgram, signal: AbortSignal): Promise<void> {
    const mark = `${randomName()}:`;
    const command = shell(MAKE, this.#name, program.name, mark);
    const answer = await ask(this.#connection, command, program.content, signal);
    // A start file of the log-in shell may print something, too.
    const line = answer.stdout.split('\n').find((text) => text.startsWith(mark));
    if (answer.status !== 0 || line === undefined) throw failed(program, answer);
    this.path = line.slice(mark.length);
  }

  async put(program: RemoteProgram, signal: AbortSignal): Promise<void> {
    const answer = await ask(this.#connection, shell(PUT, this.of(program.name)), program.content, signal);
    if (answer.status !== 0) throw failed(program, answer);
  }

  of(name: string): string {
    return `${this.path}/${name}`;
  }

  /** As far as that can be done: the connection may be gone. */
  async remove(): Promise<void> {
    if (this.#connection.isClosed) return;
    const patience = AbortSignal.timeout(REMOVE_MS);
    await ask(this.#connection, shell(REMOVE, this.#name), new Uint8Array(0), patience).catch(() => undefined);
  }
}

const failed = ({ name }: RemoteProgram, { status, stderr }: Answer): SshError => {
  const why = stderr.trim().split('\n').at(-1) || `sh ended with ${status}`;
  return new SshError('channel-request', `${name} could not be put there: ${why}`, { by: 'peer' });
};

/** A command with input and a short answer. */
async function ask(connection: Connection, command: string, input: Uint8Array, signal: AbortSignal): Promise<Answer> {
  const said = { stdout: '', stderr: '' };
  const take = (stream: 'stdout' | 'stderr') => (chunk: Uint8Array) => {
    if (said[stream].length < ANSWER) said[stream] += Buffer.from(chunk).toString();
  };
  const handle = await connection.exec(command, { stdout: take('stdout'), stderr: take('stderr'), signal });
  // Whoever ends before it has read everything says why.
  await Promise.race([handle.write(input), handle.exit]);
  handle.end();
  const { status } = await handle.exit;
  return { status, ...said };
}
