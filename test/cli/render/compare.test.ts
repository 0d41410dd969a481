// --gather with masks, --diff and --expect-same: which answers are alike, and how those that are not are shown.
import { describe, expect, it } from 'vitest';
import { createRenderer } from '../../../cli/render/index.ts';
import { type HostEvent, SshError } from '../../../client/index.ts';
import { FakeClock } from '../../client/fleet/fake-clock.ts';
import { bytes, ends, Kept, output, type PlayOptions, play, result } from './harness.ts';

const silent = { stdout: 0, stderr: 0 };
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `web${i + 1}`);

/** Each host says its text and ends well. */
const said = (...texts: (string | Uint8Array)[]): HostEvent[] => [
  ...texts.map((text, h) => output(h, text)),
  ...texts.map((_, h) => ends(h, { class: 'ok', exitStatus: 0 })),
];

const shown = async (events: HostEvent[], options: PlayOptions): Promise<string> => {
  const count = events.filter(({ type }) => type === 'result').length;
  return (await play(names(count), events, { quiet: true, ...options })).stdout.text;
};

describe('gather with masks', () => {
  const events = said('web1 up 5 days\n', 'web2 up 7 days\n', 'web3 down 7 days\n');

  it('puts together what differs only in what is masked, and shows it masked', async () => {
    expect(await shown(events, { mode: 'gather', masks: ['host', 'time'] })).toBe(
      '==> web3: ok <==\nweb3 down 7 days\n==> web[1,2] (2): ok <==\n<host> up <time>\n',
    );
  });

  it('shows the bytes as they came where hosts said the very same', async () => {
    expect(await shown(said('it is 12:30\n', 'it is 12:30\n'), { mode: 'gather', masks: ['time'] })).toBe(
      '==> web[1,2] (2): ok <==\nit is 12:30\n',
    );
  });

  it('still tells apart without the mask that would be needed', async () => {
    expect((await shown(events, { mode: 'gather', masks: ['time'] })).match(/==>/g)).toHaveLength(3);
  });

  it('counts the kinds of answers so far in the status line', async () => {
    const clock = new FakeClock();
    const stderr = new Kept(true);
    const stdout = new Kept(true);
    const hosts = names(5).map((name) => ({ name }));
    const renderer = createRenderer({
      hosts,
      command: '',
      env: {},
      mode: 'gather',
      clock,
      now: () => 0,
      stdout,
      stderr,
    });
    const script = said('a\n', 'a\n', 'b\n', 'c\n', 'd\n');
    for (const event of script.slice(0, 7)) await renderer.event(event);
    await clock.advance(1000);
    expect(stderr.text).not.toContain('answers');
    for (const event of script.slice(7)) await renderer.event(event);
    await clock.advance(1000);
    expect(stderr.text).toContain('| 4 answers (2, 1, 1 ...)');
    await renderer.end({ results: hosts.map(() => result({ class: 'ok' })), ms: 1 });
  });
});

describe('diff', () => {
  it('shows the answer of most hosts once, and the others as a diff against it, the rarest first', async () => {
    const same = 'a\nb\nc\n';
    const events = said(same, 'a\nB\nc\n', same, 'a\nc\n', same, 'a\nc\n');
    expect(await shown(events, { mode: 'diff' })).toBe(`==> web[1,3,5] (3): ok <==
a
b
c
==> web2: ok <==
--- web[1,3,5] (3)
+++ web2
@@ -1,3 +1,3 @@
 a
-b
+B
 c
==> web[4,6] (2): ok <==
--- web[1,3,5] (3)
+++ web[4,6] (2)
@@ -1,3 +1,2 @@
 a
-b
 c
`);
  });

  it('takes of two answers that are as common the one that stands first', async () => {
    expect(await shown(said('x\n', 'y\n'), { mode: 'diff', prefix: false })).toBe(
      'x\n--- web1\n+++ web2\n@@ -1 +1 @@\n-x\n+y\n',
    );
  });

  it('compares stdout and stderr each for itself, and says when only the status differs', async () => {
    const events = [
      ...[0, 1, 2].map((h) => output(h, 'out\n')),
      output(2, 'warning\n', 'stderr'),
      ends(0, { class: 'ok' }),
      ends(1, { class: 'exit', exitStatus: 3 }),
      ends(2, { class: 'ok' }),
      ends(3, { class: 'refused', error: new SshError('refused', 'no'), bytes: silent }),
      ends(4, { class: 'ok', bytes: silent }),
    ];
    const { stdout, stderr } = await play(names(5), events, { mode: 'diff', quiet: true });
    expect(stdout.text).toBe(`==> web1: ok <==
out
==> web2: exit 3, same output <==
==> web3: ok <==
==> web4: refused, no output <==
==> web5: ok, no output <==
--- web1
+++ web5
@@ -1 +0,0 @@
-out
`);
    expect(stderr.text).toBe('==> web3: ok <==\n--- web1\n+++ web3\n@@ -0,0 +1 @@\n+warning\n');
  });

  it('keeps bytes in a pipe and is harmless and coloured on a terminal', async () => {
    const events = said('a\n', bytes('\x1b[2J\xff\0\r\n'));
    const piped = await play(names(2), events, { mode: 'diff', quiet: true });
    expect(piped.stdout.buffer.toString('latin1').includes('-a\n+\x1b[2J\xff\0\r\n')).toBe(true);
    const watched = await play(names(2), events, { mode: 'diff', quiet: true, tty: true, merged: true });
    expect(watched.stdout.text).toContain('\x1b[31m-a\x1b[0m\n\x1b[32m+^[[2J\ufffd^@\x1b[0m\n');
  });

  it('compares and shows masked forms', async () => {
    const events = said('web1: 12 users\nold\n', 'web2: 3 users\nnew\n', 'web3: 5 users\nold\n');
    expect(await shown(events, { mode: 'diff', masks: ['host', 'number'] })).toBe(`==> web[1,3] (2): ok <==
<host>: <n> users
old
==> web2: ok <==
--- web[1,3] (2)
+++ web2
@@ -1,2 +1,2 @@
 <host>: <n> users
-old
+new
`);
  });

  it('says something shorter of what is too long, shows whole what is too different', async () => {
    const long = `${'x'.repeat(99)}\n`.repeat(50_000);
    const text = await shown(said(long, long, `${long.slice(0, 200)}y${long.slice(201)}`), {
      mode: 'diff',
      spillBudget: 1,
    });
    expect(text.slice('==> web[1,2] (2): ok <==\n'.length + long.length)).toBe(
      '==> web3: ok <==\n(too long for a diff: 5000000 and 5000000 bytes, different from line 3 on)\n',
    );
    const lines = (of: string): string => Array.from({ length: 2500 }, (_, i) => `${of}${i}\n`).join('');
    expect(await shown(said(lines('a'), lines('b')), { mode: 'diff' })).toBe(
      `==> web1: ok <==\n${lines('a')}==> web2: ok <==\n(too different for a diff, so all of it)\n${lines('b')}`,
    );
  });

  it('has nothing to compare when nobody answered', async () => {
    const refused = { class: 'refused', error: new SshError('refused', 'no'), bytes: silent } as const;
    expect(await shown([ends(0, refused), ends(1, refused)], { mode: 'diff' })).toBe(
      '==> web[1,2] (2): refused, no output <==\n',
    );
  });
});

describe('--expect-same', () => {
  const differing = async (options: PlayOptions, events = said('a\n', 'b\n', 'a\n')) => {
    const count = events.filter(({ type }) => type === 'result').length;
    return play(names(count), events, { expectSame: true, ...options });
  };

  it.each(['stream', 'group', 'gather', 'diff'] as const)('says who differs under the summary of %s', async (mode) => {
    const { stderr, differs } = await differing({ mode });
    expect(differs).toBe(true);
    expect(stderr.text).toBe('3 ok  web[1-3]\n2 different answers: web[1,3] (2); web2\n');
  });

  it('is content with equal answers, hosts that came to none, and what is masked', async () => {
    const events = [...said('12 a\n', '13 a\n'), ends(2, { class: 'lost', error: new SshError('lost', 'gone') })];
    const { stderr, differs } = await differing({ masks: ['number'] }, events);
    expect([differs, stderr.text.includes('different')]).toEqual([false, false]);
    expect((await differing({}, events)).differs).toBe(true);
  });

  it('counts the exit status as part of the answer', async () => {
    const events = [ends(0, { class: 'ok' }), ends(1, { class: 'exit', exitStatus: 1 })];
    expect((await differing({}, events)).differs).toBe(true);
  });

  it('lists no more than ten kinds', async () => {
    const { stderr } = await differing({}, said(...Array.from({ length: 14 }, (_, i) => `${i}\n`)));
    expect(stderr.text).toMatch(/^14 different answers: web14; web13; .*; web5; 4 more$/m);
  });

  it('is silent under --quiet, an event before the summary with --json, the last object with --json=result', async () => {
    expect((await differing({ quiet: true })).stderr.text).toBe('');
    const verdict = {
      v: 1,
      type: 'same',
      same: false,
      answers: [
        { ending: 'ok', hosts: ['web1', 'web3'] },
        { ending: 'ok', hosts: ['web2'] },
      ],
    };
    const objects = (text: string): unknown[] =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    const events = objects((await differing({ mode: 'json' })).stdout.text);
    expect(events.at(-2)).toEqual({ ...verdict, time: '2025-08-21T14:30:22.000Z' });
    expect(objects((await differing({ mode: 'json-result' })).stdout.text).at(-1)).toEqual(verdict);
  });
});
