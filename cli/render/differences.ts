/**
 * One output against another, written as a unified diff to where its stream goes. What is too long for a diff is told by a
 * sentence, what is too different is shown whole.
 */

import type { OutputStream } from '../../client/index.ts';
import { neutraliseBytes, paint, type Style } from '../terminal.ts';
import { writeBlock } from './block.ts';
import type { Piece } from './collected.ts';
import type { CollectOptions } from './group.ts';

/** One side of a comparison. */
export class Side {
  readonly name: string;
  readonly length: number;
  readonly parts: () => Iterable<Uint8Array>;
  private kept: string | undefined;

  constructor(name: string, length: number, parts: () => Iterable<Uint8Array>) {
    this.name = name;
    this.length = length;
    this.parts = parts;
  }

  /** As Latin-1: a character a byte. Kept, for one side is often compared with many. */
  text(): string {
    this.kept ??= Buffer.concat([...this.parts()]).toString('latin1');
    return this.kept;
  }
}

const STYLES: Readonly<Record<string, Style>> = { '+': 'green', '-': 'red', '@': 'cyan' };

export class Differences {
  private readonly options: CollectOptions;

  constructor(options: CollectOptions) {
    this.options = options;
  }

  async write(stream: OutputStream, before: Side, after: Side): Promise<void> {
    // Loaded late: most runs compare nothing.
    const { firstDifference, LONGEST_DIFFED, unifiedHunks } = await import('./unified.ts');
    if (Math.max(before.length, after.length) > LONGEST_DIFFED) {
      const line = await firstDifference(before.parts(), after.parts());
      const sizes = `${before.length} and ${after.length} bytes`;
      return this.say(stream, `(too long for a diff: ${sizes}, different from line ${line} on)`, 'yellow');
    }
    const lines = unifiedHunks(before.text(), after.text());
    if (lines === undefined) return this.whole(stream, 'too different for a diff, so all of it', after);
    this.say(stream, `--- ${before.name}`, 'bold');
    this.say(stream, `+++ ${after.name}`, 'bold');
    const { target, look } = this.to(stream);
    for (const line of lines) {
      const bytes = Buffer.from(line, 'latin1');
      const style = STYLES[line.charAt(0)];
      if (look.harmless) this.say(stream, Buffer.from(neutraliseBytes(bytes)).toString(), style);
      else {
        target.write(look.color && style !== undefined ? Buffer.from(paint(line, style), 'latin1') : bytes);
        target.writeText('\n');
      }
      await target.ready();
    }
  }

  /** An output without its other side, and why. */
  whole(stream: OutputStream, why: string, side: Side): Promise<void> {
    this.say(stream, `(${why})`, 'yellow');
    return writeBlock(this.options, '', pieces(stream, side));
  }

  private say(stream: OutputStream, text: string, style: Style | undefined): void {
    const { target, look } = this.to(stream);
    target.writeText(`${look.color && style !== undefined ? paint(text, style) : text}\n`);
  }

  private to(stream: OutputStream) {
    const { out, err, looks } = this.options;
    return { target: stream === 'stdout' ? out : err, look: looks[stream] };
  }
}

function* pieces(stream: OutputStream, side: Side): Generator<Piece> {
  for (const data of side.parts()) yield { stream, data };
}
