// What a stranger may send first: SOCKS clients, and the far end's X11 clients. Whatever the bytes and however they are
// cut, the step machines answer more, a request or a refusal, never throw, and hold no more than they must.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SocksMachine, type SocksStep } from '../client/forward/socks.ts';
import { X11Greeting, type X11Step } from '../client/forward/x11-cookie.ts';

/** Greeting of SOCKS 5 (3 + 255), request (5 + 255 + 2); user id and name of SOCKS 4a (8 + 256 + 256). */
const LONGEST_REQUEST = 600;

function feedSocks(bytes: Uint8Array, cuts: readonly number[]): { last: SocksStep; replies: number[]; fed: number } {
  const machine = new SocksMachine();
  const replies: number[] = [];
  let last: SocksStep = { kind: 'more' };
  let at = 0;
  for (const end of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    last = machine.receive(bytes.subarray(at, end));
    at = end;
    if (last.reply !== undefined) replies.push(...last.reply);
    if (last.kind !== 'more') break;
  }
  return { last, replies, fed: at };
}

const port = fc.integer({ min: 0, max: 65_535 });
const tail = fc.uint8Array({ maxLength: 40 });
const u16 = (value: number): number[] => [value >> 8, value & 255];
const label = fc.string({ unit: fc.constantFrom(...'abcxyz019-._'), minLength: 1, maxLength: 255 });
const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];

/** Well-formed requests with the host and the bytes after them. */
const requests = fc.oneof(
  fc
    .record({ host: label, port, tail, methods: fc.uint8Array({ maxLength: 20 }) })
    .map(({ host, port: to, tail: rest, methods }) => ({
      bytes: Uint8Array.of(
        5,
        methods.length + 1,
        ...methods,
        0,
        5,
        1,
        0,
        3,
        host.length,
        ...bytesOf(host),
        ...u16(to),
        ...rest,
      ),
      host,
      port: to,
      rest,
    })),
  fc.record({ host: label, port, tail, user: label }).map(({ host, port: to, tail: rest, user }) => ({
    bytes: Uint8Array.of(4, 1, ...u16(to), 0, 0, 0, 7, ...bytesOf(user), 0, ...bytesOf(host), 0, ...rest),
    host,
    port: to,
    rest,
  })),
  fc.record({ ip: fc.uint8Array({ minLength: 4, maxLength: 4 }), port, tail }).map(({ ip, port: to, tail: rest }) => ({
    bytes: Uint8Array.of(5, 1, 0, 5, 1, 0, 1, ...ip, ...u16(to), ...rest),
    host: ip.join('.'),
    port: to,
    rest,
  })),
  fc
    .record({ ip: fc.uint8Array({ minLength: 16, maxLength: 16 }), port, tail })
    .map(({ ip, port: to, tail: rest }) => ({
      bytes: Uint8Array.of(5, 1, 0, 5, 1, 0, 4, ...ip, ...u16(to), ...rest),
      host: undefined,
      ip,
      port: to,
      rest,
    })),
);

/** The eight groups of an address in any of its forms, by way of the URL parser: an independent reader. */
function groups(address: string): string {
  return new URL(`http://[${address}]/`).hostname;
}

describe('SOCKS', () => {
  it('answers any bytes, in any pieces, without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.array(fc.nat(), { maxLength: 20 }), (bytes, cuts) => {
        const { last } = feedSocks(bytes, cuts);
        expect(['more', 'request', 'refused']).toContain(last.kind);
        if (last.kind === 'request') expect(last.request.host).not.toBe('');
        if (last.kind === 'refused') expect(last.reply.length).toBeLessThanOrEqual(12);
      }),
      { numRuns: 2000 },
    );
  });

  it('makes up its mind within the longest request there is', () => {
    const start = fc.constantFrom([4, 1], [5, 1, 0, 5, 1, 0], [5, 1, 0, 5, 1, 0, 3], [5]);
    fc.assert(
      fc.property(start, fc.uint8Array({ minLength: LONGEST_REQUEST, maxLength: 1000 }), (head, bytes) => {
        expect(feedSocks(Uint8Array.of(...head, ...bytes), []).last.kind).not.toBe('more');
      }),
    );
  });

  it('reads well-formed requests the same whole and in pieces, and keeps what follows', () => {
    fc.assert(
      fc.property(requests, fc.array(fc.nat(), { maxLength: 20 }), (request, cuts) => {
        const whole = feedSocks(request.bytes, []);
        if (whole.last.kind !== 'request') throw new Error('not understood');
        expect(whole.last.request.port).toBe(request.port);
        if (request.host !== undefined) expect(whole.last.request.host).toBe(request.host);
        else expect(groups(whole.last.request.host)).toBe(groups(hexGroups(request.ip)));
        expect([...whole.last.rest]).toEqual([...request.rest]);
        const pieces = feedSocks(request.bytes, cuts);
        if (pieces.last.kind !== 'request') throw new Error('not understood in pieces');
        expect(pieces.last.request).toEqual(whole.last.request);
        expect(pieces.replies).toEqual(whole.replies);
        expect([...pieces.last.rest, ...request.bytes.subarray(pieces.fed)]).toEqual([...request.rest]);
      }),
      { numRuns: 1000 },
    );
  });

  it('asks for more at every beginning of a request', () => {
    fc.assert(
      fc.property(requests, fc.nat(), (request, cut) => {
        const length = cut % (request.bytes.length - request.rest.length);
        expect(feedSocks(request.bytes.subarray(0, length), []).last.kind).toBe('more');
      }),
    );
  });
});

function hexGroups(bytes: Uint8Array): string {
  const out: string[] = [];
  for (let i = 0; i < 16; i += 2) out.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16));
  return out.join(':');
}

describe('X11 greetings', () => {
  const cookies = {
    protocol: 'MIT-MAGIC-COOKIE-1',
    fake: Uint8Array.from({ length: 16 }, (_, i) => i),
    real: Uint8Array.from({ length: 16 }, (_, i) => 200 + i),
  };
  const packet = (order: number, fake: Uint8Array): Uint8Array => {
    const half = (value: number): number[] => (order === 0x42 ? [value >> 8, value & 255] : [value & 255, value >> 8]);
    const name = bytesOf(cookies.protocol);
    return Uint8Array.of(order, 0, ...half(11), ...half(0), ...half(18), ...half(16), 0, 0, ...name, 0, 0, ...fake);
  };
  const feed = (bytes: Uint8Array, cut: number): X11Step => {
    const greeting = new X11Greeting(cookies);
    const first = greeting.receive(bytes.subarray(0, cut));
    return first.kind === 'more' ? greeting.receive(bytes.subarray(cut)) : first;
  };

  it('answers any bytes without throwing, and waits for no more than its own packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, cut) => {
        const step = feed(bytes, cut % (bytes.length + 1));
        expect(step.kind).toBe(bytes.length < 12 ? 'more' : 'reject');
      }),
      { numRuns: 1000 },
    );
  });

  it('replaces the right cookie in both byte orders and passes on what follows', () => {
    fc.assert(
      fc.property(fc.constantFrom(0x42, 0x6c), tail, fc.nat(), (order, rest, cut) => {
        const bytes = Uint8Array.of(...packet(order, cookies.fake), ...rest);
        const step = feed(bytes, cut % 40);
        expect(step).toEqual({ kind: 'pass', bytes: Uint8Array.of(...packet(order, cookies.real), ...rest) });
      }),
    );
  });

  it('rejects every other cookie', () => {
    fc.assert(
      fc.property(fc.nat(15), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const wrong = cookies.fake.slice();
        wrong[at] = wrong[at]! ^ flip;
        expect(feed(packet(0x6c, wrong), 20).kind).toBe('reject');
      }),
    );
  });
});
