/**
 * The control socket. Invariants: a message survives its way; packets come out of the framer the same however they are
 * cut; any bytes give a value or SshError('malformed'); whatever a client sends through a relay, the server sees only
 * legal messages for that client's channels, in their windows, and the connection lives on.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { forwardFromWire, forwardToWire } from '../client/control/forward-wire.ts';
import { Mux, type MuxEvent } from '../protocol/connection/mux.ts';
import { ControlFramer, controlMessages } from '../protocol/control/messages.ts';
import { ProxySession, proxiedHead, proxiedPayload } from '../protocol/control/proxy-session.ts';
import { nobleCrypto } from '../protocol/crypto/noble.ts';
import { SshError } from '../protocol/errors.ts';
import { connectionMessages } from '../protocol/messages/connection.ts';
import { anyValue, valueOrMalformed } from './arbitraries/messages.ts';
import { drain } from './arbitraries/payloads.ts';

const anyControl = fc
  .constantFrom(...controlMessages)
  .chain((definition) =>
    fc
      .record(Object.fromEntries(Object.entries(definition.fields).map(([key, { kind }]) => [key, anyValue(kind)])))
      .map((values) => ({ definition, values })),
  );

function packetsOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const framer = new ControlFramer();
  const packets: Uint8Array[] = [];
  let at = 0;
  for (const end of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    framer.feed(bytes.subarray(at, end), (packet) => packets.push(packet));
    at = end;
  }
  expect(framer.partial).toBe(false);
  return packets;
}

it('gives back what was encoded, however it is cut', () => {
  fc.assert(
    fc.property(fc.array(anyControl, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 6 }), (messages, cuts) => {
      const encoded = messages.map(({ definition, values }) => definition.encode(values as never));
      const packets = packetsOf(Uint8Array.from(encoded.flatMap((each) => [...each])), cuts);
      expect(packets.map((packet) => packet.length)).toEqual(encoded.map((each) => each.length - 4));
      packets.forEach((packet, i) => {
        const { definition } = messages[i]!;
        expect(definition.encode(definition.decode(packet) as never)).toEqual(encoded[i]);
      });
    }),
    { numRuns: 1500 },
  );
});

it('gives a value or "malformed" for any bytes', () => {
  fc.assert(
    fc.property(fc.constantFrom(...controlMessages), fc.uint8Array({ maxLength: 60 }), (definition, bytes) => {
      valueOrMalformed(() => definition.decode(bytes));
      const { number } = definition;
      const whole = Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number, ...bytes);
      valueOrMalformed(() => definition.decode(whole));
      valueOrMalformed(() => proxiedPayload(bytes) ?? true);
    }),
    { numRuns: 3000 },
  );
});

it('names every forwarding so that it is understood, and no other', () => {
  const host = fc.option(fc.constantFrom('h', '::1', '*', '10.0.0.1'), { nil: undefined });
  const tcp = (min: number) =>
    fc.tuple(host, fc.integer({ min, max: 65_535 })).map(([name, port]) => ({
      kind: 'tcp' as const,
      ...(name !== undefined && { host: name }),
      port,
    }));
  const unix = fc.constantFrom('/s', 'rel/s').map((path) => ({ kind: 'unix' as const, path }));
  const to = fc
    .oneof(tcp(1), unix)
    .map((end) => (end.kind === 'tcp' ? { ...end, host: end.host ?? 'localhost' } : end));
  const forward = fc.oneof(
    fc.record({ type: fc.constant('local' as const), listen: fc.oneof(tcp(1), unix), connect: to }),
    fc.record({ type: fc.constant('remote' as const), listen: fc.oneof(tcp(0), unix), connect: to }),
    fc.record({ type: fc.constant('dynamic' as const), listen: tcp(1) }),
    fc.record({ type: fc.constant('remote-dynamic' as const), listen: fc.oneof(tcp(0), unix) }),
  );
  fc.assert(
    fc.property(forward, (each) => {
      expect(forwardFromWire(forwardToWire(each))).toEqual(each);
    }),
  );
  const any = fc.record({
    kind: fc.nat(5),
    listenHost: fc.string({ maxLength: 3 }),
    listenPort: fc.oneof(fc.nat(70_000), fc.constant(0xffff_fffe)),
    connectHost: fc.string({ maxLength: 3 }),
    connectPort: fc.oneof(fc.nat(70_000), fc.constant(0xffff_fffe)),
  });
  fc.assert(
    fc.property(any, (wire) => {
      const read = forwardFromWire(wire);
      if (read !== undefined) expect(forwardFromWire(forwardToWire(read))).toEqual(read);
    }),
  );
});

const anyPayload = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 30 }),
  fc
    .tuple(
      fc.constantFrom(...connectionMessages.map(({ number }) => number)),
      fc.nat(4),
      fc.uint8Array({ maxLength: 30 }),
    )
    .map(([number, recipient, rest]) => Uint8Array.of(number, 0, 0, 0, recipient, ...rest)),
  fc.nat(40).map((length) => Uint8Array.of(94, 0, 0, 0, 0, 0, 0, 0, length, ...new Uint8Array(length))),
  fc.constant(Uint8Array.of(97, 0, 0, 0, 0)),
  fc.nat(3).map((sender) => Uint8Array.of(90, 0, 0, 0, 1, 120, 0, 0, 0, sender, 0, 0, 1, 0, 0, 0, 1, 0)),
);

it('lets no client of a relay harm the connection', () => {
  fc.assert(
    fc.property(fc.array(anyPayload, { maxLength: 25 }), fc.nat(60), (payloads, window) => {
      const ours = new Mux(() => {});
      const events: MuxEvent[] = [];
      const server = new Mux((event) => {
        events.push(event);
        if (event.type !== 'channel-open') return;
        server.accept(event.open, { window, maxWindow: window });
      });
      const cross = (): void => {
        for (let rounds = 0; rounds < 10; rounds++) {
          const there = drain(ours);
          for (const payload of there) server.receive(payload, 0);
          const back = drain(server);
          for (const payload of back) ours.receive(payload, 0);
          if (there.length + back.length === 0) break;
        }
      };
      let dropped = false;
      const relay = ours.relay({
        deliver: () => {},
        globalRequest: () => {},
        channelRequest: () => undefined,
        drained: () => {},
        lost: () => {},
      });
      const mine = ours.open('session', new Uint8Array(0));
      cross();
      for (const payload of payloads) {
        try {
          if (!dropped) relay.receive(payload);
        } catch (error) {
          expect(error).toBeInstanceOf(SshError);
          expect((error as SshError).by).toBe('peer');
          dropped = true;
          relay.close();
        }
        // The server would throw for what is not legal.
        cross();
      }
      relay.close();
      cross();
      expect(mine.state).toBe('open');
      mine.close();
      cross();
      expect(ours.channelCount).toBe(server.channelCount);
    }),
    { numRuns: 1500 },
  );
});

it('takes anything from a holder, whole or byte by byte, with the same end', () => {
  fc.assert(
    fc.property(fc.array(anyPayload, { maxLength: 10 }), fc.uint8Array({ maxLength: 8 }), (payloads, noise) => {
      const bytes = Uint8Array.from([...payloads.flatMap((each) => [...proxiedHead(each.length), ...each]), ...noise]);
      const ends = [bytes.length, 1].map((size) => {
        const session = new ProxySession(nobleCrypto);
        session.mux.open('session', new Uint8Array(0));
        for (let at = 0; at < bytes.length; at += size) session.receive(bytes.subarray(at, at + size));
        const seen: string[] = [];
        for (let event = session.poll(); event; event = session.poll()) seen.push(event.type);
        return { seen, failure: session.failure?.message, closed: session.closed };
      });
      expect(ends[0]).toEqual(ends[1]);
    }),
    { numRuns: 1000 },
  );
});
