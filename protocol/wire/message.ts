/**
 * A message is one definition: number, name and typed fields. Its TypeScript type is inferred, tests and fuzzers iterate
 * the definitions. Decoding is asked for the definition one *expects*, so numbers that mean different things in
 * different contexts (30-49, 60-79) need no registry.
 */

import { malformed } from '../errors.ts';
import type { Field } from './fields.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

// biome-ignore lint/suspicious/noExplicitAny: a field of any value type
export type AnyFields = Readonly<Record<string, Field<any>>>;
export type ValuesOf<F extends AnyFields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export interface MessageDefinition<F extends AnyFields> {
  readonly number: number;
  readonly name: string;
  readonly fields: F;
  /** The whole payload, number included. */
  encode(values: ValuesOf<F>): Uint8Array;
  /** Decodes a payload whose first byte must be `number`; throws `SshError('malformed')`. Byte fields are views. */
  decode(payload: Uint8Array): ValuesOf<F>;
}
export type MessageOf<D> = D extends MessageDefinition<infer F> ? ValuesOf<F> : never;

/** Writes `fields` in order. */
export function writeFields<F extends AnyFields>(writer: Writer, fields: F, values: ValuesOf<F>): void {
  for (const key in fields) fields[key]!.write(writer, (values as Record<string, unknown>)[key]);
}

/** Reads `fields` in order; does not look at what follows. */
export function readFields<F extends AnyFields>(reader: Reader, fields: F): ValuesOf<F> {
  const values: Record<string, unknown> = {};
  for (const key in fields) values[key] = fields[key]!.read(reader);
  return values as ValuesOf<F>;
}

/** A body without a message number: the type-specific tail of requests, opens and key blobs. */
export interface BodyDefinition<F extends AnyFields> {
  readonly name: string;
  readonly fields: F;
  encode(values: ValuesOf<F>): Uint8Array;
  decode(bytes: Uint8Array): ValuesOf<F>;
}

export function defineBody<F extends AnyFields>(name: string, fields: F): BodyDefinition<F> {
  return {
    name,
    fields,
    encode(values) {
      const writer = new Writer();
      writeFields(writer, fields, values);
      return writer.finish();
    },
    decode(bytes) {
      const reader = new Reader(bytes);
      const values = readFields(reader, fields);
      reader.end(name);
      return values;
    },
  };
}

export function defineMessage<F extends AnyFields>(number: number, name: string, fields: F): MessageDefinition<F> {
  return {
    number,
    name,
    fields,
    encode(values) {
      const writer = new Writer();
      writer.u8(number);
      writeFields(writer, fields, values);
      return writer.finish();
    },
    decode(payload) {
      const reader = new Reader(payload);
      const got = reader.u8();
      if (got !== number) throw malformed(`${name} (${number}) expected, message ${got} came`);
      const values = readFields(reader, fields);
      reader.end(name);
      return values;
    },
  };
}
