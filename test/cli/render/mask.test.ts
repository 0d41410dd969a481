import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineMask, MASKS, type Mask, MaskStream, maskedParts } from '../../../cli/render/mask.ts';

const host = { name: 'deploy@web1:2222', host: 'web1.example.com' };
const masked = (line: string, ...masks: Mask[]): string => new LineMask(masks.length ? masks : MASKS, host).apply(line);

describe('LineMask', () => {
  it('knows a host by every name it has here, and no other host', () => {
    expect(masked('deploy@web1:2222 WEB1 web1.example.com', 'host')).toBe('<host> <host> <host>');
    expect(masked('web10 myweb1 web1-old web1_a', 'host')).toBe('web10 myweb1 web1-old web1_a');
    const address = new LineMask(['host'], { name: '127.0.0.1', host: '127.0.0.1' });
    expect(address.apply('127.0.0.1 and 127.0.0.10, 127')).toBe('<host> and 127.0.0.10, 127');
    const wide = new LineMask(['host'], { name: 'größe', host: 'größe.example' });
    const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
    expect(wide.apply(latin1('auf größe: gut'))).toBe(latin1('auf <host>: gut'));
  });

  it.each([
    ['10.1.2.3 10.1.2.3/24 10.1.2.3:80', '<ip> <ip>/24 <ip>:80'],
    ['fe80::1%eth0 ::1 [2001:db8::2]:22', '<ip> <ip> [<ip>]:22'],
    ['00:1a:2b:3c:4d:5e 1.2.3 12:30', '00:1a:2b:3c:4d:5e 1.2.3 12:30'],
  ])('addresses: %s', (line, want) => expect(masked(line, 'ip')).toBe(want));

  it.each([
    ['Mon Nov 23 18:14:59 UTC 2026', '<time>'],
    ['2026-11-23T18:14:59.123Z x', '<time> x'],
    ['2026-11-23 18:14:59 +0100', '<time>'],
    ['Nov  3 01:02:03 sshd', '<time> sshd'],
    ['up 5 days, 12 min', 'up <time>, <time>'],
    ['done in 350ms, 1m30s', 'done in <time>, <time>'],
    ['[23/Nov/2026:18:14:59 +0000]', '[<time>]'],
    ['Monday', 'Monday'],
    ['/srv/2026-11-23/x', '/srv/2026-11-23/x'],
  ])('times: %s', (line, want) => expect(masked(line, 'time')).toBe(want));

  it.each([
    ['/dev/sda1        20G  5.5G   14G  30% /', '/dev/sda1 <n>G <n>G <n>G <n>% /'],
    ['pid 1234, -5 and 1,234.5', 'pid <n>, <n> and <n>'],
    ['0x7ffe {"size":12}', '<n> {"size":<n>}'],
    ['eth0 v1.2 6.1.0-18-amd64 5-7 a1', 'eth0 v1.2 6.1.0-18-amd64 5-7 a1'],
  ])('numbers: %s', (line, want) => expect(masked(line, 'number')).toBe(want));

  it('leaves the blanks of a line alone in which nothing is masked', () => {
    expect(masked('a   b\tc')).toBe('a   b\tc');
  });

  it('makes the uptimes of two hosts one', () => {
    const one = masked(' 18:14:59 up 5 days,  2:14,  1 user,  load average: 0.15, 0.12, 0.09');
    const other = masked(' 08:01:02 up 12 min,  2 users,  load average: 10.15, 0.12, 0.09');
    expect(one).toBe(' <time> up <time>, <time>, <n> user, load average: <n>, <n>, <n>');
    expect(other).toBe(' <time> up <time>, <n> users, load average: <n>, <n>, <n>');
  });

  it('takes no time to speak of for lines made to be slow', () => {
    const started = performance.now();
    for (const part of ['1:', '1.', '1,111', 'a', ':', 'Mon ', '1 Jan ', '1d', '-', ' ', '1 d']) {
      masked(part.repeat(65_536 / part.length));
    }
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('MaskStream', () => {
  const mask = new LineMask(MASKS, host);
  const run = (chunks: readonly Uint8Array[]): string => {
    const out: Uint8Array[] = [];
    const stream = new MaskStream(mask, (bytes) => void out.push(bytes));
    for (const chunk of chunks) stream.push(chunk);
    stream.end();
    return Buffer.concat(out).toString('latin1');
  };

  it('gives the same however the bytes arrive', () => {
    const part = fc.constantFrom('web1', ' ', '10.0.0.1', '\n', '\r\n', '12:30', '7', '\xff', '\0');
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.nat(8)), (parts, cuts) => {
        const whole = Buffer.from(parts.join(''), 'latin1');
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(whole.subarray(at, at + cut));
          at += cut;
        }
        chunks.push(whole.subarray(at));
        const expected = parts
          .join('')
          .split('\n')
          .map((line) => mask.apply(line))
          .join('\n');
        expect(run(chunks)).toBe(expected);
        expect(Buffer.concat([...maskedParts(chunks, mask)]).toString('latin1')).toBe(expected);
      }),
    );
  });

  it('holds no more than a part of a line that never ends', () => {
    const chunk = Buffer.alloc(1000, 'x1 ');
    const pieces: number[] = [];
    const stream = new MaskStream(mask, (bytes) => void pieces.push(bytes.length));
    for (let i = 0; i < 1000; i++) stream.push(chunk);
    expect(pieces.length).toBe(Math.floor(1_000_000 / 65_536));
    expect(Math.max(...pieces)).toBeLessThanOrEqual(65_536);
  });
});
