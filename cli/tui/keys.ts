/** From what a terminal sends to names of keys. Pure; what it does not know it drops. */

const NAMES: Readonly<Record<string, string>> = {
  '\x1b[A': 'up',
  '\x1bOA': 'up',
  '\x1b[B': 'down',
  '\x1bOB': 'down',
  '\x1b[C': 'right',
  '\x1bOC': 'right',
  '\x1b[D': 'left',
  '\x1bOD': 'left',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
  '\x1b[H': 'home',
  '\x1bOH': 'home',
  '\x1b[1~': 'home',
  '\x1b[F': 'end',
  '\x1bOF': 'end',
  '\x1b[4~': 'end',
  '\x1b': 'escape',
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'ctrl-c',
  '\x1a': 'ctrl-z',
  '\x0c': 'ctrl-l',
  '\x15': 'ctrl-u',
  '\x06': 'page-down',
  '\x02': 'page-up',
};

// A control sequence, one that begins with ESC O, or any character by itself.
const KEY = /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|[\s\S]/gu;

/** One name for each key: `up`, `enter`, or the character itself. */
export function keysOf(typed: string): string[] {
  const keys: string[] = [];
  for (const [key] of typed.matchAll(KEY)) {
    const name = NAMES[key];
    if (name !== undefined) keys.push(name);
    else if (!/^[\x00-\x1f]/.test(key)) keys.push(key);
  }
  return keys;
}
