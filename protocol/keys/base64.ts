/** Base64 (RFC 4648 section 4), with the language alone. */

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const values = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;

export function encodeBase64(bytes: Uint8Array, options: { pad?: boolean } = {}): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += alphabet[group >> 18]! + alphabet[(group >> 12) & 63]!;
    if (left > 1) out += alphabet[(group >> 6) & 63]!;
    if (left > 2) out += alphabet[group & 63]!;
  }
  return options.pad === false ? out : out.padEnd(Math.ceil(out.length / 4) * 4, '=');
}

/** Undefined for anything but padded base64; white space is skipped, as every reader of PEM and key lines does. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let length = 0;
  let digits = 0;
  let pads = 0;
  let group = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x20 || (code >= 0x09 && code <= 0x0d)) continue;
    if (code === 0x3d) {
      pads++;
      continue;
    }
    const value = code < 128 ? values[code]! : -1;
    if (value < 0 || pads > 0) return undefined;
    group = ((group << 6) | value) & 0xffffff;
    digits++;
    if ((digits & 3) === 0) {
      out[length++] = group >> 16;
      out[length++] = group >> 8;
      out[length++] = group;
    }
  }
  const tail = digits & 3;
  if (tail === 1 || pads !== (4 - tail) % 4) return undefined;
  if (tail === 2) {
    if (group & 15) return undefined;
    out[length++] = group >> 4;
  } else if (tail === 3) {
    if (group & 3) return undefined;
    out[length++] = group >> 10;
    out[length++] = group >> 2;
  }
  return out.subarray(0, length);
}
