import { describe, expect, it } from 'vitest';
import { Expectation, Expected } from '../../cli/expectation.ts';

const unmet = (output: string, ...expressions: string[]): string | undefined => {
  const expected = new Expected(expressions.map(Expectation.parse));
  for (const byte of Buffer.from(output)) expected.push(Uint8Array.of(byte));
  return expected.end()?.message;
};

describe('--expect', () => {
  it('wants a line that matches, wherever it stands', () => {
    expect(unmet('a\nstatus: ok\nb\n', '^status: ok$')).toBeUndefined();
    expect(unmet('a\r\nok\r\n', '^ok$')).toBeUndefined();
    expect(unmet('no newline', 'line$')).toBeUndefined();
    expect(unmet('größe\n', '^gr..e$')).toBeUndefined();
    expect(unmet('OK\n', '/ok/i')).toBeUndefined();
  });

  it('names the first expression that no line matched', () => {
    expect(unmet('', 'ok')).toBe('no line of its output matches ok');
    expect(unmet('one\ntwo\n', 'two', '^three', 'four')).toBe('no line of its output matches ^three');
    expect(unmet('OK\n', 'ok')).toBeDefined();
    expect(unmet('one\ntwo\n', 'one\ntwo')).toBeDefined();
  });

  it('holds only a part of a line that never ends, and finds what it looks for in it', () => {
    const expected = new Expected([Expectation.parse('needle')]);
    for (let i = 0; i < 100; i++) expected.push(Buffer.alloc(10_000, 'x'));
    expected.push(Buffer.from('needle'));
    expect(expected.end()).toBeUndefined();
  });

  it('refuses what is no expression', () => {
    expect(() => Expectation.parse('(')).toThrow(/--expect: .*Unterminated group/);
  });
});
