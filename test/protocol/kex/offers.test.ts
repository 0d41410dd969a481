/** Offers are written and read once for many connections: what differs must never be taken for what was seen before. */

import { describe, expect, it } from 'vitest';
import { defaultAlgorithms, supportedAlgorithms } from '../../../protocol/algorithms.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { KexInit } from '../../../protocol/messages/transport.ts';
import { buildKexInit, readKexInit } from '../../../protocol/negotiate.ts';

const offer = defaultAlgorithms(nobleCrypto);
const build = (ciphers: readonly string[], initial = true): Uint8Array =>
  buildKexInit(nobleCrypto, 'client', { ...offer, ciphers }, initial);

describe('offers', () => {
  it('are the same object for the same provider only', () => {
    expect(supportedAlgorithms(nobleCrypto)).toBe(supportedAlgorithms(nobleCrypto));
    const without = { ...nobleCrypto, dsa: undefined };
    expect(supportedAlgorithms(nobleCrypto).hostKeys).toContain('ssh-dss');
    expect(supportedAlgorithms(without).hostKeys).not.toContain('ssh-dss');
  });

  it('are written as asked for, each with a cookie of its own', () => {
    const [one, two] = [build(['aes128-ctr']), build(['aes128-ctr'])];
    expect(one.subarray(17)).toEqual(two.subarray(17));
    expect(one.subarray(1, 17)).not.toEqual(two.subarray(1, 17));
    expect(KexInit.decode(build(['aes256-ctr'])).cipherClientToServer).toEqual(['aes256-ctr']);
    expect(KexInit.decode(build(['aes128-ctr'], false)).kex).toEqual(offer.kex);
    expect(KexInit.decode(one)).toMatchObject({
      cipherClientToServer: ['aes128-ctr'],
      kex: expect.arrayContaining(['ext-info-c']),
    });
  });

  it('are read as they are, also those that differ in one byte', () => {
    const first = build(['aes128-ctr', 'aes256-ctr']);
    for (let round = 0; round < 2; round++) {
      expect(readKexInit(first)).toEqual(KexInit.decode(first));
      for (const at of [1, 16, first.length - 5]) {
        const other = first.slice();
        other[at]! ^= 1;
        expect(readKexInit(other)).toEqual(KexInit.decode(other));
      }
    }
    for (let length = 0; length < first.length; length += 7)
      expect(() => readKexInit(first.subarray(0, length))).toThrow();
  });

  it('are not mixed up with what the memory of an earlier one became', () => {
    const bytes = build(['aes128-ctr']);
    readKexInit(bytes);
    const later = build(['aes192-ctr']);
    bytes.set(later);
    expect(readKexInit(bytes).cipherClientToServer).toEqual(['aes192-ctr']);
    expect(readKexInit(build(['aes128-ctr'])).cipherClientToServer).toEqual(['aes128-ctr']);
  });
});
