/**
 * Errors of the command line and the suggestions in them. `detail.exit` is the status to leave with (255 as ssh(1) does,
 * 2 in the cluster grammar), `detail.usage` asks for the usage text after the message.
 */

import { SshError } from '../../client/index.ts';
import type { Grammar } from '../options.ts';

export interface UsageDetail {
  readonly usage?: boolean;
  readonly suggestion?: string;
}

export const usageError = (grammar: Grammar, message: string, detail: UsageDetail = {}): SshError =>
  new SshError('usage', detail.suggestion === undefined ? message : `${message} (did you mean ${detail.suggestion}?)`, {
    detail: { grammar, exit: grammar === 'ssh' ? 255 : 2, usage: detail.usage ?? false, suggestion: detail.suggestion },
  });

/** Names longer than this are not worth comparing: nobody mistypes that much. */
const comparedLength = 64;

/** Edits (insert, delete, replace, swap of neighbours) between two words; rows only, both are short. */
const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
};

/** The known name nearest to a mistyped one, if any is near enough. */
export const nearest = (typed: string, known: Iterable<string>): string | undefined => {
  const word = typed.toLowerCase();
  if (word.length > comparedLength) return undefined;
  let best: string | undefined;
  let bestEdits = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const name of known) {
    if (Math.abs(name.length - word.length) >= bestEdits) continue;
    const edits = distance(word, name.toLowerCase());
    if (edits < bestEdits) {
      best = name;
      bestEdits = edits;
    }
  }
  return best;
};
