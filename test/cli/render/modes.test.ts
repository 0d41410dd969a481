import { Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRenderer } from '../../../cli/render/index.ts';
import { Output, samePlace } from '../../../cli/render/output.ts';
import { SpillStore } from '../../../cli/render/spill.ts';
import { StreamRenderer } from '../../../cli/render/stream.ts';
import { type HostEvent, SshError } from '../../../client/index.ts';
import { FakeClock, settle } from '../../client/fleet/fake-clock.ts';
import { bytes, ends, Kept, output, play, result } from './harness.ts';

const silent = { stdout: 0, stderr: 0 };
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `node${i + 1}`);

/** Three hosts: one well, one that fails with a word on stderr, one that cannot be reached. */
const script: HostEvent[] = [
  { type: 'state', host: 0, phase: 'connect', attempt: 1 },
  output(0, 'first\nsec'),
  output(1, 'one\n'),
  output(1, 'df: /x: no such file\n', 'stderr'),
  output(0, 'ond\nlast without newline'),
  ends(0, { class: 'ok', exitStatus: 0 }),
  ends(1, { class: 'exit', exitStatus: 3 }),
  ends(2, { class: 'refused', error: new SshError('refused', 'connect ECONNREFUSED 10.0.0.3:22'), bytes: silent }),
];

const SUMMARY = `1 ok       node1
1 exit 3   node2
1 refused  node3
node2: exit 3: df: /x: no such file
node3: refused: connect ECONNREFUSED 10.0.0.3:22
`;

describe('stream', () => {
  it('into a pipe: exactly `host: line` on the stream it came from, the summary on stderr', async () => {
    const { stdout, stderr } = await play(names(3), script);
    expect(stdout.text).toBe('node1: first\nnode2: one\nnode1: second\nnode1: last without newline\n');
    expect(stderr.text).toBe(`node2: df: /x: no such file\n${SUMMARY}`);
  });

  it('touches no byte of a line', async () => {
    const line = bytes('a\rb\0c\xff\xc3\x1b[31mred\t\r');
    const { stdout } = await play(
      ['h'],
      [output(0, Buffer.concat([line, bytes('\n'), line])), ends(0, { class: 'ok' })],
    );
    expect(stdout.buffer).toEqual(Buffer.concat([bytes('h: '), line, bytes('\nh: '), line, bytes('\n')]));
  });

  it('takes a name for what it is, whatever its characters', async () => {
    const { stdout } = await play(['größe-$&-$1'], [output(0, 'a\nb\n\nc\n'), ends(0, { class: 'ok' })]);
    expect(stdout.text).toBe(['a', 'b', '', 'c'].map((line) => `größe-$&-$1: ${line}\n`).join(''));
  });

  it('ends quietly when the reader of stdout leaves', async () => {
    const clock = new FakeClock();
    const stderr = new Kept();
    let closed = 0;
    const renderer = createRenderer({
      hosts: [{ name: 'h' }],
      command: '',
      stdout: new Writable({ write: (_c, _e, done) => done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })) }),
      stderr,
      env: {},
      clock,
      now: () => 0,
      onClosed: () => closed++,
    });
    await renderer.event(output(0, 'x\n'));
    await settle();
    await settle();
    expect(closed).toBe(1);
    const end = result({ class: 'cancelled' });
    await renderer.event({ type: 'result', host: 0, result: end });
    await renderer.end({ results: [end], ms: 1 });
    expect(stderr.text).toBe('');
  });

  it('never cuts or merges a line and keeps the order in a host, whatever the chunks and their order', async () => {
    const chunk = fc.tuple(
      fc.nat(2),
      fc.boolean(),
      fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r', '\0'), minLength: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 40 }), async (chunks) => {
        const events = chunks.map(([host, isError, text]) => output(host, text, isError ? 'stderr' : 'stdout'));
        const { stdout, stderr } = await play(
          names(3),
          [...events, ...[0, 1, 2].map((h) => ends(h, { class: 'ok' }))],
          {
            quiet: true,
          },
        );
        for (const [stream, wasError] of [
          [stdout, false],
          [stderr, true],
        ] as const) {
          const lines = stream.text.split('\n').slice(0, -1);
          for (const host of [0, 1, 2]) {
            const prefix = `node${host + 1}: `;
            const sent = chunks
              .flatMap(([h, isError, text]) => (h === host && isError === wasError ? [text] : []))
              .join('');
            const want = sent === '' ? [] : (sent.endsWith('\n') ? sent.slice(0, -1) : sent).split('\n');
            expect(lines.filter((l) => l.startsWith(prefix)).map((l) => l.slice(prefix.length))).toEqual(want);
          }
          expect(lines.every((l) => /^node[123]: /.test(l))).toBe(true);
        }
      }),
    );
  });

  it('on a terminal: short aligned names in colour, remote control sequences harmless', async () => {
    const hosts = ['n1.example.com', 'node22.example.com'];
    const events = [
      output(0, '\x1b[31mred\x1b[0m \x1b]0;title\x07 50%\r100%\r\n'),
      output(1, bytes('\x9b2J \xff ok\n'), 'stderr'),
      ends(0, { class: 'ok' }),
      ends(1, { class: 'ok' }),
    ];
    const plain = await play(hosts, events, { tty: true, color: 'never', merged: true });
    expect(plain.stdout.text).toBe(
      'n1:     red ^[]0;title^G 50%^M100%\nnode22: \ufffd2J \ufffd ok\n2 ok  n1.example.com,node22.example.com\n',
    );
    const colored = await play(hosts, events, { tty: true, merged: true, quiet: true });
    expect(colored.stdout.text).toContain('\x1b[36mn1\x1b[0m:     red');
    expect(colored.stdout.text).toContain('\x1b[32mnode22\x1b[0m\x1b[31m:\x1b[0m ');
    const noColor = await play(hosts, events, { tty: true, merged: true, quiet: true, env: { NO_COLOR: '1' } });
    expect(noColor.stdout.text).not.toContain('\x1b');
  });

  it('into a pipe colours only names, and only when told to', async () => {
    const { stdout } = await play(['h'], [output(0, 'x\n'), ends(0, { class: 'ok' })], {
      color: 'always',
      quiet: true,
    });
    expect(stdout.text).toBe('\x1b[36mh\x1b[0m: x\n');
  });

  it('--no-prefix: lines alone, and still whole', async () => {
    const events = [output(0, 'a'), output(1, 'b'), output(0, 'A\n'), output(1, 'B\n')];
    const { stdout } = await play(['x', 'y'], [...events, ends(0, { class: 'ok' }), ends(1, { class: 'ok' })], {
      prefix: false,
    });
    expect(stdout.text).toBe('aA\nbB\n');
  });

  it('--quiet: nothing of ours', async () => {
    const { stderr } = await play(names(3), script, { quiet: true });
    expect(stderr.text).toBe('node2: df: /x: no such file\n');
  });

  it('keeps stdout and stderr in order where both lead to one place', async () => {
    const events = [output(0, 'out\n'), output(0, 'err\n', 'stderr'), output(0, 'out\n'), ends(0, { class: 'ok' })];
    expect((await play(['h'], events, { merged: true, quiet: true })).stdout.text).toBe('h: out\nh: err\nh: out\n');
    expect(samePlace(1, 1)).toBe(true);
    expect(samePlace(1, 9999)).toBe(false);
  });

  it('passes a line far longer than memory may hold, in one piece between its neighbours', async () => {
    const stdout = new Kept();
    const out = new Output(stdout);
    const store = new SpillStore(64 * 1024);
    const look = { harmless: false, live: false, color: false };
    const renderer = new StreamRenderer({
      hosts: [{ name: 'a' }, { name: 'b' }],
      store,
      out,
      err: out,
      looks: { stdout: look, stderr: look },
      prefix: true,
    });
    for (let i = 0; i < 64; i++) {
      await renderer.event(output(0, Buffer.alloc(32 * 1024, 'x')));
      await renderer.event(output(1, `${i}\n`));
      expect(store.held).toBeLessThan(256 * 1024);
    }
    await renderer.event(output(0, '\nnext\n'));
    await renderer.event(output(1, 'late\n'));
    await out.end();
    const lines = stdout.text.split('\n');
    expect(lines).toHaveLength(64 + 1 + 2 + 1);
    expect(lines[64]).toBe(`a: ${'x'.repeat(2 * 1024 * 1024)}`);
    expect(lines.slice(65)).toEqual(['a: next', 'b: late', '']);
    store.close();
  });
});

describe('group', () => {
  it('shows a host at its end, whole, under its name; stderr to stderr', async () => {
    const { stdout, stderr } = await play(names(3), script, { mode: 'group' });
    expect(stdout.text).toBe(`==> node1: ok <==
first
second
last without newline
==> node2: exit 3 <==
one
==> node3: refused, no output <==
`);
    expect(stderr.text).toBe(`==> node2: exit 3 <==\ndf: /x: no such file\n${SUMMARY}`);
  });

  it('shows it while others are at work', async () => {
    const stdout = new Kept();
    const renderer = createRenderer({
      hosts: [{ name: 'slow' }, { name: 'quick' }],
      command: '',
      mode: 'group',
      stdout,
      stderr: new Kept(),
      env: {},
      clock: new FakeClock(),
      now: () => 0,
    });
    for (const event of [output(0, 'begun\n'), output(1, 'said\n')]) await renderer.event(event);
    await settle();
    expect(stdout.text).toBe('');
    await renderer.event(ends(1, { class: 'ok' }));
    await settle();
    expect(stdout.text).toBe('==> quick: ok <==\nsaid\n');
    const [slow, quick] = [result({ class: 'lost' }), result({ class: 'ok' })];
    await renderer.event({ type: 'result', host: 0, result: slow });
    await renderer.end({ results: [slow, quick], ms: 1 });
    expect(stdout.text).toBe('==> quick: ok <==\nsaid\n==> slow: lost <==\nbegun\n');
  });

  it('keeps both streams in the order they came where they lead to one place', async () => {
    const events = [output(0, 'a\n'), output(0, 'b\n', 'stderr'), output(0, 'c\n'), ends(0, { class: 'ok' })];
    const { stdout } = await play(['h'], events, { mode: 'group', merged: true, quiet: true });
    expect(stdout.text).toBe('==> h: ok <==\na\nb\nc\n');
  });

  it('passes bytes untouched into a pipe, harmless to a terminal, without headings on request', async () => {
    const raw = bytes('x\x1b[2J\r\0\xff');
    const events = [output(0, raw), ends(0, { class: 'ok' })];
    const piped = await play(['h'], events, { mode: 'group', prefix: false, quiet: true });
    expect(piped.stdout.buffer).toEqual(Buffer.concat([raw, bytes('\n')]));
    const shown = await play(['h'], events, { mode: 'group', tty: true, merged: true, quiet: true, color: 'never' });
    expect(shown.stdout.text).toBe('==> h: ok <==\nx^[[2J^M^@\ufffd\n');
  });

  it('never mixes two hosts, however much they say', async () => {
    const hosts = names(5);
    const events: HostEvent[] = [];
    for (let i = 0; i < 40; i++) {
      for (let h = 0; h < 5; h++) events.push(output(h, `${h}`.repeat(10_000)));
    }
    for (let h = 0; h < 5; h++) events.push(ends(h, { class: 'ok' }));
    const { stdout } = await play(hosts, events, { mode: 'group', quiet: true, spillBudget: 100_000 });
    expect(stdout.text).toBe(hosts.map((name, h) => `==> ${name}: ok <==\n${`${h}`.repeat(400_000)}\n`).join(''));
  });
});

describe('gather', () => {
  it('shows identical outputs once under folded names, the rarest first, the status in the heading', async () => {
    const events: HostEvent[] = [];
    for (let h = 0; h < 9; h++) {
      // The same bytes, cut differently, are the same output.
      const text = h === 4 ? 'odd\n' : 'Linux 6.1\n';
      events.push(output(h, text.slice(0, h)), output(h, text.slice(h)));
      if (h === 7) events.push(output(h, 'warning\n', 'stderr'));
    }
    for (const h of [8, 1, 0, 2, 3, 4, 5, 6, 7]) {
      events.push(ends(h, h === 6 ? { class: 'exit', exitStatus: 2 } : { class: 'ok' }));
    }
    const { stdout, stderr } = await play(names(9), events, { mode: 'gather', quiet: true });
    expect(stdout.text).toBe(`==> node5: ok <==
odd
==> node7: exit 2 <==
Linux 6.1
==> node8: ok <==
Linux 6.1
==> node[1-4,6,9] (6): ok <==
Linux 6.1
`);
    expect(stderr.text).toBe('==> node8: ok <==\nwarning\n');
  });

  it('holds no more than the budget for outputs that are all different', async () => {
    const events: HostEvent[] = [];
    for (let h = 0; h < 8; h++) {
      for (let i = 0; i < 32; i++) events.push(output(h, Buffer.alloc(32 * 1024, 97 + h)));
      events.push(ends(h, { class: 'ok' }));
    }
    const { stdout } = await play(names(8), events, { mode: 'gather', quiet: true, spillBudget: 100_000 });
    expect(stdout.buffer.length).toBe(8 * (1024 * 1024 + '==> node1: ok <==\n'.length + 1));
  });

  it('puts hosts without output together by their end', async () => {
    const error = new SshError('refused', 'no');
    const events = [0, 1, 2].map((h) =>
      ends(h, { class: h === 0 ? 'ok' : 'refused', bytes: silent, ...(h > 0 && { error }) }),
    );
    const { stdout } = await play(names(3), events, { mode: 'gather', quiet: true });
    expect(stdout.text).toBe('==> node1: ok, no output <==\n==> node[2,3] (2): refused, no output <==\n');
  });
});

describe('summary', () => {
  it('folds hosts that failed alike, with what is known of their remote process', async () => {
    const events = [
      ...[0, 1, 2].map((h) => ends(h, { class: 'ok' })),
      ...[3, 4].map((h) =>
        ends(h, { class: 'command-timeout', gone: h === 3, error: new SshError('timeout', 'too long') }),
      ),
      output(5, `${'x'.repeat(600)}\nlast \x1b[31mword\x1b[0m\n\n`, 'stderr'),
      output(6, 'last w', 'stderr'),
      output(6, 'ord\n', 'stderr'),
      ends(5, { class: 'signal', signal: 'SEGV' }),
      ends(6, { class: 'signal', signal: 'SEGV' }),
      ends(7, { class: 'cancelled', gone: false }),
      ends(10, { class: 'cancelled', gone: true }),
      ends(8, { class: 'not-started' }),
      ends(9, { class: 'not-started' }),
    ];
    const { stderr } = await play(names(11), events);
    expect(stderr.text.slice(stderr.text.indexOf('3 ok'))).toBe(`3 ok               node[1-3]
2 not-started      node[9,10]
2 cancelled        node[8,11]
2 command-timeout  node[4,5]
2 signal SEGV      node[6,7]
node4: command-timeout (the remote process is gone): too long
node5: command-timeout (the remote process may still run): too long
node[6,7]: signal SEGV: last word
node8: cancelled (the remote process may still run)
node11: cancelled (the remote process is gone)
`);
  });
});
