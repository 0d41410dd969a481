/** Compression against python's and node's zlib, and bombs. */

import { readFileSync } from 'node:fs';
import { constants, deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { join, named, pattern } from '../../../fuzz/arbitraries/suites.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { limits } from '../../../protocol/limits.ts';
import type { Compressor } from '../../../protocol/packet/cipher.ts';
import { compressionRows } from '../../../protocol/packet/compression.ts';
import { Inbound } from '../../../protocol/packet/inbound.ts';
import { Outbound } from '../../../protocol/packet/outbound.ts';

const file = JSON.parse(readFileSync(new URL('../../vectors/compression.json', import.meta.url), 'utf8')) as {
  readonly payloads: readonly string[];
  readonly partial: readonly string[];
  readonly sync: readonly string[];
};
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const payloads = file.payloads.map(bytes);
const row = compressionRows.find(({ name }) => name === 'zlib')!;
const compressor = (): Compressor => row.compressor!();
const decompressor = (): Compressor => row.decompressor!();
const refused = expect.objectContaining({ code: 'compression', by: 'peer', disconnect: 6 });

describe('zlib', () => {
  it.each(['partial', 'sync'] as const)("inflates another's stream with %s flushes", (flush) => {
    const inflate = decompressor();
    expect(file[flush].map((piece) => inflate.process(bytes(piece)))).toEqual(payloads);
  });

  it('makes a stream another inflates, packet by packet', () => {
    const deflate = compressor();
    const pieces = payloads.map((payload) => deflate.process(payload));
    for (let i = 1; i <= pieces.length; i++) {
      const out = inflateSync(join(pieces.slice(0, i)), { finishFlush: constants.Z_SYNC_FLUSH });
      expect(new Uint8Array(out)).toEqual(join(payloads.slice(0, i)));
    }
    expect(pieces[1]!.length).toBeLessThan(20);
  });

  it.each([1, 511, 512, 513, 2048, 65_536, limits.inflatedPayload])('round trip of %i bytes', (length) => {
    for (const payload of [pattern(length), new Uint8Array(length)]) {
      expect(decompressor().process(compressor().process(payload))).toEqual(payload);
    }
  });

  it('stops a bomb at the bound', () => {
    const bomb = deflateSync(new Uint8Array(64 * 1024 * 1024), { finishFlush: constants.Z_SYNC_FLUSH });
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decompressor().process(bomb)).toThrowError(refused);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    const over = compressor().process(new Uint8Array(limits.inflatedPayload + 1));
    expect(() => decompressor().process(over)).toThrowError(refused);
  });

  it.each([
    ['noise', pattern(100)],
    ['a finished stream', new Uint8Array(deflateSync(new Uint8Array(10)))],
    ['bytes behind the end', join([new Uint8Array(deflateSync(new Uint8Array(10))), pattern(5)])],
    ['a dictionary', Uint8Array.of(0x78, 0xbb, 1, 2, 3, 4)],
  ])('refuses %s', (_name, input) => {
    expect(() => decompressor().process(input)).toThrowError(refused);
  });
});

describe('on packets', () => {
  it('starts late, ends with new keys, and takes the payload in pieces', () => {
    const suite = named(nobleCrypto, 'aes128-gcm@openssh.com');
    const outbound = new Outbound(nobleCrypto);
    const inbound = new Inbound();
    const words = payloads[0]!;
    const pass = (): number => {
      outbound.begin(words.length);
      for (let at = 0; at < words.length; at += 7) outbound.put(words.subarray(at, at + 7));
      outbound.end();
      const wire = outbound.take()!;
      inbound.feed(wire);
      expect(inbound.next()).toEqual(words);
      inbound.settle();
      return wire.length;
    };
    outbound.rekey(suite.sealer());
    inbound.rekey(suite.opener());
    const plain = pass();
    outbound.setCompressor(compressor());
    inbound.setDecompressor(decompressor());
    expect(pass()).toBeLessThan(plain / 3);
    expect(pass()).toBeLessThan(plain / 3);
    outbound.rekey(suite.sealer(), compressor());
    inbound.rekey(suite.opener(), decompressor());
    expect(pass()).toBeLessThan(plain / 3);
    outbound.rekey(suite.sealer());
    inbound.rekey(suite.opener());
    expect(pass()).toBe(plain);
  });

  it('an empty packet inside compression is refused', () => {
    const outbound = new Outbound(nobleCrypto);
    outbound.send(Uint8Array.of(0x78, 0x9c));
    const inbound = new Inbound();
    inbound.setDecompressor(decompressor());
    inbound.feed(outbound.take()!);
    expect(() => inbound.next()).toThrowError(expect.objectContaining({ code: 'malformed', by: 'peer' }));
  });
});
