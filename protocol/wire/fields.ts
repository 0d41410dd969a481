/** Field descriptors: the vocabulary in which messages are defined (RFC 4251 section 5). */

import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export interface Field<T> {
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
  /** The wire type's name in the RFC, for logs and generated test values. */
  readonly kind: string;
}

const field = <T>(kind: string, read: (r: Reader) => T, write: (w: Writer, v: T) => void): Field<T> => ({
  kind,
  read,
  write,
});

export const u8: Field<number> = field(
  'byte',
  (r) => r.u8(),
  (w, v) => void w.u8(v),
);
export const bool: Field<boolean> = field(
  'boolean',
  (r) => r.bool(),
  (w, v) => void w.bool(v),
);
export const u32: Field<number> = field(
  'uint32',
  (r) => r.u32(),
  (w, v) => void w.u32(v),
);
export const u64: Field<bigint> = field(
  'uint64',
  (r) => r.u64(),
  (w, v) => void w.u64(v),
);
/** Length-prefixed bytes, as a view. */
export const string: Field<Uint8Array> = field(
  'string',
  (r) => r.string(),
  (w, v) => void w.string(v),
);
/** Length-prefixed UTF-8. */
export const text: Field<string> = field(
  'text',
  (r) => r.text(),
  (w, v) => void w.text(v),
);
export const nameList: Field<readonly string[]> = field<readonly string[]>(
  'name-list',
  (r) => r.nameList(),
  (w, v) => void w.nameList(v),
);
/** Unsigned big-endian bytes. */
export const mpint: Field<Uint8Array> = field(
  'mpint',
  (r) => r.mpint(),
  (w, v) => void w.mpint(v),
);
/** Everything up to the end of the message. */
export const rest: Field<Uint8Array> = field(
  'rest',
  (r) => r.rest(),
  (w, v) => void w.raw(v),
);
/** `length` bytes without a prefix. */
export const raw = (length: number): Field<Uint8Array> =>
  field(
    `byte[${length}]`,
    (r) => r.raw(length),
    (w, v) => void w.raw(v),
  );
