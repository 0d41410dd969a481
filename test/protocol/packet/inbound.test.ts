/** What the receiving direction refuses, what it holds, and what it does with memory. */

import { describe, expect, it } from 'vitest';
import { join, named, pattern, type Suite } from '../../../fuzz/arbitraries/suites.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { SshError } from '../../../protocol/errors.ts';
import { limits } from '../../../protocol/limits.ts';
import type { Opener } from '../../../protocol/packet/cipher.ts';
import { Inbound } from '../../../protocol/packet/inbound.ts';
import { Outbound } from '../../../protocol/packet/outbound.ts';
import { plainOpener } from '../../../protocol/packet/plain.ts';
import { putU32 } from '../../../protocol/wire/writer.ts';

const crypto = nobleCrypto;

/** A plain packet with whatever length and padding fields the test wants. */
function packet(length: number, padding: number, body: number): Uint8Array {
  const bytes = new Uint8Array(5 + body);
  putU32(bytes, 0, length);
  bytes[4] = padding;
  bytes.fill(7, 5);
  return bytes;
}

function failure(inbound: Inbound): SshError {
  try {
    inbound.next();
  } catch (error) {
    if (error instanceof SshError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function wireOf(suite: Suite, payloads: readonly Uint8Array[]): Uint8Array {
  const outbound = new Outbound(crypto);
  outbound.rekey(suite.sealer());
  for (const payload of payloads) outbound.send(payload);
  const parts: Uint8Array[] = [];
  for (let part = outbound.take(); part !== undefined; part = outbound.take()) parts.push(part);
  return join(parts);
}

describe('framing errors', () => {
  it.each([
    ['zero', packet(0, 4, 11), 'packet-length', 'Bad packet length 0'],
    ['too short', packet(4, 4, 11), 'packet-length', 'Bad packet length 4'],
    [
      'too long',
      packet(limits.packetLength + 1, 4, 11),
      'packet-length',
      `Bad packet length ${limits.packetLength + 1}`,
    ],
    ['with the top bit', packet(0xffff_ffff, 4, 11), 'packet-length', 'Bad packet length 4294967295'],
    ['no multiple of the block', packet(13, 4, 12), 'padding', 'padding error'],
    ['too little padding', packet(12, 3, 11), 'padding', 'padding error'],
    ['more padding than packet', packet(12, 12, 11), 'padding', 'padding error'],
    ['nothing but padding', packet(12, 11, 11), 'malformed', 'packet without a message'],
  ])('%s', (_name, bytes, code, text) => {
    const inbound = new Inbound();
    inbound.feed(bytes);
    const error = failure(inbound);
    expect([error.code, error.by, error.disconnect]).toEqual([code, 'peer', 2]);
    expect(error.message).toContain(text);
    inbound.feed(
      wireOf({ name: '', sealer: () => ({ ...plainOpener, seal() {} }), opener: () => plainOpener }, [pattern(9)]),
    );
    expect(failure(inbound)).toBe(error);
  });

  it('takes the longest packet there may be', () => {
    const inbound = new Inbound();
    inbound.feed(packet(limits.packetLength - 4, 4, limits.packetLength - 5));
    expect(inbound.next()?.length).toBe(limits.packetLength - 9);
  });
});

describe('corruption', () => {
  it.each([
    ['chacha20-poly1305@openssh.com', undefined, 'message authentication code incorrect'],
    ['aes128-gcm@openssh.com', undefined, 'message authentication code incorrect'],
    ['aes128-ctr', 'hmac-sha2-256', 'Corrupted MAC on input'],
    ['aes128-ctr', 'hmac-sha2-256-etm@openssh.com', 'Corrupted MAC on input'],
    ['aes128-cbc', 'hmac-sha2-256-etm@openssh.com', 'Corrupted MAC on input'],
  ])('%s %s: a changed byte ends it with a MAC error', (cipher, mac, text) => {
    const suite = named(crypto, cipher, mac);
    const wire = wireOf(suite, [pattern(40)]);
    for (const at of [20, wire.length - 1]) {
      const inbound = new Inbound();
      inbound.rekey(suite.opener());
      inbound.feed(wire.map((byte, i) => (i === at ? byte ^ 1 : byte)));
      const error = failure(inbound);
      expect([error.code, error.by, error.disconnect]).toEqual(['mac', 'peer', 5]);
      expect(error.message).toContain(text);
    }
  });

  it('a packet in the place of another is refused', () => {
    const suite = named(crypto, 'aes128-ctr', 'hmac-sha2-256-etm@openssh.com');
    const inbound = new Inbound(1);
    inbound.rekey(suite.opener());
    inbound.feed(wireOf(suite, [pattern(40)]));
    expect(failure(inbound).code).toBe('mac');
  });

  it('looks at the padding only when the MAC was right', () => {
    const suite = named(crypto, 'aes128-ctr', 'hmac-sha2-256');
    const wire = wireOf(suite, [pattern(40)]);
    const inbound = new Inbound();
    inbound.rekey(suite.opener());
    inbound.feed(wire.map((byte, i) => (i === 4 ? byte ^ 0xff : byte)));
    expect(failure(inbound).code).toBe('mac');
  });
});

describe('CBC with MAC-then-encrypt', () => {
  const suite = named(crypto, 'aes128-cbc', 'hmac-sha2-256');
  it.each([
    ['a bad length', 0, 'packet-length'],
    ['a length off the block', 3, 'padding'],
    ['a bad MAC', 30, 'mac'],
  ])('%s is told only after the largest packet was read', (_name, at, code) => {
    // A flipped bit of the IV flips the same bit of the first block: here the length's.
    const wire = wireOf(suite, [pattern(40)]);
    const iv = pattern(16, 12);
    if (at < 4) iv[at]! ^= at === 0 ? 0x80 : 0x01;
    else wire[at]! ^= 1;
    const row = suite.cipher!;
    const mac = { row: suite.mac!, mac: suite.mac!.create(crypto, pattern(suite.mac!.keyLength, 13)) };
    const inbound = new Inbound();
    inbound.rekey(row.opener(crypto, pattern(row.keyLength, 11), iv, mac));
    inbound.feed(wire);
    expect(inbound.next()).toBeUndefined();
    let fed = wire.length;
    for (const step = new Uint8Array(4096); fed + step.length < limits.packetLength; fed += step.length) {
      inbound.feed(step);
      expect(inbound.next()).toBeUndefined();
      inbound.settle();
      expect(inbound.held).toBe(0);
    }
    inbound.feed(new Uint8Array(limits.packetLength - fed));
    expect(failure(inbound).code).toBe(code);
  });
});

describe('memory', () => {
  it('hands out nothing that shares the chunk', () => {
    const inbound = new Inbound();
    const chunk = packet(12, 4, 11);
    inbound.feed(chunk);
    const payload = inbound.next()!;
    expect(payload.buffer).not.toBe(chunk.buffer);
  });

  it('opens a packet that is whole in a chunk where it stands, also behind a straddler', () => {
    const seen: Uint8Array[] = [];
    const spy: Opener = {
      ...plainOpener,
      open(sequence, bytes) {
        seen.push(bytes);
        return plainOpener.open(sequence, bytes);
      },
    };
    const wire = join([1, 2, 3].map(() => packet(28, 4, 27)));
    const inbound = new Inbound();
    inbound.rekey(spy);
    const first = wire.slice(0, 10);
    const second = wire.slice(10);
    inbound.feed(first);
    expect(inbound.next()).toBeUndefined();
    inbound.settle();
    inbound.feed(second);
    while (inbound.next() !== undefined);
    expect(seen.map((bytes) => bytes.buffer === second.buffer)).toEqual([false, true, true]);
  });

  it('keeps what was not asked for, in order, over many chunks', () => {
    const wire = wireOf(
      named(crypto, 'aes128-ctr', 'hmac-sha2-256'),
      Array.from({ length: 50 }, (_, i) => pattern(i + 1)),
    );
    const inbound = new Inbound();
    inbound.rekey(named(crypto, 'aes128-ctr', 'hmac-sha2-256').opener());
    for (let at = 0; at < wire.length; at += 100) {
      inbound.feed(wire.slice(at, at + 100));
      if (at === 300) expect(inbound.next()).toEqual(pattern(1));
      inbound.settle();
    }
    for (let i = 1; i < 50; i++) expect(inbound.next()).toEqual(pattern(i + 1));
    expect(inbound.held).toBe(0);
  });

  it('refuses to hold more than the parked input', () => {
    const inbound = new Inbound();
    inbound.feed(new Uint8Array(limits.parkedInput));
    inbound.settle();
    inbound.feed(new Uint8Array(1));
    expect(() => inbound.settle()).toThrowError(expect.objectContaining({ code: 'limit', by: 'peer' }));
  });
});

describe('counters', () => {
  it('count since the last keys; numbers run on unless reset', () => {
    const inbound = new Inbound();
    inbound.feed(join([packet(12, 4, 11), packet(12, 4, 11), packet(28, 4, 27)]));
    inbound.next();
    inbound.next();
    expect([inbound.sequence, inbound.packets, inbound.bytes, inbound.held]).toEqual([2, 2, 32, 32]);
    inbound.rekey(plainOpener);
    expect([inbound.sequence, inbound.packets, inbound.bytes]).toEqual([2, 0, 0]);
    inbound.resetSequence();
    inbound.next();
    expect([inbound.sequence, inbound.packets, inbound.bytes]).toEqual([1, 1, 32]);
  });

  it('wrap at 32 bits', () => {
    const inbound = new Inbound(0xffff_ffff);
    inbound.feed(packet(12, 4, 11));
    inbound.next();
    expect(inbound.sequence).toBe(0);
  });

  it('strict key exchange: both sides start again and go on', () => {
    const suite = named(crypto, 'chacha20-poly1305@openssh.com');
    const outbound = new Outbound(crypto);
    const inbound = new Inbound();
    const pass = (payload: Uint8Array): void => {
      outbound.send(payload);
      inbound.feed(outbound.take()!);
      expect(inbound.next()).toEqual(payload);
      inbound.settle();
    };
    pass(pattern(20));
    pass(pattern(1));
    outbound.rekey(suite.sealer());
    outbound.resetSequence();
    inbound.rekey(suite.opener());
    inbound.resetSequence();
    pass(pattern(30));
    expect([outbound.sequence, inbound.sequence]).toEqual([1, 1]);
    outbound.resetSequence();
    outbound.send(pattern(5));
    inbound.feed(outbound.take()!);
    expect(failure(inbound).code).toMatch(/packet-length|padding|mac/);
  });
});
