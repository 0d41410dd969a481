import { describe, expect, test } from 'vitest';
import { attrFlags, attrs, fileKind, type SftpAttrs } from '../../../protocol/sftp/attrs.ts';
import { replies, requests } from '../../../protocol/sftp/messages.ts';
import { decodeName, encodeName, isByteName } from '../../../protocol/sftp/names.ts';
import { Reader } from '../../../protocol/wire/reader.ts';
import { Writer } from '../../../protocol/wire/writer.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('names', () => {
  test.each([
    ['616263', 'abc', false],
    ['c3a9', '\u00e9', false],
    ['f09f9880', '\u{1f600}', false],
    ['efbfbd', '\ufffd', false],
    ['ff', '\udcff', true],
    ['61e9', 'a\udce9', true],
    ['eda080', '\udced\udca0\udc80', true],
    ['c0af', '\udcc0\udcaf', true],
    ['efbfbdff', '\ufffd\udcff', true],
    ['f09f98', '\udcf0\udc9f\udc98', true],
  ])('%s', (bytes, text, odd) => {
    expect(decodeName(Buffer.from(bytes, 'hex'))).toBe(text);
    expect(hex(encodeName(text))).toBe(bytes);
    expect(isByteName(text)).toBe(odd);
  });

  test('every byte twice over', () => {
    for (let first = 0; first < 256; first++) {
      const all = Uint8Array.from({ length: 512 }, (_, i) => (i & 1 ? i >> 1 : first));
      expect(hex(encodeName(decodeName(all)))).toBe(hex(all));
    }
  });
});

describe('attributes', () => {
  test('the flag word and the order of section 5', () => {
    const writer = new Writer();
    const extended = [{ type: 'a', data: Uint8Array.of(7) }];
    const all: SftpAttrs = { size: 1n << 40n, uid: 2, gid: 3, permissions: 0o100644, atime: 4, mtime: 5, extended };
    attrs.write(writer, all);
    const bytes = writer.finish();
    expect(hex(bytes)).toBe(
      '8000000f00000100000000000000000200000003000081a40000000400000005000000010000000161' + '0000000107',
    );
    expect(attrs.read(new Reader(bytes))).toEqual(all);
    expect(attrFlags.extended).toBe(0x80000000);
  });

  test('kinds', () => {
    expect([0o100644, 0o40755, 0o120777, 0o10600, undefined, 0o644].map((mode) => fileKind(mode))).toEqual([
      'file',
      'directory',
      'link',
      'fifo',
      'unknown',
      'unknown',
    ]);
  });
});

test('packet numbers are those of section 3', () => {
  const numbers = Object.values(requests).map((each) => each.number);
  expect(numbers).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 200]);
  expect(Object.values(replies).map((each) => each.number)).toEqual([101, 102, 103, 104, 105, 201]);
});
