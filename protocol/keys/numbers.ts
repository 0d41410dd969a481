/** Unsigned big-endian numbers as bytes: the few operations that reading keys needs. Not constant time. */

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

export function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

export function fromBigInt(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return value === 0n ? new Uint8Array(0) : fromHex(hex.length & 1 ? `0${hex}` : hex)!;
}

export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0');
  return out;
}

/** Undefined when `hex` is not pairs of hexadecimal digits. */
export function fromHex(hex: string): Uint8Array | undefined {
  if (hex.length & 1 || !/^[0-9a-f]*$/i.test(hex)) return undefined;
  const out = new Uint8Array(hex.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** Same bytes; for public values only (not constant time). */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
