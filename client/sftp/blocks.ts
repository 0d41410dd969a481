/**
 * Memory for file data on its way: blocks of one size, handed round instead of being allocated anew, because fresh
 * memory costs more than the copying into it. A local file is read or written a block at a time whatever size the
 * server's requests have.
 */

/** Two of the 255 KiB that OpenSSH takes and gives in one request. */
export const BLOCK_BYTES = 510 * 1024;
/** Content up to this size is read or written in one synchronous call, and gets memory to measure. */
export const AT_ONCE_BYTES = 64 * 1024;
/** Blocks kept for the next transfer. */
const MOST_KEPT = 16;
/**
 * From the first byte that has not arrived to the last that was asked for, at most; so an upload that dies has its holes
 * this near to its end.
 */
export const SPAN_BYTES = 40 * 1024 * 1024;

/** Small files share memory: with some of its own for each, allocating was felt. */
const SHARED_BYTES = 256 * 1024;
const SHARED_BELOW = 16 * 1024;

const kept: Uint8Array[] = [];
let shared = Buffer.alloc(0);

/** Room for `length` bytes. */
export function takeBlock(length = BLOCK_BYTES): Uint8Array {
  if (length > AT_ONCE_BYTES) return kept.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  if (length > SHARED_BELOW) return Buffer.allocUnsafeSlow(length);
  if (shared.length < length) shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
  const block = shared.subarray(0, length);
  shared = shared.subarray(length);
  return block;
}

/** Only when nobody reads or writes it any more. */
export function giveBlock(block: Uint8Array): void {
  if (kept.length < MOST_KEPT && block.length === BLOCK_BYTES) kept.push(block);
}
