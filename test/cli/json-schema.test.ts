// Every object that --json and --json=result can print against the schema in docs/, and the schema against the documents
// and the types it speaks of. Runs on real hosts are held against it in e2e/output.test.ts.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type HostClass, type HostEvent, SshError } from '../../client/index.ts';
import { checkLines, problems, schema } from './json-schema.ts';
import { bytes, ends, output, type PlayOptions, play } from './render/harness.ts';

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const error = new SshError('refused', 'no');
const classes = schema.$defs.class!.enum as readonly HostClass[];
const names = classes.map((_, i) => `web${i}`);

/** A host for every class, with all that a result may have. */
const script: HostEvent[] = [
  { type: 'state', host: 0, phase: 'connect', attempt: 1 },
  { type: 'retry', host: 1, attempt: 1, delay: 250.7, class: 'refused', error },
  output(0, 'one\ntwo'),
  output(1, bytes('\xff\n'), 'stderr'),
  output(2, Buffer.alloc(100_000, 'x')),
  ...classes.map((end, host) =>
    ends(host, {
      class: end,
      ...(end === 'exit' && { exitStatus: 3 }),
      ...(end === 'signal' && { signal: 'TERM' }),
      ...(end === 'command-timeout' && { error, gone: false }),
    }),
  ),
];

const printed = async (options: PlayOptions) => checkLines((await play(names, script, options)).stdout.text);
const baseline = { name: 'run 1', earlier: () => undefined };

describe('docs/json.schema.json', () => {
  it('fits every event of a run', async () => {
    const { objects, wrong } = await printed({ mode: 'json', expectSame: true, baseline });
    expect(wrong).toEqual([]);
    const types = new Set(objects.map(({ type }) => type));
    expect([...types].sort()).toEqual(['baseline', 'output', 'result', 'retry', 'same', 'start', 'state', 'summary']);
  });

  it('fits every result', async () => {
    const { objects, wrong } = await printed({ mode: 'json-result', expectSame: true, baseline });
    expect(wrong).toEqual([]);
    expect(objects).toHaveLength(classes.length + 2);
  });

  it('refuses what is not so', () => {
    const event = { v: 1, time: '2025-08-21T14:30:22.000Z', type: 'state', host: 'a', phase: 'auth', attempt: 1 };
    expect(problems(event)).toEqual([]);
    for (const change of [
      { v: 2 },
      { time: 'now' },
      { type: 'stat' },
      { host: 1 },
      { phase: 'login' },
      { attempt: 0 },
      { attempt: '1' },
      { attempt: undefined },
      { more: true },
    ]) {
      expect(problems(JSON.parse(JSON.stringify({ ...event, ...change }))), JSON.stringify(change)).not.toEqual([]);
    }
    const line = { v: 1, time: event.time, type: 'output', host: 'a', stream: 'stdout' };
    expect(problems({ ...line, text: 'x' })).toEqual([]);
    expect(problems(line)).not.toEqual([]);
    expect(problems({ ...line, text: 'x', base64: 'eA==' })).not.toEqual([]);
  });

  it('has the values that the types have', () => {
    const union = (name: string): string[] => {
      const [, body = ''] = new RegExp(`^export type ${name} =([^;]*);`, 'm').exec(read('client/fleet/types.ts')) ?? [];
      return [...body.matchAll(/'([a-z-]+)'/g)].map(([, value]) => value!).sort();
    };
    const sorted = (values: readonly unknown[] | undefined): unknown[] => [...values!].sort();
    expect(sorted(classes)).toEqual(union('HostClass'));
    expect(sorted(schema.$defs.phase!.enum)).toEqual(union('Phase'));
    expect(sorted(schema.$defs.summary!.properties!.stopped!.enum)).toEqual(union('StopCause'));
  });

  it('is what docs/json.md says in its table', () => {
    const said = [...read('docs/json.md').matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(
      ([, type, fields]) => [type, [...fields!.matchAll(/`(\w+)`/g)].map(([, field]) => field!)] as const,
    );
    const onlyResults = /^(stdout|stderr)(Base64)?$/;
    const is = schema.oneOf!.map(({ $ref }) => {
      const type = $ref!.replace('#/$defs/', '');
      const fields = Object.keys(schema.$defs[type]!.properties!);
      return [type, fields.filter((name) => !['v', 'time', 'type'].includes(name) && !onlyResults.test(name))];
    });
    expect(said).toEqual(is);
  });
});
