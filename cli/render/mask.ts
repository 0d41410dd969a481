/**
 * `--mask`: what is bound to differ from host to host (its own name, addresses, times, numbers) replaced by a placeholder,
 * so that answers which are alike but for these count as one.
 *
 * Line by line and independent of how the bytes arrive. Bytes are taken as Latin-1, which keeps every one of them; what
 * is masked is ASCII but for names. In a line in which something was masked runs of blanks count as one, for columns move
 * with the width of what stands in them.
 */

import { isIPv6 } from 'node:net';
import type { RenderHost } from './renderer.ts';
import { ShortLines } from './short-lines.ts';

export const MASKS = ['host', 'ip', 'time', 'number'] as const;
export type Mask = (typeof MASKS)[number];

const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*';
const CLOCK = '\\d{1,2}:\\d{2}(?::\\d{2}(?:[.,]\\d+)?)?(?:\\s?[AaPp][Mm]\\b)?';
const ZONE = '(?:Z|\\s?[+-]\\d{2}:?\\d{2}|\\s(?:[A-Z]{3,4}))(?![\\w:])';
const YEAR = '\\d{4}';
const DATES = [
  `${YEAR}-\\d{2}-\\d{2}(?:[T ]${CLOCK}(?:${ZONE})?)?`,
  `${YEAR}/\\d{2}/\\d{2}(?: ${CLOCK}(?:${ZONE})?)?`,
  // as web servers write it
  `\\d{1,2}/${MONTH}/${YEAR}(?::${CLOCK}(?:${ZONE})?)?`,
  // date(1), syslog, ls -l
  `(?:${DAY},?\\s+)?${MONTH}\\s+\\d{1,2}(?:,?\\s+${CLOCK}(?:${ZONE})?)?(?:,?\\s+${YEAR})?`,
  `(?:${DAY},?\\s+)?\\d{1,2}\\s+${MONTH}(?:\\s+${YEAR})?(?:,?\\s+${CLOCK}(?:${ZONE})?)?`,
  `${CLOCK}(?:${ZONE})?`,
  // uptimes and durations
  '\\d+(?:\\.\\d+)?\\s?(?:days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|weeks?)\\b',
  '(?:\\d+[dhm])*\\d+(?:\\.\\d+)?(?:ms|us|ns|s)(?!\\w)',
];
const TIME = new RegExp(`(?<![\\w.:/-])(?:${DATES.join('|')})(?![\\w/-])`, 'g');
const IPV4 = /(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)/g;
const IPV6 = /(?<![\w:.])[0-9a-fA-F:]{2,39}(?:%\w+)?(?![\w:])/g;
/** Not within a name or a version: `eth0`, `6.1.0-18` and `5-7` say which, not how much. A unit may follow. */
const UNIT = '(?:[KMGTPkmgtp]?i?[Bb]?|%)';
const NUMBER = new RegExp(
  `(?<![\\w.-])[-+]?(?:0x[0-9a-fA-F]+|\\d{1,3}(?:,\\d{3})+(?:\\.\\d+)?|\\d+(?:\\.\\d+)?)(?=${UNIT}(?![\\w-]|[.:]\\w))`,
  'g',
);
const BLANKS = /[ \t]+/g;

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

/** The names a host is known by here, the longest first. */
function ownNames({ name, host }: RenderHost): string[] {
  const bare = name.replace(/^.*@/, '').replace(/^\[(.*)\](?::\d+)?$|^([^:]*):\d+$/, '$1$2');
  const names = new Set<string>();
  for (const known of [name, bare, host ?? '']) {
    if (known === '') continue;
    names.add(known);
    // An address has no short form.
    if (!/^[\d.]+$/.test(known) && !known.includes(':')) names.add(known.split('.')[0]!);
  }
  return [...names].sort((a, b) => b.length - a.length);
}

export class LineMask {
  private readonly steps: ((line: string) => string)[] = [];

  constructor(masks: readonly Mask[], host: RenderHost) {
    const has = (mask: Mask): boolean => masks.includes(mask);
    if (has('host')) {
      const names = ownNames(host).map((name) => escaped(latin1(name)));
      const own = new RegExp(`(?<![\\w-])(?:${names.join('|')})(?![\\w-])`, 'gi');
      this.steps.push((line) => line.replace(own, '<host>'));
    }
    // Addresses before times: `::1` and `12:30` share their colons.
    if (has('ip')) {
      this.steps.push((line) =>
        line.replace(IPV4, '<ip>').replace(IPV6, (text) => (isIPv6(text.split('%')[0]!) ? '<ip>' : text)),
      );
    }
    if (has('time')) this.steps.push((line) => line.replace(TIME, '<time>'));
    if (has('number')) this.steps.push((line) => line.replace(NUMBER, '<n>'));
  }

  /** One line, as Latin-1, without its newline. */
  apply(line: string): string {
    let masked = line;
    for (const step of this.steps) masked = step(masked);
    return masked === line ? line : masked.replace(BLANKS, ' ');
  }
}

/** Masks bytes as they come. */
export class MaskStream {
  private readonly lines: ShortLines;

  constructor(mask: LineMask, take: (masked: Uint8Array) => void) {
    this.lines = new ShortLines((line, ended) =>
      take(Buffer.from(mask.apply(line.toString('latin1')) + (ended ? '\n' : ''), 'latin1')),
    );
  }

  push(chunk: Uint8Array): void {
    this.lines.push(chunk);
  }

  /** The last line may have no newline. */
  end(): void {
    this.lines.end();
  }
}

/** The masked form of bytes that are there already. */
export function* maskedParts(parts: Iterable<Uint8Array>, mask: LineMask): Generator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const stream = new MaskStream(mask, (masked) => void ready.push(masked));
  for (const part of parts) {
    stream.push(part);
    yield* ready.splice(0);
  }
  stream.end();
  yield* ready;
}
