/**
 * Unsigned big-endian bytes to BigInt and back, modular power and inverse: what RSA, DSA and finite-field DH share.
 *
 * BigInt arithmetic is not constant-time. Callers with long-lived secrets must blind (see rsa.ts and dsa.ts).
 */

import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { SshError } from '../errors.ts';
import { limits } from '../limits.ts';

/** Refuses numbers larger than `limits.mpintBytes`: every BigInt operation below is at most cubic in that. */
export function toBigInt(bytes: Uint8Array): bigint {
  if (bytes.length > limits.mpintBytes) {
    throw new SshError('limit', 'number too large', { detail: { limit: 'mpintBytes' } });
  }
  return bytes.length === 0 ? 0n : BigInt(`0x${bytesToHex(bytes)}`);
}

/** Big-endian bytes, left-padded with zeros to `length`, or as short as possible (zero is empty). */
export function fromBigInt(value: bigint, length?: number): Uint8Array {
  if (value < 0n) throw new SshError('usage', 'negative number');
  const digits = value === 0n ? '' : value.toString(16);
  const bytes = hexToBytes(digits.length % 2 === 0 ? digits : `0${digits}`);
  if (length === undefined || bytes.length === length) return bytes;
  if (bytes.length > length) throw new SshError('usage', 'number too large for its field');
  const out = new Uint8Array(length);
  out.set(bytes, length - bytes.length);
  return out;
}

export function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const hex = value.toString(16);
  return hex.length * 4 - Math.clz32(Number.parseInt(hex[0]!, 16)) + 28;
}

export function mod(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** `base ** exponent mod modulus` for a non-negative exponent and a positive modulus. */
export function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  if (modulus === 1n) return 0n;
  const reduced = mod(base, modulus);
  const bits = exponent.toString(2);
  return bits.length <= 64 ? powerShort(reduced, bits, modulus) : powerWindow(reduced, exponent, modulus);
}

function powerShort(base: bigint, bits: string, modulus: bigint): bigint {
  let result = 1n;
  for (let i = 0; i < bits.length; i++) {
    result = (result * result) % modulus;
    if (bits[i] === '1') result = (result * base) % modulus;
  }
  return result;
}

/** Fixed windows of four bits, a multiplication for each whatever its value: the sequence of operations tells nothing. */
function powerWindow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  const table: bigint[] = [1n];
  for (let i = 1; i < 16; i++) table.push((table[i - 1]! * base) % modulus);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    result = (result * result) % modulus;
    result = (result * result) % modulus;
    result = (result * result) % modulus;
    result = (result * result) % modulus;
    result = (result * table[Number.parseInt(digit, 16)]!) % modulus;
  }
  return result;
}

/** Inverse of `value` modulo `modulus`, or undefined when they share a factor. */
export function modInverse(value: bigint, modulus: bigint): bigint | undefined {
  let [a, b] = [mod(value, modulus), modulus];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return a === 1n ? mod(x, modulus) : undefined;
}

/** Uniform in [1, below), by rejection. */
export function randomBelow(random: (length: number) => Uint8Array, below: bigint): bigint {
  const bits = bitLength(below);
  const length = Math.ceil(bits / 8);
  const topMask = 0xff >> (length * 8 - bits);
  for (;;) {
    const bytes = random(length);
    bytes[0]! &= topMask;
    const value = toBigInt(bytes);
    if (value > 0n && value < below) return value;
  }
}
