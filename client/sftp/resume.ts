/**
 * Where a transfer that was cut off goes on. A part's name says which source it is of; whether what is in it is the
 * source's content is looked at here, before anything is built on it.
 *
 * A download is written in order, so the end of its part tells. An upload over several channels may have left holes. They
 * read as zeros and no request of several channels is shorter than a piece: so the first and the last byte of each piece
 * that are not zero tell, two short reads instead of the content.
 */

import { BLOCK_BYTES, SPAN_BYTES } from './blocks.ts';
import type { LocalFile } from './local-file.ts';
import type { RemoteFile } from './remote-file.ts';
import type { SftpCallOptions } from './sftp.ts';
import type { SharedFile } from './shared-file.ts';

/** What has to be the same before the place where a transfer goes on. */
const TAIL_BYTES = 32 * 1024;
const PIECES = 16;
/** No hole that an upload leaves is shorter. */
export const PIECE_BYTES = BLOCK_BYTES / PIECES;
/** Whose bytes are asked for in one round trip: with two for each piece as many requests as a transfer has. */
const BLOCKS_TOGETHER = 32;

/** Behind all of `part`, when its end is the source's; else at the beginning. */
export async function downloadStart(from: RemoteFile, part: LocalFile, options: SftpCallOptions): Promise<number> {
  const { size } = part.stat();
  const at = Math.max(0, size - TAIL_BYTES);
  const ours = Buffer.alloc(size - at);
  if (ours.length > 0 && part.read(ours, at) < ours.length) return 0;
  return (await holds(from, at, ours, options)) ? size : 0;
}

/** At the last whole block before the first hole of `part`, when what is before it is the source's; else at the beginning. */
export async function uploadStart(
  source: SharedFile,
  part: RemoteFile,
  size: number,
  options: SftpCallOptions,
): Promise<number> {
  if (size < BLOCK_BYTES || size > source.size) return 0;
  const end = Math.floor((await wholeUpTo(source, part, size, options)) / BLOCK_BYTES);
  if (end === 0) return 0;
  const last = await source.block(end - 1);
  try {
    const tail = last.bytes.subarray(-TAIL_BYTES);
    return (await holds(part, end * BLOCK_BYTES - tail.length, tail, options)) ? end * BLOCK_BYTES : 0;
  } finally {
    last.release();
  }
}

/** Whether `file` has `bytes` at `position`. */
async function holds(
  file: RemoteFile,
  position: number,
  bytes: Uint8Array,
  options: SftpCallOptions,
): Promise<boolean> {
  for (let at = 0; at < bytes.length; ) {
    const got = await file.read(position + at, bytes.length - at, options);
    if (got.length === 0 || Buffer.compare(got, bytes.subarray(at, at + got.length)) !== 0) return false;
    at += got.length;
  }
  return true;
}

/** Where the first hole of `part` is, or its `size`; 0 when it holds something else than the source. */
async function wholeUpTo(
  source: SharedFile,
  part: RemoteFile,
  size: number,
  options: SftpCallOptions,
): Promise<number> {
  const blocks = Math.ceil(size / BLOCK_BYTES);
  const first = Math.max(0, Math.floor((size - SPAN_BYTES) / BLOCK_BYTES));
  for (let from = first; from < blocks; from += BLOCKS_TOGETHER) {
    const probes: Probe[] = [];
    for (let index = from; index < Math.min(from + BLOCKS_TOGETHER, blocks); index++) {
      const block = await source.block(index);
      probes.push(...probesOf(block.bytes, index * BLOCK_BYTES, size));
      block.release();
    }
    const bytes = await Promise.all(probes.map(({ position }) => part.read(position, 1, options)));
    const wrong = probes.findIndex(({ value }, i) => bytes[i]![0] !== value);
    if (wrong >= 0) return bytes[wrong]![0] ? 0 : probes[wrong]!.position;
  }
  return size;
}

interface Probe {
  readonly position: number;
  readonly value: number;
}

/** The first and the last byte that is not zero of each piece of a block, as far as the part has it. */
function* probesOf(block: Uint8Array, position: number, size: number): Generator<Probe> {
  for (let cut = 0; cut < Math.min(block.length, size - position); cut += PIECE_BYTES) {
    const piece = block.subarray(cut, Math.min(cut + PIECE_BYTES, size - position));
    let from = 0;
    while (from < piece.length && piece[from] === 0) from++;
    if (from === piece.length) continue;
    let to = piece.length - 1;
    while (piece[to] === 0) to--;
    yield { position: position + cut + from, value: piece[from]! };
    if (to > from) yield { position: position + cut + to, value: piece[to]! };
  }
}
