import { describe, expect, it } from 'vitest';
import { fullScreenProgram } from '../../../cli/interactive/full-screen.ts';
import { completeSpecial, helpText, parseLine } from '../../../cli/interactive/special.ts';

const usual = { special: '!', broadcast: undefined };

describe('lines typed at the prompt', () => {
  it.each([
    ['', { kind: 'nothing' }],
    ['   ', { kind: 'nothing' }],
    ['exit', { kind: 'exit' }],
    [' exit 3 ', { kind: 'exit' }],
    ['logout', { kind: 'exit' }],
    ['exiting', { kind: 'command', text: 'exiting' }],
    ['  ls -l ', { kind: 'command', text: '  ls -l ' }],
    ['!all', { kind: 'all' }],
    ['!list', { kind: 'list' }],
    ['!nodes', { kind: 'list' }],
    ['!status', { kind: 'status' }],
    ['!help', { kind: 'help' }],
    ['!?', { kind: 'help' }],
    ['!node2', { kind: 'nodes', numbers: [2] }],
    ['!n2', { kind: 'nodes', numbers: [2] }],
    ['!n3,1-2', { kind: 'nodes', numbers: [1, 2, 3] }],
    ['!broadcast date -u', { kind: 'broadcast', text: 'date -u' }],
    ['!reconnect', { kind: 'reconnect', numbers: [] }],
    ['!reconnect node2', { kind: 'reconnect', numbers: [2] }],
    ['!gather on', { kind: 'gather', on: true }],
    ['!gather off', { kind: 'gather', on: false }],
    // The shell's negation and its history.
    ['! grep x y', { kind: 'command', text: '! grep x y' }],
    ['!', { kind: 'command', text: '!' }],
  ])('%j', (line, request) => expect(parseLine(line, usual, 4)).toEqual(request));

  it.each([
    ['!node9', /no node 9.*1 to 4/],
    ['!n0', /no node 0/],
    ['!nod', /Unknown command: !nod .*!help/],
    ['!n1x', /Unknown command/],
    ['!all date', /Unknown command/],
    ['!broadcast', /Usage: !broadcast/],
    ['!gather maybe', /Usage: !gather/],
    ['!reconnect x', /Usage: !reconnect/],
  ])('%j is answered', (line, text) => {
    expect(parseLine(line, usual, 4)).toEqual({ kind: 'wrong', text: expect.stringMatching(text) });
  });

  it('takes the prefixes of the configuration', () => {
    const own = { special: '@', broadcast: '@all ' };
    expect(parseLine('@node1', own, 4)).toEqual({ kind: 'nodes', numbers: [1] });
    expect(parseLine('@all uptime', own, 4)).toEqual({ kind: 'broadcast', text: 'uptime' });
    expect(parseLine('@all', own, 4)).toEqual({ kind: 'all' });
    expect(parseLine('!all', own, 4)).toEqual({ kind: 'command', text: '!all' });
    expect(helpText(own).join('\n')).toMatch(/@all CMD .*[\s\S]*@node<N>/);
  });

  it('completes the names of special commands only', () => {
    expect(completeSpecial('!st', usual, 2)).toEqual(['!status']);
    expect(completeSpecial('!node', usual, 2)).toEqual(['!nodes', '!node1', '!node2']);
    expect(completeSpecial('st', usual, 2)).toEqual([]);
  });
});

describe('programs that want the screen', () => {
  it.each([
    ['vim /etc/hosts', 'vim'],
    ['sudo -u bob /usr/bin/vi x', 'vi'],
    ['LANG=C top', 'top'],
    ['cd /tmp && htop', 'htop'],
    ['watch ls', 'watch'],
    ['tmux', 'tmux'],
    ['tmux attach -t x', 'tmux'],
  ])('%s', (line, name) => expect(fullScreenProgram(line)).toBe(name));

  it.each([
    'top -b -n1',
    'top -bn1',
    'echo vim',
    'echo "x; vim y"',
    'tmux ls',
    'tmux new -d -s x',
    'emacs --batch -f x',
    'less x',
    'grep top x',
    'vim -es x',
    'constructor',
  ])('%s may run', (line) => expect(fullScreenProgram(line)).toBeUndefined());
});
