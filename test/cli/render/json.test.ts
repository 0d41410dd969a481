import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HostEvent, SshError } from '../../../client/index.ts';
import { bytes, ends, output, play } from './harness.ts';

const parse = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

describe('--json', () => {
  it('writes one versioned object an event and nothing else', async () => {
    const error = new SshError('refused', 'no');
    const { stdout, stderr } = await play(
      ['a', 'b'],
      [
        { type: 'state', host: 0, phase: 'connect', attempt: 1 },
        { type: 'retry', host: 1, attempt: 1, delay: 250.7, class: 'refused', error },
        output(0, 'one\ntw'),
        output(0, 'o'),
        output(0, bytes('\xff\n'), 'stderr'),
        ends(0, { class: 'exit', exitStatus: 3 }),
        ends(1, { class: 'refused', error }),
      ],
      { mode: 'json' },
    );
    expect(stderr.text).toBe('');
    const v = 1;
    const time = '2025-08-21T14:30:22.000Z';
    const common = { attempts: 1, ms: 12, phases: { connect: 1 }, bytes: { stdout: 1, stderr: 0 } };
    expect(parse(stdout.text)).toEqual([
      { v, time, type: 'start', hosts: 2 },
      { v, time, type: 'state', host: 'a', phase: 'connect', attempt: 1 },
      {
        v,
        time,
        type: 'retry',
        host: 'b',
        attempt: 1,
        delay: 251,
        class: 'refused',
        error: { code: 'refused', message: 'no' },
      },
      { v, time, type: 'output', host: 'a', stream: 'stdout', text: 'one' },
      { v, time, type: 'output', host: 'a', stream: 'stderr', base64: '/w==' },
      { v, time, type: 'output', host: 'a', stream: 'stdout', newline: false, text: 'two' },
      { v, time, type: 'result', host: 'a', class: 'exit', exitStatus: 3, ...common },
      { v, time, type: 'result', host: 'b', class: 'refused', error: { code: 'refused', message: 'no' }, ...common },
      { v, time, type: 'summary', hosts: 2, classes: { exit: 1, refused: 1 }, ms: 100 },
    ]);
  });

  it('escapes what a terminal would obey', async () => {
    const nasty = '\x1b[2J\x9b\u202e\x7f\u2028"\\';
    const { stdout } = await play(['h'], [output(0, `${nasty}\n`), ends(0, { class: 'ok' })], {
      mode: 'json',
      tty: true,
    });
    expect(stdout.text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]/);
    expect(parse(stdout.text)[1]!.text).toBe(nasty);
  });

  it('writes a line too long for memory as one object, text or not', async () => {
    for (const [filler, field] of [
      [Buffer.from('ä€😀'), 'text'],
      [Buffer.from([0xc3, 0x41, 0xff]), 'base64'],
    ] as const) {
      const long = Buffer.concat(Array(30_000).fill(filler));
      const events: HostEvent[] = [];
      for (let at = 0; at < long.length; at += 10_000) events.push(output(0, long.subarray(at, at + 10_000)));
      events.push(output(0, '\n'), ends(0, { class: 'ok' }));
      const { stdout } = await play(['h'], events, { mode: 'json', spillBudget: 0 });
      const said = parse(stdout.text)[1]![field] as string;
      expect(Buffer.from(said, field === 'text' ? 'utf8' : 'base64').equals(long)).toBe(true);
    }
  });
});

describe('--json=result', () => {
  it('takes for text what is UTF-8 throughout, wherever it is cut, and loses no byte of the rest', async () => {
    const unit = fc.constantFrom('a', '\n', 'ä', '€', '😀', '\xff', '\x80', '\xe2\x82', '\xf0\x9f');
    await fc.assert(
      fc.asyncProperty(fc.array(unit), fc.integer({ min: 1, max: 4 }), async (units, size) => {
        const whole = Buffer.concat(
          units.map((text) =>
            Buffer.from(
              text,
              text.charCodeAt(0) >= 0x80 && text.charCodeAt(0) < 0x100 && text !== 'ä' ? 'latin1' : 'utf8',
            ),
          ),
        );
        // Spilled at once, a piece is what a block held.
        const events: HostEvent[] = [];
        for (let at = 0; at < whole.length; at += size) events.push(output(0, whole.subarray(at, at + size)));
        const { stdout } = await play(['h'], [...events, ends(0, { class: 'ok' })], { mode: 'json-result' });
        const [object] = parse(stdout.text);
        if (isUtf8(whole)) expect(object!.stdout).toBe(whole.toString());
        else expect(Buffer.from(object!.stdoutBase64 as string, 'base64').equals(whole)).toBe(true);
      }),
    );
  });

  it('writes one object a host with all it said', async () => {
    const { stdout, stderr } = await play(
      ['a', 'b'],
      [
        output(0, 'out\n'),
        output(1, bytes('\xff\xfe\x00\x01')),
        output(0, '\ufefferr', 'stderr'),
        ends(1, { class: 'ok', exitStatus: 0 }),
        ends(0, { class: 'signal', signal: 'TERM', gone: true }),
      ],
      { mode: 'json-result' },
    );
    expect(stderr.text).toBe('');
    expect(parse(stdout.text)).toMatchObject([
      { v: 1, type: 'result', host: 'b', class: 'ok', exitStatus: 0, stdoutBase64: '//4AAQ==', stderr: '' },
      {
        v: 1,
        type: 'result',
        host: 'a',
        class: 'signal',
        signal: 'TERM',
        gone: true,
        stdout: 'out\n',
        stderr: '\ufefferr',
      },
    ]);
  });
});
