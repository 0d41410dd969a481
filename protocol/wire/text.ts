/** Text to bytes and back, without TextEncoder: the core is compiled against the language alone. */

import { utf8ToBytes } from '@noble/hashes/utils.js';

export const encodeUtf8 = (text: string): Uint8Array => utf8ToBytes(text);

const SHORT = 4096;
const BEYOND_ASCII = /[\u0080-\u00ff]/;

/** UTF-8 to string; broken sequences become U+FFFD, one per offending byte. Never throws. */
export function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length <= SHORT) {
    // Nearly all of it is ASCII, and the loop below costs ten times as much until it is compiled well.
    const text = String.fromCharCode.apply(null, bytes as unknown as number[]);
    if (!BEYOND_ASCII.test(text)) return text;
  }
  let out = '';
  let run = 0; // start of a run of ASCII
  let i = 0;
  const flush = (end: number): void => {
    for (let at = run; at < end; at += 4096) {
      // `apply` takes the bytes as they are; spreading them would walk an iterator, at seven times the price.
      out += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(end, at + 4096)) as unknown as number[]);
    }
  };
  while (i < bytes.length) {
    const lead = bytes[i]!;
    if (lead < 0x80) {
      i++;
      continue;
    }
    flush(i);
    const need =
      lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xc2 && lead < 0xe0 ? 1 : 0;
    let code = need === 3 ? lead & 0x07 : need === 2 ? lead & 0x0f : lead & 0x1f;
    let ok = need > 0;
    for (let k = 1; ok && k <= need; k++) {
      const next = bytes[i + k];
      if (next === undefined || (next & 0xc0) !== 0x80) ok = false;
      else code = (code << 6) | (next & 0x3f);
    }
    // Overlong forms, surrogates and values past U+10FFFF are as broken as a missing byte.
    if (
      ok &&
      ((need === 2 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (need === 3 && (code < 0x10000 || code > 0x10ffff)))
    ) {
      ok = false;
    }
    out += ok ? String.fromCodePoint(code) : '\ufffd';
    i += ok ? need + 1 : 1;
    run = i;
  }
  flush(i);
  return out;
}
