/**
 * `--sudo-password`: answers sudo's question on the other side with the password that was asked for once.
 *
 * In front of the PATH of the command stands a `sudo` of ours that has sudo ask a program (`sudo -A`). That one says a mark
 * nobody else knows, through a pipe of its own: where the command's input and output lead does not matter, and
 * `echo x | sudo tee file` gets its x. The password comes over standard input when the mark has come, and goes nowhere
 * else: no argument, no variable, no file.
 */

import { randomName } from './folder.ts';

/** The mark with this behind it: a question begins; sudo waits. A second wait is a password that was wrong. */
const BEGINS = '?';
const WAITS = ':';

export const SUDO_NAME = 'sudo';
const ASKED_NAME = 'askpass';
/** Names in the folder that a script must not have. */
export const SUDO_NAMES = [SUDO_NAME, ASKED_NAME, 'ask', 'answer'];

/** The program that stands in for sudo and, under another name, is asked for the password. */
export const sudoProgram = (mark: string): Uint8Array =>
  Buffer.from(`#!/bin/sh
d=\${0%/*}
if [ "\${0##*/}" = ${ASKED_NAME} ]; then
  printf '%s' '${mark}${WAITS}' 1<>"$d/ask"
  exec head -n 1 <"$d/answer"
fi
PATH=$(printf '%s' ":$PATH:" | sed "s|:$d:|:|g; s|^:||; s|:$||")
SUDO_ASKPASS="$d/${ASKED_NAME}"
export PATH SUDO_ASKPASS
printf '%s' '${mark}${BEGINS}' 1<>"$d/ask"
exec sudo -A "$@"
`);

/**
 * Around the command, for `sh -c`, with the folder in $d: sudo's questions go to standard error, our standard input to the
 * answers alone. The pipes stay open both ways as long as this shell lives; what it starts has neither.
 */
export const SUDO_BEFORE = [
  `ln "$d/${SUDO_NAME}" "$d/${ASKED_NAME}"`,
  'mkfifo "$d/ask" "$d/answer"',
  'exec 3<&0 4<>"$d/ask" 5<>"$d/answer" </dev/null',
  // They outlive a TERM: to end what sudo started takes sudo again.
  '(trap "" HUP INT TERM; exec cat <&4 >&2 3<&- 5<&-) & k="$!"',
  '(trap "" HUP INT TERM; exec cat <&3 >&5 4<&-) & k="$k $!"',
  'PATH="$d:$PATH"',
  'export PATH',
].join('; ');
export const SUDO_AROUND = '3<&- 4<&- 5<&-';
/** Some shells tell of children that were killed. */
export const SUDO_AFTER = 'exec 2>/dev/null; kill -KILL $k';
/** When we are to end: what belongs to root is out of our reach, but not of its sudo's. */
export const SUDO_END = [
  'trap "" HUP INT TERM',
  'sleep 1',
  'g=$(ps -o pgid= -p $$ | tr -d " ")',
  'if ps -A -o pgid= -o ruid= | grep -q "^ *$g  *0 *$"; then sudo kill -s TERM -- -$g; sleep 1; sudo kill -s KILL -- -$g; fi',
].join('; ');

export const newMark = (): string => `bssh-${randomName()}`;

export interface SudoAnswers {
  /** Sends the password. */
  readonly answer: () => void;
  /** sudo did not take it. */
  readonly refused: () => void;
}

/** Finds the marks in standard error, acts on them, and gives back what is not ours. */
export class SudoWatch {
  readonly #mark: Buffer;
  readonly #do: SudoAnswers;
  #held: Buffer = Buffer.alloc(0);
  #answered = false;

  constructor(mark: string, answers: SudoAnswers) {
    this.#mark = Buffer.from(mark);
    this.#do = answers;
  }

  /** What of this and of what was held back belongs to the command. */
  pass(chunk: Uint8Array): Uint8Array {
    let rest = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    const out: Uint8Array[] = [];
    for (;;) {
      const at = rest.indexOf(this.#mark);
      if (at < 0 || at + this.#mark.length === rest.length) break;
      out.push(rest.subarray(0, at));
      this.#act(String.fromCharCode(rest[at + this.#mark.length]!));
      rest = rest.subarray(at + this.#mark.length + 1);
    }
    const keep = this.#begun(rest);
    out.push(rest.subarray(0, rest.length - keep));
    this.#held = rest.subarray(rest.length - keep);
    return out.length === 1 ? out[0]! : Buffer.concat(out);
  }

  /** The end: what looked like a mark was none. */
  rest(): Uint8Array {
    return this.#held;
  }

  #act(sign: string): void {
    if (sign === BEGINS) this.#answered = false;
    else if (this.#answered) this.#do.refused();
    else {
      this.#answered = true;
      this.#do.answer();
    }
  }

  /** How many bytes at the end may be the beginning of a mark. */
  #begun(bytes: Buffer): number {
    for (let length = Math.min(this.#mark.length, bytes.length); length > 0; length--) {
      if (bytes.subarray(bytes.length - length).equals(this.#mark.subarray(0, length))) return length;
    }
    return 0;
  }
}
