/**
 * Writes one block of collected output: headings, then stdout and stderr each to its place, a missing last newline
 * added. Waits for the streams, so a block larger than memory passes through.
 */

import type { OutputStream } from '../../client/index.ts';
import type { Piece } from './collected.ts';
import { Lines, type TakeLine } from './lines.ts';
import type { Output } from './output.ts';
import type { SpillStore } from './spill.ts';
import { type Look, writeLineBytes } from './stream.ts';

export interface BlockTargets {
  readonly store: SpillStore;
  readonly out: Output;
  /** The same object as `out` where both lead to one place. */
  readonly err: Output;
  readonly looks: Readonly<Record<OutputStream, Look>>;
}

const NEWLINE = Buffer.from('\n');

/** `head` is empty for none; stderr that goes elsewhere than stdout gets it as well. */
export async function writeBlock(targets: BlockTargets, head: string, pieces: Iterable<Piece>): Promise<void> {
  const { out, err, looks } = targets;
  out.writeText(head);
  const writers: Partial<Record<OutputStream, PieceWriter>> = {};
  for (const { stream, data } of pieces) {
    const target = stream === 'stdout' ? out : err;
    let writer = writers[stream];
    if (!writer) {
      if (target !== out) target.writeText(head);
      writer = looks[stream].harmless ? new HarmlessWriter(targets.store, target) : new RawWriter(target);
      writers[stream] = writer;
    }
    writer.write(data);
    await target.ready();
  }
  writers.stdout?.end();
  writers.stderr?.end();
  await (out.ready() ?? err.ready());
}

interface PieceWriter {
  write(data: Uint8Array): void;
  end(): void;
}

class RawWriter implements PieceWriter {
  private readonly target: Output;
  private last = 0x0a;

  constructor(target: Output) {
    this.target = target;
  }

  write(data: Uint8Array): void {
    this.target.write(data);
    this.last = data.at(-1) ?? this.last;
  }

  end(): void {
    if (this.last !== 0x0a) this.target.write(NEWLINE);
  }
}

class HarmlessWriter implements PieceWriter {
  private readonly lines: Lines;
  private readonly take: TakeLine;

  constructor(store: SpillStore, target: Output) {
    this.lines = new Lines(store);
    this.take = (line) => {
      writeLineBytes(target, line, true);
      target.write(NEWLINE);
    };
  }

  write(data: Uint8Array): void {
    this.lines.push(data, this.take);
  }

  end(): void {
    this.lines.end(this.take);
  }
}
