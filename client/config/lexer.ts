/**
 * How one line of ssh_config(5) falls apart: keyword, then arguments with quotes and backslashes, then a comment.
 * The whole rest of the line is kept for the keywords that take a command. Knows no keyword.
 */

const isBlank = (c: string | undefined): boolean => c === ' ' || c === '\t' || c === '\r' || c === '\n';

const skipBlanks = (text: string, from: number): number => {
  let at = from;
  while (isBlank(text[at])) at++;
  return at;
};

export interface RawLine {
  /** Lower case. */
  readonly keyword: string;
  /** Everything after the keyword, blanks at both ends cut off. */
  readonly rest: string;
}

/** undefined: a blank line or a comment. At most one `=` stands between keyword and arguments. */
export function splitLine(line: string): RawLine | undefined {
  let end = line.length;
  while (end > 0 && (isBlank(line[end - 1]) || line[end - 1] === '\f')) end--;
  const text = line.slice(0, end);
  let at = skipBlanks(text, 0);
  if (at === text.length || text[at] === '#') return undefined;
  let keyword: string;
  if (text[at] === '"') {
    const close = text.indexOf('"', at + 1);
    if (close < 0) return undefined;
    keyword = text.slice(at + 1, close);
    at = close + 1;
  } else {
    const start = at;
    while (at < text.length && !isBlank(text[at]) && text[at] !== '=' && text[at] !== '"') at++;
    keyword = text.slice(start, at);
  }
  at = skipBlanks(text, at);
  if (text[at] === '=') at = skipBlanks(text, at + 1);
  return { keyword: keyword.toLowerCase(), rest: text.slice(at) };
}

interface Word {
  readonly text: string;
  /** Where the word ends in the source. */
  readonly end: number;
}

/** One word from `start`; undefined when a quote is left open. Unknown escapes keep their backslash. */
function readWord(text: string, start: number): Word | undefined {
  let out = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at++) {
    const c = text[at]!;
    if (c === '\\') {
      const next = text[at + 1];
      if (next === '"' || next === "'" || next === '\\' || (quote === '' && next === ' ')) {
        out += next;
        at++;
      } else {
        out += c;
      }
    } else if (quote === '' && (c === ' ' || c === '\t')) {
      break;
    } else if (quote === '' && (c === '"' || c === "'")) {
      quote = c;
    } else if (c === quote) {
      quote = '';
    } else {
      out += c;
    }
  }
  return quote === '' ? { text: out, end: at } : undefined;
}

/** Arguments up to a comment; undefined when a quote is left open. A `#` inside a word is part of it. */
export function splitArguments(text: string): string[] | undefined {
  const out: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] === ' ' || text[at] === '\t') {
      at++;
      continue;
    }
    if (text[at] === '#') break;
    const word = readWord(text, at);
    if (word === undefined) return undefined;
    out.push(word.text);
    at = word.end;
  }
  return out;
}

/** The line of a Match: like arguments, but a criterion may be followed by `=` instead of a blank. */
export function splitCriteria(text: string): string[] | undefined {
  const out: string[] = [];
  let at = 0;
  while (at < text.length) {
    at = skipBlanks(text, at);
    if (at === text.length || text[at] === '#') break;
    const attached = /^!?[A-Za-z]+[ \t]*=[ \t]*/.exec(text.slice(at, at + 64));
    if (attached !== null && out.length % 2 === 0) {
      out.push(attached[0].replace(/[ \t=]/g, ''));
      at += attached[0].length;
      if (at === text.length || isBlank(text[at])) continue;
    }
    const word = readWord(text, at);
    if (word === undefined) return undefined;
    out.push(word.text);
    at = word.end;
  }
  return out;
}
