/**
 * `--gather`: identical outputs once, under the folded names of their hosts; the rarest first, since that is what one
 * looks for. Folding comes once, at the end.
 */

import type { Answer, Answers } from './answers.ts';
import { writeBlock } from './block.ts';
import type { Piece } from './collected.ts';
import type { CollectOptions } from './group.ts';
import { heading } from './heading.ts';
import type { Renderer } from './renderer.ts';

export class GatherRenderer implements Renderer {
  private readonly options: CollectOptions;
  private readonly answers: Answers;

  /** The answers are given their events by whoever made them. */
  constructor(options: CollectOptions, answers: Answers) {
    this.options = options;
    this.answers = answers;
  }

  event(): void {}

  async end(): Promise<void> {
    const { hosts, looks, prefix } = this.options;
    for (const answer of this.answers.rarestFirst()) {
      const names = answer.hosts.map((host) => hosts[host]!.name);
      const head = prefix ? heading(names, answer.result, looks.stdout.color) : '';
      await writeBlock(this.options, head, pieces(this.answers, answer));
    }
  }
}

/** An answer's whole output, one stream after the other. */
export function* pieces(answers: Answers, answer: Answer): Generator<Piece> {
  for (const data of answers.drain(answer, 'stdout')) yield { stream: 'stdout', data };
  for (const data of answers.drain(answer, 'stderr')) yield { stream: 'stderr', data };
}
