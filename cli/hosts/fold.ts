/**
 * Folds names back into ranges for display: node1 node2 node3 db7 becomes db7,node[1-3]. Sorting only, n log n: the sets
 * are folded one number at a time, from the last to the first.
 *
 * What is folded expands to the same names again. Addresses of IPv6, ports and numbers too long stay as they are.
 */

import { hostLimits } from './limits.ts';

/** A name in alternating text and number: text at even places, a number or a folded set at odd ones. */
type Parts = string[];

const split = (name: string): Parts => {
  // behind a colon there are ports, or an address: nobody counts those
  const colon = name.indexOf(':');
  const foldable = colon < 0 ? name : name.slice(0, colon);
  if (/[[\]]/.test(name) || (colon >= 0 && name.indexOf(':', colon + 1) >= 0)) return [name];
  const parts: Parts = [''];
  for (const piece of foldable.match(/\d+|\D+/g) ?? []) {
    if (/^\d/.test(piece) && piece.length <= hostLimits.rangeDigits) parts.push(piece, '');
    else parts[parts.length - 1] += piece;
  }
  parts[parts.length - 1] += name.slice(foldable.length);
  return parts;
};

const padded = (digits: string): boolean => digits.length > 1 && digits.startsWith('0');

const foldRun = (first: string, last: string, count: number): string => {
  if (count === 1) return first;
  return count === 2 ? `${first},${last}` : `${first}-${last}`;
};

/** `1,2,3,07,08,09` of one place: runs among numbers of one padding. */
const foldNumbers = (numbers: readonly string[]): string => {
  const widths = new Set(numbers.filter(padded).map((digits) => digits.length));
  const widthOf = (digits: string): number => (widths.has(digits.length) ? digits.length : 0);
  const sorted = [...new Set(numbers)].sort((a, b) => widthOf(a) - widthOf(b) || Number(a) - Number(b));
  const runs: string[] = [];
  let first = sorted[0] as string;
  let last = first;
  let count = 1;
  for (const digits of sorted.slice(1)) {
    if (widthOf(digits) === widthOf(last) && Number(digits) === Number(last) + 1) {
      last = digits;
      count++;
      continue;
    }
    runs.push(foldRun(first, last, count));
    first = digits;
    last = digits;
    count = 1;
  }
  runs.push(foldRun(first, last, count));
  return runs.length === 1 && count === 1 ? (runs[0] as string) : `[${runs.join(',')}]`;
};

/** Names that differ at one place only become one name. */
const foldPlace = (names: readonly Parts[], place: number): Parts[] => {
  const groups = new Map<string, { parts: Parts; numbers: string[] }>();
  for (const parts of names) {
    const number = parts[place] as string;
    const key = parts.with(place, '').join('\0');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { parts, numbers: [number] });
    else group.numbers.push(number);
  }
  return [...groups.values()].map(({ parts, numbers }) =>
    numbers.length === 1 ? parts : parts.with(place, foldNumbers(numbers)),
  );
};

/** The folded names, in natural order. */
export const foldHosts = (names: Iterable<string>): string[] => {
  const byLength = new Map<number, Parts[]>();
  for (const name of new Set(names)) {
    const parts = split(name);
    const list = byLength.get(parts.length);
    if (list === undefined) byLength.set(parts.length, [parts]);
    else list.push(parts);
  }
  const folded: string[] = [];
  for (const [length, list] of byLength) {
    let group = list;
    for (let place = length - 2; place > 0; place -= 2) group = foldPlace(group, place);
    for (const parts of group) folded.push(parts.join(''));
  }
  // Making a collator takes longer than folding a thousand names.
  return folded.length < 2 ? folded : folded.sort(new Intl.Collator('en', { numeric: true }).compare);
};

export const formatHosts = (names: Iterable<string>): string => foldHosts(names).join(',');
