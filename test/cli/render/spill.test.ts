import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Collected } from '../../../cli/render/collected.ts';
import { SpillBuffer, SpillStore } from '../../../cli/render/spill.ts';

describe('SpillBuffer', () => {
  it('gives back what many buffers were given, through one file', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 0, max: 40_000 })), { maxLength: 60 }),
        fc.constantFrom(0, 50_000, 10_000_000),
        (pushes, budget) => {
          const store = new SpillStore(budget);
          const buffers = [0, 1, 2, 3].map(() => new SpillBuffer(store));
          const expected: Buffer[][] = [[], [], [], []];
          pushes.forEach(([which, length], i) => {
            const piece = Buffer.alloc(length, i + 1);
            buffers[which]!.push(piece);
            expected[which]!.push(piece);
          });
          buffers.forEach((buffer, which) => {
            const whole = Buffer.concat(expected[which]!);
            expect(buffer.length).toBe(whole.length);
            expect(Buffer.from(buffer.toBytes()).equals(whole)).toBe(true);
            expect(Buffer.concat([...buffer.drain()]).equals(whole)).toBe(true);
            expect(buffer.length).toBe(0);
          });
          expect([store.held, store.spilled]).toEqual([0, 0]);
          store.close();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('leaves no file in the temporary directory even while it is in use', () => {
    const store = new SpillStore(0);
    const buffer = new SpillBuffer(store);
    for (let i = 0; i < 100; i++) buffer.push(Buffer.alloc(10_000));
    expect(store.spilled).toBeGreaterThan(500_000);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`bssh-${process.pid}-`))).toEqual([]);
    store.close();
  });

  it('says where there is no room, and what to do', () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = '/nonexistent';
    try {
      const buffer = new SpillBuffer(new SpillStore(0));
      expect(() => {
        for (let i = 0; i < 10; i++) buffer.push(Buffer.alloc(64 * 1024));
      }).toThrow(
        'output that waits for its turn does not fit into /nonexistent: no such directory (TMPDIR names another place)',
      );
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  it('copies, so that a few bytes kept do not keep or follow their packet', () => {
    const store = new SpillStore();
    const buffer = new SpillBuffer(store);
    const packet = Buffer.alloc(32 * 1024, 'a');
    buffer.push(packet.subarray(0, 3));
    packet.fill('b');
    expect(Buffer.from(buffer.toBytes()).toString()).toBe('aaa');
    expect(store.held).toBe(256);
  });
});

describe('Collected', () => {
  it('keeps both streams in the order they came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ minLength: 1, maxLength: 300 })), { maxLength: 200 }),
        (pushes) => {
          const store = new SpillStore(0);
          const collected = new Collected(store);
          for (const [isError, data] of pushes) collected.push(isError ? 'stderr' : 'stdout', data);
          const want = pushes.flatMap(([isError, data]) => [...data].map((byte) => `${isError} ${byte}`));
          const got = [...collected.drain()].flatMap(({ stream, data }) =>
            [...data].map((byte) => `${stream === 'stderr'} ${byte}`),
          );
          expect(got).toEqual(want);
          store.close();
        },
      ),
      { numRuns: 50 },
    );
  });
});
