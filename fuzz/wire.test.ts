/**
 * Wire types and text. Invariants: a reader gives back what a writer wrote, and for any bytes a value or
 * SshError('malformed'); UTF-8 is decoded as the platform does it wherever it is valid, with one U+FFFD for each
 * offending byte where it is not.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../protocol/limits.ts';
import { Reader } from '../protocol/wire/reader.ts';
import { decodeUtf8, encodeUtf8 } from '../protocol/wire/text.ts';
import { Writer } from '../protocol/wire/writer.ts';
import { name, valueOrMalformed } from './arbitraries/messages.ts';

const fatal = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** The longest valid character at `at` by trial, else one U+FFFD and one byte on. */
function slowDecode(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    let length = 4;
    for (; length > 0; length--) {
      try {
        const text = fatal.decode(bytes.subarray(at, at + length));
        if ([...text].length !== 1) continue;
        out += text;
        break;
      } catch {}
    }
    if (length === 0) out += '\ufffd';
    at += Math.max(1, length);
  }
  return out;
}

describe('text', () => {
  // Bytes that begin, continue and spoil sequences, more often than chance would have it.
  const byte = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(
      0x41,
      0x7f,
      0x80,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0x9f,
      0xa0,
      0xed,
      0xef,
      0xf0,
      0x8f,
      0x90,
      0xf4,
      0xf5,
      0xff,
    ),
  );
  const broken = fc.array(byte, { maxLength: 40 }).map((list) => Uint8Array.from(list));

  it('is written as its bytes are, plain or not', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => {
        const bytes = new TextEncoder().encode(text);
        const before = new Writer(1).u8(1);
        expect(before.text(text).u8(2).finish()).toEqual(new Writer().u8(1).string(bytes).u8(2).finish());
      }),
      { numRuns: 1000 },
    );
  });

  it('decodes anything as its slow twin does', () => {
    fc.assert(
      fc.property(broken, (bytes) => {
        expect(decodeUtf8(bytes)).toBe(slowDecode(bytes));
      }),
      { numRuns: 3000 },
    );
  });
  it('decodes what is valid as the platform does, and encodes it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = encodeUtf8(text);
        expect(bytes).toEqual(new TextEncoder().encode(text));
        expect(decodeUtf8(bytes)).toBe(Buffer.from(bytes).toString());
      }),
      { numRuns: 1000 },
    );
  });
  it('never gives more characters than bytes, at any length', () => {
    for (const length of [0, 1, 4095, 4096, 4097, 100_000]) {
      expect(decodeUtf8(new Uint8Array(length).fill(0x61))).toBe('a'.repeat(length));
      expect(decodeUtf8(new Uint8Array(length).fill(0xff))).toBe('\ufffd'.repeat(length));
    }
  });
});

describe('name-lists', () => {
  const list = (bytes: Uint8Array): string[] | undefined =>
    valueOrMalformed(() => new Reader(new Writer().string(bytes).finish()).nameList());

  it('are read as written', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 30 }), (names) => {
        expect(new Reader(new Writer().nameList(names).finish()).nameList()).toEqual(names);
      }),
    );
  });
  it('are printable US-ASCII, split at commas, or malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, ascii) => {
        const shown = ascii ? bytes.map((byte) => 0x21 + (byte % 94)) : bytes;
        const good = shown.every((byte) => byte > 0x20 && byte < 0x7f);
        const text = String.fromCharCode(...shown);
        expect(list(shown)).toEqual(!good ? undefined : text === '' ? [] : text.split(','));
      }),
      { numRuns: 1000 },
    );
  });
  it('are bounded in bytes and in names', () => {
    expect(list(new Uint8Array(limits.nameListBytes).fill(0x61))).toHaveLength(1);
    expect(list(new Uint8Array(limits.nameListBytes + 1).fill(0x61))).toBeUndefined();
    expect(list(encodeUtf8('a,'.repeat(limits.nameListEntries - 1).concat('a')))).toHaveLength(limits.nameListEntries);
    expect(list(encodeUtf8('a,'.repeat(limits.nameListEntries).concat('a')))).toBeUndefined();
  });
});

describe('mpint', () => {
  /** RFC 4251 section 5 by BigInt: two's complement, the least number of bytes. */
  const slow = (value: bigint): number[] => {
    if (value === 0n) return [0, 0, 0, 0];
    let hex = value.toString(16);
    if (hex.length % 2) hex = `0${hex}`;
    if (Number.parseInt(hex.slice(0, 2), 16) >= 0x80) hex = `00${hex}`;
    const body = [...Buffer.from(hex, 'hex')];
    return [0, 0, body.length >> 8, body.length & 255, ...body];
  };
  it('is written as its slow twin writes it, and read back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const value = BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
        const written = new Writer().mpint(bytes).finish();
        expect([...written]).toEqual(slow(value));
        const read = new Reader(written).mpint();
        expect(BigInt(`0x0${Buffer.from(read).toString('hex')}`)).toBe(value);
        expect(read[0]).not.toBe(0);
      }),
      { numRuns: 1000 },
    );
  });
  it('is read only if it is the one way to write its number', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), fc.nat(3), (bytes, zeros) => {
        const body = Uint8Array.from([...new Uint8Array(zeros), ...bytes]);
        const wire = new Writer().string(body).finish();
        const read = valueOrMalformed(() => new Reader(wire).mpint());
        if (read === undefined) {
          const negative = body[0]! >= 0x80;
          expect(negative || (body[0] === 0 && (body.length === 1 || body[1]! < 0x80))).toBe(true);
        } else expect([...new Writer().mpint(read).finish()]).toEqual([...wire]);
      }),
      { numRuns: 2000 },
    );
    const long = new Uint8Array(limits.mpintBytes + 1).fill(1);
    expect(valueOrMalformed(() => new Reader(new Writer().string(long).finish()).mpint())).toBeUndefined();
  });
});

describe('a cursor', () => {
  type Step = [kind: 'u8' | 'bool' | 'u32' | 'u64' | 'string' | 'text' | 'nameList' | 'mpint'] | ['raw', number];
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc
      .constantFrom('u8', 'bool', 'u32', 'u64', 'string', 'text', 'nameList', 'mpint')
      .map((kind): Step => [kind as 'u8']),
    fc.nat(9).map((length): Step => ['raw', length]),
  );
  it('never leaves its bytes, whatever is asked of it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), fc.array(step, { maxLength: 12 }), (bytes, steps) => {
        const reader = new Reader(bytes);
        for (const [kind, length] of steps) {
          const before = reader.position;
          const got = valueOrMalformed(() => (kind === 'raw' ? reader.raw(length) : reader[kind]()));
          if (got === undefined) return;
          expect(reader.position).toBeGreaterThanOrEqual(before);
          expect(reader.position + reader.remaining).toBe(bytes.length);
          if (got instanceof Uint8Array && got.length > 0) expect(got.buffer).toBe(bytes.buffer);
        }
        const left = reader.remaining;
        expect(reader.rest()).toHaveLength(left);
        expect(() => reader.end('it')).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});
