/** The keys of the full-screen view, in a line at its foot and as a page. Pure. */

import type { View } from './view.ts';

const EVERYWHERE = '?:help q:quit';

/** What matters most first: a narrow terminal cuts the rest. */
const LINES: Readonly<Record<View['page'], string>> = {
  overview: 'Enter:host t:split d:diff /:search f:filter r:rank',
  detail: '↑↓:scroll ←→:host /:search n:next w:wrap o:overview',
  split: '↑↓:host Enter:host o:overview d:diff',
  diff: '↑↓:answer PgDn:scroll Enter:host o:overview',
};

export function keysLine({ page, held }: View, over: boolean, shells: boolean): string {
  const steering = shells ? '::command' : over ? '' : `p:${held ? 'go on' : 'pause'} s:skip x:abort`;
  const parts = page === 'overview' ? [EVERYWHERE, steering, LINES[page]] : [EVERYWHERE, LINES[page], steering];
  return parts.filter((part) => part !== '').join(' ');
}

const ROLLOUT: readonly (readonly [string, string])[] = [
  ['p', 'pause: start no further hosts; p again goes on'],
  ['s', 'skip the host, or those marked; one at work is ended'],
  ['x', 'abort: end everything that runs'],
  ['Ctrl-C', 'start no further hosts; once more ends what runs'],
  ['q', 'leave; while the run goes on, end it'],
];

const SHELLS: readonly (readonly [string, string])[] = [
  [':', 'a command for all hosts, or for those marked'],
  ['Ctrl-C', 'interrupt what runs on the hosts'],
  ['q', 'leave'],
];

/** As wide as the narrowest terminal in use, and no higher. */
export function helpLines(shells: boolean): string[] {
  const rows: readonly (readonly [string, string] | undefined)[] = [
    ['↑ ↓ PgUp PgDn', 'move; Home and End too'],
    ['Enter', 'one host, as it speaks; ← → the next ones, w wraps lines'],
    ['t', 'split: the last lines of many hosts, or of those marked'],
    ['d', 'diff: hosts by what they answered, against the majority'],
    ['o Esc', 'back to the overview; there Esc shows all hosts again'],
    ['/', 'hosts with this in name or output; in a host, a line'],
    ['n N', 'in a host, the line before or after that has it, too'],
    ['f F', 'only hosts of the next state or class, or the one before'],
    ['r', 'failures first, or the order of the list'],
    ['Space', 'mark the host'],
    undefined,
    ...(shells ? SHELLS : ROLLOUT),
    ['Ctrl-Z', 'suspend bssh'],
  ];
  const width = Math.max(...rows.map((row) => row?.[0].length ?? 0));
  return [
    '',
    ...rows.map((row) => (row === undefined ? '' : `  ${row[0].padEnd(width)}  ${row[1]}`)),
    '',
    '  Any key goes back.',
  ];
}
