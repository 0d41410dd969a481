/**
 * What is sent to the shell of a node. Pure.
 *
 * The shell reads its commands from a pipe. Each is sourced from a here-document: so a syntax error ends the command and
 * not the shell, its input is empty instead of our next lines, and `return` in the trap ends it as a whole on Ctrl-C. After
 * it comes the marker, on copies of the two streams that the command does not have. Works in sh, dash, bash, zsh, ksh and
 * BusyBox.
 */

/** Two halves that are only ever joined by the shell's printf: what `set -x` shows is no marker. */
export interface Token {
  readonly first: string;
  readonly second: string;
}

/** Other shells than these speak another language; sh is everywhere. */
const START = `case "\${SHELL##*/}" in (sh|bash|zsh|dash|ash|ksh|mksh) exec "$SHELL" -l;; (*) exec sh -l;; esac`;

/** For the exec request: whatever shell the account has, this is understood. */
export const bootstrap = `exec sh -c '${START}'`;

export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const marker = ({ first, second }: Token, sequence: number): string => {
  const both = (status: string, fd: number): string =>
    `printf '%s%s;%d;%d;%d;%s;%s;%s%s\\n' ${first} ${second} ${sequence} ${status} "$$" "\${ZSH_VERSION:+z}" "$PWD" ${first} ${second} >&${fd}`;
  return `${both('"$?"', 8)}; ${both('0', 9)}\n`;
};

/** Set anew each time: bash takes no second interrupt for a trap that it left by `return`. */
const TRAP = "trap - INT; trap 'return 130 2>/dev/null' INT";

/** The first lines; their marker, 0, says that the shell is there. */
export const preparation = (token: Token): string => `exec 8>&1 9>&2\n${TRAP}\n${marker(token, 0)}`;

/** One command and its marker. `zsh` calls its own `.` as an external command when told `command`. */
export const commandText = (text: string, sequence: number, token: Token, zsh: boolean): string => {
  const end = `${token.second}${sequence}`;
  const source = `${zsh ? '' : 'command '}. /dev/fd/7 7<<'${end}' </dev/null 8>&- 9>&-`;
  return `${TRAP}\n${source}\n${text}\n${end}\n${marker(token, sequence)}`;
};

/** `~` is the home directory of the node. */
export function changeDirectory(directory: string): string {
  if (directory === '~') return 'cd';
  const home = directory.startsWith('~/');
  return `cd ${home ? '"$HOME"' : ''}${quote(home ? directory.slice(1) : directory)}`;
}

/** Interrupts what the shell `pid` runs: its group, which it leads; where it does not, its children. */
export const interruptText = (pid: number): string =>
  `exec sh -c 'kill -INT -- -${pid} 2>/dev/null || kill -INT ${pid} $(ps -A -o pid= -o ppid= | while read -r p q; do [ "$q" = ${pid} ] && echo "$p"; done)'`;
