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

export class Lines {
  private readonly store: SpillStore;
  private partial: SpillBuffer | undefined;

  constructor(store: SpillStore) {
    this.store = store;
  }

  push(chunk: Uint8Array, take: TakeLine): void {
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      const line = chunk.subarray(from, end);
      from = end + 1;
      if (this.partial) this.completePartial(line, take);
      else take(line, true);
    }
    if (from === chunk.length) return;
    this.partial ??= new SpillBuffer(this.store);
    this.partial.push(chunk.subarray(from));
  }

  /** The bytes are over: what is left is a line without its newline. */
  end(take: TakeLine): void {
    if (this.partial) this.emitPartial(take, false);
  }

  private completePartial(rest: Uint8Array, take: TakeLine): void {
    this.partial!.push(rest);
    this.emitPartial(take, true);
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
