import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeAll } from '../../../client/sftp/local-file.ts';
import { Patience } from '../../../client/sftp/patience.ts';
import { baseName, joinRemote, partName, safeName } from '../../../client/sftp/safe-names.ts';
import { toAttrs } from '../../../client/sftp/stat.ts';
import { FETCH_REQUESTS, STORE_BYTES, TransferWindow } from '../../../client/sftp/window.ts';

describe('names of the server', () => {
  test.each(['a', '-rf', '...', 'a b', '~', 'a\\b', 'c:', 'nul', 'x.', '\udcff'])('%j is a name', (name) => {
    expect(safeName(name, 'linux')).toBe(name);
  });
  test.each(['', '.', '..', '/', 'a/b', '../a', '/a', 'a\0'])('%j is none', (name) => {
    for (const platform of ['linux', 'win32'] as const) {
      expect(() => safeName(name, platform)).toThrow(expect.objectContaining({ code: 'sftp', by: 'peer' }));
    }
  });
  test.each(['a\\b', 'c:', 'c:x', 'nul', 'NUL.txt', 'com1', 'x.', 'x ', 'a?', 'a\u0001'])(
    '%j is none on Windows',
    (name) => {
      expect(() => safeName(name, 'win32')).toThrow(expect.objectContaining({ code: 'sftp', by: 'peer' }));
    },
  );
});

test('remote paths', () => {
  expect(['a', '/a', '/x/a', '/x/a/', '/'].map(baseName)).toEqual(['a', 'a', 'a', 'a', '']);
  expect([joinRemote('', 'n'), joinRemote('/', 'n'), joinRemote('/a', 'n')]).toEqual(['n', '/n', '/a/n']);
  expect(partName('/x/a', 'm')).toBe('/x/.a.m.part');
  expect(partName('a', 'm')).toBe('.a.m.part');
  expect(Buffer.byteLength(partName(`/${'\u00e9'.repeat(127)}`, 'mark'))).toBeLessThan(256);
});

test('what is set: only what was given, times within 32 bits', () => {
  expect(toAttrs({})).toEqual({});
  expect(toAttrs({ size: 3, mode: 0o100644, atime: -1, mtime: 2 ** 40 })).toEqual({
    size: 3n,
    permissions: 0o644,
    atime: 0,
    mtime: 0xffff_ffff,
  });
  expect(() => toAttrs({ size: -1 })).toThrow(expect.objectContaining({ code: 'usage' }));
});

function tired(): Patience {
  const patience = new Patience();
  patience.waited(0, Number.POSITIVE_INFINITY);
  return patience;
}

describe('patience with the local disk', () => {
  test('is lost for fifty times as long as it was tried', () => {
    const patience = new Patience();
    expect(patience.canWait(0)).toBe(true);
    patience.waited(100, 101);
    expect(patience.canWait(101)).toBe(true);
    patience.waited(200, 220);
    expect(patience.canWait(220)).toBe(false);
    expect(patience.canWait(1219)).toBe(false);
    expect(patience.canWait(1220)).toBe(true);
  });

  test.each([
    ['with it a block is written at once', new Patience(), true],
    ['without it through the thread pool', tired(), false],
  ])('%s', async (_name, patience, atOnce) => {
    const dir = mkdtempSync(join(tmpdir(), 'parts-'));
    const path = join(dir, 'file');
    const bytes = Buffer.alloc(300_000, 'block');
    const writing = async (flags: string): Promise<{ early: boolean; error: unknown }> => {
      const fd = openSync(path, flags);
      let isOver = false;
      let early = false;
      const error = await new Promise<unknown>((resolve) => {
        const over = (failure?: unknown): void => {
          isOver = true;
          resolve(failure);
        };
        writeAll(fd, bytes, 7, over, patience);
        early = isOver;
      });
      closeSync(fd);
      return { early, error };
    };
    expect(await writing('w')).toEqual({ early: atOnce, error: undefined });
    expect(readFileSync(path).subarray(7).equals(bytes)).toBe(true);
    expect(await writing('r')).toMatchObject({ early: atOnce, error: { code: 'EBADF' } });
    rmSync(dir, { recursive: true });
  });
});

describe('the window', () => {
  /** A path of `rate` bytes a millisecond and `trip` milliseconds, served in order; gives the mean rate at the end. */
  function run(
    rate: number,
    trip: number,
    request: number,
    window = new TransferWindow(request),
    several = false,
  ): { window: TransferWindow; reached: number } {
    const flight: { sentAt: number; due: number }[] = [];
    let now = 0;
    let free = 0;
    let moved = 0;
    const until = 4000;
    while (now < until) {
      while (several ? window.roomy : window.open) {
        free = Math.max(free, now) + request / rate;
        flight.push({ sentAt: now, due: free + trip });
        window.sent(request, now);
      }
      const next = flight.shift()!;
      now = next.due;
      window.answered(request, next.sentAt, now);
      if (now > until / 2) moved += request;
    }
    return { window, reached: moved / (until / 2) };
  }

  test('fills a long path and does not flood a short one', () => {
    for (const [rate, trip] of [
      [100_000, 50],
      [100_000, 150],
      [300_000, 0.1],
      [10_000, 20],
    ] as const) {
      const { window, reached } = run(rate, trip, 261_120);
      expect(reached).toBeGreaterThan(rate * 0.9);
      expect(window.limit).toBeLessThan(3 * (rate * trip + 4 * 261_120));
    }
  });

  test('is never below or above what is asked for', () => {
    const request = 1_000_000;
    const window = new TransferWindow(request, 7 * request, 9 * request);
    expect(window.limit).toBe(7 * request);
    let now = 0;
    for (let i = 0; i < 5; i++) window.sent(request, now);
    /** An answer every so many milliseconds, each to a request of a second or more before. */
    const serve = (interval: number): void => {
      for (let i = 0; i < 100; i++) {
        now += interval;
        window.answered(request, now - Math.max(1000, interval), now);
        window.sent(request, now);
      }
    };
    serve(1000);
    expect(window.limit).toBe(7 * request);
    serve(10);
    expect(window.limit).toBe(9 * request);
    serve(2000);
    expect(window.limit).toBe(7 * request);
    expect(new TransferWindow(request, 7 * request, 3 * request).limit).toBe(3 * request);
  });

  test('a server nearby is sent no more than keeps it busy, one that is far as much as the path holds', () => {
    const request = 261_120;
    const near = run(1_000_000, 3, request, new TransferWindow(request, STORE_BYTES));
    expect(near.window.limit).toBe(STORE_BYTES);
    const far = run(1_000_000, 5, request, new TransferWindow(request, STORE_BYTES));
    expect(far.window.limit).toBeGreaterThan(5_000_000);
    expect(far.reached).toBeGreaterThan(900_000);
    // Short requests and little to begin with: that may be too little even for a server nearby.
    const short = run(400_000, 3, 32_768, new TransferWindow(32_768, 16 * 32_768));
    expect(short.reached).toBeGreaterThan(360_000);
  });

  test('asked several at a time, too', () => {
    const request = 261_120;
    for (const [rate, trip] of [
      [100_000, 50],
      [300_000, 0.1],
    ] as const) {
      const window = new TransferWindow(request, FETCH_REQUESTS * request);
      expect(run(rate, trip, request, window, true).reached).toBeGreaterThan(rate * 0.9);
    }
    const tiny = new TransferWindow(request, request, request);
    expect(tiny.roomy).toBe(true);
    tiny.sent(request, 0);
    expect(tiny.roomy).toBe(false);
  });

  test('small requests, too', () => {
    expect(run(100_000, 50, 32_768).reached).toBeGreaterThan(90_000);
  });
});
