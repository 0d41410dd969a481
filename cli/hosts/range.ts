/**
 * `node[001-100]`, `db[1,3,10-20/2]`, several brackets in one word. Padding is that of the range it stands in:
 * `[08-11]` is 08 09 10 11. A bracket with a colon inside is an IPv6 address and stays as it is.
 */

import { hostLimits } from './limits.ts';

export interface NumberRange {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  /** Width to pad with zeros to; 0 is none. */
  readonly width: number;
}

type Segment = string | readonly NumberRange[];

export interface BadRange {
  readonly bad: string;
  readonly limit?: 'expandedHosts' | 'brackets';
}

const countOf = (range: NumberRange): number => Math.floor((range.last - range.first) / range.step) + 1;

const widthOf = (digits: string): number => (digits.length > 1 && digits.startsWith('0') ? digits.length : 0);

const parseRange = (text: string): NumberRange | BadRange => {
  const [, first = '', last = first, step = '1'] = /^\s*(\d+)(?:\s*-\s*(\d+)(?:\s*\/\s*(\d+))?)?\s*$/.exec(text) ?? [];
  if (first === '') return { bad: `'${text}' is not a range` };
  if (Math.max(first.length, last.length, step.length) > hostLimits.rangeDigits) {
    return { bad: `the numbers of '${text}' are too long` };
  }
  const range = {
    first: Number(first),
    last: Number(last),
    step: Number(step),
    width: Math.max(widthOf(first), widthOf(last)),
  };
  if (range.step === 0) return { bad: `'${text}' has a step of zero` };
  if (range.last < range.first) return { bad: `'${text}' counts backwards` };
  return range;
};

const parseBracket = (content: string): readonly NumberRange[] | BadRange => {
  const ranges: NumberRange[] = [];
  for (const part of content.split(',')) {
    const range = parseRange(part);
    if ('bad' in range) return { bad: `[${content}]: ${range.bad}` };
    ranges.push(range);
  }
  return ranges;
};

const parseSegments = (word: string): Segment[] | BadRange => {
  const segments: Segment[] = [];
  let literal = '';
  let at = 0;
  let brackets = 0;
  while (at < word.length) {
    const open = word.indexOf('[', at);
    if (open < 0) break;
    const close = word.indexOf(']', open);
    if (close < 0) return { bad: `'${word}' has a [ without a ]` };
    literal += word.slice(at, open);
    const content = word.slice(open + 1, close);
    at = close + 1;
    if (content.includes(':')) {
      literal += `[${content}]`;
      continue;
    }
    if (++brackets > hostLimits.brackets)
      return { bad: `'${word.slice(0, 64)}' has too many brackets`, limit: 'brackets' };
    const ranges = parseBracket(content);
    if ('bad' in ranges) return ranges;
    segments.push(literal, ranges);
    literal = '';
  }
  segments.push(literal + word.slice(at));
  return segments;
};

/** The words that a word with ranges stands for, the last bracket counting fastest. */
export const expandRanges = (word: string, room: number = hostLimits.expandedHosts): string[] | BadRange => {
  if (!word.includes('[')) return [word];
  const segments = parseSegments(word);
  if ('bad' in segments) return segments;
  let total = 1;
  for (const segment of segments) {
    if (typeof segment !== 'string') total *= segment.reduce((sum, range) => sum + countOf(range), 0);
  }
  if (total > room) {
    return {
      bad: `'${word}' is ${total} hosts, more than the limit of ${hostLimits.expandedHosts}`,
      limit: 'expandedHosts',
    };
  }
  let words = [''];
  for (const segment of segments) {
    if (typeof segment === 'string') {
      if (segment !== '') words = words.map((start) => start + segment);
      continue;
    }
    const numbers: string[] = [];
    for (const { first, last, step, width } of segment) {
      for (let number = first; number <= last; number += step) numbers.push(String(number).padStart(width, '0'));
    }
    words = words.flatMap((start) => numbers.map((number) => start + number));
  }
  return words;
};
