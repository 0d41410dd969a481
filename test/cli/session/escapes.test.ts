import { describe, expect, it } from 'vitest';
import {
  commandHelp,
  EscapeMachine,
  type EscapeOptions,
  escapeHelp,
  parseEscapeCommand,
} from '../../../cli/session/escapes.ts';

/** Steps as short text: sent bytes as they are, everything else in <>; sent neighbours joined. */
function typed(chunks: readonly string[], options: Partial<EscapeOptions> = {}): string {
  const machine = new EscapeMachine({ escapeChar: 0x7e, ...options });
  return chunks
    .flatMap((chunk) => machine.feed(Buffer.from(chunk)))
    .map((each) => {
      switch (each.step) {
        case 'send':
          return Buffer.from(each.data).toString();
        case 'show':
          return `<${each.text.slice(0, 12)}>`;
        case 'verbosity':
          return `<verbosity ${each.by}>`;
        case 'command':
          return `<command ${each.line}>`;
        default:
          return `<${each.step}>`;
      }
    })
    .join('');
}

const table: readonly [input: string, steps: string][] = [
  ['plain', 'plain'],
  ['~.', '<disconnect>'],
  ['a~.', 'a~.'],
  ['a\r~.', 'a\r<disconnect>'],
  ['a\n~.', 'a\n<disconnect>'],
  ['\r ~.', '\r ~.'],
  ['~~', '~'],
  ['~~.', '~.'],
  ['\r~~~.', '\r~~.'],
  ['~x', '~x'],
  ['~\r~.', '~\r<disconnect>'],
  ['~\x1a', '<~^Z [suspend><suspend>'],
  ['~&', '<background>'],
  ['~?~.', '<~?\r\nSupporte><disconnect>'],
  ['~#', '<~#\r\n><list>'],
  ['~B', '<~B\r\n><break>'],
  ['~R', '<rekey>'],
  ['~V~v', '<verbosity -1><verbosity 1>'],
  ['~C', '<commandline >'],
  ['x\r~Rab~.', 'x\r<rekey>ab~.'],
  ['\x03~.', '\x03~.'],
  ['é\r~é', 'é\r~é'],
];

describe('EscapeMachine', () => {
  it.each(table)('%j', (input, steps) => {
    expect(typed([input])).toBe(steps);
  });

  it('does the same byte by byte', () => {
    for (const [input, steps] of table) {
      const machine = new EscapeMachine({ escapeChar: 0x7e });
      const sent: number[] = [];
      let others = 0;
      for (const byte of Buffer.from(input)) {
        for (const each of machine.feed(Uint8Array.of(byte))) {
          if (each.step === 'send') sent.push(...each.data);
          else others++;
        }
      }
      expect(Buffer.from(sent).toString()).toBe(steps.replace(/<[^>]*>/g, ''));
      expect(others).toBe(steps.match(/</g)?.length ?? 0);
    }
  });

  it('passes everything when there is no escape character', () => {
    expect(typed(['~.\r~?\r~~\r'], { escapeChar: 'none' })).toBe('~.\r~?\r~~\r');
  });

  it('knows another escape character, even one that means something itself', () => {
    expect(typed(['~.\r^.'], { escapeChar: 0x5e })).toBe('~.\r<disconnect>');
    expect(typed(['\x01?'], { escapeChar: 1 })).toBe('<^A?\r\nSupport>');
    expect(typed(['??x\r?.'], { escapeChar: 0x3f })).toBe('?x\r<disconnect>');
    expect(typed(['BB'], { escapeChar: 0x42 })).toBe('B');
  });

  it('keeps plain chunks as they are', () => {
    const chunk = Buffer.from('no copy of this');
    const [only, ...rest] = new EscapeMachine({ escapeChar: 0x7e }).feed(chunk);
    expect(rest).toEqual([]);
    expect(only?.step === 'send' && only.data.buffer === chunk.buffer && only.data.length).toBe(chunk.length);
  });

  it('reads a command line, edited', () => {
    const line = (text: string): string => typed([text], { commandLine: true });
    const open = '<command-open><\r\nssh> >';
    expect(line('~C-R\r~.')).toBe(`${open}<-><R><\r\n><command -R><disconnect>`);
    expect(line('~Cé\x7fab\x08c\n')).toBe(`${open}<é><\b \b><a><b><\b \b><c><\r\n><command ac>`);
    expect(line('~Cab\x15\x7fd\r')).toBe(`${open}<a><b><\b \b\b \b><d><\r\n><command d>`);
    expect(line('~Cab\x03x')).toBe(`${open}<a><b><^C><\r\n><command undefined>x`);
    expect(line('~C\x04x')).toBe(`${open}<\r\n><command undefined>x`);
    expect(line('~Ca\x04\x1a\x1b\r')).toBe(`${open}<a><\r\n><command a>`);
  });

  it('explains itself as ssh(1) does', () => {
    expect(escapeHelp(0x7e).split('\r\n')).toEqual([
      '~?',
      'Supported escape sequences:',
      ' ~.   - terminate connection (and any multiplexed sessions)',
      ' ~B   - send a BREAK to the remote system',
      ' ~R   - request rekey',
      ' ~V/v - decrease/increase verbosity (LogLevel)',
      ' ~^Z  - suspend ssh',
      ' ~#   - list forwarded connections',
      ' ~&   - background ssh (when waiting for connections to terminate)',
      ' ~?   - this message',
      ' ~~   - send the escape character by typing it twice',
      '(Note that escapes are only recognized immediately after newline.)',
      '',
    ]);
    expect(escapeHelp(0x7e, true)).toContain('\r\n ~C   - open a command line\r\n');
    expect(commandHelp(true)).toContain('!args');
    expect(commandHelp(false)).not.toContain('!');
  });
});

describe('parseEscapeCommand', () => {
  it.each([
    ['', { command: 'nothing' }],
    ['  -', { command: 'nothing' }],
    ['-h', { command: 'help' }],
    ['help', { command: 'help' }],
    ['?', { command: 'help' }],
    ['-L 8080:localhost:80 ', { command: 'forward', kind: 'local', spec: '8080:localhost:80' }],
    ['L8080:localhost:80', { command: 'forward', kind: 'local', spec: '8080:localhost:80' }],
    ['-R8080:localhost:80', { command: 'forward', kind: 'remote', spec: '8080:localhost:80' }],
    ['-D*:1080', { command: 'forward', kind: 'dynamic', spec: '*:1080' }],
    ['-KL 8080', { command: 'cancel', kind: 'local', spec: '8080' }],
    ['-KR8080', { command: 'cancel', kind: 'remote', spec: '8080' }],
    ['-KD', { command: 'cancel', kind: 'dynamic', spec: '' }],
    ['-K', { command: 'invalid' }],
    ['-X1', { command: 'invalid' }],
    ['--L1', { command: 'invalid' }],
    ['!ls -l', { command: 'shell', line: 'ls -l' }],
  ] as const)('%j', (line, command) => {
    expect(parseEscapeCommand(line, true)).toEqual(command);
  });

  it('runs nothing here unless that is permitted', () => {
    expect(parseEscapeCommand('!ls', false)).toEqual({ command: 'invalid' });
  });
});
