import { expect, test } from 'vitest';
import { parseSize } from '../../cli/options/values.ts';
import { sizeText, timeText } from '../../cli/transfer/amounts.ts';
import { Meter } from '../../cli/transfer/meter.ts';

const MiB = 1024 * 1024;

test('amounts as people read them', () => {
  expect([0, 1, 1023, 1024, 1536, 100 * 1024, 1023.9 * 1024, 5 * MiB, 3 * 1024 ** 4].map(sizeText)).toEqual([
    '0 bytes',
    '1 byte',
    '1023 bytes',
    '1.0 KiB',
    '1.5 KiB',
    '100 KiB',
    '1.0 MiB',
    '5.0 MiB',
    '3.0 TiB',
  ]);
  expect([0.04, 9.99, 42.4, 59.6, 185, 3723].map(timeText)).toEqual([
    '0.0 s',
    '10.0 s',
    '42 s',
    '1:00',
    '3:05',
    '1:02:03',
  ]);
});

test('amounts as people type them', () => {
  expect(['4096', '512K', '1.5m', '10 MiB', '1GB'].map(parseSize)).toEqual([
    4096,
    524_288,
    1_572_864,
    10 * MiB,
    1024 ** 3,
  ]);
  expect(['', '0', '-1', 'K', '10X', '1e9', '99999999999G'].map(parseSize)).toEqual(Array(7).fill(undefined));
});

test('the meter knows share, rate and what is left', () => {
  let now = 0;
  const meter = new Meter(2, 100 * MiB, undefined, () => now);
  expect([meter.host(0), meter.total()]).toEqual([undefined, undefined]);
  for (let step = 1; step <= 10; step++) {
    now += 500;
    meter.note(0, { path: '/a', done: step * 5 * MiB, total: 60 * MiB });
    meter.note(1, { path: '/a', done: step * 2 * MiB, total: 60 * MiB });
  }
  expect(meter.host(0)).toBe('50% 10.0 MiB/s');
  expect(meter.host(1)).toBe('20% 4.0 MiB/s');
  expect(meter.total()).toMatch(/^70\.0 MiB 14\.\d MiB\/s, 9\.\d s left$/);
  expect(meter.of(1)).toEqual({ moved: 20 * MiB, expected: 100 * MiB });
  // A host that stands still is seen to.
  for (let step = 0; step < 20; step++) {
    now += 500;
    meter.note(1, { path: '/b', done: step * MiB, total: 40 * MiB });
  }
  expect(meter.host(1)).toBe('39% 2.0 MiB/s');
});

test('without a known amount: what has begun', () => {
  const meter = new Meter(1, undefined, undefined, () => 0);
  meter.note(0, { path: '/a', done: 30, total: 100 });
  expect(meter.host(0)).toBe('30%');
  meter.note(0, { path: '/a', done: 100, total: 100 });
  meter.note(0, { path: '/b', done: 0, total: 100 });
  // More files may come: parts of what has begun would be parts of nothing.
  expect(meter.host(0)).toBe('100 bytes');
  meter.note(0, { path: '/proc/x', done: 7, total: undefined });
  expect([meter.host(0), meter.total()]).toEqual(['107 bytes', '107 bytes']);
  meter.note(0, { path: '/proc/x', done: 9, total: undefined });
  expect(meter.host(0)).toBe('109 bytes');
});

test('sizes are told when a file is begun, of all hosts together', () => {
  const told: [bytes: number, files: number][] = [];
  const meter = new Meter(2, undefined, (bytes, files) => told.push([bytes, files]));
  meter.note(0, { path: '/a', done: 30, total: 100 });
  meter.note(0, { path: '/a', done: 60, total: 100 });
  meter.note(1, { path: '/a', done: 5, total: 5 });
  meter.note(0, { path: '/b', done: 3, total: undefined });
  meter.note(0, { path: '/b', done: 7, total: undefined });
  expect(told).toEqual([
    [100, 1],
    [105, 2],
    [105, 3],
  ]);
});
