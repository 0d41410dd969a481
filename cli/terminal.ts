/**
 * What the terminal may be shown: text made harmless, its width in columns, names in colour.
 *
 * No state and no output: raw mode, window changes and key strokes belong to the shell and the interactive mode.
 * The width follows Unicode's East Asian Width closely enough for one status line; it is no layout engine.
 */

// SGR only sets colours, so it is dropped and the text kept; every other control is shown, not obeyed.
const SGR = /(?:\x1b\[|\x9b)[0-9;:]*m/g;

// C0 but tab and newline, DEL, C1; bidi marks, embeddings, overrides and isolates; line separators and the BOM.
const HARMFUL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const LONE_SURROGATE = /\p{Surrogate}/gu;

const shown = (char: string): string => {
  const code = char.charCodeAt(0);
  if (code < 0x20) return `^${String.fromCharCode(code + 0x40)}`;
  if (code === 0x7f) return '^?';
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
};

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** True for bytes a terminal prints as they are: ASCII, tab and newline. */
function isPlain(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte > 0x7e || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a)) return false;
  }
  return true;
}

/** Text of others for our own messages: controls become visible, broken UTF-8 becomes U+FFFD. Newlines stay. */
export function neutralise(text: string | Uint8Array): string {
  const source = typeof text === 'string' ? text.replace(LONE_SURROGATE, '\ufffd') : decoder.decode(text);
  return source.replace(SGR, '').replace(HARMFUL, shown);
}

/** The same for a message that must stay on one line. */
export const neutraliseLine = (text: string | Uint8Array): string => neutralise(text).replaceAll('\n', '^J');

/** One remote line for a terminal, its newline not included. The CR of a CR LF means nothing here and goes. */
export function neutraliseBytes(line: Uint8Array): Uint8Array {
  const body = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  return isPlain(body) ? body : encoder.encode(neutralise(body));
}

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const EMOJI = /^\p{Emoji_Presentation}$/u;

/** East Asian Wide and Fullwidth, as ranges. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff],
  [0x1b000, 0x1b2ff],
  [0x20000, 0x3fffd],
];

function charWidth(char: string): number {
  const code = char.codePointAt(0)!;
  if (code < 0x300) return 1;
  if (ZERO_WIDTH.test(char)) return 0;
  if (WIDE.some(([first, last]) => code >= first && code <= last) || EMOJI.test(char)) return 2;
  return 1;
}

/** Columns of a text without control characters. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** Cuts a text to so many columns, with an ellipsis where something is missing. */
export function cutToWidth(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let out = '';
  let width = 0;
  for (const char of text) {
    width += charWidth(char);
    if (width > columns - 1) break;
    out += char;
  }
  return columns < 1 ? '' : `${out}…`;
}

export const padToWidth = (text: string, columns: number): string =>
  text + ' '.repeat(Math.max(0, columns - textWidth(text)));

export type Style = 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan' | 'bold' | 'dim';

const STYLE_CODE: Readonly<Record<Style, number>> = {
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
  bold: 1,
  dim: 2,
};

export const paint = (text: string, style: Style): string => `\x1b[${STYLE_CODE[style]}m${text}\x1b[0m`;

/** Red and the dim ones are kept for failures and for the status line. */
export const HOST_STYLES: readonly Style[] = ['cyan', 'green', 'yellow', 'magenta', 'blue'];

export type ColorChoice = 'auto' | 'always' | 'never';

/** `--color` beats `NO_COLOR` (https://no-color.org), which beats what the terminal is. */
export function wantsColor(
  choice: ColorChoice,
  isTTY: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (choice !== 'auto') return choice === 'always';
  return isTTY && !env.NO_COLOR && env.TERM !== 'dumb';
}

const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(':');

/** Names without the domain they all share, as long as they stay distinct; addresses are left alone. */
export function shortNames(names: readonly string[]): string[] {
  if (names.length === 0 || names.some(isAddress)) return [...names];
  const labels = names.map((name) => name.split('.'));
  let shared = 0;
  while (labels.every((parts) => parts.length > shared + 1 && parts.at(-1 - shared) === labels[0]!.at(-1 - shared))) {
    shared++;
  }
  const short = labels.map((parts) => parts.slice(0, parts.length - shared).join('.'));
  return new Set(short).size === new Set(names).size ? short : [...names];
}
