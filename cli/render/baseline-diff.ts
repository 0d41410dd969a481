/**
 * `--diff` with `--baseline`: what each host answers now as a unified diff against what it answered in an earlier run, once
 * for hosts that changed in the same way; the rarest change first, after those that did not change.
 */

import { type Answer, STREAMS } from './answers.ts';
import { type Compared, type CompareOptions, compareAll } from './baseline.ts';
import { writeBlock } from './block.ts';
import type { Piece } from './collected.ts';
import { Differences, Side } from './differences.ts';
import type { CollectOptions } from './group.ts';
import { folded, heading } from './heading.ts';
import { LineMask, maskedParts } from './mask.ts';
import { classLabel, type Renderer } from './renderer.ts';

export class BaselineDiff implements Renderer {
  private readonly options: CollectOptions;
  private readonly compare: CompareOptions;
  private readonly differences: Differences;

  constructor(options: CollectOptions, compare: CompareOptions) {
    this.options = options;
    this.compare = compare;
    this.differences = new Differences(options);
  }

  event(): void {}

  async end(): Promise<void> {
    const { baseline } = this.compare;
    const groups = new Map<string, Compared[]>();
    for (const one of compareAll(this.compare)) {
      const group = groups.get(keyOf(one));
      if (group) group.push(one);
      else groups.set(keyOf(one), [one]);
    }
    const rank = (group: Compared[]): number => (group[0]!.verdict === 'same' ? 0 : 1);
    const sorted = [...groups.values()].sort((a, b) => rank(a) - rank(b) || a.length - b.length);
    for (const group of sorted) {
      if (group[0]!.verdict === 'same') this.options.out.writeText(this.head(group, `, as in ${baseline.name}`));
      else await this.writeChanged(group);
    }
  }

  private async writeChanged(group: readonly Compared[]): Promise<void> {
    const { baseline, answers } = this.compare;
    const { out, err } = this.options;
    const { host, answer, earlier, verdict, differing } = group[0]!;
    if (earlier === undefined || verdict === 'failed') {
      const note = verdict === 'failed' ? '' : `, not in ${baseline.name}`;
      return writeBlock(this.options, this.head(group, note), this.pieces(answer));
    }
    const ended = classLabel(earlier);
    const was = ended === classLabel(answer.result) ? '' : `, was ${ended}`;
    const note = verdict === 'changed' && differing.length === 0 ? `${was}, same output` : was;
    out.writeText(this.head(group, note));
    const names = folded(this.names(group));
    for (const stream of differing) {
      if (stream === 'stderr' && err !== out) err.writeText(this.head(group, ''));
      const after = new Side(names, answers.length(answer, stream), () => answers.read(answer, stream));
      const before = earlier.output(stream);
      if (before === undefined) {
        await this.differences.whole(stream, `${baseline.name} did not keep what it printed; --record does`, after);
        continue;
      }
      const masked = this.masked(host, before);
      await this.differences.write(stream, new Side(`${names}, ${baseline.name}`, before.length, () => masked), after);
    }
  }

  private masked(host: number, bytes: Uint8Array): Iterable<Uint8Array> {
    const { masks, hosts } = this.compare;
    return masks.length === 0 ? [bytes] : [...maskedParts([bytes], new LineMask(masks, hosts[host]!))];
  }

  private names(group: readonly Compared[]): string[] {
    return group.map(({ host }) => this.options.hosts[host]!.name);
  }

  private head(group: readonly Compared[], note: string): string {
    const { prefix, looks } = this.options;
    return prefix ? heading(this.names(group), group[0]!.answer.result, looks.stdout.color, note) : '';
  }

  private *pieces(answer: Answer): Generator<Piece> {
    for (const stream of STREAMS) {
      for (const data of this.compare.answers.read(answer, stream)) yield { stream, data };
    }
  }
}

/** Hosts with the same key changed in the same way; those that did not change are together for their ending. */
function keyOf({ host, answer, earlier, verdict }: Compared): string {
  const now = classLabel(answer.result);
  if (verdict === 'same') return `same ${now}`;
  // What has no digest is like nothing else.
  const before = earlier && [classLabel(earlier), ...STREAMS.map((stream) => earlier.digest[stream] ?? host)].join();
  return `${verdict} ${now} ${answer.digests.stdout} ${answer.digests.stderr} ${before}`;
}
