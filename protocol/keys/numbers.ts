/** Unsigned big-endian numbers as bytes: widths and hexadecimal. Arithmetic is in crypto/bignum.ts. */

/** Without leading zero bytes. */
export function trimZeros(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return bytes.subarray(start);
}

/** Left-padded with zeros to `width`, or undefined when it does not fit. */
export function padTo(bytes: Uint8Array, width: number): Uint8Array | undefined {
  const body = trimZeros(bytes);
  if (body.length > width) return undefined;
  const out = new Uint8Array(width);
  out.set(body, width - body.length);
  return out;
}

export function bitLength(bytes: Uint8Array): number {
  const body = trimZeros(bytes);
  return body.length === 0 ? 0 : body.length * 8 - (Math.clz32(body[0]!) - 24);
}

/** Undefined when `hex` is not pairs of hexadecimal digits. */
export function fromHex(hex: string): Uint8Array | undefined {
  if (hex.length & 1 || !/^[0-9a-f]*$/i.test(hex)) return undefined;
  const out = new Uint8Array(hex.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return out;
}
