/** One line of the screen from styled parts: cut to the width, and never wider. Pure. */

import { cutToWidth, padToWidth, type Style, textWidth } from '../terminal.ts';

export type Look = Style | 'reverse';

/** Text, and how it looks. */
export type Span = readonly [text: string, look?: Look | undefined];

const CODES: Readonly<Record<Look, number>> = {
  bold: 1,
  dim: 2,
  reverse: 7,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
};

const painted = (text: string, look: Look): string => `\x1b[${CODES[look]}m${text}\x1b[0m`;

export interface Paper {
  readonly columns: number;
  readonly color: boolean;
}

/** The whole width is used; a line that is `reverse` is so to its end. */
export function rowOf(spans: readonly Span[], { columns, color }: Paper, reverse = false): string {
  let out = '';
  let left = columns;
  for (const [text, look] of spans) {
    if (left <= 0) break;
    const part = cutToWidth(text, left);
    left -= textWidth(part);
    out += look === undefined || !color || reverse ? part : painted(part, look);
  }
  return reverse ? painted(padToWidth(out, columns), 'reverse') : out;
}

/** A column of its own: cut and filled up. */
export const cell = (text: string, columns: number): string => padToWidth(cutToWidth(text, columns), columns);

/** `0:07`, `12:40`, `1:02:03`. */
export function clockTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** Cuts a text into parts of at most so many columns; an empty one is one part. */
export function wrapped(text: string, columns: number): string[] {
  const parts: string[] = [];
  let part = '';
  let width = 0;
  for (const char of text) {
    const more = textWidth(char);
    if (width + more > columns && part !== '') {
      parts.push(part);
      part = '';
      width = 0;
    }
    part += char;
    width += more;
  }
  parts.push(part);
  return parts;
}
