// --baseline: the verdict on every host, and with --diff what changed.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Baseline, Earlier } from '../../../cli/render/index.ts';
import { type HostEvent, SshError } from '../../../client/index.ts';
import { ends, output, type PlayOptions, play } from './harness.ts';

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `web${i + 1}`);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A host that printed this; `kept` is false for a run that kept digests alone. */
const earlier = (text: string, fields: Partial<Earlier> = {}, kept = true): Earlier => ({
  class: 'ok',
  exitStatus: 0,
  bytes: { stdout: text.length, stderr: 0 },
  digest: { stdout: sha256(text), stderr: sha256('') },
  output: (stream) => (kept ? Buffer.from(stream === 'stdout' ? text : '') : undefined),
  ...fields,
});

const run12 = (...hosts: (Earlier | undefined)[]): Baseline => ({ name: 'run 12', earlier: (host) => hosts[host] });

const said = (...texts: string[]): HostEvent[] => [
  ...texts.map((text, h) => output(h, text)),
  ...texts.map((text, h) => ends(h, { class: 'ok', exitStatus: 0, bytes: { stdout: text.length, stderr: 0 } })),
];

const compared = async (baseline: Baseline, events: HostEvent[], options: PlayOptions = {}) => {
  const count = events.filter(({ type }) => type === 'result').length;
  const { stdout, stderr, differs } = await play(names(count), events, { baseline, ...options });
  const verdict = /^compared with .*$/m.exec(stderr.text)?.[0];
  return { out: stdout.text, verdict, differs };
};

describe('--baseline', () => {
  it.each(['stream', 'group', 'gather', 'diff'] as const)('has a verdict on every host in mode %s', async (mode) => {
    const before = run12(earlier('a\n'), earlier('b\n'), earlier('c\n', { class: 'exit', exitStatus: 3 }), undefined);
    const { verdict, differs } = await compared(before, said('a\n', 'B\n', 'c\n', 'd\n'), { mode });
    expect(verdict).toBe('compared with run 12: the same: web1; changed: web[2,3] (2); not in it: web4');
    expect(differs).toBe(true);
  });

  it('is content when all is as it was, and with hosts that fail for themselves', async () => {
    const refused = ends(2, {
      class: 'refused',
      error: new SshError('refused', 'no'),
      bytes: { stdout: 0, stderr: 0 },
    });
    const before = run12(earlier('a\n'), earlier('b\n'), earlier('c\n'));
    const { verdict, differs } = await compared(before, [...said('a\n', 'b\n'), refused]);
    expect([verdict, differs]).toEqual(['compared with run 12: the same: web[1,2] (2)', false]);
  });

  it('knows by its length what is too long for a digest, and what it cannot know', async () => {
    const long = (length: number) =>
      earlier('', { bytes: { stdout: length, stderr: 0 }, digest: { stderr: sha256('') } });
    const { verdict, differs } = await compared(run12(long(3), long(2)), said('a\n', 'b\n'));
    expect(verdict).toBe('compared with run 12: changed: web1; cannot be compared: web2');
    expect(differs).toBe(true);
  });

  it('compares masked forms, for which the output must have been kept', async () => {
    const masks = ['number'] as const;
    const before = run12(earlier('pid 12\n'), earlier('pid 12\n', {}, false));
    expect((await compared(before, said('pid 777\n', 'pid 777\n'), { masks })).verdict).toBe(
      'compared with run 12: the same: web1; cannot be compared: web2',
    );
  });

  it('is an event before the summary with --json, and silent under --quiet', async () => {
    const { out } = await compared(run12(earlier('a\n')), said('b\n', 'c\n'), { mode: 'json' });
    const objects = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(objects.at(-2)).toEqual({
      v: 1,
      time: '2025-08-21T14:30:22.000Z',
      type: 'baseline',
      run: 'run 12',
      same: [],
      changed: ['web1'],
      new: ['web2'],
      unknown: [],
    });
    expect((await compared(run12(earlier('a\n')), said('b\n'), { quiet: true })).verdict).toBeUndefined();
  });
});

describe('--baseline --diff', () => {
  it('shows what changed since, once for hosts that changed alike', async () => {
    const before = run12(
      earlier('a\nb\n'),
      earlier('a\nb\n'),
      earlier('a\nb\n'),
      earlier('x\n'),
      undefined,
      earlier('s\n', { class: 'exit', exitStatus: 1 }),
      earlier('k\n', {}, false),
    );
    const texts = ['a\nb\n', 'a\nB\n', 'a\nB\n', 'y\n', 'n\n', 's\n', 'K\n'];
    expect((await compared(before, said(...texts), { mode: 'diff' })).out).toBe(`==> web1: ok, as in run 12 <==
==> web4: ok <==
--- web4, run 12
+++ web4
@@ -1 +1 @@
-x
+y
==> web5: ok, not in run 12 <==
n
==> web6: ok, was exit 1, same output <==
==> web7: ok <==
(run 12 did not keep what it printed; --record does)
K
==> web[2,3] (2): ok <==
--- web[2,3] (2), run 12
+++ web[2,3] (2)
@@ -1,2 +1,2 @@
 a
-b
+B
`);
  });

  it('shows masked forms with masks, and hosts without an answer as they are', async () => {
    const lost = ends(1, { class: 'lost', error: new SshError('lost', 'gone') });
    const { out } = await compared(
      run12(earlier('web1 3\nold\n'), earlier('b\n')),
      [...said('web1 4\nnew\n'), output(1, 'half'), lost],
      { mode: 'diff', masks: ['host', 'number'] },
    );
    expect(out).toBe(`==> web1: ok <==
--- web1, run 12
+++ web1
@@ -1,2 +1,2 @@
 <host> <n>
-old
+new
==> web2: lost <==
half
`);
  });
});
