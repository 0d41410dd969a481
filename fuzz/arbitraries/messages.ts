/** Every message and body of the protocol, and values for their fields: the definitions say what to generate. */

import fc from 'fast-check';
import * as globals from '../../protocol/connection/globals.ts';
import * as opens from '../../protocol/connection/opens.ts';
import * as requests from '../../protocol/connection/requests.ts';
import { SshError } from '../../protocol/errors.ts';
import { connectionMessages } from '../../protocol/messages/connection.ts';
import { kexMessages } from '../../protocol/messages/kex.ts';
import { transportMessages } from '../../protocol/messages/transport.ts';
import * as userauth from '../../protocol/messages/userauth.ts';

export interface Definition {
  readonly name: string;
  readonly number?: number;
  readonly fields: Readonly<Record<string, { readonly kind: string }>>;
  encode(values: Readonly<Record<string, unknown>>): Uint8Array;
  decode(bytes: Uint8Array): Readonly<Record<string, unknown>>;
}

const isBody = (value: unknown): value is Definition =>
  typeof value === 'object' && value !== null && 'decode' in value && !('number' in value);

export const messages = [
  ...transportMessages,
  ...kexMessages,
  ...userauth.userauthMessages,
  ...connectionMessages,
] as unknown as readonly Definition[];
export const bodies: readonly Definition[] = [globals, opens, requests, userauth].flatMap((module) =>
  Object.values(module).filter(isBody),
);
export const definitions: readonly Definition[] = [...messages, ...bodies];

const bytes = fc.uint8Array({ maxLength: 40 });
/** RFC 4251 section 6: printable US-ASCII without commas. */
export const name = fc.string({
  unit: fc
    .integer({ min: 0x21, max: 0x7e })
    .filter((code) => code !== 0x2c)
    .map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 20,
});
const values: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  byte: fc.integer({ min: 0, max: 255 }),
  boolean: fc.boolean(),
  uint32: fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff)),
  uint64: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  string: bytes,
  text: fc.string({ unit: 'binary', maxLength: 30 }),
  'name-list': fc.array(name, { maxLength: 6 }),
  mpint: bytes.map((value) => value.subarray(value.findIndex((byte) => byte !== 0) >>> 0)),
  rest: bytes,
};

export function anyValue(kind: string): fc.Arbitrary<unknown> {
  const fixed = /^byte\[(\d+)\]$/.exec(kind);
  if (fixed) return fc.uint8Array({ minLength: Number(fixed[1]), maxLength: Number(fixed[1]) });
  const found = values[kind];
  if (found === undefined) throw new Error(`no values for fields of kind ${kind}`);
  return found;
}

export const valuesOf = (definition: Definition): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries(Object.entries(definition.fields).map(([key, { kind }]) => [key, anyValue(kind)])));

/** A definition with values for it. */
export const anyMessage: fc.Arbitrary<{ definition: Definition; values: Record<string, unknown> }> = fc
  .constantFrom(...definitions)
  .chain((definition) => valuesOf(definition).map((each) => ({ definition, values: each })));

export const anyPayload: fc.Arbitrary<Uint8Array> = fc
  .constantFrom(...messages)
  .chain((definition) => valuesOf(definition).map((each) => definition.encode(each)));

/** One way in which bytes go wrong. */
export type Harm = (bytes: Uint8Array) => Uint8Array;
export const harm: fc.Arbitrary<Harm> = fc.oneof(
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(
    ([at, mask]): Harm =>
      (bytes) =>
        bytes.map((byte, i) => (i === at % bytes.length ? byte ^ mask : byte)),
  ),
  fc.nat().map(
    (at): Harm =>
      (bytes) =>
        bytes.slice(0, at % (bytes.length + 1)),
  ),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 9 })).map(
    ([at, more]): Harm =>
      (bytes) => {
        const place = at % (bytes.length + 1);
        return Uint8Array.from([...bytes.subarray(0, place), ...more, ...bytes.subarray(place)]);
      },
  ),
  fc.tuple(fc.nat(), fc.nat(40)).map(
    ([at, length]): Harm =>
      (bytes) => {
        const place = at % (bytes.length + 1);
        return Uint8Array.from([...bytes.subarray(0, place), ...bytes.subarray(place + length)]);
      },
  ),
  // Lengths are four bytes that begin with zeros: make one huge or a little wrong.
  fc.tuple(fc.nat(), fc.constantFrom(0xff, 0x80, 0x01)).map(
    ([at, byte]): Harm =>
      (bytes) => {
        const zeros = [...bytes.keys()].filter((i) => bytes[i] === 0);
        return zeros.length === 0 ? bytes : bytes.with(zeros[at % zeros.length]!, byte);
      },
  ),
);

/** The value, or the one kind of error a peer may cause in a parser. */
export function valueOrMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SshError && error.code === 'malformed' && error.by === 'peer') return undefined;
    throw error;
  }
}
