import { describe, expect, it } from 'vitest';
import { LineMask } from '../../../cli/render/index.ts';
import { textWidth } from '../../../cli/terminal.ts';
import { Board } from '../../../cli/tui/board.ts';
import { keysOf } from '../../../cli/tui/keys.ts';
import { screenLines } from '../../../cli/tui/layout.ts';
import { Painter } from '../../../cli/tui/painter.ts';
import { FIRST_VIEW, press, type View, type Wish } from '../../../cli/tui/view.ts';
import { SshError } from '../../../client/index.ts';
import { ends, output } from '../render/harness.ts';

const size = { columns: 80, rows: 24 };

/** Five hosts: ok with the common answer twice, one that failed, one at work, one that waits. */
function board(): Board {
  const made = new Board(['web1', 'web2', 'web3', 'db1', 'db2'], 'uname -r', 0);
  for (const host of [0, 1, 2, 3]) made.apply({ type: 'state', host, phase: 'command', attempt: 1 }, 1000);
  for (const host of [0, 1]) made.apply(output(host, 'common\n6.1\n'), 1500);
  made.apply(output(2, 'common\nno such \x1b[2Jthing\n', 'stderr'), 1500);
  made.apply(output(3, 'working on it\n'), 1500);
  for (const host of [0, 1]) made.apply(ends(host, { class: 'ok', exitStatus: 0 }), 2000);
  made.apply(ends(2, { class: 'exit', exitStatus: 3 }), 2000);
  return made;
}

class Desk {
  view: View = FIRST_VIEW;
  readonly wishes: Wish[] = [];
  readonly board: Board;
  readonly shells: boolean;
  size = size;
  notice = '';

  constructor(on: Board = board(), shells = false) {
    this.board = on;
    this.shells = shells;
  }

  press(...keys: readonly string[]): this {
    for (const key of keys) {
      const { view, wish } = press(this.view, key, this);
      this.view = view;
      if (wish !== undefined) this.wishes.push(wish);
    }
    return this;
  }

  type(text: string): this {
    return this.press(...text, 'enter');
  }

  /** Lines without the blanks at their ends. */
  lines(color = false): string[] {
    const { view, board: on, shells, notice } = this;
    const picture = { view, board: on, size: this.size, shells, now: 5000, color, notice };
    return screenLines(picture).map((line) => (color ? line : line.replaceAll(/\x1b\[[0-9]*m/g, '').trimEnd()));
  }

  body(): string[] {
    return this.lines()
      .slice(2, -1)
      .filter((line) => line !== '');
  }
}

describe('keys of a terminal', () => {
  it('have names; what is not known is dropped', () => {
    expect(keysOf('a\x1b[A\x1bOB\x1b[5~\r\x1b[1;5C\x03é')).toEqual([
      'a',
      'up',
      'down',
      'page-up',
      'enter',
      'ctrl-c',
      'é',
    ]);
    expect(keysOf('\x1b')).toEqual(['escape']);
    expect(keysOf('\x1b[200~x\x00')).toEqual(['x']);
  });
});

describe('the overview', () => {
  it('has a line for each host, with its state and its last line', () => {
    const desk = new Desk();
    expect(desk.lines()).toEqual([
      ' bssh: uname -r                                                            0:05',
      ' 5 hosts:  ✗ 1 exit 3  ● 1 running  · 1 waiting  ✓ 2 ok',
      '> ✓ web1  ok        0:00  6.1',
      '  ✓ web2  ok        0:00  6.1',
      '  ✗ web3  exit 3    0:00  no such ^[[2Jthing',
      '  ● db1   running   0:04  working on it',
      '  · db2   waiting',
      ...Array.from({ length: 16 }, () => ''),
      ' ?:help q:quit p:pause s:skip x:abort Enter:host t:split d:diff /:search f:filt…',
    ]);
  });

  it('fits every size, in colour and without', () => {
    for (const page of ['o', 'enter', 't', 'd', '?']) {
      for (const [columns, rows] of [
        [80, 24],
        [200, 50],
        [20, 5],
        [1, 1],
        [5, 2],
      ] as const) {
        const desk = new Desk();
        desk.size = { columns, rows };
        desk.press(page);
        for (const color of [true, false]) {
          const lines = desk.lines(color);
          expect(lines).toHaveLength(rows);
          for (const line of lines)
            expect(textWidth(line.replaceAll(/\x1b\[[0-9]*m/g, ''))).toBeLessThanOrEqual(columns);
        }
      }
    }
  });

  it('filters by what there is, ranks failures first, and keeps the cursor on its host', () => {
    const desk = new Desk().press('down', 'down', 'down', 'r');
    expect(desk.body().map((line) => line.slice(4, 8).trim())).toEqual(['web3', 'db1', 'db2', 'web1', 'web2']);
    expect(desk.body()[1]).toMatch(/^> ● db1/);
    desk.press('f');
    expect(desk.lines()[1]).toContain('only: exit 3');
    expect(desk.body()).toEqual([expect.stringContaining('web3')]);
    desk.press('F', 'F');
    expect(desk.lines()[1]).toContain('only: ok');
    expect(desk.press('escape').body()).toHaveLength(5);
  });

  it('searches names and what was said', () => {
    const desk = new Desk().press('/');
    expect(desk.press('D', 'B').body()).toHaveLength(2);
    expect(desk.lines().at(-1)).toBe('/DB█');
    desk.press('ctrl-u').type('no such');
    expect(desk.body()).toEqual([expect.stringContaining('web3')]);
    expect(desk.press('/', 'q', 'q', 'enter').body()).toEqual(['  no host is like that (Esc shows all)']);
    expect(desk.press('escape').body()).toHaveLength(5);
    expect(desk.press('/', 'x', 'backspace', 'backspace').view.typing).toBeUndefined();
  });

  it('moves page by page through many', () => {
    const many = new Desk(
      new Board(
        Array.from({ length: 500 }, (_, i) => `node${i + 1}`),
        'id',
        0,
      ),
    );
    expect(many.press('end').body().at(-1)).toContain('> · node500');
    expect(many.press('page-up').body()).toContainEqual(expect.stringContaining('> · node479'));
    expect(many.press('home').body()).toHaveLength(21);
    expect(many.body()[0]).toContain('> · node1 ');
  });

  it('shows an error where a host said nothing, and progress where there is some', () => {
    const made = new Board(['a', 'b'], 'x', 0);
    made.apply({ type: 'state', host: 0, phase: 'connect', attempt: 1 }, 0);
    made.apply({ type: 'state', host: 1, phase: 'connect', attempt: 1 }, 0);
    made.apply(ends(0, { class: 'refused', error: new SshError('refused', 'nobody\x07 there') }), 10);
    const picture = { ...new Desk(made), view: FIRST_VIEW, size, now: 0, color: false };
    const lines = screenLines({ ...picture, progress: (host) => (host === 1 ? '45% of x' : undefined) });
    expect(lines[2]).toContain('nobody^G there');
    expect(lines[3]).toContain('45% of x');
    made.apply({ type: 'retry', host: 1, attempt: 1, delay: 5, class: 'lost', error: new SshError('lost', 'x') }, 20);
    expect(screenLines(picture)[3]).toMatch(/↻ b {2}retrying/);
  });
});

describe('one host', () => {
  const long = (): Desk => {
    const desk = new Desk(new Board(['a', 'b'], 'seq', 0));
    desk.board.apply({ type: 'state', host: 0, phase: 'command', attempt: 1 }, 0);
    desk.board.apply(output(0, Array.from({ length: 100 }, (_, i) => `line ${i + 1}\n`).join('')), 0);
    return desk.press('enter');
  };

  it('is followed, and stands still when scrolled back', () => {
    const desk = long();
    expect(desk.body().at(-1)).toBe('  line 100');
    desk.press('page-up');
    const still = desk.body();
    expect(still[0]).toContain('line 62 of 100, End follows');
    desk.board.apply(output(0, 'line 101\n'), 1);
    expect(desk.body()).toEqual(still);
    expect(desk.press('end').body().at(-1)).toBe('  line 101');
    expect(desk.press('home').body()[1]).toBe('  line 1');
  });

  it('finds lines, upwards and downwards', () => {
    const desk = long().press('/').type('LINE 5');
    expect(desk.body()[1]).toBe('  line 59');
    expect(desk.press('n').body()[1]).toBe('  line 58');
    expect(desk.press('N').body()[1]).toBe('  line 59');
    expect(desk.press('escape').view.page).toBe('overview');
  });

  it('shows the streams apart, wraps when told, and goes to the next host', () => {
    const desk = new Desk().press('down', 'down', 'enter');
    expect(desk.body()).toEqual(['✗ web3  exit 3  0:00', '! common', '! no such ^[[2Jthing']);
    expect(desk.press('right').body()[0]).toContain('db1');
    desk.board.apply(output(3, `${'w'.repeat(100)}\n`), 0);
    expect(desk.body().at(-1)).toBe(`  ${'w'.repeat(77)}…`);
    expect(desk.press('w').body().slice(-2)).toEqual([`  ${'w'.repeat(78)}`, `  ${'w'.repeat(22)}`]);
    expect(desk.press('left', 'left').body()[0]).toContain('web2');
  });
});

describe('split and diff', () => {
  it('shows many hosts beside each other, or those marked', () => {
    const desk = new Desk().press('t');
    expect(desk.body()[0]).toMatch(/^> ✓ web1 {2}ok {2}0:00 ─+│─ ✓ web2 /);
    expect(desk.body()[1]).toMatch(/^common +│common/);
    desk.press('o', ' ', 'down', ' ', 't');
    expect(desk.body()[0]).toMatch(/web1.*│.*web3/);
    expect(desk.body().join()).not.toContain('db1');
    expect(desk.press('enter').view.page).toBe('detail');
  });

  it('compares what was answered with what most answered', () => {
    const desk = new Desk().press('d');
    expect(desk.body().slice(0, 2)).toEqual(['> ✓ 2  ok  the majority  web[1,2]', '  ✗ 1  exit 3  web3']);
    expect(desk.body().slice(3)).toEqual(['  common', '  6.1']);
    desk.press('down');
    expect(desk.body().slice(3)).toEqual([
      '  stdout:',
      '  @@ -1,2 +0,0 @@',
      '  -common',
      '  -6.1',
      '  stderr:',
      '  @@ -0,0 +1,2 @@',
      '  +common',
      '  +no such ^[[2Jthing',
    ]);
    expect(desk.press('enter').body()[0]).toContain('web3');
    expect(new Desk(new Board(['a'], 'x', 0)).press('d').body()).toEqual(['  no host has answered so far']);
  });

  it('leaves out what is masked, also in a last line without its end', () => {
    const names = ['web1', 'web2', 'web3'];
    const made = new Board(names, 'x', 0, (host) => new LineMask(['host', 'number'], { name: names[host]! }));
    for (const host of [0, 1, 2]) {
      const text = `${names[host]} load ${host}.5\nup ${host === 2 ? 'again ' : ''}${host}`;
      for (const part of text.split(/(?<=load)/)) made.apply(output(host, part), 0);
      made.apply(ends(host, { class: 'ok' }), 0);
    }
    expect(made.groups().map(({ rows }) => rows.map(({ name }) => name))).toEqual([['web1', 'web2'], ['web3']]);
    const body = new Desk(made).press('d', 'down').body();
    expect(body).toContain('  -up <n>');
    expect(body).toContain('  +up again <n>');
    expect(body).toContain('   <host> load <n>');
  });

  it('does not compare what would take long', () => {
    const made = new Board(['a', 'b', 'c'], 'seq', 0);
    for (const host of [0, 1, 2]) {
      made.apply(output(host, Array.from({ length: 9000 }, (_, i) => `${host === 2 ? -i : i}\n`).join('')), 0);
      made.apply(ends(host, { class: 'ok' }), 0);
    }
    const desk = new Desk(made).press('d', 'down');
    expect(desk.body().at(-1)).toMatch(/too long or too different for a diff/);
    // Another group, another answer: nothing is shown from before.
    expect(desk.press('up').body().at(-1)).toMatch(/^ {2}\d+$/);
  });

  it('takes an answer for the majority, not hosts that could not be reached', () => {
    const made = new Board(['a', 'b', 'c'], 'x', 0);
    for (const host of [0, 1]) made.apply(ends(host, { class: 'refused', error: new SshError('refused', 'no') }), 0);
    made.apply(ends(2, { class: 'ok' }), 0);
    expect(made.groups().map(({ label }) => label)).toEqual(['ok', 'refused']);
  });
});

describe('the rollout', () => {
  it('is paused and goes on', () => {
    const desk = new Desk().press('p');
    expect(desk.lines()[0]).toContain('PAUSED');
    expect(desk.lines().at(-1)).toContain('p:go on');
    desk.press('p');
    expect(desk.wishes).toEqual([
      { kind: 'hold', on: true },
      { kind: 'hold', on: false },
    ]);
  });

  it('skips who waits at once, and asks before it ends somebody', () => {
    const desk = new Desk().press('end', 's');
    expect(desk.wishes).toEqual([{ kind: 'skip', hosts: [4] }]);
    desk.press('up', 's');
    expect(desk.lines().at(-1)).toBe(' Skip, ending what runs there: db1? (y/n)');
    expect(desk.press('n').wishes).toHaveLength(1);
    expect(desk.press('s', 'y').wishes.at(-1)).toEqual({ kind: 'skip', hosts: [3] });
    desk.press('home', 's', 'y');
    expect(desk.wishes).toHaveLength(2);
    desk.press('home', ' ', 'end', ' ', 'up', ' ', 's', 'y');
    expect(desk.wishes.at(-1)).toEqual({ kind: 'skip', hosts: [4, 3] });
  });

  it('asks before it ends everything, and not when there is nothing left', () => {
    expect(new Desk().press('x', 'escape', 'x', 'y').wishes).toEqual([{ kind: 'abort' }]);
    expect(new Desk().press('q', 'n', 'q', 'y').wishes).toEqual([{ kind: 'leave' }]);
    const over = new Desk();
    over.board.took = 3000;
    expect(over.lines()[0]).toContain('ended 0:03');
    expect(over.lines().at(-1)).not.toContain('pause');
    expect(over.press('x', 'p', 'q').wishes).toEqual([{ kind: 'leave' }]);
  });

  it('hears Ctrl-C and Ctrl-Z whatever is being typed', () => {
    const desk = new Desk().press('/', 'a', 'ctrl-c', 'x', 'ctrl-z', 'ctrl-l');
    expect(desk.wishes.map(({ kind }) => kind)).toEqual(['interrupt', 'suspend', 'redraw']);
  });

  it('says its keys, and shows a message in their place', () => {
    const desk = new Desk().press('?');
    expect(desk.body().join('\n')).not.toContain('…');
    expect(desk.lines().join('\n')).toMatch(/p +pause/);
    expect(desk.press('z').view.help).toBe(false);
    desk.notice = 'Ending what runs';
    expect(desk.lines().at(-1)).toBe(' Ending what runs');
  });
});

describe('shells behind the hosts', () => {
  it('get commands, all of them or those marked', () => {
    const desk = new Desk(board(), true).press(':').type('uptime');
    desk.press('down', ' ', ':').type('df -h');
    expect(desk.wishes).toEqual([
      { kind: 'command', text: 'uptime', hosts: [0, 1, 2, 3, 4] },
      { kind: 'command', text: 'df -h', hosts: [1] },
    ]);
    expect(desk.press(':', 'enter').wishes).toHaveLength(2);
    expect(new Desk().press(':').view.typing).toBeUndefined();
  });

  it('are idle, run, fail and get lost, and are compared by their last command', () => {
    const made = new Board(['a', 'b', 'c'], 'interactive', 0);
    const desk = new Desk(made, true);
    for (const row of made.rows) row.stage = 'idle';
    expect(desk.press('d').body()).toEqual(['  no host has answered so far']);
    for (const [command, odd] of [
      ['first', 'one'],
      ['second', 'same'],
    ] as const) {
      for (const host of [0, 1, 2]) {
        made.ask(host, command, 4000);
        made.say(host, 'stdout', Buffer.from(host === 2 ? `${odd}\n` : 'same\n'));
      }
      expect(desk.lines()[1]).toBe(' 3 hosts:  ● 3 running');
      for (const host of [0, 1, 2]) made.answered(host, host === 1 ? 4 : 0);
    }
    expect(desk.lines()[1]).toBe(' 3 hosts:  ✗ 1 exit 4  ✓ 2 idle');
    expect(desk.body().slice(0, 2)).toEqual(['> ✓ 2  idle  the majority  a,c', '  ✗ 1  exit 4  b']);
    expect(desk.press('o', 'end', 'enter').body().slice(1)).toEqual(['  $ first', '  one', '  $ second', '  same']);
    made.rows[0]!.stage = 'lost';
    made.answered(0, undefined);
    expect(desk.press('o', 'r').body()[0]).toMatch(/✗ a {2}lost/);
    expect(desk.press('p', 's', 'x').wishes).toEqual([]);
  });
});

describe('drawing', () => {
  it('writes lines that changed, and all of them after something else was shown', () => {
    const painter = new Painter();
    expect(painter.paint(['one', 'two'])).toBe('\x1b[1;1H\x1b[Kone\x1b[2;1H\x1b[Ktwo');
    expect(painter.paint(['one', 'three'])).toBe('\x1b[2;1H\x1b[Kthree');
    expect(painter.paint(['one', 'three'])).toBe('');
    painter.forget();
    expect(painter.paint(['one', 'three'])).toContain('one');
  });

  it('takes little time for 500 hosts that all speak', () => {
    const made = new Board(
      Array.from({ length: 500 }, (_, i) => `node${i + 1}`),
      'yes',
      0,
    );
    const desk = new Desk(made).press('/', 'y', 'enter');
    const painter = new Painter();
    const chunk = output(0, 'y\n'.repeat(2048)) as { data: Uint8Array } & ReturnType<typeof output>;
    const started = performance.now();
    for (let frame = 0; frame < 20; frame++) {
      for (let host = 0; host < 500; host++) made.apply({ ...chunk, host } as typeof chunk, frame);
      painter.paint(desk.lines());
    }
    // A second of drawing at its fastest, with 40 MB of output; measured 0.2 s where nothing else runs.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
