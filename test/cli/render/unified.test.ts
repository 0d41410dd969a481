import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstDifference, unifiedHunks } from '../../../cli/render/unified.ts';

const NO_NEWLINE = '\\ No newline at end of file';

/** A slow, obvious patch(1). */
function patch(before: string, hunks: readonly string[]): string {
  const old = before.split(/(?<=\n)/).filter((line) => line !== '');
  const out: string[] = [];
  let at = 0;
  for (const [i, line] of hunks.entries()) {
    const header = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@$/.exec(line);
    if (header) {
      const start = header[2] === '0' ? Number(header[1]) : Number(header[1]) - 1;
      while (at < start) out.push(old[at++]!);
      continue;
    }
    if (line === NO_NEWLINE) continue;
    const text = line.slice(1) + (hunks[i + 1] === NO_NEWLINE ? '' : '\n');
    if (line.startsWith('+')) out.push(text);
    else {
      expect(old[at]).toBe(text);
      if (line.startsWith(' ')) out.push(text);
      at++;
    }
  }
  return [...out, ...old.slice(at)].join('');
}

describe('unifiedHunks', () => {
  it('is what diff -u prints', () => {
    const before = 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n';
    expect(unifiedHunks(before, before.replace('b\n', 'B\n').replace('j\n', ''))).toEqual([
      '@@ -1,5 +1,5 @@',
      ' a',
      '-b',
      '+B',
      ' c',
      ' d',
      ' e',
      '@@ -7,4 +7,3 @@',
      ' g',
      ' h',
      ' i',
      '-j',
    ]);
    expect(unifiedHunks('one\n', 'two')).toEqual(['@@ -1 +1 @@', '-one', '+two', NO_NEWLINE]);
    expect(unifiedHunks('', 'a\n')).toEqual(['@@ -0,0 +1 @@', '+a']);
    expect(unifiedHunks('same\n', 'same\n')).toEqual([]);
  });

  it('leads from one text to the other, CR, NUL and any byte included', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\n', '\r', '\0', '\xff'), maxLength: 60 });
    fc.assert(fc.property(text, text, (a, b) => void expect(patch(a, unifiedHunks(a, b)!)).toBe(b)));
  });

  it('gives up on texts that have little in common', () => {
    const lines = (seed: string): string => Array.from({ length: 3000 }, (_, i) => `${seed}${i}\n`).join('');
    expect(unifiedHunks(lines('a'), lines('b'))).toBeUndefined();
  });
});

describe('firstDifference', () => {
  const parts = (text: string, size: number): Uint8Array[] =>
    Array.from({ length: Math.ceil(text.length / size) }, (_, i) => Buffer.from(text.slice(i * size, (i + 1) * size)));

  it('finds the line, whatever the parts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom('a', '\n') }),
        fc.string({ unit: fc.constantFrom('a', '\n') }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        async (a, b, m, n) => {
          let same = 0;
          while (same < a.length && a[same] === b[same]) same++;
          expect(await firstDifference(parts(a, m), parts(b, n))).toBe(a.slice(0, same).split('\n').length);
        },
      ),
    );
  });
});
