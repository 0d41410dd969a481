/**
 * File names on the wire are bytes (draft-ietf-secsh-filexfer-02 names no character set); here they are strings.
 *
 * Well-formed UTF-8 reads as the text it is. A byte that belongs to no well-formed sequence becomes the lone surrogate
 * U+DC00 + byte, which no well-formed text holds, so every name survives the way there and back. Says nothing about
 * whether a name is safe to use as a local path.
 */

import type { Field } from '../wire/fields.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/text.ts';
import type { Writer } from '../wire/writer.ts';

const REPLACEMENT = '\ufffd';
/** With the u flag a surrogate in a class matches only where it stands alone. */
const ESCAPED = /[\udc80-\udcff]/u;

export function decodeName(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  return text.includes(REPLACEMENT) ? decodeBroken(bytes) : text;
}

/** Sequence by sequence: slow, and only reached by names that are not UTF-8 (or hold U+FFFD itself). */
function decodeBroken(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    const sequence = bytes.subarray(at, at + length);
    const text = decodeUtf8(sequence);
    const whole = !text.includes(REPLACEMENT) || (sequence[0] === 0xef && sequence[1] === 0xbf && sequence[2] === 0xbd);
    out += whole ? text : String.fromCharCode(0xdc00 + lead);
    at += whole ? sequence.length : 1;
  }
  return out;
}

export function encodeName(name: string): Uint8Array {
  if (!ESCAPED.test(name)) return encodeUtf8(name);
  const out: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00);
    else out.push(...encodeUtf8(character));
  }
  return Uint8Array.from(out);
}

/** Whether the name cannot be written as text: some of its bytes are escaped. */
export const isByteName = (name: string): boolean => ESCAPED.test(name);

/** A length-prefixed file name. */
export const fileName: Field<string> = {
  kind: 'file name',
  read: (reader) => decodeName(reader.string()),
  write: writeName,
};

function writeName(writer: Writer, name: string): void {
  if (!writer.ascii(name)) writer.string(encodeName(name));
}
