/** Values as people type them: counts, seconds, thresholds, masks. Undefined is "not one". */

import type { BatchSize } from '../../client/index.ts';
import { MASKS, type Mask } from '../render/mask.ts';

/** Far beyond every real count, small enough to stay exact. */
const largestCount = 1_000_000_000;

export const parseCount = (text: string): number | undefined => {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  return value <= largestCount ? value : undefined;
};

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** `90`, `1.5`, `1m30s` (sshd_config(5), "TIME FORMATS"). */
export const parseSeconds = (text: string): number | undefined => {
  const trimmed = text.trim().toLowerCase();
  let total = Number.NaN;
  if (/^\d+(\.\d+)?$/.test(trimmed)) total = Number(trimmed);
  else if (/^(\d+[smhdw])+$/.test(trimmed)) {
    total = 0;
    for (const [, digits, unit] of trimmed.matchAll(/(\d+)([smhdw])/g)) {
      total += Number(digits) * (unitSeconds[unit as string] as number);
    }
  }
  return total <= largestCount ? total : undefined;
};

const unitBytes: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `4096`, `512K`, `1.5M`; more than nothing. */
export const parseSize = (text: string): number | undefined => {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  const size = Math.floor(Number(digits) * (unitBytes[unit.toLowerCase()] as number));
  return size > 0 && Number.isSafeInteger(size) ? size : undefined;
};

/** `1,10%,50%`: sizes of batches, none of them empty. */
export const parseBatches = (text: string): readonly BatchSize[] | undefined => {
  const sizes = text.split(',').map((word) => {
    const size = parseThreshold(word);
    if (size === undefined) return undefined;
    return 'count' in size ? size.count : size;
  });
  const isOne = (size: BatchSize | undefined): size is BatchSize =>
    size !== undefined && (typeof size === 'number' ? size : size.percent) >= 1;
  return sizes.every(isOne) ? sizes : undefined;
};

export type Threshold = { readonly count: number } | { readonly percent: number };

export const parseThreshold = (text: string): Threshold | undefined => {
  if (!text.trim().endsWith('%')) {
    const count = parseCount(text);
    return count === undefined ? undefined : { count };
  }
  const percent = parseCount(text.trim().slice(0, -1));
  return percent === undefined || percent > 100 ? undefined : { percent };
};

/** `host,ip`, or `all`. */
export const parseMasks = (text: string): readonly Mask[] | undefined => {
  const words = text.split(',').map((word) => word.trim().toLowerCase());
  if (words.join() === 'all') return MASKS;
  const masks = MASKS.filter((mask) => words.includes(mask));
  return words.every((word) => masks.some((mask) => mask === word)) ? masks : undefined;
};
