/**
 * `--diff`: what most hosts answered, once, and every other answer as a unified diff against it; the rarest first.
 *
 * stdout and stderr are compared each for itself and go where they always go. With masks the masked forms are compared
 * and shown.
 */

import type { OutputStream } from '../../client/index.ts';
import { type Answer, type Answers, isAnswer, STREAMS } from './answers.ts';
import { writeBlock } from './block.ts';
import type { Piece } from './collected.ts';
import { Differences, Side } from './differences.ts';
import type { CollectOptions } from './group.ts';
import { folded, heading } from './heading.ts';
import type { Renderer } from './renderer.ts';

export class DiffRenderer implements Renderer {
  private readonly options: CollectOptions;
  private readonly answers: Answers;
  private readonly differences: Differences;

  constructor(options: CollectOptions, answers: Answers) {
    this.options = options;
    this.answers = answers;
    this.differences = new Differences(options);
  }

  event(): void {}

  async end(): Promise<void> {
    const majority = this.answers.majority();
    const others = this.answers.rarestFirst().filter((answer) => answer !== majority);
    if (majority !== undefined) {
      await this.writeWhole(majority);
      const sides = { stdout: this.side(majority, 'stdout'), stderr: this.side(majority, 'stderr') };
      for (const answer of others) await this.writeOther(answer, majority, sides);
    } else {
      for (const answer of others) await this.writeWhole(answer);
    }
  }

  private async writeOther(answer: Answer, majority: Answer, sides: Readonly<Record<OutputStream, Side>>) {
    const { out, err } = this.options;
    const { stdout, stderr } = answer.result.bytes;
    const isSilent = stdout + stderr === 0;
    if (isSilent && !isAnswer(answer.result)) return this.writeWhole(answer);
    const differing = STREAMS.filter((stream) => answer.digests[stream] !== majority.digests[stream]);
    const note = differing.length === 0 && !isSilent ? ', same output' : '';
    out.writeText(this.head(answer, note));
    for (const stream of differing) {
      if (stream === 'stderr' && err !== out) err.writeText(this.head(answer, ''));
      await this.differences.write(stream, sides[stream], this.side(answer, stream));
    }
  }

  private writeWhole(answer: Answer): Promise<void> {
    return writeBlock(this.options, this.head(answer, ''), this.pieces(answer));
  }

  private side(answer: Answer, stream: OutputStream): Side {
    const { answers } = this;
    const names = folded(this.names(answer));
    return new Side(names, answers.length(answer, stream), () => answers.read(answer, stream));
  }

  private head(answer: Answer, note: string): string {
    const { prefix, looks } = this.options;
    return prefix ? heading(this.names(answer), answer.result, looks.stdout.color, note) : '';
  }

  private names({ hosts }: Answer): string[] {
    return hosts.map((host) => this.options.hosts[host]!.name);
  }

  private *pieces(answer: Answer): Generator<Piece> {
    for (const stream of STREAMS) {
      for (const data of this.answers.read(answer, stream)) yield { stream, data };
    }
  }
}
