import { describe, expect, it } from 'vitest';
import { type BatchSize, batchEnds } from '../../../client/index.ts';

const sizes = (hosts: number, ...wanted: BatchSize[]): number[] =>
  batchEnds(hosts, wanted).map((end, i, ends) => end - (ends[i - 1] ?? 0));

describe('batchEnds', () => {
  it('is one batch without sizes, and none without hosts', () => {
    expect(sizes(7)).toEqual([7]);
    expect(sizes(7, 0)).toEqual([7]);
    expect(sizes(0, 2)).toEqual([]);
  });

  it('repeats the last size', () => {
    expect(sizes(7, 3)).toEqual([3, 3, 1]);
    expect(sizes(100, 1, { percent: 10 }, { percent: 50 })).toEqual([1, 10, 50, 39]);
    expect(sizes(10, 1, 2, 0)).toEqual([1, 2, 7]);
  });

  it('takes shares of all hosts, rounded up: no batch is empty', () => {
    expect(sizes(3, { percent: 10 })).toEqual([1, 1, 1]);
    expect(sizes(15, { percent: 10 })).toEqual([2, 2, 2, 2, 2, 2, 2, 1]);
    expect(sizes(5, { percent: 100 })).toEqual([5]);
  });
});
