/**
 * Bytes into lines for whoever reads them one by one: a line longer than the bound comes in parts, cut at the same places
 * however the bytes arrive. Output itself goes through lines.ts, which never cuts.
 */

const LONGEST = 64 * 1024;
const LF = 0x0a;

/** A line or a part of one, without its newline; `ended` is true where a newline stood. */
export type TakeShortLine = (line: Buffer, ended: boolean) => void;

export class ShortLines {
  private readonly take: TakeShortLine;
  private pending: Uint8Array[] = [];
  private pendingBytes = 0;

  constructor(take: TakeShortLine) {
    this.take = take;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const newline = chunk.indexOf(LF, at);
      const end = Math.min(newline < 0 ? chunk.length : newline, at + LONGEST - this.pendingBytes);
      if (end === newline) {
        this.emit(chunk.subarray(at, end), true);
        at = end + 1;
        continue;
      }
      // A copy: what waits must not keep the packet it came in.
      this.pending.push(chunk.slice(at, end));
      this.pendingBytes += end - at;
      at = end;
      if (this.pendingBytes === LONGEST) this.emit(new Uint8Array(0), false);
    }
  }

  /** The bytes are over: what is left is a line without its newline. */
  end(): void {
    if (this.pendingBytes > 0) this.emit(new Uint8Array(0), false);
  }

  private emit(last: Uint8Array, ended: boolean): void {
    const line =
      this.pending.length === 0
        ? Buffer.from(last.buffer, last.byteOffset, last.length)
        : Buffer.concat([...this.pending, last]);
    this.pending = [];
    this.pendingBytes = 0;
    this.take(line, ended);
  }
}
