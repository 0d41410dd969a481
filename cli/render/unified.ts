/**
 * What differs between two texts, as the hunks of a unified diff. Texts are Latin-1, one character a byte, so that no byte
 * is lost; beyond the bounds below there is no diff, and the caller says something shorter.
 */

import { structuredPatch } from 'diff';

/** Of one text: both are in memory as strings, and so is every line of them. */
export const LONGEST_DIFFED = 4 * 1024 * 1024;
/** Lines added and removed. The time grows with their square, and nobody reads more. */
const MOST_EDITS = 2000;
const CONTEXT = 3;
const LF = 0x0a;

const range = (start: number, count: number): string => {
  // An empty range is named by the line before it.
  if (count === 0) return `${start - 1},0`;
  return count === 1 ? String(start) : `${start},${count}`;
};

/** Lines without their newlines; undefined: more differs than a diff is good for. */
export function unifiedHunks(before: string, after: string): string[] | undefined {
  const options = { context: CONTEXT, maxEditLength: MOST_EDITS };
  const patch = structuredPatch('', '', before, after, undefined, undefined, options);
  return patch?.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`,
    ...lines,
  ]);
}

/** Comparisons between two rests: enough for some ten megabytes. */
const BETWEEN_RESTS = 256;

/** The number of the first line in which two texts of any length differ. */
export async function firstDifference(one: Iterable<Uint8Array>, other: Iterable<Uint8Array>): Promise<number> {
  const [a, b] = [new Reader(one), new Reader(other)];
  for (let line = 1, turn = 1; ; turn++) {
    if (turn % BETWEEN_RESTS === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    const length = Math.min(a.fill(), b.fill());
    if (length === 0) return line;
    const [x, y] = [a.take(length), b.take(length)];
    if (Buffer.compare(x, y) !== 0)
      return (
        line +
        newlines(
          x.subarray(
            0,
            x.findIndex((byte, i) => byte !== y[i]),
          ),
        )
      );
    line += newlines(x);
  }
}

function newlines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) count++;
  return count;
}

/** Reads two sources of parts in step. */
class Reader {
  private readonly parts: Iterator<Uint8Array>;
  private part: Uint8Array = new Uint8Array(0);

  constructor(parts: Iterable<Uint8Array>) {
    this.parts = parts[Symbol.iterator]();
  }

  /** Bytes at hand; 0 at the end. */
  fill(): number {
    while (this.part.length === 0) {
      const { value, done } = this.parts.next();
      if (done) return 0;
      this.part = value;
    }
    return this.part.length;
  }

  take(length: number): Uint8Array {
    const taken = this.part.subarray(0, length);
    this.part = this.part.subarray(length);
    return taken;
  }
}
