import { describe, expect, it } from 'vitest';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { umac } from '../../../protocol/crypto/umac.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex').toUpperCase();

const [key, nonce] = [bytes('abcdefghijklmnop'), bytes('bcdefghi')];

/** RFC 4418 appendix, UMAC-64 and UMAC-128 (the latter as corrected by erratum 3507). */
const vectors: readonly (readonly [name: string, message: Uint8Array, tag64: string, tag128: string])[] = [
  ['empty', bytes(''), '6E155FAD26900BE1', '32FEDB100C79AD58F07FF7643CC60465'],
  ["'a' * 3", bytes('aaa'), '44B5CB542F220104', '185E4FE905CBA7BD85E4C2DC3D117D8D'],
  ["'a' * 2^10", bytes('a'.repeat(2 ** 10)), '26BF2F5D60118BD9', '7A54ABE04AF82D60FB298C3CBD195BCB'],
  ["'a' * 2^15", bytes('a'.repeat(2 ** 15)), '27F8EF643B0D118D', '7B136BD911E4B734286EF2BE501F2C3C'],
  ["'a' * 2^20", bytes('a'.repeat(2 ** 20)), 'A4477E87E9F55853', 'F8ACFA3AC31CFEEA047F7B115B03BEF5'],
  ["'abc' * 1", bytes('abc'), 'D4D7B9F6BD4FBFCF', '883C3D4B97A61976FFCF232308CBA5A5'],
  ["'abc' * 500", bytes('abc'.repeat(500)), 'D4CF26DDEFD5C01A', '8824A260C53C66A36C9260A62CB83AA1'],
];

describe.each([nobleCrypto, nodeCrypto()])('UMAC on $name', (crypto) => {
  it.each(vectors)('%s', (_, message, tag64, tag128) => {
    expect(hex(umac(crypto, key, 8).compute(nonce, message))).toBe(tag64);
    expect(hex(umac(crypto, key, 16).compute(nonce, message))).toBe(tag128);
  });

  it('uses both halves of one AES block for 8-byte tags, and any alignment of the data', () => {
    const mac = umac(crypto, key, 8);
    const [even, odd] = [Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 3)];
    const data = bytes('x'.repeat(1500));
    expect(mac.compute(even, data)).not.toEqual(mac.compute(odd, data));
    expect(mac.compute(odd, data.slice(3))).toEqual(mac.compute(odd, data.subarray(3)));
    expect(even[7]).toBe(2);
  });

  it('refuses other nonces', () => {
    expect(() => umac(crypto, key, 8).compute(nonce.subarray(1), nonce)).toThrow(/nonce/);
  });
});
