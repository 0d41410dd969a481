/**
 * Completion of paths on a node: which word of the line is one, what to ask the node, what its answer completes. Pure.
 *
 * Words with quotes or escapes in them are left alone; names with characters that have no place on a line are left out.
 */

import { neutraliseLine } from '../terminal.ts';
import { quote } from './shell-text.ts';

/** Names that are offered; more is no help. */
const MOST_NAMES = 200;
/** What is read of a node's answer. */
export const LONGEST_ANSWER = 64 * 1024;

/** What ends a word of a shell before the cursor. */
const BREAKS = /[\s;|&<>()=:]/;
const SPECIAL = /[^\w@%+,./:~^{}\u0080-\uffff-]/g;

/** The word at the end of the line; undefined where we do not know what the shell would make of it. */
export function pathWord(line: string): string | undefined {
  const last = line.slice(line.search(/\S*$/));
  const odd = (mark: string): boolean => line.split(mark).length % 2 === 0;
  if (line.includes('\\') || /['"`$*?[\]]/.test(last) || odd("'") || odd('"')) return undefined;
  let start = line.length;
  while (start > 0 && !BREAKS.test(line[start - 1]!)) start--;
  return line.slice(start);
}

/** Lists what the word may become, a name a line, directories with a slash. */
export function listCommand(word: string, directory: string | undefined): string {
  const there = directory === undefined ? '' : `cd ${quote(directory)} 2>/dev/null; `;
  const home = word.startsWith('~/');
  const begin = home ? `"$HOME"${quote(word.slice(1))}` : quote(word);
  const name = home ? `"~\${f#"$HOME"}"` : '"$f"';
  const loop = `for f in ${begin}*; do if [ -d "$f" ]; then printf "%s/\\n" ${name}; elif [ -e "$f" ]; then printf "%s\\n" ${name}; fi; done`;
  return `exec sh -c ${quote(`${there}${loop}`)}`;
}

/** From the node's answer to what may stand in place of the word. */
export function completions(answer: string, word: string): string[] {
  const names = answer
    .split('\n')
    .slice(0, -1)
    .filter((name) => name.startsWith(word) && neutraliseLine(name) === name)
    .slice(0, MOST_NAMES)
    .map((name) => name.replace(SPECIAL, '\\$&'));
  const [only] = names;
  return names.length === 1 && !only!.endsWith('/') ? [`${only} `] : names;
}
