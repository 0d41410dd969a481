/** What waits in one of a channel's inlets, stdout's or stderr's. */

import { Queue } from '../queue.ts';

export interface Inlet {
  readonly chunks: Queue<Uint8Array>;
  announced: boolean;
  /** Memory that small chunks share while nobody takes them, and how much of it holds data. */
  tail: Uint8Array | undefined;
  used: number;
}

export const newInlet = (): Inlet => ({ chunks: new Queue(), announced: false, tail: undefined, used: 0 });

/** Chunks below this are joined when they wait: each would cost a hundred times its byte in bookkeeping. */
const SMALL = 1024;
const TAIL = 16 * 1024;

export function enqueue(inlet: Inlet, chunk: Uint8Array): void {
  const { chunks, tail } = inlet;
  if (chunks.length === 0 || chunk.length >= SMALL) {
    inlet.tail = undefined;
    chunks.push(chunk);
    return;
  }
  if (tail !== undefined && inlet.used + chunk.length <= TAIL) {
    tail.set(chunk, inlet.used);
    inlet.used += chunk.length;
    chunks.replaceLast(tail.subarray(0, inlet.used));
    return;
  }
  inlet.tail = new Uint8Array(TAIL);
  inlet.tail.set(chunk);
  inlet.used = chunk.length;
  chunks.push(inlet.tail.subarray(0, inlet.used));
}
