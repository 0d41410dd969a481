/**
 * The end of a run on stderr: one line per class with folded names, then the failures with the last thing they said.
 *
 * Failures that said the same share a line. The names are folded once, here.
 */

import { type FleetOutcome, type HostEvent, type HostResult, isFailure } from '../../client/index.ts';
import { formatHosts } from '../hosts/fold.ts';
import { neutraliseLine, paint, type Style } from '../terminal.ts';
import type { Output } from './output.ts';
import { classLabel, type Renderer, type RenderHost } from './renderer.ts';

/** As much of a host's stderr as is kept for its last line. */
const TAIL = 512;

export interface SummaryOptions {
  readonly hosts: readonly RenderHost[];
  readonly err: Output;
  readonly color: boolean;
  /** Asked at the end: whoever left before it wants to hear no more. */
  readonly isUnwanted: () => boolean;
}

/** The last bytes each host wrote to stderr. */
export class StderrTails {
  private readonly tails = new Map<number, Uint8Array>();

  note(event: HostEvent): void {
    if (event.type !== 'output' || event.stream !== 'stderr') return;
    const before = event.data.length < TAIL ? this.tails.get(event.host) : undefined;
    // Always a copy: a tail must not keep the packet it came in.
    this.tails.set(event.host, Buffer.concat(before ? [before, event.data] : [event.data]).subarray(-TAIL));
  }

  /** The last line with text in it. */
  lastLine(host: number): string | undefined {
    const tail = this.tails.get(host);
    return (
      tail &&
      Buffer.from(tail)
        .toString()
        .split(/[\r\n]+/)
        .findLast((line) => line.trim() !== '')
        ?.trim()
    );
  }
}

/** Hosts by label, in the order the labels are shown: what went well first. */
const RANK: readonly HostResult['class'][] = ['ok', 'not-started', 'cancelled'];

const rankOf = ({ class: end }: HostResult): number => {
  const rank = RANK.indexOf(end);
  return rank < 0 ? RANK.length : rank;
};

function goneNote(result: HostResult): string {
  if (result.gone === undefined) return '';
  return result.gone ? ' (the remote process is gone)' : ' (the remote process may still run)';
}

const groupBy = (results: readonly HostResult[], keyOf: (result: HostResult, host: number) => string | undefined) => {
  const groups = new Map<string, number[]>();
  results.forEach((result, host) => {
    const key = keyOf(result, host);
    if (key === undefined) return;
    const group = groups.get(key);
    if (group) group.push(host);
    else groups.set(key, [host]);
  });
  return groups;
};

/** The lines of the summary, without colour when `color` is false. */
export function summaryLines(
  hosts: readonly RenderHost[],
  { results }: Pick<FleetOutcome, 'results'>,
  tails: StderrTails,
  color: boolean,
): string[] {
  const fold = (group: readonly number[]): string =>
    neutraliseLine(formatHosts(group.map((host) => hosts[host]!.name)));
  const classes = [...groupBy(results, classLabel)].sort(
    ([, a], [, b]) => rankOf(results[a[0]!]!) - rankOf(results[b[0]!]!) || b.length - a.length,
  );
  const countWidth = Math.max(0, ...classes.map(([, group]) => String(group.length).length));
  const labelWidth = Math.max(0, ...classes.map(([label]) => label.length));
  const styled = (text: string, result: HostResult): string => {
    const style: Style = result.class === 'ok' ? 'green' : isFailure(result) ? 'red' : 'yellow';
    return color ? paint(text, style) : text;
  };
  const lines = classes.map(([label, group]) => {
    const head = `${String(group.length).padStart(countWidth)} ${neutraliseLine(label).padEnd(labelWidth)}`;
    return `${styled(head, results[group[0]!]!)}  ${fold(group)}`;
  });
  const stories = groupBy(results, (result, host) => {
    if (!isFailure(result) && result.gone === undefined) return undefined;
    const said = result.error?.message ?? tails.lastLine(host);
    // Harmless before they are compared: what looks alike is alike.
    return neutraliseLine(`${classLabel(result)}${goneNote(result)}${said ? `: ${said}` : ''}`);
  });
  for (const [story, group] of stories) lines.push(`${fold(group)}: ${story}`);
  return lines;
}

export class SummaryRenderer implements Renderer {
  private readonly options: SummaryOptions;
  private readonly tails = new StderrTails();

  constructor(options: SummaryOptions) {
    this.options = options;
  }

  event(event: HostEvent): void {
    this.tails.note(event);
  }

  end(outcome: FleetOutcome): void {
    const { hosts, err, color, isUnwanted } = this.options;
    if (isUnwanted()) return;
    for (const line of summaryLines(hosts, outcome, this.tails, color)) err.writeText(`${line}\n`);
  }
}
