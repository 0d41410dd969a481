/** Padding, arenas and counters of the sending direction. */

import { describe, expect, it } from 'vitest';
import { named, pattern, suites } from '../../../fuzz/arbitraries/suites.ts';
import { createNobleCrypto } from '../../../protocol/crypto/noble.ts';
import { limits } from '../../../protocol/limits.ts';
import { compressionRows } from '../../../protocol/packet/compression.ts';
import { Inbound } from '../../../protocol/packet/inbound.ts';
import { Outbound } from '../../../protocol/packet/outbound.ts';
import { getU32 } from '../../../protocol/wire/writer.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';

const crypto = nodeCrypto();
const usage = expect.objectContaining({ code: 'usage', by: 'local' });

describe('padding', () => {
  it('is the least that RFC 4253 section 6 allows, for every length', () => {
    const outbound = new Outbound(crypto);
    for (let length = 1; length < 300; length++) {
      outbound.send(pattern(length));
      const packet = outbound.take()!;
      let padding = 4;
      while ((5 + length + padding) % 8 !== 0) padding++;
      expect([packet.length, getU32(packet, 0), packet[4]]).toEqual([
        5 + length + padding,
        1 + length + padding,
        padding,
      ]);
      expect(packet.subarray(5, 5 + length)).toEqual(pattern(length));
    }
  });

  it('is random, fetched in few calls', () => {
    let calls = 0;
    const random = (length: number): Uint8Array => {
      calls++;
      return new Uint8Array(length).fill(0xa5);
    };
    const counted = createNobleCrypto({ random });
    const outbound = new Outbound(counted);
    for (let i = 0; i < 100; i++) outbound.send(pattern(3));
    const wire = outbound.take()!;
    expect(calls).toBe(2);
    expect([...wire.subarray(8, 16)]).toEqual(Array(8).fill(0xa5));
  });
});

describe('arenas', () => {
  it('gives away memory it never writes again', () => {
    const outbound = new Outbound(crypto);
    const taken: { bytes: Uint8Array; copy: Uint8Array }[] = [];
    for (let i = 0; i < 500; i++) {
      const burst = i % 7 === 0 ? 40 : 1;
      for (let k = 0; k < burst; k++) outbound.send(pattern(1 + ((i * 37 + k * 911) % 3000), i));
      for (let bytes = outbound.take(); bytes !== undefined; bytes = outbound.take()) {
        taken.push({ bytes, copy: bytes.slice() });
      }
      expect(outbound.pending).toBe(0);
    }
    expect(taken.every(({ bytes, copy }) => Buffer.compare(bytes, copy) === 0)).toBe(true);
  });

  it('puts many bulk packets into one piece and small traffic into small memory', () => {
    const outbound = new Outbound(crypto);
    const pieces = (): Uint8Array[] => {
      const out: Uint8Array[] = [];
      for (let piece = outbound.take(); piece !== undefined; piece = outbound.take()) out.push(piece);
      return out;
    };
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 8; i++) outbound.send(pattern(32 * 1024));
      if (round < 7) pieces();
    }
    expect(outbound.pending).toBe(8 * (32 * 1024 + 16));
    expect(pieces().length).toBe(1);
    for (let i = 0; i < 10; i++) {
      outbound.send(pattern(30));
      pieces();
    }
    outbound.send(pattern(30));
    const small = pieces()[0]!;
    outbound.send(pattern(30));
    expect(small.buffer.byteLength).toBe(8 * 1024);
    expect(pieces()[0]!.buffer).toBe(small.buffer);
  });

  it('uses memory again that was given back, and only then', () => {
    const outbound = new Outbound(crypto);
    const bulk = (): Uint8Array => {
      for (let i = 0; i < 8; i++) outbound.send(pattern(32 * 1024));
      return outbound.take()!;
    };
    for (let round = 0; round < 8; round++) {
      bulk();
      while (outbound.take() !== undefined);
    }
    const first = bulk();
    const second = bulk();
    expect(second.buffer).not.toBe(first.buffer);
    outbound.recycle(first);
    const third = bulk();
    expect(third.buffer).toBe(first.buffer);
  });

  it('counts what is formed and what is taken', () => {
    const outbound = new Outbound(crypto);
    expect(outbound.take()).toBeUndefined();
    for (let i = 0; i < 20; i++) outbound.send(pattern(4000));
    expect([outbound.packets, outbound.sequence, outbound.bytes, outbound.pending]).toEqual([20, 20, 80_320, 80_320]);
    let left = outbound.pending;
    for (let piece = outbound.take(); piece !== undefined; piece = outbound.take()) {
      left -= piece.length;
      expect(outbound.pending).toBe(left);
    }
    expect(left).toBe(0);
    outbound.rekey(named(crypto, 'aes128-gcm@openssh.com').sealer());
    expect([outbound.packets, outbound.sequence, outbound.bytes]).toEqual([0, 20, 0]);
  });

  it('is full when a socket write’s worth waits, and not once that is taken', () => {
    const outbound = new Outbound(crypto);
    while (!outbound.full) outbound.send(pattern(32 * 1024));
    expect(outbound.packets).toBe(8);
    outbound.take();
    expect(outbound.full).toBe(false);
  });

  it('is full at what its keys are good for, but takes one packet under any', () => {
    for (const [packets, bytes, formed] of [
      [3, Number.POSITIVE_INFINITY, 3],
      [100, 1000, 4],
      [0, 0, 1],
    ] as const) {
      const outbound = new Outbound(crypto);
      outbound.limit(packets, bytes);
      while (!outbound.full) outbound.send(pattern(300));
      expect(outbound.packets).toBe(formed);
      outbound.take();
      expect(outbound.full).toBe(true);
      outbound.rekey(named(crypto, 'aes128-gcm@openssh.com').sealer());
      expect(outbound.full).toBe(false);
    }
  });
});

describe('use', () => {
  it('refuses empty and overlong payloads and such as are not what was begun, and goes on', () => {
    const outbound = new Outbound(crypto);
    const [suite, bytes] = [named(crypto, 'aes128-gcm@openssh.com'), pattern(5)];
    expect(() => outbound.begin(0)).toThrowError(usage);
    expect(() => outbound.begin(limits.packetLength)).toThrowError(usage);
    expect(() => outbound.begin(2 ** 40)).toThrowError(usage);
    expect(() => outbound.put(bytes)).toThrowError(usage);
    expect(() => outbound.end()).toThrowError(usage);
    const compressors = compressionRows.map((row) => row.compressor);
    expect(compressors).toContain(undefined);
    for (const compressor of compressors) {
      outbound.rekey(suite.sealer(), compressor?.());
      outbound.begin(8);
      outbound.put(bytes);
      expect(() => outbound.end()).toThrowError(usage);
      expect(() => outbound.put(bytes)).toThrowError(usage);
      outbound.put(bytes.subarray(2));
      outbound.rekey(suite.sealer(), compressor?.());
      expect(() => outbound.end()).toThrowError(usage);
      outbound.send(pattern(9));
      outbound.begin(5);
      outbound.take();
      expect(() => outbound.put(bytes)).toThrowError(usage);
      expect(() => outbound.end()).toThrowError(usage);
    }
    expect(outbound.sequence).toBe(compressors.length);
  });

  it('forgets a payload that another replaces', () => {
    const outbound = new Outbound(crypto);
    outbound.begin(5000);
    outbound.put(new Uint8Array(4000).fill(1));
    outbound.send(Uint8Array.of(7, 8, 9));
    const inbound = new Inbound();
    inbound.feed(outbound.take()!);
    expect(inbound.next()).toEqual(Uint8Array.of(7, 8, 9));
    expect(inbound.held).toBe(0);
  });

  it.each(
    suites(crypto)
      .filter(({ name }) => !name.includes('md5'))
      .map((suite) => [suite.name, suite] as const),
  )('the longest payload we form is one that we take: %s', (_name, suite) => {
    const outbound = new Outbound(crypto);
    outbound.rekey(suite.sealer());
    const longest = limits.packetLength - 32;
    outbound.send(pattern(longest));
    const inbound = new Inbound();
    inbound.rekey(suite.opener());
    inbound.feed(outbound.take()!);
    expect(inbound.next()?.length).toBe(longest);
  });
});
