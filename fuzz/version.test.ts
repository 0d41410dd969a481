/**
 * Identification lines under any bytes. Invariants: the reader gives a version or SshError('version'), the same whole
 * and byte by byte; it uses exactly the bytes up to the line's end, and holds no more than one line.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SshError } from '../protocol/errors.ts';
import { limits } from '../protocol/limits.ts';
import { identification, type PeerVersion, VersionReader } from '../protocol/version.ts';
import { encodeUtf8 } from '../protocol/wire/text.ts';

type Outcome = { version: PeerVersion; used: number; preamble: readonly string[] } | { error: string } | 'more';

function read(bytes: Uint8Array, allowBefore: boolean, size: number): Outcome {
  const reader = new VersionReader(allowBefore);
  try {
    for (let at = 0; at < bytes.length; at += size) {
      const got = reader.read(bytes.subarray(at, at + size));
      if (got !== undefined) return { version: got.version, used: at + got.used, preamble: reader.preamble };
    }
    return 'more';
  } catch (error) {
    if (!(error instanceof SshError) || error.code !== 'version' || error.by !== 'peer') throw error;
    return { error: error.message };
  }
}

const line = fc.oneof(
  fc.constantFrom(
    'SSH-2.0-x',
    'SSH-1.99-y comment here',
    'SSH-1.5-old',
    'SSH-2.0-',
    'SSH-',
    'SSH-2.0-a-b c',
    'ssh-2.0-x',
    'hello',
    '',
  ),
  fc.string({ maxLength: 20 }),
  fc.string({ maxLength: 20 }).map((rest) => `SSH-2.0-${rest}`),
  fc.integer({ min: 240, max: 260 }).map((length) => `SSH-2.0-${'x'.repeat(length)}`),
);
const stream = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r', '')), { maxLength: 6 })
    .map((lines) => encodeUtf8(lines.flat().join(''))),
);

it('reads any bytes the same in any pieces', () => {
  fc.assert(
    fc.property(stream, fc.boolean(), fc.integer({ min: 1, max: 20 }), (bytes, allowBefore, size) => {
      const whole = read(bytes, allowBefore, Math.max(1, bytes.length));
      expect(read(bytes, allowBefore, 1)).toEqual(whole);
      expect(read(bytes, allowBefore, size)).toEqual(whole);
      if (whole === 'more' || 'error' in whole) return;
      // A slow reading: lines end in LF, the first that begins with SSH- counts.
      const lines = Buffer.from(bytes).toString('latin1').split('\n');
      const at = lines.findIndex((each) => each.startsWith('SSH-'));
      expect(whole.used).toBe(lines.slice(0, at + 1).join('\n').length + 1);
      const text = lines[at]!.replace(/\r$/, '');
      expect(Buffer.from(whole.version.line).toString('latin1')).toBe(text);
      expect(text).toMatch(/^SSH-(2\.0|1\.99)-/);
      expect(text.length).toBeLessThanOrEqual(limits.identLine - 2);
      expect(whole.version.software).toBe(whole.version.text.split('-').slice(2).join('-').split(' ')[0]);
      expect(whole.preamble).toHaveLength(at);
      expect(at === 0 || allowBefore).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

it('bounds what comes before', () => {
  const lines = (count: number): Uint8Array => encodeUtf8(`${'x\n'.repeat(count)}SSH-2.0-x\r\n`);
  expect(read(lines(limits.preIdentLines), true, 4096)).toMatchObject({ version: { software: 'x' } });
  expect(read(lines(limits.preIdentLines + 1), true, 4096)).toHaveProperty('error');
  expect(read(new Uint8Array(limits.preIdentLineLength).fill(65), true, 100)).toBe('more');
  expect(read(new Uint8Array(limits.preIdentLineLength + 1).fill(65), true, 100)).toHaveProperty('error');
  expect(read(encodeUtf8('G'), false, 1)).toHaveProperty('error');
});

it('makes lines that it reads back', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 30 }), (software) => {
      let made: ReturnType<typeof identification>;
      try {
        made = identification(software);
      } catch (error) {
        expect(error).toMatchObject({ code: 'usage', by: 'local' });
        return;
      }
      const { line, wire } = made;
      expect(read(wire, false, 1)).toMatchObject({
        version: { line, software: software.split(' ')[0] },
        used: wire.length,
      });
    }),
    { numRuns: 1000 },
  );
});
