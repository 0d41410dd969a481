/**
 * A session of either role under any bytes. Invariants: `receive` never throws; a session ends only by an SshError of
 * the peer's making, or in peace; the same bytes in any pieces give the same events and the same output; after
 * 'closed' nothing is said or sent, and no more is held than the bounds allow.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SshError } from '../protocol/errors.ts';
import type { Role } from '../protocol/negotiate.ts';
import type { SessionEvent } from '../protocol/session.ts';
import { encodeUtf8 } from '../protocol/wire/text.ts';
import { getU32, putU32 } from '../protocol/wire/writer.ts';
import { anyPayload, type Harm, harm } from './arbitraries/messages.ts';
import { RawPeer } from './arbitraries/raw-peer.ts';
import { join } from './arbitraries/suites.ts';
import { react, record, repeatableSession, turn } from './arbitraries/transcript.ts';

const roles: readonly Role[] = ['client', 'server'];
const role = fc.constantFrom(...roles);

/** Events and output, comparable from run to run. */
interface Heard {
  readonly events: readonly string[];
  readonly output: string;
  readonly closed: boolean;
}

const show = (event: SessionEvent): string => {
  if (event.type === 'closed') return `closed ${event.error?.code} ${event.error?.message}`;
  if (event.type === 'channel') return `channel ${event.channel.id} ${event.signal.what}`;
  return event.type;
};

/** Every ending is the peer's doing, and the last that is heard. */
function checkEnd(events: readonly SessionEvent[]): void {
  const at = events.findIndex((event) => event.type === 'closed');
  if (at === -1) return;
  expect(at).toBe(events.length - 1);
  const { error } = events[at] as SessionEvent & { type: 'closed' };
  if (error === undefined) return;
  expect(error).toBeInstanceOf(SshError);
  expect(`${error.by} ${error.message}`).toBe(`peer ${error.message}`);
}

/** Receives `bytes` in pieces of `size`, and takes events and output after every `every` bytes. */
function hear(as: Role, bytes: Uint8Array, size: number, every: number): Heard {
  const session = repeatableSession(as);
  const events: SessionEvent[] = [];
  const output = [turn(session, events)];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + every);
    while (at < end) {
      const chunk = bytes.slice(at, Math.min(end, at + size));
      at += chunk.length;
      session.receive(chunk);
      chunk.fill(0xee);
    }
    output.push(turn(session, events));
  }
  checkEnd(events);
  return { events: events.map(show), output: Buffer.from(join(output)).toString('base64'), closed: session.closed };
}

/** Whether bytes come at once or one by one makes no difference to what is heard. */
function samePieces(as: Role, bytes: Uint8Array, size: number): Heard {
  const all = Math.max(1, bytes.length);
  expect(hear(as, bytes, size, all)).toEqual(hear(as, bytes, all, all));
  // Few enough for no two packets to come in one turn: answers come before what answers them.
  const heard = hear(as, bytes, 8, 8);
  expect(hear(as, bytes, 1, 8)).toEqual(heard);
  return heard;
}

describe('any bytes', () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => join([encodeUtf8('SSH-2.0-x\r\n'), bytes])),
    fc
      .array(anyPayload, { minLength: 1, maxLength: 4 })
      .map((payloads) => join([encodeUtf8('SSH-2.0-x\r\n'), ...payloads.map(plainPacket)])),
  );
  it('end in peace or by the fault of the peer, in any pieces', () => {
    fc.assert(
      fc.property(role, noise, fc.integer({ min: 1, max: 9 }), (as, bytes, size) => {
        samePieces(as, bytes, size);
      }),
      { numRuns: 300 },
    );
  });
});

function plainPacket(payload: Uint8Array): Uint8Array {
  const padding = 4 + ((8 - ((5 + payload.length + 4) % 8)) % 8);
  const packet = new Uint8Array(5 + payload.length + padding);
  putU32(packet, 0, 1 + payload.length + padding);
  packet[4] = padding;
  packet.set(payload, 5);
  return packet;
}

describe('a recorded conversation', () => {
  const sent = record();
  const inputOf = (as: Role): Uint8Array => join(sent[as === 'client' ? 'server' : 'client']);
  const outputOf = (as: Role): string => Buffer.from(join(sent[as])).toString('base64');

  /** The version line, the packets before encryption, and the rest. */
  function cut(bytes: Uint8Array): { line: Uint8Array; packets: Uint8Array[]; rest: Uint8Array } {
    let at = bytes.indexOf(0x0a) + 1;
    const line = bytes.slice(0, at);
    const packets: Uint8Array[] = [];
    for (;;) {
      const packet = bytes.slice(at, at + 4 + getU32(bytes, at));
      at += packet.length;
      packets.push(packet);
      if (packet[5] === 21) return { line, packets, rest: bytes.slice(at) };
    }
  }

  it.each(roles)('is played again to the letter by a %s, in any pieces', (as) => {
    for (const size of [1_000_000, 1, 13]) {
      const session = repeatableSession(as);
      const output: Uint8Array[] = [turn(session, [])];
      for (const chunk of sent[as === 'client' ? 'server' : 'client']) {
        for (let at = 0; at < chunk.length; at += size) {
          session.receive(chunk.slice(at, at + size));
          output.push(turn(session, []));
        }
      }
      expect(session.closed).toBe(false);
      expect(session.authenticated).toBe(true);
      expect(session.mux.channelCount).toBe(0);
      if (size === 1_000_000) expect(Buffer.from(join(output)).toString('base64')).toBe(outputOf(as));
    }
  });

  it('spoiled anywhere ends by the fault of the peer, or not at all, in any pieces', () => {
    fc.assert(
      fc.property(
        role,
        fc.array(harm, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 50 }),
        (as, harms, size) => {
          const bytes = harms.reduce((each: Uint8Array, spoil: Harm) => spoil(each), inputOf(as));
          samePieces(as, bytes, size);
        },
      ),
      { numRuns: 120 },
    );
  });

  it('with its first packets reordered, doubled, dropped or spoiled inside does so, too', () => {
    const order = fc.array(fc.nat(2), { maxLength: 5 });
    fc.assert(
      fc.property(role, order, fc.option(harm, { nil: undefined }), fc.nat(4), (as, places, spoil, which) => {
        const { line, packets, rest } = cut(inputOf(as));
        const chosen = places.map((place) => packets[place]!);
        const packet = chosen[which];
        if (spoil !== undefined && packet !== undefined) {
          const payload = packet.slice(5, packet.length - packet[4]!);
          const spoiled = spoil(payload);
          if (spoiled.length > 0) chosen[which] = plainPacket(spoiled);
        }
        const heard = samePieces(as, join([line, ...chosen, rest]), 11);
        const untouched = spoil === undefined && places.join() === '0,1,2';
        if (untouched) expect(heard.closed).toBe(false);
      }),
      { numRuns: 150 },
    );
  });
});

describe('any messages under good keys', () => {
  /** Aims messages at the few channels there are. */
  const aimed = fc.tuple(anyPayload, fc.nat(2), fc.boolean()).map(([payload, id, aim]) => {
    const number = payload[0]!;
    const toChannel = (number >= 91 && number <= 100) as boolean;
    if (!aim || !toChannel || payload.length < 5) return payload;
    const copy = payload.slice();
    putU32(copy, 1, id);
    return copy;
  });
  const message = fc.oneof(
    { weight: 8, arbitrary: aimed },
    { weight: 2, arbitrary: fc.tuple(aimed, harm).map(([payload, spoil]) => spoil(payload)) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 40 }) },
  );
  const stage = fc.constantFrom('hello', 'init', 'exchange', 'login', 'rekey');

  it('never throw, and end by the fault of the peer or not at all', () => {
    fc.assert(
      fc.property(role, stage, fc.array(message, { maxLength: 25 }), fc.boolean(), (plays, at, payloads, strict) => {
        const peer = new RawPeer({ plays, strict });
        peer.onEvent = (event) => {
          if (event.type !== 'host-key' && event.type !== 'ready') react(peer.session, event);
        };
        if (at === 'hello') peer.hello();
        else if (at === 'init') peer.hello().init();
        else if (at === 'exchange') peer.exchange();
        else peer.login();
        if (at === 'rekey') {
          peer.numbers();
          peer.init();
        }
        for (const payload of payloads) {
          if (payload.length === 0) continue;
          if (peer.session.closed) break;
          peer.send(payload);
        }
        peer.pull();
        checkEnd(peer.events);
        if (!peer.session.closed) return;
        peer.numbers();
        peer.send(Uint8Array.of(2, 0, 0, 0, 0));
        expect(peer.session.takeOutput()).toBeUndefined();
        expect(peer.session.poll()).toBeUndefined();
      }),
      { numRuns: 250 },
    );
  });
});
