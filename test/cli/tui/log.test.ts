import { describe, expect, it } from 'vitest';
import { HostLog, KEPT_BYTES, lineText } from '../../../cli/tui/log.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const texts = (log: HostLog, limit?: number): string[] =>
  log.lines(limit).map(({ stream, text }) => `${stream}:${text}`);

describe('what is kept of a host', () => {
  it('is lines of each stream, whatever pieces they come in', () => {
    const log = new HostLog();
    log.add('stdout', bytes('ab'));
    log.add('stderr', bytes('oops\nmo'));
    log.add('stdout', bytes('c\nd'));
    log.add('stderr', bytes('re\n'));
    expect(texts(log)).toEqual(['stderr:oops', 'stdout:abc', 'stderr:more', 'stdout:d']);
    expect([log.last, log.cut, log.text('stderr')]).toEqual(['d', false, 'oops\nmore\n']);
  });

  it('is harmless, and what a terminal would show of progress and tabs', () => {
    expect(lineText(bytes('10%\r50%\r100%\r'))).toBe('100%');
    expect(lineText(bytes('a\tb\t\x1b[2Jc\x1b[31mred\x1b[0m'))).toBe('a       b       ^[[2Jcred');
    expect(lineText(Buffer.of(0xff, 0x41))).toBe('\ufffdA');
  });

  it('is bounded for a flood, for one endless line, and for streams in turn', () => {
    const flood = new HostLog();
    for (let i = 0; i < 200; i++) flood.add('stdout', bytes('y\n'.repeat(16_384)));
    expect(flood.lines().length).toBeLessThanOrEqual((KEPT_BYTES + 32_768) / 2);
    expect([flood.cut, flood.last, flood.lines().length > 20_000]).toEqual([true, 'y', true]);

    const endless = new HostLog();
    for (let i = 0; i < 50; i++) endless.add('stdout', bytes('x'.repeat(10_000)));
    expect(endless.lines()).toHaveLength(1);
    expect(endless.lines()[0]!.text.length).toBeLessThanOrEqual(KEPT_BYTES + 10_000);
    expect(endless.last.length).toBeLessThanOrEqual(1024);

    const large = new HostLog();
    large.add('stdout', bytes(`first\n${'z'.repeat(KEPT_BYTES)}\nlast\n`));
    expect([large.cut, texts(large)]).toEqual([true, ['stdout:last']]);

    const turns = new HostLog();
    for (let i = 0; i < 100_000; i++) turns.add(i % 2 === 0 ? 'stdout' : 'stderr', bytes(`${i}\n`));
    expect(turns.lines().length).toBeLessThan(200);
    expect(turns.last).toBe('99999');
  });

  it('gives the last lines without taking all apart, and skips blank ones for the last', () => {
    const log = new HostLog();
    for (let i = 0; i < 9000; i++) log.add('stdout', bytes(`line ${i}\n`));
    const some = log.lines(5);
    expect(some.length).toBeGreaterThanOrEqual(5);
    expect(some.length).toBeLessThan(1000);
    expect(some.at(-1)!.text).toBe('line 8999');
    log.add('stdout', bytes('\n\n'));
    expect(log.last).toBe('line 8999');
    expect(log.includes(bytes('line 8990\n'))).toBe(true);
    expect(log.includes(bytes('line 0\n'))).toBe(false);
  });

  it('knows equal outputs by all that was said, however it came', () => {
    const one = new HostLog();
    const other = new HostLog();
    const third = new HostLog();
    one.add('stdout', bytes('same\n'));
    for (const part of ['sa', 'me', '\n']) other.add('stdout', bytes(part));
    third.add('stderr', bytes('same\n'));
    expect(other.fingerprint).toBe(one.fingerprint);
    expect(third.fingerprint).not.toBe(one.fingerprint);
    for (const log of [one, other]) log.add('stdout', bytes('x\n'.repeat(100_000)));
    expect(other.fingerprint).toBe(one.fingerprint);
    one.add('stderr', bytes('e'));
    expect(other.fingerprint).not.toBe(one.fingerprint);
  });
});
