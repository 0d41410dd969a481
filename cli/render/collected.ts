/**
 * A host's stdout and stderr kept in the order they came, in one spilling buffer: each piece behind a four-byte
 * header (the top bit says which stream), so that the order costs no memory of its own.
 */

import type { OutputStream } from '../../client/index.ts';
import { SpillBuffer, type SpillStore } from './spill.ts';

const HEADER = 4;
const IS_STDERR = 0x8000_0000;

export interface Piece {
  readonly stream: OutputStream;
  readonly data: Uint8Array;
}

export class Collected {
  private readonly buffer: SpillBuffer;

  constructor(store: SpillStore) {
    this.buffer = new SpillBuffer(store);
  }

  push(stream: OutputStream, data: Uint8Array): void {
    const header = new Uint8Array(HEADER);
    new DataView(header.buffer).setUint32(0, (data.length | (stream === 'stderr' ? IS_STDERR : 0)) >>> 0);
    this.buffer.push(header);
    this.buffer.push(data);
  }

  /** All of it in order; what was pushed as one piece may come as several. Empty afterwards. */
  *drain(): Generator<Piece> {
    const header = new Uint8Array(HEADER);
    const view = new DataView(header.buffer);
    let have = 0; // bytes of the header
    let left = 0; // bytes of the piece
    let stream: OutputStream = 'stdout';
    for (const part of this.buffer.drain()) {
      for (let at = 0; at < part.length; ) {
        if (left > 0) {
          const data = part.subarray(at, at + left);
          at += data.length;
          left -= data.length;
          yield { stream, data };
          continue;
        }
        header[have++] = part[at++]!;
        if (have < HEADER) continue;
        have = 0;
        const word = view.getUint32(0);
        stream = word >= IS_STDERR ? 'stderr' : 'stdout';
        left = word % IS_STDERR;
      }
    }
  }
}
