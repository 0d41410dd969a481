/**
 * Every message definition. Invariants: decoding what was encoded gives it back; any other bytes give a value or
 * SshError('malformed'), and what decodes encodes to bytes that decode to the same; the hand-coded channel data path
 * agrees with the generic codec.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Channel, type ChannelSignal } from '../protocol/connection/channel.ts';
import { SshError } from '../protocol/errors.ts';
import { ChannelData, ChannelExtendedData } from '../protocol/messages/connection.ts';
import { anyMessage, bodies, definitions, harm, messages, valueOrMalformed } from './arbitraries/messages.ts';
import { Payloads } from './arbitraries/payloads.ts';

it('knows them all', () => {
  expect(messages).toHaveLength(41);
  expect(bodies).toHaveLength(24);
  expect(new Set(definitions.map((each) => each.name)).size).toBe(definitions.length);
});

it('decodes what it encoded', () => {
  fc.assert(
    fc.property(anyMessage, ({ definition, values }) => {
      const bytes = definition.encode(values);
      if (definition.number !== undefined) expect(bytes[0]).toBe(definition.number);
      const decoded = definition.decode(bytes);
      expect(decoded).toEqual({ ...values, ...textsOf(definition.fields, values) });
      expect(definition.encode(decoded)).toEqual(bytes);
    }),
    { numRuns: 2000 },
  );
});

/** Half a surrogate pair is no character: it becomes U+FFFD on its way. */
function textsOf(fields: Readonly<Record<string, { readonly kind: string }>>, values: Record<string, unknown>) {
  const texts = Object.entries(fields).filter(([, { kind }]) => kind === 'text');
  return Object.fromEntries(texts.map(([key]) => [key, Buffer.from(values[key] as string).toString()]));
}

it('gives a value or "malformed" for anything else, never another error', () => {
  fc.assert(
    fc.property(anyMessage, fc.array(harm, { minLength: 1, maxLength: 4 }), ({ definition, values }, harms) => {
      const bytes = harms.reduce((each, spoil) => spoil(each), definition.encode(values));
      const decoded = valueOrMalformed(() => definition.decode(bytes));
      if (decoded === undefined) return;
      const again = definition.encode(decoded);
      expect(definition.decode(again)).toEqual(decoded);
    }),
    { numRuns: 4000 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...definitions), fc.uint8Array({ maxLength: 80 }), (definition, bytes) => {
      const whole = definition.number === undefined ? bytes : Uint8Array.of(definition.number, ...bytes);
      valueOrMalformed(() => definition.decode(whole));
    }),
    { numRuns: 4000 },
  );
});

it('refuses every proper prefix and every extension of a message without a tail', () => {
  const exact = definitions.filter(({ fields }) => !Object.values(fields).some(({ kind }) => kind === 'rest'));
  fc.assert(
    fc.property(anyMessage, ({ definition, values }) => {
      fc.pre(exact.includes(definition));
      const bytes = definition.encode(values);
      for (let length = 0; length < bytes.length; length++) {
        expect(valueOrMalformed(() => definition.decode(bytes.slice(0, length)))).toBeUndefined();
      }
      expect(valueOrMalformed(() => definition.decode(Uint8Array.of(...bytes, 0)))).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});

describe('channel data by hand', () => {
  const open = (signals: ChannelSignal[] = []): Channel => {
    const port = {
      control: () => {},
      signal: (_: Channel, signal: ChannelSignal) => void signals.push(signal),
      used: () => {},
      gone: () => {},
    };
    const channel = new Channel(port, 3, 'session');
    channel.confirmed(0x8000_0007, 0xffff_ffff, 32_768);
    return channel;
  };

  it('forms what the generic codec forms', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 }), fc.nat(3), (chunks, type) => {
        const channel = open();
        for (const chunk of chunks) channel.write(chunk, type);
        const data = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
        const payloads = new Payloads(1);
        channel.fill(payloads, true);
        const [formed] = payloads.sent;
        if (data.length === 0) {
          expect(formed).toBeUndefined();
          return;
        }
        const recipient = 0x8000_0007;
        const twin =
          type === 0
            ? ChannelData.encode({ recipient, data })
            : ChannelExtendedData.encode({ recipient, dataType: type, data });
        expect(formed).toEqual(twin);
      }),
    );
  });

  it('reads what the generic codec reads, and refuses what it refuses', () => {
    const payload = fc
      .tuple(fc.uint8Array({ maxLength: 30 }), fc.option(fc.nat(2), { nil: undefined }))
      .map(([data, dataType]) =>
        dataType === undefined
          ? ChannelData.encode({ recipient: 3, data })
          : ChannelExtendedData.encode({ recipient: 3, dataType, data }),
      );
    fc.assert(
      fc.property(payload, fc.array(harm, { maxLength: 2 }), (whole, harms) => {
        const bytes = harms.reduce((each, spoil) => spoil(each), whole);
        fc.pre(bytes[0] === 94 || bytes[0] === 95);
        const extended = bytes[0] === 95;
        const twin = valueOrMalformed(() =>
          extended ? ChannelExtendedData.decode(bytes) : { ...ChannelData.decode(bytes), dataType: 0 },
        );
        const channel = open();
        const taken = valueOrMalformed(() => {
          channel.data(bytes);
          return true;
        });
        expect(taken).toBe(twin === undefined ? undefined : true);
        if (twin === undefined) return;
        const readable = twin.data.length > 0 && (!extended || twin.dataType === 1);
        const out = extended ? channel.readExtended() : channel.read();
        expect(out === undefined ? undefined : [...out]).toEqual(readable ? [...twin.data] : undefined);
      }),
      { numRuns: 2000 },
    );
  });

  it('has one error for data past the window', () => {
    const port = { control: () => {}, signal: () => {}, used: () => {}, gone: () => {} };
    const channel = new Channel(port, 0, 'session', { window: 10, maxWindow: 10 });
    channel.confirmed(0, 0, 0);
    channel.data(ChannelData.encode({ recipient: 0, data: new Uint8Array(10) }));
    try {
      channel.data(ChannelData.encode({ recipient: 0, data: new Uint8Array(1) }));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SshError);
      expect(error).toMatchObject({ code: 'window', by: 'peer', disconnect: 2 });
    }
  });
});
