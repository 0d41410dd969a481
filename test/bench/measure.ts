// Times commands against each other: runs alternate, each round in another order, so that whatever else the machine does,
// and what a command leaves behind for the next, falls on all of them alike; medians are compared. CPU is that of the
// command and its children, read by bash; peak memory needs GNU time and is left out where that is not installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Command {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A file for standard input; nothing when left out. */
  readonly stdin?: string;
  /** Done before each run, and not timed. */
  readonly prepare?: () => void;
}

export interface Sample {
  /** Seconds. */
  readonly wall: number;
  /** Seconds of user and system time. */
  readonly cpu: number;
  /** MiB at the highest point; 0 when unknown. */
  readonly peak: number;
}

export interface Result extends Sample {
  readonly name: string;
}

const GNU_TIME = '/usr/bin/time';
const SCRIPT = `TIMEFORMAT='%3R %3U %3S'; out=$1; shift; { time "$@" 2>&3; } 3>&2 2>"$out"`;

export function runOnce(command: Command): Sample {
  command.prepare?.();
  const dir = mkdtempSync(join(tmpdir(), 'bssh-bench-'));
  try {
    const rss = existsSync(GNU_TIME) ? [GNU_TIME, '-f', '%M', '-o', join(dir, 'rss')] : [];
    const argv = ['-c', SCRIPT, 'bench', join(dir, 'time'), ...rss, ...command.argv];
    const stdin = command.stdin === undefined ? 'ignore' : openSync(command.stdin, 'r');
    const env = { ...process.env, ...command.env };
    const done = spawnSync('/bin/bash', argv, { env, stdio: [stdin, 'ignore', 'pipe'], encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${command.argv.join(' ')}: status ${done.status}\n${done.stderr}`);
    const [wall = 0, user = 0, system = 0] = readFileSync(join(dir, 'time'), 'utf8').trim().split(/\s+/).map(Number);
    const peak = rss.length === 0 ? 0 : Number(readFileSync(join(dir, 'rss'), 'utf8').trim()) / 1024;
    return { wall, cpu: user + system, peak };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Fisher and Yates. */
function shuffled<T>(items: Iterable<T>): T[] {
  const all = [...items];
  for (let last = all.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [all[last], all[other]] = [all[other]!, all[last]!];
  }
  return all;
}

/** One warm-up of each, then `runs` rounds of all of them in turn. */
export function compare(commands: readonly Command[], runs: number): Result[] {
  for (const command of commands) runOnce(command);
  const samples = commands.map((): Sample[] => []);
  for (let round = 0; round < runs; round++) {
    for (const index of shuffled(commands.keys())) samples[index]!.push(runOnce(commands[index]!));
  }
  return medians(commands, samples);
}

/** The same for what is measured otherwise than by running a command to its end. */
export async function compareBy(
  commands: readonly Command[],
  runs: number,
  run: (command: Command) => Promise<Sample>,
): Promise<Result[]> {
  const samples = commands.map((): Sample[] => []);
  for (let round = 0; round <= runs; round++) {
    for (const index of shuffled(commands.keys())) {
      const sample = await run(commands[index]!);
      if (round > 0) samples[index]!.push(sample);
    }
  }
  return medians(commands, samples);
}

const medians = (commands: readonly Command[], samples: readonly (readonly Sample[])[]): Result[] =>
  commands.map(({ name }, index) => {
    const of = (field: keyof Sample) => median(samples[index]!.map((sample) => sample[field]));
    return { name, wall: of('wall'), cpu: of('cpu'), peak: of('peak') };
  });

/** A table whose last columns are the ratios to the last row, the one to compare with. */
export function table(title: string, results: readonly Result[], bytes = 0): string {
  const reference = results.at(-1);
  const head = ['', 'wall s', 'cpu s', 'peak MiB', ...(bytes > 0 ? ['MB/s', 'cpu-s/GiB'] : []), 'wall x', 'cpu x'];
  const cells = results.map((result) => [
    result.name,
    result.wall.toFixed(3),
    result.cpu.toFixed(3),
    result.peak > 0 ? result.peak.toFixed(0) : '-',
    ...(bytes > 0 ? [(bytes / 1e6 / result.wall).toFixed(0), ((result.cpu * 2 ** 30) / bytes).toFixed(2)] : []),
    ratio(result.wall, reference?.wall),
    ratio(result.cpu, reference?.cpu),
  ]);
  return `${title}\n${formatRows([head, ...cells])}\n`;
}

/** Columns set under each other, the first to the left and numbers to the right. */
export function formatRows(cells: readonly (readonly string[])[]): string {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return cells.map((row) => `  ${line(row)}`).join('\n');
}

const ratio = (value: number, reference = 0): string => (reference > 0 ? (value / reference).toFixed(2) : '-');
