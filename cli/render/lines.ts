/**
 * Bytes into lines, byte-exact: only LF ends a line; CR, NUL and broken UTF-8 are text like any other.
 *
 * A line is never cut or merged, so one that is not over yet is kept, in memory or, past the run's budget, on disk:
 * a remote that never sends a newline fills the disk's temporary space, not our memory.
 */

import { SpillBuffer, type SpillStore } from './spill.ts';

/** Longer lines are handed over as a source to be read in pieces. */
const LONG_LINE = 64 * 1024;
const LF = 0x0a;

/** Takes one line without its newline; a long one must be drained. `ended` is false for a last line without newline. */
export type TakeLine = (line: Uint8Array | SpillBuffer, ended: boolean) => void;

/** Takes whole lines at once, the last newline included, where a mode need not see each. */
export type TakeBlock = (block: Uint8Array) => void;

export class Lines {
  private readonly store: SpillStore;
  private partial: SpillBuffer | undefined;

  constructor(store: SpillStore) {
    this.store = store;
  }

  push(chunk: Uint8Array, take: TakeLine, takeBlock?: TakeBlock): void {
    let from = 0;
    if (this.partial) {
      const end = chunk.indexOf(LF);
      this.partial.push(end < 0 ? chunk : chunk.subarray(0, end));
      if (end < 0) return;
      this.emitPartial(take, true);
      from = end + 1;
    }
    const last = chunk.lastIndexOf(LF);
    if (takeBlock) {
      if (last >= from) takeBlock(chunk.subarray(from, last + 1));
    } else {
      for (let at = from; at <= last; ) {
        const end = chunk.indexOf(LF, at);
        take(chunk.subarray(at, end), true);
        at = end + 1;
      }
    }
    if (last >= from) from = last + 1;
    if (from === chunk.length) return;
    this.partial ??= new SpillBuffer(this.store);
    this.partial.push(chunk.subarray(from));
  }

  /** The bytes are over: what is left is a line without its newline. */
  end(take: TakeLine): void {
    if (this.partial) this.emitPartial(take, false);
  }

  private emitPartial(take: TakeLine, ended: boolean): void {
    const partial = this.partial!;
    this.partial = undefined;
    if (partial.length > LONG_LINE) {
      take(partial, ended);
      return;
    }
    const line = partial.toBytes();
    partial.clear();
    take(line, ended);
  }
}
