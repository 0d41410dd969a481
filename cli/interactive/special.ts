/**
 * What a typed line asks for: a command for the nodes, or one of ours. Pure; the prefixes come from the configuration.
 *
 * A `!` alone or before a blank is the shell's own negation and stays with the shell.
 */

export type Request =
  | { readonly kind: 'nothing' | 'exit' | 'all' | 'list' | 'status' | 'help' }
  | { readonly kind: 'command' | 'broadcast'; readonly text: string }
  /** Node numbers, from 1, ascending. */
  | { readonly kind: 'nodes'; readonly numbers: readonly number[] }
  | { readonly kind: 'reconnect'; readonly numbers: readonly number[] }
  | { readonly kind: 'gather'; readonly on: boolean }
  /** What to tell the user instead. */
  | { readonly kind: 'wrong'; readonly text: string };

export interface Prefixes {
  /** In front of the name of a command of ours. */
  readonly special: string;
  /** In front of a command for every node; undefined: `broadcast` after the other prefix is the only way. */
  readonly broadcast: string | undefined;
}

export const DEFAULT_PREFIX = '!';

/** What people type to leave a shell. */
const LEAVING = /^(exit|logout)(\s+\d+)?$/;

/** `3`, `1,3`, `2-4`: no number twice, none beyond `count`; undefined when it is something else. */
function nodeNumbers(text: string, count: number): number[] | string | undefined {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return undefined;
  const numbers = new Set<number>();
  for (const part of text.split(',')) {
    const [first, last = first] = part.split('-').map(Number) as [number, number?];
    const wrong = [first, last].find((number) => number < 1 || number > count);
    if (wrong !== undefined) return `There is no node ${wrong}: nodes are numbered 1 to ${count}`;
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

const wrong = (text: string): Request => ({ kind: 'wrong', text });

export function parseLine(line: string, prefixes: Prefixes, count: number): Request {
  const text = line.trim();
  if (text === '') return { kind: 'nothing' };
  if (LEAVING.test(text)) return { kind: 'exit' };
  const { special, broadcast } = prefixes;
  if (broadcast !== undefined && text.startsWith(broadcast.trimStart())) {
    const command = text.slice(broadcast.trimStart().length).trim();
    if (command !== '') return { kind: 'broadcast', text: command };
  }
  const rest = text.slice(special.length);
  if (!text.startsWith(special) || rest === '' || /^\s/.test(rest)) return { kind: 'command', text: line };
  return parseSpecial(rest, special, count);
}

function parseSpecial(rest: string, special: string, count: number): Request {
  const [, name = '', argument = ''] = /^(\S+)\s*([\s\S]*)$/.exec(rest)!;
  const unknown = wrong(`Unknown command: ${special}${name} (${special}help lists the commands)`);
  const node = /^n(?:ode)?(\d.*)$/.exec(name);
  if (node !== null) {
    const numbers = nodeNumbers(node[1]!, count);
    if (numbers === undefined || argument !== '') return unknown;
    return typeof numbers === 'string' ? wrong(numbers) : { kind: 'nodes', numbers };
  }
  switch (name) {
    case 'broadcast':
      return argument === '' ? wrong(`Usage: ${special}broadcast COMMAND`) : { kind: 'broadcast', text: argument };
    case 'gather':
      return argument === 'on' || argument === 'off'
        ? { kind: 'gather', on: argument === 'on' }
        : wrong(`Usage: ${special}gather on|off`);
    case 'reconnect': {
      const numbers = argument === '' ? [] : nodeNumbers(argument.replace(/^n(?:ode)?/, ''), count);
      if (numbers === undefined) return wrong(`Usage: ${special}reconnect [N]`);
      return typeof numbers === 'string' ? wrong(numbers) : { kind: 'reconnect', numbers };
    }
  }
  if (argument !== '') return unknown;
  switch (name) {
    case 'all':
    case 'status':
    case 'help':
      return { kind: name };
    case '?':
      return { kind: 'help' };
    case 'list':
    case 'nodes':
      return { kind: 'list' };
    default:
      return unknown;
  }
}

/** The text of `!help`, with the prefixes as they are. */
export function helpText({ special, broadcast }: Prefixes): string[] {
  const own = broadcast === undefined ? [] : [[`${broadcast.trim()} CMD`, 'The same']];
  const rows = [
    [`${special}all`, 'Activate all connected nodes'],
    [`${special}broadcast CMD`, 'Run CMD on all nodes, whichever are active'],
    ...own,
    [`${special}node<N>, ${special}n<N>`, `Switch to node N; ${special}n1,3 and ${special}n2-4 are several`],
    [`${special}list, ${special}nodes`, 'List all nodes with their connection status'],
    [`${special}status`, 'Show the active nodes'],
    [`${special}reconnect [N]`, 'Connect lost nodes again, in the directory they were in'],
    [`${special}gather on|off`, 'Show identical output once'],
    [`${special}help, ${special}?`, 'Show this help'],
    ['exit, Ctrl-D', 'Leave'],
    ['Ctrl-R', 'Search the history'],
    ['Ctrl-C', 'Interrupt what runs on the nodes; twice: leave it running'],
  ] as const;
  const width = Math.max(...rows.map(([name]) => name!.length));
  return ['Special commands:', ...rows.map(([name, what]) => `  ${name!.padEnd(width)}  ${what}`)];
}

/** Completions of a word that begins like a command of ours. */
export function completeSpecial(word: string, { special }: Prefixes, count: number): string[] {
  if (!word.startsWith(special)) return [];
  const nodes = Array.from({ length: Math.min(count, 99) }, (_, index) => `node${index + 1}`);
  return ['all', 'broadcast ', 'list', 'nodes', 'status', 'help', 'reconnect', 'gather ', ...nodes]
    .map((name) => special + name)
    .filter((name) => name.startsWith(word));
}
