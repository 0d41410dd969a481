/** Every host of the run as the full-screen view knows it: where it stands, since when, and what it said last. */

import { type HostClass, type HostEvent, type HostResult, isFailure, type OutputStream } from '../../client/index.ts';
import { classLabel, type LineMask } from '../render/index.ts';
import { neutraliseLine, type Style } from '../terminal.ts';
import { HostLog } from './log.ts';

/** `idle` and `lost` are those of a host with a shell: nothing runs in it, or there is none any more. */
export type Stage = 'waiting' | 'connecting' | 'retrying' | 'running' | 'idle' | 'lost' | 'ended';

const MARKS: Readonly<Record<Stage, string>> = {
  waiting: '·',
  connecting: '○',
  retrying: '↻',
  running: '●',
  idle: '✓',
  lost: '✗',
  ended: '-',
};

const STYLES: Readonly<Record<Stage, Style>> = {
  waiting: 'dim',
  connecting: 'yellow',
  retrying: 'yellow',
  running: 'cyan',
  idle: 'green',
  lost: 'red',
  ended: 'yellow',
};

export class HostRow {
  readonly index: number;
  /** Harmless, as everything else in here. */
  readonly name: string;
  readonly log: HostLog;
  /** What is compared: everything, or in a shell what the last command said. */
  answer: HostLog;
  /** Of the last command in a shell. */
  status: number | undefined;
  stage: Stage = 'waiting';
  result: HostResult | undefined;
  /** When it was started first, by the run's clock. */
  startedAt: number | undefined;

  constructor(index: number, name: string, mask?: LineMask) {
    this.index = index;
    this.name = neutraliseLine(name);
    this.log = new HostLog(mask);
    this.answer = this.log;
  }

  /** How it is called wherever it is shown, filtered by and counted. */
  get label(): string {
    if (this.result !== undefined) return neutraliseLine(classLabel(this.result));
    return this.stage === 'idle' && this.status ? `exit ${this.status}` : this.stage;
  }

  get failed(): boolean {
    if (this.result !== undefined) return isFailure(this.result);
    return this.stage === 'lost' || (this.stage === 'idle' && Boolean(this.status));
  }

  get mark(): string {
    if (this.result !== undefined) return this.result.class === 'ok' ? '✓' : this.failed ? '✗' : '-';
    return this.failed ? '✗' : MARKS[this.stage];
  }

  get style(): Style | undefined {
    if (this.result !== undefined) return this.result.class === 'ok' ? 'green' : this.failed ? 'red' : 'yellow';
    return this.failed ? 'red' : STYLES[this.stage];
  }

  /** It has said what it had to say, and may be compared. */
  get answered(): boolean {
    if (this.result !== undefined) return this.result.attempts > 0;
    return this.stage === 'idle' && this.status !== undefined;
  }

  /** Milliseconds at work; undefined before. */
  age(now: number): number | undefined {
    if (this.result !== undefined) return this.result.attempts === 0 ? undefined : this.result.ms;
    return this.startedAt === undefined ? undefined : now - this.startedAt;
  }
}

/** Hosts that ended in the same way with the same output. */
export interface AnswerGroup {
  readonly label: string;
  readonly rows: readonly HostRow[];
}

/** A command that came to its own end. */
const ANSWERS: ReadonlySet<HostClass> = new Set(['ok', 'exit', 'signal']);

/** Failures first: they are what one looks for. */
const STAGE_RANK: Readonly<Record<Stage, number>> = {
  lost: 0,
  running: 1,
  connecting: 2,
  retrying: 3,
  waiting: 4,
  idle: 5,
  ended: 5,
};
export const rankOf = (row: HostRow): number => (row.failed ? 0 : STAGE_RANK[row.stage]);

export class Board {
  readonly rows: readonly HostRow[];
  /** What is run. */
  readonly title: string;
  readonly startedAt: number;
  /** Milliseconds the whole run took; undefined while it goes on. */
  took: number | undefined;

  constructor(names: readonly string[], title: string, now: number, maskOf?: (host: number) => LineMask) {
    this.rows = names.map((name, index) => new HostRow(index, name, maskOf?.(index)));
    this.title = title;
    this.startedAt = now;
  }

  apply(event: HostEvent, now: number): void {
    const row = this.rows[event.host]!;
    switch (event.type) {
      case 'output':
        row.log.add(event.stream, event.data);
        break;
      case 'state':
        row.startedAt ??= now;
        row.stage = event.phase === 'command' ? 'running' : 'connecting';
        break;
      case 'retry':
        row.stage = 'retrying';
        break;
      case 'result':
        row.stage = 'ended';
        row.result = event.result;
        row.answer.end();
    }
  }

  /** A command is given to the shell of a host. */
  ask(index: number, text: string, now: number): void {
    const row = this.rows[index]!;
    row.log.add('stdout', Buffer.from(`$ ${text}\n`));
    row.answer = new HostLog();
    row.status = undefined;
    row.stage = 'running';
    row.startedAt = now;
  }

  say(index: number, stream: OutputStream, data: Uint8Array): void {
    const { log, answer } = this.rows[index]!;
    log.add(stream, data);
    if (answer !== log) answer.add(stream, data);
  }

  /** The command has ended; without a status the shell did, or its connection. */
  answered(index: number, status: number | undefined): void {
    const row = this.rows[index]!;
    row.status = status;
    if (row.stage === 'running') row.stage = 'idle';
    row.startedAt = undefined;
  }

  /** Labels with the number of their hosts, in the order of their ranks. */
  labels(): (readonly [label: string, count: number, row: HostRow])[] {
    const found = new Map<string, [number, HostRow]>();
    for (const row of this.rows) {
      const known = found.get(row.label);
      if (known) known[0]++;
      else found.set(row.label, [1, row]);
    }
    return [...found]
      .map(([label, [count, row]]) => [label, count, row] as const)
      .sort(([, , a], [, , b]) => rankOf(a) - rankOf(b) || (a.label < b.label ? -1 : 1));
  }

  /** What the hosts have answered, the most frequent answer first; those that could not answer are behind them. */
  groups(): AnswerGroup[] {
    const found = new Map<string, { label: string; rows: HostRow[] }>();
    for (const row of this.rows) {
      if (!row.answered) continue;
      const key = `${row.label} ${row.answer.fingerprint}`;
      const group = found.get(key);
      if (group) group.rows.push(row);
      else found.set(key, { label: row.label, rows: [row] });
    }
    const answered = ({ rows: [row] }: AnswerGroup): number =>
      row!.result === undefined || ANSWERS.has(row!.result.class) ? 0 : 1;
    return [...found.values()].sort(
      (a, b) => answered(a) - answered(b) || b.rows.length - a.rows.length || a.rows[0]!.index - b.rows[0]!.index,
    );
  }
}
