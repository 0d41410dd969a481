import { describe, expect, it } from 'vitest';
import { type PromptNode, promptText } from '../../../cli/interactive/prompt.ts';
import { describeActive, listNodes, selectAll, switchTo, switchToNext } from '../../../cli/interactive/selection.ts';

/** One letter a node: A active, i inactive, x disconnected. */
const nodes = (states: string): (PromptNode & { selected: boolean; busy: boolean })[] =>
  [...states].map((state, index) => ({
    number: index + 1,
    host: `web${index + 1}`,
    user: 'admin',
    pwd: '/srv',
    connected: state !== 'x',
    selected: state !== 'i',
    busy: false,
  }));
const many = (active: number, inactive: number, lost = 0) =>
  nodes('A'.repeat(active) + 'i'.repeat(inactive) + 'x'.repeat(lost));

describe('the prompt', () => {
  it.each([
    ['AAA', '[● ● ●] bssh> '],
    ['Aii', '[● ○ ○] (1/3) bssh> '],
    ['AxA', '[● · ●] (2/2) bssh> '],
    ['iii', '[○ ○ ○] (0/3) bssh> '],
    ['A', '[●] bssh> '],
    ['AAAAAAAAAA', '[● ● ● ● ● ● ● ● ● ●] bssh> '],
  ])('%s', (states, prompt) => expect(promptText(nodes(states), undefined)).toBe(prompt));

  it('counts more than ten nodes', () => {
    expect(promptText(many(50, 0), undefined)).toBe('[All 50/50] bssh> ');
    expect(promptText(many(0, 50), undefined)).toBe('[None 0/50] bssh> ');
    expect(promptText(many(50, 10), undefined)).toBe('[Nodes 1,2,3... +47] (50/60) bssh> ');
    expect(promptText(many(2, 10), undefined)).toBe('[Nodes 1,2] (2/12) bssh> ');
    expect(promptText(many(11, 0, 1), undefined)).toBe('[Nodes 1,2,3... +8] (11/11) bssh> ');
  });

  it('fills in the format of the user', () => {
    const format = '[{node}] {user}@{host}:{pwd}> ';
    expect(promptText(nodes('iAi'), format)).toBe('[node2] admin@web2:/srv> ');
    expect(promptText(nodes('AAA'), format)).toBe('[● ● ●] admin@web[1-3]:/srv> ');
    const apart = nodes('AA').map((node, index) => ({ ...node, user: `u${index}`, pwd: undefined }));
    expect(promptText(apart, '{user} {pwd} {other}> ')).toBe('* * {other}> ');
    expect(promptText(nodes('ii'), '{host}> ')).toBe('-> ');
  });

  it('shows no control characters of a node', () => {
    const odd = nodes('A').map((node) => ({ ...node, pwd: '/a\x1b]0;x\x07' }));
    expect(promptText(odd, '{pwd}$ ')).toBe('/a^[]0;x^G$ ');
  });
});

describe('the selection', () => {
  it('switches, and back to all', () => {
    const list = nodes('AAA');
    expect(switchTo(list, [2], '!')).toBe('Switched to node 2');
    expect(list.map(({ selected }) => selected)).toEqual([false, true, false]);
    expect(describeActive(list)).toBe('Active nodes: web2');
    expect(selectAll(list)).toBe('All nodes activated');
    expect(describeActive(list)).toBe('Active nodes: web1, web2, web3');
    expect(switchTo(list, [1, 3], '!')).toBe('Switched to nodes 1, 3');
  });

  it('does not switch to a node that is not there', () => {
    const list = nodes('Ax');
    expect(switchTo(list, [2], '@')).toMatch(/^Node 2 is disconnected: @reconnect 2 /);
    expect(list[0]!.selected).toBe(true);
  });

  it('goes through the connected nodes one by one, then to all', () => {
    const list = nodes('AxA');
    expect(switchToNext(list, '!')).toBe('Switched to node 1');
    expect(switchToNext(list, '!')).toBe('Switched to node 3');
    expect(switchToNext(list, '!')).toBe('All nodes activated');
  });

  it('lists every node with its state', () => {
    const list = nodes('Aix');
    list[0]!.busy = true;
    expect(listNodes(list)).toEqual([
      '  node1  ● active        admin@web1 (busy)',
      '  node2  ○ inactive      admin@web2',
      '  node3  · disconnected  admin@web3',
    ]);
  });
});
