import { describe, expect, it } from 'vitest';
import { SudoWatch } from '../../../cli/remote/sudo.ts';
import { fillVariables, shellWord } from '../../../cli/remote/variables.ts';
import { Work } from '../../../cli/remote/work.ts';

const variables = { host: '10.0.0.1', node: 'web1', index: '0', user: 'admin', port: '22' };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('variables', () => {
  it('are filled in by name; other braces stay', () => {
    expect(fillVariables('{node}-{index} {x} {NODE} {{node}} ${node}', variables)).toBe(
      'web1-0 {x} {NODE} {web1} $web1',
    );
    expect(fillVariables('{host}', { ...variables, host: 'fe80::1%eth0' })).toBe('fe80::1%eth0');
  });

  it.each(['a b', 'a;b', '$(id)', '`id`', "a'b", 'a"b', 'a\nb', 'DOM\\me', '', 'a*'])('are never %j', (user) => {
    expect(() => fillVariables('echo {user}', { ...variables, user })).toThrow(/a shell would not take/);
    expect(fillVariables('echo {host}', { ...variables, user })).toBe('echo 10.0.0.1');
  });

  it('come into the words of a script before these are quoted', () => {
    const work = new Work({
      words: ['{node}: {index}', "it's"],
      script: '/dev/null',
      vars: true,
      sudoPassword: undefined,
    });
    expect(work.text(variables)).toBe("/dev/null 'web1: 0' 'it'\\''s'");
    expect(shellWord('')).toBe("''");
  });
});

describe('the watch for questions of sudo', () => {
  const start = () => {
    const did: string[] = [];
    const watch = new SudoWatch('MARK', { answer: () => did.push('answer'), refused: () => did.push('refused') });
    const pass = (text: string): string => Buffer.from(watch.pass(bytes(text))).toString();
    return { did, pass, rest: () => Buffer.from(watch.rest()).toString() };
  };

  it('answers each question once and leaves the rest of the output as it is', () => {
    const { did, pass } = start();
    expect(pass('one MARK?MARK: two MARK?')).toBe('one  two ');
    expect(pass('MARK:three\n')).toBe('three\n');
    expect(did).toEqual(['answer', 'answer']);
  });

  it('takes a second question of the same sudo for a refusal', () => {
    const { did, pass } = start();
    expect(pass('MARK?MARK:Sorry\nMARK:')).toBe('Sorry\n');
    expect(did).toEqual(['answer', 'refused']);
  });

  it('finds marks byte by byte, and gives back what only began like one', () => {
    const { did, pass, rest } = start();
    const text = 'a MA MAMARK?b MARMARK:c MAR';
    expect([...text].map(pass).join('') + rest()).toBe('a MA MAb MARc MAR');
    expect(did).toEqual(['answer']);
  });
});
