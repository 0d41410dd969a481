import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lines } from '../../../cli/render/lines.ts';
import { SpillBuffer, SpillStore } from '../../../cli/render/spill.ts';

interface Taken {
  readonly line: Buffer;
  readonly ended: boolean;
}

function split(chunks: readonly Uint8Array[], store = new SpillStore()): Taken[] {
  const taken: Taken[] = [];
  const take = (line: Uint8Array | SpillBuffer, ended: boolean): void => {
    taken.push({ line: Buffer.concat(line instanceof SpillBuffer ? [...line.drain()] : [line]), ended });
  };
  const lines = new Lines(store);
  for (const chunk of chunks) lines.push(chunk, take);
  lines.end(take);
  expect(store.held).toBe(0);
  expect(store.spilled).toBe(0);
  store.close();
  return taken;
}

const joined = (taken: readonly Taken[]): Buffer =>
  Buffer.concat(taken.flatMap(({ line, ended }) => (ended ? [line, Buffer.from('\n')] : [line])));

/** Bytes in which newlines are common, cut anywhere. */
const chunked = fc.array(
  fc.uint8Array({ maxLength: 40 }).map((raw) => raw.map((byte) => (byte % 5 === 0 ? 0x0a : byte))),
  { maxLength: 20 },
);

describe('Lines', () => {
  it('gives back every byte, and cuts at newlines only, however the bytes arrive', () => {
    fc.assert(
      fc.property(chunked, (chunks) => {
        const whole = Buffer.concat(chunks);
        const taken = split(chunks);
        expect(joined(taken)).toEqual(whole);
        expect(taken.every(({ line }) => !line.includes(0x0a))).toBe(true);
        expect(taken.slice(0, -1).every(({ ended }) => ended)).toBe(true);
        expect(taken).toEqual(split([...whole].map((byte) => Uint8Array.of(byte))));
      }),
    );
  });

  it('does the same when every line goes to disk', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 1, max: 90_000 }), fc.nat(255)).map(([length, seed]) => {
            const bytes = new Uint8Array(length).map((_, i) => (i * 31 + seed) % 251);
            return bytes.map((byte) => (byte === 0x0a ? 0x0b : byte));
          }),
          { minLength: 1, maxLength: 6 },
        ),
        (parts) => {
          const store = new SpillStore(0);
          const chunks = parts.flatMap((part, i) => (i % 3 === 2 ? [part, Buffer.from('\n')] : [part]));
          expect(joined(split(chunks, store)).equals(Buffer.concat(chunks))).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('leaves CR, NUL and broken UTF-8 alone', () => {
    const odd = Buffer.from([0x61, 0x0d, 0x62, 0x00, 0xff, 0xc3, 0x0a, 0x0d, 0x0a, 0x00]);
    expect(split([odd]).map(({ line, ended }) => [line.toString('hex'), ended])).toEqual([
      ['610d6200ffc3', true],
      ['0d', true],
      ['00', false],
    ]);
  });

  it('keeps memory bounded under a line that never ends', () => {
    const store = new SpillStore(256 * 1024);
    const lines = new Lines(store);
    const chunk = Buffer.alloc(32 * 1024, 'x');
    let most = 0;
    for (let i = 0; i < 512; i++) {
      lines.push(chunk, () => expect.unreachable());
      most = Math.max(most, store.held);
    }
    expect(most).toBeLessThan(512 * 1024);
    expect(store.spilled).toBeGreaterThan(15 * 1024 * 1024);
    let length = 0;
    lines.end((line) => {
      for (const part of (line as SpillBuffer).drain()) length += part.length;
    });
    expect(length).toBe(16 * 1024 * 1024);
    expect(store.spilled).toBe(0);
    store.close();
  });
});
