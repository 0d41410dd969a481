/**
 * Where records live: `$XDG_STATE_HOME/bssh/runs` (`~/.local/state`), one JSON file a run, its kept output beside it.
 *
 * For the user alone (0700, 0600), and bounded: the oldest runs go when there are too many or they take too much room.
 * Several processes may write at once: a run's number is taken by creating its file.
 */

import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type OutputStream, SshError } from '../../client/index.ts';
import { type HostRecord, RECORD_VERSION, type RunRecord } from './record.ts';

/** Runs that are remembered (a few more meanwhile), and the room they may take together; the latest is kept in any case. */
export const MOST_RUNS = 100;
export const MOST_BYTES = 64 * 1024 * 1024;

/** To look at two hundred files takes a twentieth of a short run: records without output are small, and wait for others. */
const PRUNED_EVERY = 16;

export type NewRun = Omit<RunRecord, 'v' | 'id'>;

export interface JournalLimits {
  readonly runs?: number;
  readonly bytes?: number;
}

const usage = (message: string): SshError =>
  new SshError('usage', message, { detail: { grammar: 'cluster', exit: 2 } });

export class Journal {
  readonly dir: string;
  private readonly limits: Required<JournalLimits>;

  constructor(env: Readonly<Record<string, string | undefined>>, limits: JournalLimits = {}) {
    const { XDG_STATE_HOME: state, HOME: home } = env;
    // The XDG specification: a relative path is to be ignored.
    const base = state && isAbsolute(state) ? state : join(home || homedir(), '.local', 'state');
    this.dir = join(base, 'bssh', 'runs');
    this.limits = { runs: MOST_RUNS, bytes: MOST_BYTES, ...limits };
  }

  /** Keeps a run; gives its number. Throws what the file system throws. */
  write(run: NewRun, output: readonly Uint8Array[] = []): number {
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    let id = (this.ids().at(-1) ?? 0) + 1;
    let fd: number | undefined;
    while (fd === undefined) {
      try {
        fd = openSync(this.file(id, 'json'), 'wx', 0o600);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        id++;
      }
    }
    try {
      if (output.length > 0) writeFileSync(this.file(id, 'out'), Buffer.concat(output), { mode: 0o600, flag: 'wx' });
      const record: RunRecord = { v: RECORD_VERSION, id, ...run };
      // Last, so that a record that can be read is whole.
      writeFileSync(fd, JSON.stringify(record));
    } catch (error) {
      this.remove(id);
      throw error;
    } finally {
      closeSync(fd);
    }
    if (output.length > 0 || id % PRUNED_EVERY === 0) this.prune();
    return id;
  }

  /** Numbers of runs, the oldest first. */
  ids(): number[] {
    let names: string[];
    try {
      names = readdirSync(this.dir);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return names
      .flatMap((name) => /^([1-9]\d{0,14})\.json$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** Undefined for a run that is gone, still being written, or not of this version. */
  find(id: number): RunRecord | undefined {
    try {
      const record = JSON.parse(readFileSync(this.file(id, 'json'), 'utf8')) as RunRecord;
      return record.v === RECORD_VERSION && Array.isArray(record.hosts) ? record : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The run that was asked for: a number, or `last`. Says what there is when it is not there. */
  read(reference: string): RunRecord {
    const ids = this.ids();
    if (reference === 'last') {
      for (const id of ids.toReversed()) {
        const record = this.find(id);
        if (record !== undefined) return record;
      }
      throw usage(`no run is recorded in ${this.dir}`);
    }
    if (!/^[1-9]\d{0,14}$/.test(reference)) throw usage(`a run is a number or 'last', not '${reference}'`);
    const record = this.find(Number(reference));
    if (record !== undefined) return record;
    const kept = ids.length === 0 ? 'none is' : `those of ${ids[0]} to ${ids.at(-1)} are`;
    throw usage(`run ${reference} is not recorded: ${kept}`);
  }

  /** What a host of a run printed; undefined when it was not kept. */
  output({ id }: RunRecord, { kept }: HostRecord, stream: OutputStream): Uint8Array | undefined {
    const [offset, length] = kept?.[stream] ?? [];
    if (offset === undefined || length === undefined) return undefined;
    const bytes = Buffer.alloc(length);
    if (length === 0) return bytes;
    try {
      const fd = openSync(this.file(id, 'out'), 'r');
      try {
        return readSync(fd, bytes, 0, length, offset) === length ? bytes : undefined;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  private file(id: number, kind: 'json' | 'out'): string {
    return join(this.dir, `${id}.${kind}`);
  }

  private remove(id: number): void {
    for (const kind of ['json', 'out'] as const) rmSync(this.file(id, kind), { force: true });
  }

  private prune(): void {
    const size = (id: number): number =>
      (['json', 'out'] as const).reduce(
        (sum, kind) => sum + (statSync(this.file(id, kind), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
    let bytes = 0;
    let runs = 0;
    for (const id of this.ids().reverse()) {
      bytes += size(id);
      runs++;
      if (runs > 1 && (runs > this.limits.runs || bytes > this.limits.bytes)) this.remove(id);
    }
  }
}
