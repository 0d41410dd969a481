/**
 * What the person in front of the full-screen view is looking at, and what a key makes of it. Pure: state and key in, state
 * and perhaps a wish out; drawing is layout.ts, and the wishes are for the run.
 */

import type { WindowSize } from '../session/raw-terminal.ts';
import { type Board, type HostRow, rankOf } from './board.ts';
import type { LogLine } from './log.ts';

export type Page = 'overview' | 'detail' | 'split' | 'diff';

/** A line being typed at the foot. */
export interface Typing {
  readonly kind: 'search' | 'command';
  readonly text: string;
}

/** Something that is asked before it is done. */
export interface Question {
  readonly text: string;
  readonly wish: Wish;
}

/** What the run is to do. */
export type Wish =
  | { readonly kind: 'hold'; readonly on: boolean }
  | { readonly kind: 'skip'; readonly hosts: readonly number[] }
  | { readonly kind: 'abort' | 'leave' | 'interrupt' | 'suspend' | 'redraw' }
  | { readonly kind: 'command'; readonly text: string; readonly hosts: readonly number[] };

export interface View {
  readonly page: Page;
  readonly help: boolean;
  /** Index of a host. */
  readonly cursor: number;
  /** Hosts with this label only. */
  readonly filter: string | undefined;
  /** Failures first, else the order of the list. */
  readonly ranked: boolean;
  /** Hosts whose name or output has it; matches in the output of one host. */
  readonly search: string;
  readonly typing: Typing | undefined;
  readonly marked: ReadonlySet<number>;
  readonly wrap: boolean;
  /** The lines of a host as they were when somebody scrolled back; undefined: what it says now. */
  readonly frozen: { readonly lines: readonly LogLine[]; readonly top: number } | undefined;
  /** Place among the groups of answers. */
  readonly group: number;
  /** First line shown of a difference. */
  readonly diffTop: number;
  readonly question: Question | undefined;
  readonly held: boolean;
}

export const FIRST_VIEW: View = {
  page: 'overview',
  help: false,
  cursor: 0,
  filter: undefined,
  ranked: false,
  search: '',
  typing: undefined,
  marked: new Set(),
  wrap: false,
  frozen: undefined,
  group: 0,
  diffTop: 0,
  question: undefined,
  held: false,
};

/** What a key may depend on beside the view. */
export interface World {
  readonly board: Board;
  readonly size: WindowSize;
  /** Commands can be typed: shells are behind the hosts. */
  readonly shells: boolean;
}

export interface Step {
  readonly view: View;
  readonly wish?: Wish;
}

/** Lines above and below what a page shows. */
const FRAME_ROWS = 3;
export const bodyRows = ({ rows }: WindowSize): number => Math.max(1, rows - FRAME_ROWS);

function matches(row: HostRow, search: string): boolean {
  return row.name.toLowerCase().includes(search.toLowerCase()) || row.log.includes(Buffer.from(search));
}

/** The hosts that are shown, in their order. */
export function visibleRows(view: View, board: Board): readonly HostRow[] {
  const { filter, search, ranked } = view;
  let rows = board.rows;
  if (filter !== undefined) rows = rows.filter((row) => row.label === filter);
  if (search !== '') rows = rows.filter((row) => matches(row, search));
  return ranked ? [...rows].sort((a, b) => rankOf(a) - rankOf(b) || a.index - b.index) : rows;
}

/** Place of the cursor among the hosts shown; the first one when its own is not shown. */
export const placeOf = (rows: readonly HostRow[], cursor: number): number =>
  Math.max(
    0,
    rows.findIndex(({ index }) => index === cursor),
  );

const clamp = (value: number, most: number): number => Math.max(0, Math.min(value, most));

export function press(view: View, key: string, world: World): Step {
  if (key === 'ctrl-c')
    return { view: { ...view, question: undefined, typing: undefined }, wish: { kind: 'interrupt' } };
  if (key === 'ctrl-z') return { view, wish: { kind: 'suspend' } };
  if (key === 'ctrl-l') return { view, wish: { kind: 'redraw' } };
  if (view.question !== undefined) return answered(view, view.question, key);
  if (view.typing !== undefined) return typed(view, view.typing, key, world);
  if (view.help) return { view: { ...view, help: false } };
  return anywhere(view, key, world) ?? PAGES[view.page](view, key, world);
}

function answered(view: View, { wish }: Question, key: string): Step {
  const next = { ...view, question: undefined };
  return key === 'y' || key === 'Y' ? { view: next, wish } : { view: next };
}

function typed(view: View, typing: Typing, key: string, world: World): Step {
  const { kind, text } = typing;
  const edit = (now: string): Step => {
    const next = { ...view, typing: { kind, text: now } };
    return { view: kind === 'search' && view.page !== 'detail' ? { ...next, search: now } : next };
  };
  if (key === 'escape') {
    return { view: { ...view, typing: undefined, ...(kind === 'search' && { search: '' }) } };
  }
  if (key === 'backspace')
    return text === '' ? typed(view, typing, 'escape', world) : edit([...text].slice(0, -1).join(''));
  if (key === 'ctrl-u') return edit('');
  if (key !== 'enter') return [...key].length === 1 ? edit(text + key) : { view };
  const next = { ...view, typing: undefined };
  if (kind === 'command') {
    if (text.trim() === '') return { view: next };
    const hosts = view.marked.size > 0 ? [...view.marked] : world.board.rows.map(({ index }) => index);
    return { view: next, wish: { kind: 'command', text, hosts } };
  }
  const found = { ...next, search: text };
  return { view: view.page === 'detail' ? toMatch(found, world, -1) : found };
}

/** Keys that mean the same on every page. */
function anywhere(view: View, key: string, world: World): Step | undefined {
  const { board } = world;
  switch (key) {
    case '?':
    case 'h':
      return { view: { ...view, help: true } };
    case '/':
      return { view: { ...view, typing: { kind: 'search', text: '' } } };
    case ':':
      return world.shells ? { view: { ...view, typing: { kind: 'command', text: '' } } } : { view };
    case 'o':
      return { view: { ...view, page: 'overview', frozen: undefined } };
    case 't':
      return { view: { ...view, page: 'split', frozen: undefined } };
    case 'd':
      return { view: { ...view, page: 'diff', frozen: undefined, group: 0, diffTop: 0 } };
    case 'p': {
      if (board.took !== undefined || world.shells) return { view };
      return { view: { ...view, held: !view.held }, wish: { kind: 'hold', on: !view.held } };
    }
    case 's':
      return skip(view, world);
    case 'x':
      return board.took === undefined && !world.shells
        ? { view: ask(view, 'End everything that runs?', { kind: 'abort' }) }
        : { view };
    case 'q':
      if (board.took !== undefined) return { view, wish: { kind: 'leave' } };
      return { view: ask(view, world.shells ? 'Leave?' : 'End the run, and leave?', { kind: 'leave' }) };
  }
  return undefined;
}

const ask = (view: View, text: string, wish: Wish): View => ({ ...view, question: { text, wish } });

function skip(view: View, { board, shells }: World): Step {
  if (shells) return { view };
  const chosen = view.marked.size > 0 ? [...view.marked] : [view.cursor];
  const hosts = chosen.filter((index) => board.rows[index]!.stage !== 'ended');
  if (hosts.length === 0) return { view };
  const wish: Wish = { kind: 'skip', hosts };
  const next = { ...view, marked: new Set<number>() };
  const working = hosts.filter((index) => board.rows[index]!.startedAt !== undefined);
  if (hosts.length === 1 && working.length === 0) return { view: next, wish };
  const what = hosts.length === 1 ? board.rows[hosts[0]!]!.name : `${hosts.length} hosts`;
  const how = working.length === 0 ? 'Leave out' : 'Skip, ending what runs there:';
  return { view: ask(next, `${how} ${what}?`, wish) };
}

type PageKeys = (view: View, key: string, world: World) => Step;

const PAGES: Readonly<Record<Page, PageKeys>> = {
  overview(view, key, world) {
    const moved = move(view, key, world, bodyRows(world.size));
    if (moved !== undefined) return { view: moved };
    switch (key) {
      case 'enter':
      case 'right':
        return { view: { ...view, page: 'detail', frozen: undefined } };
      case ' ':
        return { view: move(toggleMark(view), 'down', world, 1)! };
      case 'f':
      case 'F':
        return { view: { ...view, filter: nextFilter(view, world.board, key === 'f' ? 1 : -1) } };
      case 'r':
        return { view: { ...view, ranked: !view.ranked } };
      case 'escape':
        return { view: { ...view, filter: undefined, search: '', marked: new Set() } };
    }
    return { view };
  },

  detail(view, key, world) {
    const scrolled = scroll(view, key, world);
    if (scrolled !== undefined) return { view: scrolled };
    switch (key) {
      case 'left':
      case 'right':
        return { view: { ...move(view, key === 'left' ? 'up' : 'down', world, 1)!, frozen: undefined } };
      case 'w':
        return { view: { ...view, wrap: !view.wrap } };
      case 'n':
        return { view: toMatch(view, world, -1) };
      case 'N':
        return { view: toMatch(view, world, 1) };
      case 'escape':
      case 'backspace':
        return { view: { ...view, page: 'overview', frozen: undefined } };
    }
    return { view };
  },

  split(view, key, world) {
    const horizontal = { left: 'up', right: 'down' }[key];
    const moved = move(view, horizontal ?? key, world, bodyRows(world.size));
    if (moved !== undefined) return { view: moved };
    if (key === 'enter') return { view: { ...view, page: 'detail', frozen: undefined } };
    if (key === 'escape') return { view: { ...view, page: 'overview' } };
    return { view };
  },

  diff(view, key, world) {
    const last = Math.max(0, world.board.groups().length - 1);
    const page = bodyRows(world.size) - 1;
    switch (key) {
      case 'up':
        return { view: { ...view, group: clamp(view.group - 1, last), diffTop: 0 } };
      case 'down':
        return { view: { ...view, group: clamp(view.group + 1, last), diffTop: 0 } };
      case 'page-up':
        return { view: { ...view, diffTop: Math.max(0, view.diffTop - page) } };
      case 'page-down':
        return { view: { ...view, diffTop: view.diffTop + page } };
      case 'home':
        return { view: { ...view, diffTop: 0 } };
      case 'enter': {
        const first = world.board.groups()[clamp(view.group, last)]?.rows[0];
        return { view: first === undefined ? view : { ...view, page: 'detail', cursor: first.index } };
      }
      case 'escape':
        return { view: { ...view, page: 'overview' } };
    }
    return { view };
  },
};

/** The cursor among the hosts shown; undefined for other keys. */
function move(view: View, key: string, { board }: World, page: number): View | undefined {
  const rows = visibleRows(view, board);
  const place = placeOf(rows, view.cursor);
  const steps: Readonly<Record<string, number>> = {
    up: -1,
    k: -1,
    down: 1,
    j: 1,
    'page-up': -page,
    'page-down': page,
    home: -rows.length,
    g: -rows.length,
    end: rows.length,
    G: rows.length,
  };
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  if (step === undefined) return undefined;
  const row = rows[clamp(place + step, rows.length - 1)];
  return row === undefined ? view : { ...view, cursor: row.index };
}

function toggleMark(view: View): View {
  const marked = new Set(view.marked);
  if (!marked.delete(view.cursor)) marked.add(view.cursor);
  return { ...view, marked };
}

function nextFilter({ filter }: View, board: Board, by: 1 | -1): string | undefined {
  const labels = [undefined, ...board.labels().map(([label]) => label)];
  const place = Math.max(0, labels.indexOf(filter));
  return labels[(place + by + labels.length) % labels.length];
}

/** Scrolling back freezes what is shown; going to the end thaws it. */
function scroll(view: View, key: string, { board, size }: World): View | undefined {
  // The first line is the host's title.
  const page = Math.max(1, bodyRows(size) - 1);
  const lines = view.frozen?.lines ?? board.rows[view.cursor]!.log.lines();
  const end = Math.max(0, lines.length - page);
  const top = view.frozen?.top ?? end;
  const steps: Readonly<Record<string, number>> = {
    up: top - 1,
    k: top - 1,
    down: top + 1,
    j: top + 1,
    'page-up': top - page + 1,
    'page-down': top + page - 1,
    home: 0,
    g: 0,
    end,
    G: end,
  };
  if (!Object.hasOwn(steps, key)) return undefined;
  const next = clamp(steps[key]!, end);
  const down = next >= end && (key === 'end' || key === 'G' || view.frozen !== undefined);
  if (down || end === 0) return { ...view, frozen: undefined };
  return { ...view, frozen: { lines, top: next } };
}

/** The nearest line above (-1) or below (1) what is shown first that has the text. */
function toMatch(view: View, { board }: World, by: 1 | -1): View {
  if (view.search === '') return view;
  const lines = view.frozen?.lines ?? board.rows[view.cursor]!.log.lines();
  const wanted = view.search.toLowerCase();
  const start = view.frozen === undefined ? lines.length : view.frozen.top;
  for (let at = start + by; at >= 0 && at < lines.length; at += by) {
    if (!lines[at]!.text.toLowerCase().includes(wanted)) continue;
    return { ...view, frozen: { lines, top: at } };
  }
  return view;
}
