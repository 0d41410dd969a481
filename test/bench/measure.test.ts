// The gauges themselves, on commands whose cost is known well enough.
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { median, runOnce, table } from './measure.ts';

describe('measure', () => {
  it('finds medians', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it('tells waiting from working', () => {
    const waiting = runOnce({ name: 'sleep', argv: ['sleep', '0.2'] });
    expect(waiting.wall).toBeGreaterThanOrEqual(0.2);
    expect(waiting.cpu).toBeLessThan(0.15);
    const working = runOnce({ name: 'work', argv: ['bash', '-c', 'for ((i = 0; i < 100000; i++)); do :; done'] });
    expect(working.cpu).toBeGreaterThan(0.01);
    expect(working.peak > 0).toBe(existsSync('/usr/bin/time'));
  });

  it('reads standard input and reports failures', () => {
    expect(() => runOnce({ name: 'grep', argv: ['grep', '-q', 'root'], stdin: '/etc/passwd' })).not.toThrow();
    expect(() => runOnce({ name: 'false', argv: ['sh', '-c', 'echo why >&2; exit 3'] })).toThrow(/status 3\nwhy/);
  });

  it('lays out a table with ratios to the last row', () => {
    const a = { name: 'a', wall: 2, cpu: 3, peak: 10 };
    const b = { name: 'b', wall: 1, cpu: 2, peak: 0 };
    expect(table('t', [a, b], 2 ** 30)).toBe(
      [
        't',
        '     wall s  cpu s  peak MiB  MB/s  cpu-s/GiB  wall x  cpu x',
        '  a   2.000  3.000        10   537       3.00    2.00   1.50',
        '  b   1.000  2.000         -  1074       2.00    1.00   1.00',
        '',
      ].join('\n'),
    );
  });
});
