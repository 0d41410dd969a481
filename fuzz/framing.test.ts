/**
 * The packet layer against everything a stream can do to it: any split of the bytes, any change of them, any lie in a
 * length or padding field. Each property runs beside a slow obvious twin.
 */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNobleCrypto } from '../protocol/crypto/noble.ts';
import { SshError } from '../protocol/errors.ts';
import { limits } from '../protocol/limits.ts';
import { compressionRows } from '../protocol/packet/compression.ts';
import { Inbound } from '../protocol/packet/inbound.ts';
import { Outbound } from '../protocol/packet/outbound.ts';
import { putU32 } from '../protocol/wire/writer.ts';
import { join, pattern, type Suite, suites } from './arbitraries/suites.ts';

const random = (length: number): Uint8Array => pattern(length, 99);
const crypto = createNobleCrypto({ random });
const all = suites(crypto);
const byName = new Map(all.map((suite) => [suite.name, suite]));
const names = [...byName.keys()];
const anySuite = fc.constantFrom(...names).map((name) => byName.get(name)!);
const anyPayload = fc.uint8Array({ minLength: 1, maxLength: 300 });
const anyPayloads = fc.array(anyPayload, { minLength: 1, maxLength: 8 });
const anySizes = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 40 });
const anySequence = fc.constantFrom(0, 1, 0x7fff_ffff, 0xffff_fffd, 0xffff_ffff);

/** Twin of `Outbound`: one packet at a time, padding by trial. */
function slowSeal(suite: Suite, sequence: number, payloads: readonly Uint8Array[]): Uint8Array {
  const sealer = suite.sealer();
  const pool = random(4096);
  let used = 0;
  return join(
    payloads.map((payload, i) => {
      let padding = 4;
      while (((sealer.lengthPadded ? 5 : 1) + payload.length + padding) % sealer.blockSize !== 0) padding++;
      const packet = new Uint8Array(5 + payload.length + padding + sealer.tagLength);
      putU32(packet, 0, 1 + payload.length + padding);
      packet[4] = padding;
      packet.set(payload, 5);
      packet.set(pool.subarray(used, used + padding), 5 + payload.length);
      used += padding;
      sealer.seal((sequence + i) >>> 0, packet);
      return packet;
    }),
  );
}

/** A packet of zeros, its length field true, with room for the tag. */
function blank(suite: Suite, blocks: number): { packet: Uint8Array; length: number } {
  const { blockSize, lengthPadded, tagLength } = suite.sealer();
  // One block more where the length counts, so that there is always room for a padding field and four bytes.
  const length = lengthPadded ? (blocks + 1) * blockSize - 4 : blocks * blockSize;
  const packet = new Uint8Array(4 + length + tagLength);
  putU32(packet, 0, length);
  return { packet, length };
}

interface Outcome {
  readonly payloads: Uint8Array[];
  readonly error?: SshError;
}

/** Feeds `wire` in pieces of the given sizes, over and over, spoiling each chunk after its loan. */
function receive(suite: Suite, sequence: number, wire: Uint8Array, sizes: readonly number[]): Outcome {
  const inbound = new Inbound(sequence);
  inbound.rekey(suite.opener());
  const payloads: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < wire.length; turn++) {
    const chunk = wire.slice(at, at + Math.max(turn % sizes.length === 0 ? 1 : 0, sizes[turn % sizes.length]!));
    at += chunk.length;
    inbound.feed(chunk);
    try {
      for (let payload = inbound.next(); payload !== undefined; payload = inbound.next()) payloads.push(payload);
    } catch (error) {
      if (error instanceof SshError) return { payloads, error };
      throw error;
    }
    inbound.settle();
    chunk.fill(0xee);
    expect(inbound.held).toBeLessThanOrEqual(at);
  }
  return { payloads };
}

describe('splitting', () => {
  it('any split of the bytes gives the same packets', () => {
    fc.assert(
      fc.property(anySuite, anySequence, anyPayloads, anySizes, (suite, sequence, payloads, sizes) => {
        const wire = slowSeal(suite, sequence, payloads);
        expect(receive(suite, sequence, wire, sizes)).toEqual({ payloads });
        expect(receive(suite, sequence, wire, [1])).toEqual({ payloads });
      }),
      { numRuns: 300 },
    );
  });

  it('any order of forming and taking gives the bytes of the twin', () => {
    const anyWrites = fc.array(fc.tuple(fc.integer({ min: 1, max: 12_000 }), fc.boolean()), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(anySequence, anyWrites, (sequence, writes) => {
        const suite = all[0]!;
        const outbound = new Outbound(crypto, sequence);
        const taken: Uint8Array[] = [];
        const drain = (): void => {
          for (let piece = outbound.take(); piece !== undefined; piece = outbound.take()) taken.push(piece);
        };
        const payloads = writes.map(([length], i) => pattern(length, i));
        writes.forEach(([, take], i) => {
          if (i % 2 === 0) outbound.send(payloads[i]!);
          else {
            outbound.begin(payloads[i]!.length);
            for (const piece of [payloads[i]!.subarray(0, 9), payloads[i]!.subarray(9)]) outbound.put(piece);
            outbound.end();
          }
          if (take) drain();
        });
        drain();
        expect(same(join(taken), slowSeal(suite, sequence, payloads))).toBe(true);
      }),
    );
  });

  it('every suite forms the bytes of the twin', () => {
    fc.assert(
      fc.property(anySuite, anySequence, anyPayloads, (suite, sequence, payloads) => {
        const outbound = new Outbound(crypto, sequence);
        outbound.rekey(suite.sealer());
        for (const payload of payloads) outbound.send(payload);
        expect(same(outbound.take()!, slowSeal(suite, sequence, payloads))).toBe(true);
      }),
    );
  });
});

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

describe('changes', () => {
  it('any flipped bit ends the stream there, with nothing but true packets before it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names.slice(1)),
        anyPayloads,
        anySizes,
        fc.nat(),
        fc.nat(7),
        (name, payloads, sizes, place, bit) => {
          const suite = byName.get(name)!;
          const wire = slowSeal(suite, 0, payloads);
          const at = place % wire.length;
          wire[at]! ^= 1 << bit;
          // What a changed length makes the opener wait for is bounded; feed that much to force the verdict.
          const outcome = receive(suite, 0, join([wire, new Uint8Array(limits.packetLength + 1024)]), [
            ...sizes,
            65_536,
          ]);
          expect(outcome.payloads).toEqual(payloads.slice(0, outcome.payloads.length));
          expect(outcome.payloads.length).toBeLessThan(payloads.length);
          expect(['packet-length', 'padding', 'mac']).toContain(outcome.error?.code);
          expect(outcome.error?.by).toBe('peer');
          expect(outcome.error?.disconnect).toBe(outcome.error?.code === 'mac' ? 5 : 2);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('a padding field that lies under a true MAC is refused by the rule it breaks', () => {
    fc.assert(
      fc.property(anySuite, fc.integer({ min: 1, max: 20 }), fc.nat(255), (suite, blocks, padding) => {
        const { packet, length } = blank(suite, blocks);
        packet[4] = padding;
        suite.sealer().seal(0, packet);
        const { payloads, error } = receive(suite, 0, join([packet, new Uint8Array(limits.packetLength)]), [65_536]);
        if (padding < 4 || padding > length - 1) expect(error?.code).toBe('padding');
        else if (padding === length - 1) expect(error?.code).toBe('malformed');
        else expect(payloads[0]?.length).toBe(length - 1 - padding);
      }),
      { numRuns: 300 },
    );
  });

  it('a length field that lies is refused by the rule it breaks', () => {
    const { packetLength, packetLengthMin } = limits;
    const anyLength = fc.oneof(
      fc.nat(200),
      fc.integer({ min: packetLength - 40, max: packetLength + 40 }),
      fc.nat(0xffff_ffff),
    );
    fc.assert(
      fc.property(fc.constantFrom(...names.slice(1)), anyLength, (name, claimed) => {
        const suite = byName.get(name)!;
        const sealer = suite.sealer();
        const { packet, length } = blank(suite, 4);
        fc.pre(claimed !== length);
        putU32(packet, 0, claimed);
        sealer.seal(0, packet);
        const { error } = receive(suite, 0, join([packet, new Uint8Array(packetLength + 1024)]), [65_536]);
        const aligned = (claimed + (sealer.lengthPadded ? 4 : 0)) % sealer.blockSize === 0;
        const bounded = claimed >= packetLengthMin && claimed <= packetLength;
        expect(error?.code).toBe(!bounded ? 'packet-length' : !aligned ? 'padding' : 'mac');
      }),
      { numRuns: 300 },
    );
  });

  it('noise raises only errors of the peer', () => {
    fc.assert(
      fc.property(anySuite, fc.uint8Array({ maxLength: 2000 }), anySizes, (suite, noise, sizes) => {
        const { error } = receive(suite, 0, noise, sizes);
        if (error !== undefined) expect(error.by).toBe('peer');
      }),
    );
  });
});

describe('memory', () => {
  /** The largest single allocation by length while `run` runs. */
  function largest(run: () => void): number {
    const real = globalThis.Uint8Array;
    let most = 0;
    globalThis.Uint8Array = new Proxy(real, {
      construct(target, args, self) {
        if (typeof args[0] === 'number') most = Math.max(most, args[0]);
        return Reflect.construct(target, args, self === globalThis.Uint8Array ? target : self);
      },
    });
    try {
      run();
    } finally {
      globalThis.Uint8Array = real;
    }
    return most;
  }

  it('grows with what came, never with what was announced', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 3000 }), fc.integer({ min: 1, max: 500 }), (sent, size) => {
        const wire = new Uint8Array(sent);
        putU32(wire, 0, limits.packetLength - 4);
        const most = largest(() => {
          const inbound = new Inbound();
          for (let at = 0; at < sent; at += size) {
            inbound.feed(wire.subarray(at, at + size));
            expect(inbound.next()).toBeUndefined();
            inbound.settle();
          }
        });
        expect(most).toBeLessThanOrEqual(Math.max(1024, 2 * sent));
      }),
    );
  });

  it('copies each byte of a straddling packet a bounded number of times', () => {
    const outbound = new Outbound(crypto);
    outbound.send(new Uint8Array(200_000));
    const wire = outbound.take()!;
    let allocated = 0;
    const inbound = new Inbound();
    for (let at = 0; at < wire.length; at += 10) {
      inbound.feed(wire.subarray(at, at + 10));
      if (at + 10 < wire.length) expect(inbound.next()).toBeUndefined();
      const before = inbound.held;
      allocated += largest(() => inbound.settle());
      expect(inbound.held).toBe(before);
    }
    expect(allocated).toBeLessThan(4 * wire.length);
  });
});

describe('compression', () => {
  const zlib = compressionRows.find(({ name }) => name === 'zlib')!;

  it('what is squeezed comes back, packet by packet', () => {
    const wordy = fc.array(fc.constantFrom('ls -l ', 'cat ', '\0\0\0\0', 'channel data '), { minLength: 1 });
    const anyText = wordy.map((words) => Uint8Array.from(words.join(''), (letter) => letter.charCodeAt(0)));
    fc.assert(
      fc.property(fc.array(fc.oneof(anyPayload, anyText), { minLength: 1, maxLength: 10 }), (payloads) => {
        const squeeze = zlib.compressor!();
        const inflate = zlib.decompressor!();
        expect(payloads.map((payload) => inflate.process(squeeze.process(payload)))).toEqual(payloads);
      }),
    );
  });

  it('broken input ends in the error of its own, within the bound', () => {
    const squeezed = zlib.compressor!().process(pattern(400));
    const spoilt = fc.tuple(fc.nat(squeezed.length - 1), fc.nat(255)).map(([at, byte]) => {
      const copy = squeezed.slice();
      copy[at] = byte;
      return copy;
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(anyPayload, spoilt), { minLength: 1, maxLength: 4 }), (inputs) => {
        const inflate = zlib.decompressor!();
        for (const input of inputs) {
          try {
            expect(inflate.process(input).length).toBeLessThanOrEqual(limits.inflatedPayload);
          } catch (error) {
            if (!(error instanceof SshError) || error.code !== 'compression') throw error;
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
