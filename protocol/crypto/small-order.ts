/**
 * The Ed25519 points of small order. A key that is one verifies signatures nobody made, so no provider takes it; noble
 * refuses them itself, OpenSSL does not (RFC 8032 section 5.1.7 leaves it open).
 */

import { hexToBytes } from '@noble/hashes/utils.js';

/** Encoded y coordinates of orders 4, 1, 2 and 8, then those of 0 and 1 not reduced modulo p. The sign bit is free. */
const encodings = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(hexToBytes);

export function hasSmallOrder(point: Uint8Array): boolean {
  const unsigned = Uint8Array.from(point);
  unsigned[31]! &= 0x7f;
  // Public keys are no secret: the first byte that differs is enough.
  return encodings.some((encoding) => encoding.every((byte, at) => byte === unsigned[at]));
}
