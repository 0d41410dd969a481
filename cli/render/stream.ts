/**
 * The default mode: every line as it comes.
 *
 * Into a pipe or file exactly `host: line`, bytes untouched; on a terminal short aligned names in colour and remote
 * control sequences made harmless.
 */

import type { HostEvent, OutputStream } from '../../client/index.ts';
import { HOST_STYLES, neutraliseBytes, padToWidth, paint, shortNames, textWidth } from '../terminal.ts';
import { Lines, type TakeBlock, type TakeLine } from './lines.ts';
import type { Output } from './output.ts';
import type { Renderer, RenderHost } from './renderer.ts';
import type { SpillBuffer, SpillStore } from './spill.ts';

/** Names beyond this are not aligned any more: the text matters more. */
const WIDEST_NAME = 24;
const NEWLINE = Buffer.from('\n');

/** How one of our two streams is written. */
export interface Look {
  /** It leads to a terminal: remote control sequences are made harmless. */
  readonly harmless: boolean;
  /** Somebody watches: names short and aligned. */
  readonly live: boolean;
  readonly color: boolean;
}

export interface StreamOptions {
  readonly hosts: readonly RenderHost[];
  readonly store: SpillStore;
  readonly out: Output;
  readonly err: Output;
  readonly looks: Readonly<Record<OutputStream, Look>>;
  /** false: lines without the host's name. */
  readonly prefix: boolean;
}

interface HostLines {
  readonly stdout: Lines;
  readonly stderr: Lines;
}

export class StreamRenderer implements Renderer {
  private readonly options: StreamOptions;
  private readonly prefixes: Readonly<Record<OutputStream, readonly Uint8Array[]>>;
  private readonly lines = new Map<number, HostLines>();
  /** The prefix of the line at hand; one taker for all hosts keeps the hot path free of closures. */
  private prefix: Uint8Array = NEWLINE;
  private target: Output;
  private harmless = false;
  private readonly take: TakeLine = (line) => this.writeLine(line);
  private readonly takeBlock: TakeBlock = (block) => this.writeBlock(block);

  constructor(options: StreamOptions) {
    this.options = options;
    this.target = options.out;
    this.prefixes = { stdout: linePrefixes(options, 'stdout'), stderr: linePrefixes(options, 'stderr') };
  }

  event(event: HostEvent): void | Promise<void> {
    if (event.type === 'output') {
      this.aim(event.host, event.stream);
      this.linesOf(event.host)[event.stream].push(event.data, this.take, this.harmless ? undefined : this.takeBlock);
      return this.target.ready();
    }
    if (event.type !== 'result') return;
    const lines = this.lines.get(event.host);
    this.lines.delete(event.host);
    if (!lines) return;
    for (const stream of ['stdout', 'stderr'] as const) {
      this.aim(event.host, stream);
      lines[stream].end(this.take);
    }
  }

  end(): void {}

  private aim(host: number, stream: OutputStream): void {
    this.target = stream === 'stdout' ? this.options.out : this.options.err;
    this.prefix = this.prefixes[stream][host]!;
    this.harmless = this.options.looks[stream].harmless;
  }

  private linesOf(host: number): HostLines {
    let lines = this.lines.get(host);
    if (!lines) {
      const { store } = this.options;
      lines = { stdout: new Lines(store), stderr: new Lines(store) };
      this.lines.set(host, lines);
    }
    return lines;
  }

  /** Latin-1 turns bytes into a string and back unchanged, and one replaceAll is cheaper than a copy for every line. */
  private writeBlock(block: Uint8Array): void {
    const { target, prefix } = this;
    if (prefix.length === 0) {
      target.write(block);
      return;
    }
    const head = Buffer.from(prefix).toString('latin1');
    const text = Buffer.from(block.buffer, block.byteOffset, block.length - 1).toString('latin1');
    // A `$` in the replacement would mean something.
    const lines = `${head}${text.replaceAll('\n', `\n${head.replaceAll('$', '$$$$')}`)}\n`;
    target.room(lines.length).write(lines, 'latin1');
  }

  private writeLine(line: Uint8Array | SpillBuffer): void {
    const { target, prefix } = this;
    if (prefix.length > 0) target.write(prefix);
    writeLineBytes(target, line, this.harmless);
    target.write(NEWLINE);
  }
}

/** A line's bytes, harmless when they go to a terminal. */
export function writeLineBytes(target: Output, line: Uint8Array | SpillBuffer, harmless: boolean): void {
  if (!(line instanceof Uint8Array)) target.writeAll(harmless ? harmlessParts(line) : line.drain());
  else target.write(harmless ? neutraliseBytes(line) : line);
}

function* harmlessParts(line: SpillBuffer): Generator<Uint8Array> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  // Decoded across the pieces, so that no character is broken where they meet.
  for (const part of line.drain()) yield neutraliseBytes(Buffer.from(decoder.decode(part, { stream: true })));
  yield Buffer.from(decoder.decode());
}

function linePrefixes({ hosts, looks, prefix }: StreamOptions, stream: OutputStream): Uint8Array[] {
  if (!prefix) return hosts.map(() => new Uint8Array(0));
  const { live, color } = looks[stream];
  const names = hosts.map((host) => host.name);
  const shown = live ? shortNames(names) : names;
  const widest = live ? shown.reduce((most, name) => Math.max(most, textWidth(name)), 0) : 0;
  const width = Math.min(WIDEST_NAME, widest);
  return shown.map((name, i) => {
    const gap = padToWidth(name, width).slice(name.length);
    if (!color) return Buffer.from(`${name}:${gap} `);
    const colon = stream === 'stderr' ? paint(':', 'red') : ':';
    return Buffer.from(`${paint(name, HOST_STYLES[i % HOST_STYLES.length]!)}${colon}${gap} `);
  });
}
