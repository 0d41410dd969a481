/**
 * `--expect-same`: says who answers otherwise than the others, and whether anybody does; the exit code is not its own.
 * Hosts that came to no answer of their own (unreachable, timed out) are no difference: they are failures already.
 */

import type { Answers } from './answers.ts';
import { isAnswer } from './answers.ts';
import { folded } from './heading.ts';
import type { JsonEvents, JsonResults } from './json.ts';
import type { Output } from './output.ts';
import { classLabel, type Renderer, type RenderHost } from './renderer.ts';

/** More kinds of answers than this are counted, not listed. */
const MOST_LISTED = 10;

export interface SameOptions {
  readonly hosts: readonly RenderHost[];
  readonly answers: Answers;
  /** Where the verdict goes as JSON, if at all. */
  readonly json: JsonEvents | JsonResults | undefined;
  /** Where it goes as a sentence, if at all. */
  readonly err: Output | undefined;
  readonly isUnwanted: () => boolean;
}

export class SameCheck implements Renderer {
  /** Known at the end. */
  differs = false;
  private readonly options: SameOptions;

  constructor(options: SameOptions) {
    this.options = options;
  }

  event(): void {}

  end(): void {
    const { hosts, answers, json, err, isUnwanted } = this.options;
    const given = answers
      .rarestFirst()
      .filter(({ result }) => isAnswer(result))
      .reverse();
    this.differs = given.length > 1;
    const namesOf = (list: readonly number[]): string[] => list.map((host) => hosts[host]!.name);
    json?.say({
      type: 'same',
      same: !this.differs,
      answers: given.map((answer) => ({ ending: classLabel(answer.result), hosts: namesOf(answer.hosts) })),
    });
    if (!this.differs || err === undefined || isUnwanted()) return;
    const listed = given.slice(0, MOST_LISTED).map((answer) => folded(namesOf(answer.hosts)));
    const rest = given.length - listed.length;
    err.writeText(`${given.length} different answers: ${listed.join('; ')}${rest > 0 ? `; ${rest} more` : ''}\n`);
  }
}
