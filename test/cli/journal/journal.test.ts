import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DIGESTED_BYTES, Journal, KEPT_BYTES, type NewRun, RunRecorder } from '../../../cli/journal/index.ts';
import type { HostResult } from '../../../client/index.ts';

const state = (): string => mkdtempSync(join(tmpdir(), 'bssh-journal-'));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const result = (fields: Partial<HostResult> = {}): HostResult => ({
  class: 'ok',
  attempts: 1,
  ms: 1,
  phases: {},
  bytes: { stdout: 0, stderr: 0 },
  ...fields,
});
const output = (host: number, data: Uint8Array, stream: 'stdout' | 'stderr' = 'stdout') =>
  ({ type: 'output', host, stream, data }) as const;
const hosts = (n: number) => Array.from({ length: n }, (_, i) => ({ name: `n${i}`, target: `n${i}:22` }));
const finish = (recorder: RunRecorder, results: readonly HostResult[]) =>
  recorder.finish({ results, ms: 1 }, hosts(results.length));

const run = (fields: Partial<NewRun> = {}): NewRun => ({
  time: '2026-01-02T03:04:05.678Z',
  ms: 12,
  argv: ['-H', 'n[1-2]', 'uptime'],
  cwd: '/tmp',
  command: 'uptime',
  exit: 0,
  hosts: [],
  ...fields,
});

describe('the recorder', () => {
  it('digests what each host printed, stream by stream', () => {
    const recorder = new RunRecorder(false);
    recorder.event(output(0, bytes('one ')));
    recorder.event(output(1, bytes('err'), 'stderr'));
    recorder.event(output(0, bytes('two')));
    const { hosts: records, output: kept } = finish(recorder, [
      result(),
      result({ class: 'exit', exitStatus: 3 }),
      result({ class: 'not-started' }),
    ]);
    expect(kept).toEqual([]);
    expect(records.map(({ digest }) => digest)).toEqual([
      { stdout: sha256('one two'), stderr: sha256('') },
      { stdout: sha256(''), stderr: sha256('err') },
      {},
    ]);
    expect(records[1]).toMatchObject({ name: 'n1', target: 'n1:22', class: 'exit', exitStatus: 3 });
    expect(records[0]!.kept).toBeUndefined();
  });

  it('neither digests nor keeps a stream without end', () => {
    const recorder = new RunRecorder(true);
    recorder.event(output(0, new Uint8Array(DIGESTED_BYTES)));
    recorder.event(output(1, new Uint8Array(DIGESTED_BYTES)));
    recorder.event(output(1, bytes('x')));
    const { hosts: records, output: kept } = finish(recorder, [result(), result()]);
    expect(records[0]!.digest.stdout).toBe(sha256(new Uint8Array(DIGESTED_BYTES)));
    expect(records[1]!.digest.stdout).toBeUndefined();
    expect(records[1]!.kept).toEqual({ stderr: [DIGESTED_BYTES, 0] });
    expect(kept.reduce((sum, { length }) => sum + length, 0)).toBe(DIGESTED_BYTES);
  });

  it('keeps a bounded amount of a whole run', () => {
    const recorder = new RunRecorder(true);
    const count = KEPT_BYTES / DIGESTED_BYTES + 3;
    for (let i = 0; i < count; i++) recorder.event(output(i, new Uint8Array(DIGESTED_BYTES)));
    const { hosts: records, output: kept } = finish(
      recorder,
      Array.from({ length: count }, () => result()),
    );
    expect(records.filter((record) => record.kept!.stdout !== undefined)).toHaveLength(count - 3);
    expect(records.every((record) => record.digest.stdout !== undefined)).toBe(true);
    expect(kept.reduce((sum, { length }) => sum + length, 0)).toBe(KEPT_BYTES);
  });
});

describe('the journal', () => {
  it('gives back what it was given, output included', () => {
    const journal = new Journal({ XDG_STATE_HOME: state() });
    const recorder = new RunRecorder(true);
    recorder.event(output(1, bytes('second')));
    recorder.event(output(0, bytes('first')));
    recorder.event(output(0, bytes('oops'), 'stderr'));
    const recorded = finish(recorder, [result(), result(), result({ class: 'not-started' })]);
    const id = journal.write(run({ hosts: recorded.hosts, stopped: 'deadline' }), recorded.output);
    const record = new Journal({ XDG_STATE_HOME: join(journal.dir, '..', '..') }).read(String(id));
    expect(record).toEqual({ v: 1, id: 1, ...run({ hosts: recorded.hosts, stopped: 'deadline' }) });
    const texts = record.hosts.map((host) =>
      (['stdout', 'stderr'] as const).map((stream) => {
        const kept = journal.output(record, host, stream);
        return kept && Buffer.from(kept).toString();
      }),
    );
    expect(texts).toEqual([
      ['first', 'oops'],
      ['second', ''],
      [undefined, undefined],
    ]);
  });

  it('numbers runs upwards and knows the last; broken and foreign files are nothing to it', () => {
    const journal = new Journal({ XDG_STATE_HOME: state() });
    expect(() => journal.read('last')).toThrow(/no run is recorded/);
    expect([journal.write(run()), journal.write(run({ command: 'second' }))]).toEqual([1, 2]);
    writeFileSync(join(journal.dir, '7.json'), '');
    writeFileSync(join(journal.dir, '8.json'), '{"v":99,"hosts":[]}');
    writeFileSync(join(journal.dir, 'notes.txt'), 'x');
    expect(journal.read('last').command).toBe('second');
    expect(journal.write(run({ command: 'after' }))).toBe(9);
    expect(journal.read('last').id).toBe(9);
    expect(() => journal.read('3')).toThrow(/run 3 is not recorded: those of 1 to 9 are/);
    expect(() => journal.read('8')).toThrow(/not recorded/);
    expect(() => journal.read('../1')).toThrow(/a run is a number or 'last'/);
  });

  it('is for the user alone', () => {
    const journal = new Journal({ XDG_STATE_HOME: state() });
    journal.write(run(), [bytes('secret')]);
    expect(statSync(journal.dir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(journal.dir)) expect(statSync(join(journal.dir, name)).mode & 0o777).toBe(0o600);
  });

  it('forgets the oldest: by number, and by the room they take', () => {
    const few = new Journal({ XDG_STATE_HOME: state() }, { runs: 3 });
    for (let i = 0; i < 5; i++) few.write(run(), [bytes('x')]);
    expect(few.ids()).toEqual([3, 4, 5]);
    expect(readdirSync(few.dir).sort()).toEqual(['3.json', '3.out', '4.json', '4.out', '5.json', '5.out']);
    const small = new Journal({ XDG_STATE_HOME: state() }, { bytes: 1000 });
    for (let i = 0; i < 3; i++) small.write(run(), [new Uint8Array(300)]);
    expect(small.ids()).toEqual([2, 3]);
    small.write(run(), [new Uint8Array(5000)]);
    expect(small.ids()).toEqual([4]);
  });

  it('forgets runs without output, too, if not at once', () => {
    const journal = new Journal({ XDG_STATE_HOME: state() }, { runs: 3 });
    for (let i = 0; i < 32; i++) journal.write(run());
    expect(journal.ids()).toEqual([30, 31, 32]);
    journal.write(run());
    expect(journal.ids()).toEqual([30, 31, 32, 33]);
  });

  it('is in ~/.local/state unless an absolute XDG_STATE_HOME says otherwise', () => {
    expect(new Journal({ HOME: '/home/u' }).dir).toBe('/home/u/.local/state/bssh/runs');
    expect(new Journal({ HOME: '/home/u', XDG_STATE_HOME: 'relative' }).dir).toBe('/home/u/.local/state/bssh/runs');
    expect(new Journal({ HOME: '/home/u', XDG_STATE_HOME: '/s' }).dir).toBe('/s/bssh/runs');
  });
});
