/** The lines of the full-screen view: what is looked at, in the size there is. Pure; the painter puts them on the terminal. */

import { formatHosts } from '../hosts/fold.ts';
import { unifiedHunks } from '../render/unified.ts';
import { neutraliseLine, textWidth } from '../terminal.ts';
import type { AnswerGroup, HostRow } from './board.ts';
import { helpLines, keysLine } from './help.ts';
import type { LogLine } from './log.ts';
import { cell, clockTime, type Paper, rowOf, type Span, wrapped } from './row.ts';
import { bodyRows, placeOf, type View, visibleRows, type World } from './view.ts';

const WIDEST_NAME = 30;
const WIDEST_LABEL = 15;
/** A tile smaller than this shows nothing worth looking at. */
const TILE_COLUMNS = 38;
const TILE_ROWS = 6;
/** Lines of the list of answers above their difference, at most. */
const GROUP_ROWS = 6;

export interface Picture extends World {
  readonly view: View;
  /** By the run's clock. */
  readonly now: number;
  readonly color: boolean;
  /** The last thing we had to say. */
  readonly notice: string;
  /** Of a host, in place of its last line: the progress of a transfer. */
  readonly progress?: ((host: number) => string | undefined) | undefined;
}

/** As many lines as the screen has. */
export function screenLines(picture: Picture): string[] {
  const { view, size } = picture;
  const rows = bodyRows(size);
  const body = view.help
    ? helpLines(picture.shells).map((line) => rowOf([[line]], paperOf(picture)))
    : BODIES[view.page](picture, rows);
  const lines = [titleLine(picture), countsLine(picture), ...body.slice(0, rows)];
  while (lines.length < size.rows - 1) lines.push('');
  return [...lines.slice(0, Math.max(0, size.rows - 1)), footLine(picture)].slice(-size.rows);
}

const paperOf = ({ size, color }: Picture): Paper => ({ columns: size.columns, color });

function titleLine(picture: Picture): string {
  const { board, view, now, size } = picture;
  const time = clockTime(board.took ?? now - board.startedAt);
  const state = board.took !== undefined ? 'ended' : view.held ? 'PAUSED' : '';
  const right = ` ${[state, time].filter((part) => part !== '').join(' ')} `;
  const left = cell(` bssh: ${neutraliseLine(board.title)}`, Math.max(0, size.columns - textWidth(right)));
  return rowOf([[left + right]], paperOf(picture), true);
}

/** `50 hosts: ✗ 1 exit 3  ● 3 running  ✓ 12 ok`, and what narrows the list down. */
function countsLine(picture: Picture): string {
  const { board, view } = picture;
  const spans: Span[] = [[` ${board.rows.length} ${board.rows.length === 1 ? 'host' : 'hosts'}:`]];
  for (const [label, count, row] of board.labels()) spans.push(['  '], [`${row.mark} ${count} ${label}`, row.style]);
  if (view.marked.size > 0) spans.push([`  ${view.marked.size} marked`, 'bold']);
  if (view.filter !== undefined) spans.push([`  only: ${view.filter}`, 'bold']);
  if (view.search !== '') spans.push([`  with: ${neutraliseLine(view.search)}`, 'bold']);
  return rowOf(spans, paperOf(picture));
}

function footLine(picture: Picture): string {
  const { view, notice, board } = picture;
  if (view.question !== undefined) return rowOf([[` ${view.question.text} (y/n) `, 'bold']], paperOf(picture), true);
  if (view.typing !== undefined) {
    const { kind, text } = view.typing;
    return rowOf([[kind === 'search' ? '/' : ': ', 'bold'], [`${neutraliseLine(text)}█`]], paperOf(picture));
  }
  if (notice !== '') return rowOf([[` ${notice}`, 'yellow']], paperOf(picture));
  return rowOf([[` ${keysLine(view, board.took !== undefined, picture.shells)}`, 'dim']], paperOf(picture));
}

type Body = (picture: Picture, rows: number) => string[];

const BODIES: Readonly<Record<View['page'], Body>> = { overview, detail, split, diff };

/** The first of the lines shown, so that the one at `place` is among them, in pages that do not move with every step. */
const pageTop = (place: number, rows: number): number => Math.floor(place / rows) * rows;

function overview(picture: Picture, rows: number): string[] {
  const { view, board } = picture;
  const shown = visibleRows(view, board);
  if (shown.length === 0) return [rowOf([['  no host is like that (Esc shows all)', 'dim']], paperOf(picture))];
  const place = placeOf(shown, view.cursor);
  const top = pageTop(place, rows);
  const page = shown.slice(top, top + rows);
  const name = Math.min(WIDEST_NAME, Math.max(...page.map((row) => textWidth(row.name))));
  const label = Math.min(WIDEST_LABEL, Math.max(...page.map((row) => textWidth(row.label))));
  return page.map((row, at) => hostLine(picture, row, top + at === place, name, label));
}

function hostLine(picture: Picture, row: HostRow, here: boolean, name: number, label: number): string {
  const { view, now, progress } = picture;
  const age = row.age(now);
  const said = (row.result === undefined ? progress?.(row.index) : undefined) ?? row.log.last;
  const why = said !== '' || row.result?.error === undefined ? said : neutraliseLine(row.result.error.message);
  const spans: Span[] = [
    [here ? '>' : ' ', 'bold'],
    [view.marked.has(row.index) ? '*' : ' ', 'bold'],
    [`${row.mark} `, row.style],
    [cell(row.name, name), here ? 'bold' : undefined],
    [`  ${cell(row.label, label)} `, row.style],
    [`${(age === undefined ? '' : clockTime(age)).padStart(6)}  `, 'dim'],
    [why],
  ];
  return rowOf(spans, paperOf(picture), false);
}

function hostTitle(row: HostRow, now: number): string {
  const age = row.age(now);
  const parts = [row.name, row.label, age === undefined ? '' : clockTime(age)];
  return `${row.mark} ${parts.filter((part) => part !== '').join('  ')}`;
}

const logRow = ({ stream, text }: LogLine, paper: Paper, found = false): string =>
  rowOf(
    [
      [stream === 'stderr' ? '! ' : '  ', 'red'],
      [text, found ? 'yellow' : undefined],
    ],
    paper,
  );

function detail(picture: Picture, rows: number): string[] {
  const { view, board, now, size } = picture;
  const row = board.rows[view.cursor]!;
  const paper = paperOf(picture);
  const { frozen } = view;
  const space = rows - 1;
  const lines = frozen === undefined ? row.log.lines(space) : frozen.lines.slice(frozen.top, frozen.top + space);
  const place = frozen === undefined ? '' : `  line ${frozen.top + 1} of ${frozen.lines.length}, End follows`;
  const cut = row.log.cut ? '  (its beginning is not kept)' : '';
  const head = rowOf(
    [
      [hostTitle(row, now), 'bold'],
      [place, 'yellow'],
      [cut, 'dim'],
    ],
    paper,
  );
  const wanted = view.search.toLowerCase();
  const shown = lines
    .flatMap((line) =>
      view.wrap ? wrapped(line.text, size.columns - 2).map((text) => ({ stream: line.stream, text })) : [line],
    )
    .map((line) => logRow(line, paper, wanted !== '' && line.text.toLowerCase().includes(wanted)));
  const { error } = row.result ?? {};
  if (error !== undefined) shown.push(rowOf([[`  ${neutraliseLine(error.message)}`, 'red']], paper));
  if (shown.length === 0) shown.push(rowOf([['  nothing so far', 'dim']], paper));
  return [head, ...(frozen === undefined ? shown.slice(-space) : shown.slice(0, space))];
}

function split(picture: Picture, rows: number): string[] {
  const { view, board, size } = picture;
  const all = visibleRows(view, board);
  const hosts = view.marked.size > 0 ? all.filter(({ index }) => view.marked.has(index)) : all;
  if (hosts.length === 0) return [rowOf([['  no host is like that (Esc goes back)', 'dim']], paperOf(picture))];
  const across = Math.max(1, Math.min(hosts.length, Math.floor(size.columns / TILE_COLUMNS)));
  const down = Math.max(1, Math.min(Math.ceil(hosts.length / across), Math.floor(rows / TILE_ROWS)));
  const place = placeOf(hosts, view.cursor);
  const top = pageTop(place, across * down);
  const height = Math.floor(rows / down);
  const width = Math.floor(size.columns / across);
  const lines: string[] = [];
  for (let line = 0; line < down; line++) {
    const tiles = hosts.slice(top + line * across, top + (line + 1) * across);
    const drawn = tiles.map((row) => tile(picture, row, { columns: width - 1, rows: height }));
    for (let at = 0; at < height; at++) lines.push(drawn.map((each) => each[at]!).join('│'));
  }
  return lines;
}

/** As many lines as it is high, each as wide as it is. */
function tile(picture: Picture, row: HostRow, { columns, rows }: World['size']): string[] {
  const paper: Paper = { columns, color: picture.color };
  const title = `${row.index === picture.view.cursor ? '>' : '─'} ${hostTitle(row, picture.now)} `;
  const head = rowOf(
    [
      [title, row.style],
      ['─'.repeat(Math.max(0, columns - textWidth(title))), 'dim'],
    ],
    paper,
  );
  const said = row.log.lines(rows - 1).slice(1 - rows);
  const lines = said.map(({ stream, text }) =>
    rowOf([[cell(text, columns), stream === 'stderr' ? 'red' : undefined]], paper),
  );
  while (lines.length < rows - 1) lines.push(' '.repeat(columns));
  return [head, ...lines];
}

function diff(picture: Picture, rows: number): string[] {
  const { view, board } = picture;
  const paper = paperOf(picture);
  const groups = board.groups();
  if (groups.length === 0) return [rowOf([['  no host has answered so far', 'dim']], paper)];
  const place = Math.min(view.group, groups.length - 1);
  const height = Math.min(groups.length, GROUP_ROWS);
  const top = pageTop(place, height);
  const list = groups
    .slice(top, top + height)
    .map((group, at) => groupLine(picture, group, groups, top + at === place));
  const lines = differenceOf(groups, place).map(([text, look]) => rowOf([[text, look]], paper));
  const space = rows - list.length - 1;
  const start = Math.min(view.diffTop, Math.max(0, lines.length - space));
  return [...list, rowOf([['─'.repeat(paper.columns), 'dim']], paper), ...lines.slice(start, start + space)];
}

function groupLine(
  picture: Picture,
  { label, rows }: AnswerGroup,
  groups: readonly AnswerGroup[],
  here: boolean,
): string {
  const first = rows[0]!;
  const width = String(groups[0]!.rows.length).length;
  const names = neutraliseLine(formatHosts(rows.map(({ name }) => name)));
  const spans: Span[] = [
    [here ? '> ' : '  ', 'bold'],
    [`${first.mark} ${String(rows.length).padStart(width)}  ${label}`, first.style],
    [rows === groups[0]!.rows ? '  the majority  ' : '  ', 'dim'],
    [names, here ? 'bold' : undefined],
  ];
  return rowOf(spans, paperOf(picture));
}

const LOOKS: Readonly<Record<string, Span[1]>> = { '+': 'green', '-': 'red', '@': 'cyan' };

/** Longer texts are not compared while somebody waits for a key to act. */
const MOST_COMPARED = 5000;

/** The last difference: it is drawn many times before it is another one. */
let compared: { readonly key: string; readonly lines: readonly Span[] } = { key: '', lines: [] };

function differenceOf(groups: readonly AnswerGroup[], place: number): readonly Span[] {
  const [majority, group] = [groups[0]!.rows[0]!, groups[place]!.rows[0]!];
  const key = `${majority.index} ${majority.answer.fingerprint} ${group.index} ${group.answer.fingerprint}`;
  if (compared.key !== key) compared = { key, lines: difference(groups, place) };
  return compared.lines;
}

/** What a group answered, against what the majority did; the majority's own answer as it is. */
function difference(groups: readonly AnswerGroup[], place: number): Span[] {
  const [majority, group] = [groups[0]!.rows[0]!, groups[place]!.rows[0]!];
  if (place === 0) {
    const lines = majority.answer.lines();
    return lines.length === 0 ? [['  no output', 'dim']] : lines.map(({ text }): Span => [`  ${text}`]);
  }
  const shown: Span[] = [];
  if (group.result?.error !== undefined) shown.push([`  ${neutraliseLine(group.result.error.message)}`, 'red']);
  for (const stream of ['stdout', 'stderr'] as const) {
    const [before, after] = [majority.answer.text(stream), group.answer.text(stream)];
    if (before === after) continue;
    shown.push([`  ${stream}:`, 'bold']);
    const longest = Math.max(...[before, after].map((text) => text.split('\n').length));
    const hunks = longest > MOST_COMPARED ? undefined : unifiedHunks(before, after);
    if (hunks === undefined) shown.push(['  too long or too different for a diff: Enter shows what it said', 'yellow']);
    else for (const line of hunks) shown.push([`  ${line}`, LOOKS[line.charAt(0)]]);
  }
  return shown.length > 0 ? shown : [['  the same output, as far as it is kept', 'dim']];
}
