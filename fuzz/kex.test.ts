/**
 * Key exchange methods and derivation. Invariants: both roles of a method end with one secret and one hash input; any
 * other message gives a step, or SshError by the peer; derived keys are those of RFC 4253 section 7.2, computed slowly;
 * the guard's table is the RFCs'.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { algorithms } from '../protocol/algorithms.ts';
import { nobleCrypto as crypto } from '../protocol/crypto/noble.ts';
import { SshError } from '../protocol/errors.ts';
import { handlerOf, type Phase } from '../protocol/guard.ts';
import { deriveKey } from '../protocol/kex/hash.ts';
import type { KexRow } from '../protocol/kex/method.ts';
import { KexGexGroup, KexGexReply, KexGexRequest } from '../protocol/messages/kex.ts';
import type { Role } from '../protocol/negotiate.ts';
import { type Harm, harm } from './arbitraries/messages.ts';

const situation = { strength: 128 };
const blob = Uint8Array.of(1, 2, 3);

/** A method's messages in order, the client's first; the last is the reply. */
function converse(row: KexRow) {
  const client = row.client(crypto, situation);
  const server = row.server(crypto, situation);
  const sent = [client.begin()];
  for (;;) {
    const step = server.receive(sent.at(-1)!);
    const answer = step.done === undefined ? step.send : step.done.reply(blob, blob);
    sent.push(answer);
    const next = client.receive(answer);
    if (step.done !== undefined && next.done !== undefined) return { sent, client: next.done, server: step.done };
    sent.push(next.send!);
  }
}

const byPeer = <T>(run: () => T): T | undefined => {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    expect(`${error.by} ${error.code}`).toMatch(/^peer (malformed|kex|protocol)$/);
    expect(error.disconnect).toBeTypeOf('number');
    return undefined;
  }
};

/** Those whose arithmetic is cheap enough for many runs; the others have few. */
const slow = (row: KexRow): boolean => /diffie-hellman|nistp/.test(row.name);
const rows = algorithms.kex.filter((row) => !/group1[68]/.test(row.name)).map((row) => [row.name, row] as const);

describe.each(rows)('%s', (_name, row) => {
  const talk = converse(row);
  it('gives both sides one secret', () => {
    expect(talk.client.secret).toEqual(talk.server.secret);
    expect(talk.client.hashed).toEqual(talk.server.hashed);
    expect(talk.client).toMatchObject({ hostKey: blob, signature: blob });
  });

  it('takes or refuses any message, and fails by no other error', () => {
    const input = fc.oneof(
      fc
        .tuple(fc.nat(talk.sent.length - 1), fc.array(harm, { minLength: 1, maxLength: 3 }))
        .map(([which, harms]) => harms.reduce((each: Uint8Array, spoil: Harm) => spoil(each), talk.sent[which]!)),
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
    );
    fc.assert(
      fc.property(fc.constantFrom('client', 'server'), fc.nat(3), input, (role, at, message) => {
        fc.pre(message.length > 0);
        // Some messages late: after those before them were right.
        const method = role === 'client' ? row.client(crypto, situation) : row.server(crypto, situation);
        const right = talk.sent.filter((_, i) => i % 2 === (role === 'client' ? 1 : 0)).slice(0, -1);
        for (const earlier of right.slice(0, at)) method.receive(earlier);
        byPeer(() => method.receive(message));
      }),
      { numRuns: slow(row) ? 10 : 60 },
    );
  });
});

describe('group exchange', () => {
  const row = algorithms.kex.find((each) => each.name === 'diffie-hellman-group-exchange-sha256')!;
  it('a server answers a request with a group in its range, or ends it', () => {
    const bits = fc.oneof(fc.nat(10_000), fc.constantFrom(0, 2047, 2048, 3072, 4096, 8192, 8193, 0xffff_ffff));
    fc.assert(
      fc.property(bits, bits, bits, (min, preferred, max) => {
        const step = byPeer(() => row.server(crypto, situation).receive(KexGexRequest.encode({ min, preferred, max })));
        if (step === undefined) {
          expect(min > max || ![2048, 4096, 8192].some((size) => size >= min && size <= max)).toBe(true);
          return;
        }
        const size = KexGexGroup.decode(step.send!).prime.length * 8;
        expect(size >= min && size <= max).toBe(true);
      }),
    );
  });

  it('a client refuses groups of another size, even moduli, useless generators and public values', () => {
    const odd = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0xff);
    const wrong: [Uint8Array, Uint8Array][] = [
      [odd(128), Uint8Array.of(2)],
      [odd(1025), Uint8Array.of(2)],
      [odd(256).with(255, 0xfe), Uint8Array.of(2)],
      [odd(256), new Uint8Array(0)],
      [odd(256), Uint8Array.of(1)],
      [odd(256), odd(256)],
      [odd(256), odd(256).with(255, 0xfe)],
      [new Uint8Array(0), Uint8Array.of(2)],
    ];
    for (const [prime, generator] of wrong) {
      const client = row.client(crypto, situation);
      client.begin();
      expect(() => client.receive(KexGexGroup.encode({ prime, generator }))).toThrow(
        expect.objectContaining({ code: 'kex', by: 'peer' }),
      );
    }
    const { prime } = KexGexGroup.decode(converse(row).sent[1]!);
    const minusOne = prime.with(prime.length - 1, prime.at(-1)! - 1);
    for (const serverPublic of [new Uint8Array(0), Uint8Array.of(1), minusOne, prime]) {
      const client = row.client(crypto, situation);
      client.begin();
      client.receive(KexGexGroup.encode({ prime, generator: Uint8Array.of(2) }));
      const reply = KexGexReply.encode({ hostKey: blob, serverPublic, signature: blob });
      expect(() => client.receive(reply)).toThrow(expect.objectContaining({ code: 'kex', by: 'peer' }));
    }
  });
});

it('keys are derived as RFC 4253 section 7.2 spells it out', () => {
  const bytes = fc.uint8Array({ maxLength: 70 });
  const letters = fc.constantFrom('A', 'B', 'C', 'D', 'E', 'F');
  const hashes = fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512');
  fc.assert(
    fc.property(hashes, bytes, bytes, letters, bytes, fc.nat(200), (hash, secret, h, letter, sessionId, length) => {
      const of = (...parts: readonly (readonly number[])[]): number[] => [
        ...crypto.hash(hash).update(Uint8Array.from(parts.flat())).digest(),
      ];
      let key = of([...secret], [...h], [letter.charCodeAt(0)], [...sessionId]);
      while (key.length < length) key = [...key, ...of([...secret], [...h], key)];
      expect([...deriveKey(crypto, hash, secret, h, letter, sessionId, length)]).toEqual(key.slice(0, length));
    }),
  );
});

it('the guard lets through what the RFCs allow, number by number', () => {
  /** The same rules in prose order, without a table. */
  const model = (n: number, phase: Phase, role: Role, strict: boolean): string | undefined => {
    const first = phase === 'initial';
    const keyed = phase === 'auth' || phase === 'connected';
    if (n === 1) return 'transport';
    if (n >= 2 && n <= 4) return first && strict ? undefined : 'transport';
    if (n === 5) return phase === 'auth' && role === 'server' ? 'auth' : undefined;
    if (n === 6) return phase === 'auth' && role === 'client' ? 'auth' : undefined;
    if (n === 7 || n === 192 || n === 193) return keyed ? 'transport' : undefined;
    if (n === 20 || n === 21) return 'kex';
    if (n >= 30 && n <= 49) return keyed ? undefined : 'kex';
    if (n === 50) return keyed && role === 'server' ? 'auth' : undefined;
    if (n >= 51 && n <= 59) return n <= 53 && phase === 'auth' && role === 'client' ? 'auth' : undefined;
    if (n >= 60 && n <= 79) return phase === 'auth' ? 'auth' : undefined;
    if (n >= 80 && n <= 127) return phase === 'connected' || phase === 'late-rekey' ? 'mux' : undefined;
    return n > 0 && keyed ? 'unknown' : undefined;
  };
  for (let number = 0; number < 256; number++) {
    for (const phase of ['initial', 'rekey', 'late-rekey', 'auth', 'connected'] as const) {
      for (const role of ['client', 'server'] as const) {
        for (const strict of [true, false]) {
          const where = `${number} ${phase} ${role} ${strict}`;
          expect(`${where} ${handlerOf(number, phase, role, strict)}`).toBe(
            `${where} ${model(number, phase, role, strict)}`,
          );
        }
      }
    }
  }
});
