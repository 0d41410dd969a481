import { describe, expect, test } from 'vitest';
import { LineInput } from '../../../protocol/scp/lines.ts';
import { decodeRecord, encodeRecord, type ScpRecord } from '../../../protocol/scp/records.ts';
import { ScpSink, type ScpSinkEvent } from '../../../protocol/scp/sink.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('latin1');

describe('lines', () => {
  test.each<[ScpRecord, string]>([
    [{ kind: 'file', mode: 0o644, size: 12, name: 'a b' }, 'C0644 12 a b\n'],
    [{ kind: 'file', mode: 0o4755, size: 0, name: ' ' }, 'C4755 0  \n'],
    [{ kind: 'file', mode: 0o600, size: 2 ** 40, name: 'x\udcff' }, 'C0600 1099511627776 x\xff\n'],
    [{ kind: 'directory', mode: 0o755, size: 0, name: 'd' }, 'D0755 0 d\n'],
    [{ kind: 'times', mtime: 1_700_000_000, atime: 3 }, 'T1700000000 0 3 0\n'],
    [{ kind: 'end' }, 'E\n'],
  ])('%o', (record, line) => {
    expect(text([encodeRecord(record)])).toBe(line);
    expect(decodeRecord(bytes(line.slice(0, -1)))).toEqual(record);
  });

  test.each([
    '',
    'X',
    'C644 1 a',
    'C0644 -1 a',
    'C0644 1',
    'C0644 99999999999999999 a',
    'C0648 1 a',
    'T1 2 3',
    'Ex',
    '\0',
  ])('refuses %j', (line) => {
    expect(() => decodeRecord(bytes(line))).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test.each(['a\nC0644 0 b', '', 'nul\0'])('cannot send the name %j', (name) => {
    const record = { kind: 'file', mode: 0o644, size: 0, name } as const;
    expect(() => encodeRecord(record)).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });

  test('answers come in any pieces', () => {
    const stream = bytes('\0\x01scp: no\n\0\x02over\n');
    for (let size = 1; size <= stream.length; size++) {
      const input = new LineInput();
      const answers = [];
      for (let at = 0; at < stream.length; at += size) {
        input.receive(stream.subarray(at, at + size));
        for (let answer = input.answer(); answer; answer = input.answer()) answers.push(answer);
      }
      expect(answers).toEqual([
        { ok: true },
        { ok: false, text: 'no', fatal: false },
        { ok: true },
        { ok: false, text: 'over', fatal: true },
      ]);
    }
  });
});

/** Runs a stream through a sink in pieces; the answer to each entry is up to `judge`. */
function run(stream: Uint8Array, size: number, judge: (name: string) => boolean = () => true): string[] {
  const sink = new ScpSink();
  const heard: string[] = [];
  const take = (event: ScpSinkEvent): void => {
    if (event.type === 'entry') {
      const { entry, times, depth } = event;
      heard.push(`${entry.kind} ${entry.name} ${entry.size} at ${depth}${times ? ` of ${times.mtime}` : ''}`);
      if (judge(entry.name)) sink.accept();
      else sink.refuse('not\nwanted');
    } else if (event.type === 'data') {
      if (heard.at(-1)!.startsWith('data ')) heard.push(heard.pop()! + text([event.data]));
      else heard.push(`data ${text([event.data])}`);
    } else if (event.type === 'complete') {
      heard.push(`complete ${event.problem ?? ''}`);
      sink.accept();
    } else {
      heard.push(event.type === 'problem' ? `problem ${event.text} ${event.fatal}` : event.type);
    }
  };
  const sent: Uint8Array[] = [...sink.takeOutput()];
  for (let at = 0; at < stream.length; at += size) {
    sink.receive(stream.subarray(at, at + size));
    for (let event = sink.poll(); event; event = sink.poll()) take(event);
    sent.push(...sink.takeOutput());
  }
  return [...heard, `sent ${JSON.stringify(text(sent))}`, `rest ${sink.isAtRest}`];
}

describe('the sink', () => {
  const stream = bytes(
    'T5 0 6 0\nD0755 0 d\nC0644 3 a\nabc\0C0600 0 empty\n\0\x01scp: d/x: Permission denied\nC0644 2 bad\nzz\x01read error\nE\n',
  );
  const heard = [
    'directory d 0 at 0 of 5',
    'file a 3 at 1',
    'data abc',
    'complete ',
    'file empty 0 at 1',
    'complete ',
    'problem d/x: Permission denied false',
    'file bad 2 at 1',
    'data zz',
    'complete read error',
    'leave',
  ];

  test('in pieces of every size', () => {
    for (let size = 1; size <= stream.length; size++) {
      const answers = '\\u0000'.repeat(10);
      expect(run(stream, size)).toEqual([...heard, `sent "${answers}"`, 'rest true']);
    }
  });

  test('what is refused has no content', () => {
    expect(run(bytes('C0644 3 a\nC0644 1 b\nx\0'), 1, (name) => name !== 'a')).toEqual([
      'file a 3 at 0',
      'file b 1 at 0',
      'data x',
      'complete ',
      'sent "\\u0000\\u0001not wanted\\n\\u0000\\u0000"',
      'rest true',
    ]);
  });

  test.each([
    ['a directory left that was never entered', 'E\n', 'protocol'],
    ['times twice', 'T1 0 1 0\nT1 0 1 0\n', 'protocol'],
    ['content longer than was said', 'C0644 1 a\nxyz', 'malformed'],
    ['no line at all', 'hello\n', 'malformed'],
    ['a line without an end', 'C'.repeat(20_000), 'malformed'],
  ])('refuses %s', (_, input, code) => {
    for (const size of [1, input.length]) {
      expect(() => run(bytes(input), size)).toThrow(expect.objectContaining({ code }));
    }
  });

  test('knows what is half', () => {
    for (const half of [
      'C0644',
      'C0644 3 a\nab',
      'C0644 1 a\na',
      'D0755 0 d\n',
      'T1 0 1 0\n',
      'C0644 1 a\na\x01half',
    ]) {
      expect(run(bytes(half), 1).at(-1)).toBe('rest false');
    }
  });

  test('asks its user in turn', () => {
    const sink = new ScpSink();
    expect(() => sink.accept()).toThrow(expect.objectContaining({ code: 'usage' }));
    sink.receive(bytes('C0644 3 a\n'));
    sink.poll();
    expect(() => sink.poll()).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
