/**
 * `--baseline`: what each host answers now against what it answered in an earlier run. Here is the verdict, in every mode;
 * what changed is shown by baseline-diff.ts.
 */

import type { HostClass, OutputStream } from '../../client/index.ts';
import { type Answer, type Answers, isAnswer, STREAMS, sha256 } from './answers.ts';
import { folded } from './heading.ts';
import type { JsonEvents, JsonResults } from './json.ts';
import { LineMask, type Mask, maskedParts } from './mask.ts';
import type { Output } from './output.ts';
import { classLabel, type Renderer, type RenderHost } from './renderer.ts';

/** What a host answered in the earlier run. */
export interface Earlier {
  readonly class: HostClass;
  readonly exitStatus?: number;
  readonly signal?: string;
  readonly bytes: Readonly<Record<OutputStream, number>>;
  /** SHA-256 in hex; a stream may lack it. */
  readonly digest: Readonly<Partial<Record<OutputStream, string>>>;
  /** What it printed, if that was kept. */
  output(stream: OutputStream): Uint8Array | undefined;
}

export interface Baseline {
  /** How the earlier run is called: `run 12`. */
  readonly name: string;
  /** By place in the list of this run; undefined: it was not there, or not started. */
  earlier(host: number): Earlier | undefined;
}

/** `failed`: there is no answer now that could be compared. */
export type Verdict = 'same' | 'changed' | 'new' | 'unknown' | 'failed';

export interface Compared {
  readonly host: number;
  readonly answer: Answer;
  readonly earlier: Earlier | undefined;
  readonly verdict: Verdict;
  /** Streams that differ, or may. */
  readonly differing: readonly OutputStream[];
}

export interface CompareOptions {
  readonly hosts: readonly RenderHost[];
  readonly answers: Answers;
  readonly masks: readonly Mask[];
  readonly baseline: Baseline;
}

/** Every host of the run, in the order of the list. */
export function compareAll(options: CompareOptions): Compared[] {
  const compared: Compared[] = [];
  for (const answer of options.answers.rarestFirst()) {
    for (const host of answer.hosts) compared.push(compareOne(options, host, answer));
  }
  return compared.sort((a, b) => a.host - b.host);
}

function compareOne({ hosts, masks, baseline }: CompareOptions, host: number, answer: Answer): Compared {
  const earlier = baseline.earlier(host);
  if (!isAnswer(answer.result)) return { host, answer, earlier, verdict: 'failed', differing: [] };
  if (earlier === undefined) return { host, answer, earlier, verdict: 'new', differing: [] };
  const mask = masks.length === 0 ? undefined : new LineMask(masks, hosts[host]!);
  const verdicts = STREAMS.map((stream): Verdict => {
    const before = digestOf(earlier, stream, mask);
    if (before !== undefined) return before === answer.digests[stream] ? 'same' : 'changed';
    const isShorter = mask === undefined && earlier.bytes[stream] !== answer.result.bytes[stream];
    return isShorter ? 'changed' : 'unknown';
  });
  const differing = STREAMS.filter((_, i) => verdicts[i] !== 'same');
  const ended = classLabel(earlier) !== classLabel(answer.result);
  const verdict = ended || verdicts.includes('changed') ? 'changed' : verdicts.includes('unknown') ? 'unknown' : 'same';
  return { host, answer, earlier, verdict, differing };
}

function digestOf(earlier: Earlier, stream: OutputStream, mask: LineMask | undefined): string | undefined {
  if (mask === undefined) return earlier.digest[stream];
  const output = earlier.output(stream);
  return output && sha256(maskedParts([output], mask));
}

export interface BaselineOptions extends CompareOptions {
  readonly json: JsonEvents | JsonResults | undefined;
  readonly err: Output | undefined;
  readonly isUnwanted: () => boolean;
}

/** Says which hosts answer otherwise than they did. */
export class BaselineCheck implements Renderer {
  /** Known at the end; a host that cannot be compared counts as well. */
  differs = false;
  private readonly options: BaselineOptions;

  constructor(options: BaselineOptions) {
    this.options = options;
  }

  event(): void {}

  end(): void {
    const { hosts, baseline, json, err, isUnwanted } = this.options;
    const compared = compareAll(this.options).filter(({ verdict }) => verdict !== 'failed');
    const named = (verdict: Verdict): string[] =>
      compared.filter((one) => one.verdict === verdict).map(({ host }) => hosts[host]!.name);
    const lists = { same: named('same'), changed: named('changed'), new: named('new'), unknown: named('unknown') };
    this.differs = lists.same.length < compared.length;
    json?.say({ type: 'baseline', run: baseline.name, ...lists });
    if (err === undefined || isUnwanted()) return;
    const parts = [
      ['the same', lists.same],
      ['changed', lists.changed],
      ['not in it', lists.new],
      ['cannot be compared', lists.unknown],
    ] as const;
    const said = parts.flatMap(([what, names]) => (names.length > 0 ? [`${what}: ${folded(names)}`] : []));
    if (said.length > 0) err.writeText(`compared with ${baseline.name}: ${said.join('; ')}\n`);
  }
}
