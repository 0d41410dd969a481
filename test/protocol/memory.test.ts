import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { release, type Transfer, transferBy } from '../../protocol/memory.ts';

describe('memory that is given back', () => {
  const freed: ArrayBuffer[] = [];
  const own = (ArrayBuffer.prototype as { transfer?: Transfer }).transfer;

  beforeAll(() =>
    transferBy(function record(this: ArrayBuffer, length) {
      expect(length).toBe(0);
      freed.push(this);
      return own === undefined ? new ArrayBuffer(0) : own.call(this, length);
    }),
  );
  afterAll(() => own && transferBy(own));

  test('is a whole buffer, but for a head and padding', () => {
    const whole = new Uint8Array(5000);
    const payload = new Uint8Array(33_000).subarray(10, 32_900);
    const { buffer } = payload;
    release(whole);
    release(payload);
    expect(freed.splice(0)).toEqual([whole.buffer, buffer]);
    if (own !== undefined) expect([whole.length, payload.length, buffer.byteLength]).toEqual([0, 0, 0]);
  });

  test('is no part of a larger one, and not little', () => {
    const large = new Uint8Array(64 * 1024);
    release(large.subarray(0, 32 * 1024));
    release(large.subarray(1000));
    release(new Uint8Array(1000));
    expect(freed).toEqual([]);
    expect(large.length).toBe(64 * 1024);
  });
});
