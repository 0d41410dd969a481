/**
 * `--json`: NDJSON, one object per event; `--json=result`: one object per host, its whole output included.
 *
 * Every object carries `v`, raised when a field changes its meaning. Output that is UTF-8 stands under `text`
 * (`stdout`, `stderr`), anything else under `base64` (`stdoutBase64`, `stderrBase64`): no byte is lost.
 */

import { isUtf8 } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import type { FleetOutcome, HostEvent, HostResult, OutputStream } from '../../client/index.ts';
import { Lines, type TakeLine } from './lines.ts';
import type { Output } from './output.ts';
import type { Renderer, RenderHost } from './renderer.ts';
import { SpillBuffer, type SpillStore } from './spill.ts';

export const JSON_VERSION = 1;

export interface JsonOptions {
  readonly hosts: readonly RenderHost[];
  readonly store: SpillStore;
  readonly out: Output;
  /** Wall clock in milliseconds, for the time stamps. */
  readonly now: () => number;
}

const resultFields = ({ error, ...rest }: HostResult): object => ({
  ...rest,
  ms: Math.round(rest.ms),
  phases: Object.fromEntries(Object.entries(rest.phases).map(([phase, ms]) => [phase, Math.round(ms)])),
  ...(error && { error: { code: error.code, message: error.message } }),
});

const summaryOf = (outcome: FleetOutcome): object => {
  const classes: Record<string, number> = {};
  for (const { class: end } of outcome.results) classes[end] = (classes[end] ?? 0) + 1;
  const { stopped, ms } = outcome;
  return { hosts: outcome.results.length, classes, ...(stopped && { stopped }), ms: Math.round(ms) };
};

/** JSON leaves DEL, C1 and bidi controls as they are; escaped they mean the same and no terminal obeys them. */
const jsonOf = (value: unknown): string => {
  const json = JSON.stringify(value);
  return OBEYED.test(json)
    ? json.replace(OBEYED_ALL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json;
};
const OBEYED = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const OBEYED_ALL = new RegExp(OBEYED, 'g');

/** Text as the inside of a JSON string. */
const escaped = (text: string): string => jsonOf(text).slice(1, -1);

const NOTHING = new Uint8Array(0);

/** Gives nothing for every part it looked at, so that the reader may do something else in between. */
function* isUtf8Throughout(buffer: SpillBuffer): Generator<Uint8Array, boolean> {
  let rest = NOTHING;
  for (const part of buffer.parts()) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part]);
    const whole = wholeCharacters(bytes);
    if (!isUtf8(bytes.subarray(0, whole))) return false;
    rest = bytes.slice(whole);
    yield NOTHING;
  }
  return rest.length === 0;
}

/** How many of the bytes come before a character that is not over yet. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** `"text":"..."` or `"base64":"..."` in pieces; the buffer is empty afterwards. */
function* field(textName: string, base64Name: string, buffer: SpillBuffer): Generator<Uint8Array> {
  if (yield* isUtf8Throughout(buffer)) {
    const decoder = new StringDecoder('utf8');
    yield Buffer.from(`"${textName}":"`);
    for (const part of buffer.drain())
      yield Buffer.from(escaped(decoder.write(Buffer.from(part.buffer, part.byteOffset, part.length))));
  } else {
    yield Buffer.from(`"${base64Name}":"`);
    let rest = NOTHING;
    for (const part of buffer.drain()) {
      const bytes = Buffer.concat([rest, part]);
      const whole = bytes.length - (bytes.length % 3); // base64 can be cut only there
      yield Buffer.from(bytes.toString('base64', 0, whole));
      rest = bytes.subarray(whole);
    }
    yield Buffer.from(Buffer.from(rest).toString('base64'));
  }
  yield Buffer.from('"');
}

/** An event of a command's own. */
export interface Note {
  readonly type: string;
  readonly [field: string]: unknown;
}

export class JsonEvents implements Renderer {
  private readonly options: JsonOptions;
  private readonly lines = new Map<number, Record<OutputStream, Lines>>();
  private openedAt = Number.NaN;
  private openedAs = '';

  constructor(options: JsonOptions) {
    this.options = options;
    this.say({ type: 'start', hosts: options.hosts.length });
  }

  event(event: HostEvent): void | Promise<void> {
    const host = this.options.hosts[event.host]!.name;
    switch (event.type) {
      case 'state':
        this.say({ type: 'state', host, phase: event.phase, attempt: event.attempt });
        break;
      case 'retry': {
        const { attempt, class: end, error } = event;
        const delay = Math.round(event.delay);
        this.say({
          type: 'retry',
          host,
          attempt,
          delay,
          class: end,
          error: { code: error.code, message: error.message },
        });
        break;
      }
      case 'output':
        this.writeLines(event.host, event.stream, (lines, take) => lines.push(event.data, take));
        break;
      case 'result': {
        for (const stream of ['stdout', 'stderr'] as const) {
          if (this.lines.has(event.host)) this.writeLines(event.host, stream, (lines, take) => lines.end(take));
        }
        this.lines.delete(event.host);
        this.say({ type: 'result', host, ...resultFields(event.result) });
      }
    }
    return this.options.out.ready();
  }

  end(outcome: FleetOutcome): void {
    this.say({ type: 'summary', ...summaryOf(outcome) });
  }

  /** What a command has to say of a host beside the common events. */
  note(host: number, { type, ...fields }: Note): void {
    this.say({ type, host: this.options.hosts[host]!.name, ...fields });
  }

  /** An event of the run as a whole, too. */
  say(fields: object): void {
    this.options.out.writeText(`${this.opening()},${jsonOf(fields).slice(1)}\n`);
  }

  /** `{"v":1,"time":"..."`, made once a millisecond. */
  private opening(): string {
    const now = this.options.now();
    if (now !== this.openedAt) {
      this.openedAt = now;
      this.openedAs = `{"v":${JSON_VERSION},"time":"${new Date(now).toISOString()}"`;
    }
    return this.openedAs;
  }

  private linesOf(host: number): Record<OutputStream, Lines> {
    let lines = this.lines.get(host);
    if (!lines) {
      lines = { stdout: new Lines(this.options.store), stderr: new Lines(this.options.store) };
      this.lines.set(host, lines);
    }
    return lines;
  }

  /** One event a line, those of a chunk in one write; `newline` is there only when it is missing. */
  private writeLines(host: number, stream: OutputStream, feed: (lines: Lines, take: TakeLine) => void): void {
    const { hosts, out } = this.options;
    const open = `${this.opening()},"type":"output","host":${jsonOf(hosts[host]!.name)},"stream":"${stream}"`;
    let gathered = '';
    feed(this.linesOf(host)[stream], (line, ended) => {
      const head = ended ? `${open},` : `${open},"newline":false,`;
      if (line instanceof Uint8Array) {
        const bytes = Buffer.from(line.buffer, line.byteOffset, line.length);
        const said = isUtf8(bytes) ? `"text":${jsonOf(bytes.toString())}` : `"base64":"${bytes.toString('base64')}"`;
        gathered += `${head}${said}}\n`;
        return;
      }
      out.writeText(gathered + head);
      gathered = '';
      out.writeAll(field('text', 'base64', line));
      out.writeText('}\n');
    });
    if (gathered !== '') out.writeText(gathered);
  }
}

export class JsonResults implements Renderer {
  private readonly options: JsonOptions;
  private readonly outputs = new Map<number, Record<OutputStream, SpillBuffer>>();

  constructor(options: JsonOptions) {
    this.options = options;
  }

  event(event: HostEvent): void | Promise<void> {
    if (event.type === 'output') {
      let output = this.outputs.get(event.host);
      if (!output) {
        const { store } = this.options;
        output = { stdout: new SpillBuffer(store), stderr: new SpillBuffer(store) };
        this.outputs.set(event.host, output);
      }
      output[event.stream].push(event.data);
      return;
    }
    if (event.type !== 'result') return;
    const { hosts, store, out } = this.options;
    const output = this.outputs.get(event.host);
    this.outputs.delete(event.host);
    const { name: host } = hosts[event.host]!;
    const fields = { v: JSON_VERSION, type: 'result', host, ...resultFields(event.result) };
    out.writeText(`${jsonOf(fields).slice(0, -1)},`);
    out.writeAll(field('stdout', 'stdoutBase64', output?.stdout ?? new SpillBuffer(store)));
    out.writeText(',');
    out.writeAll(field('stderr', 'stderrBase64', output?.stderr ?? new SpillBuffer(store)));
    out.writeText('}\n');
    return out.ready();
  }

  say(fields: object): void {
    this.options.out.writeText(`${jsonOf({ v: JSON_VERSION, ...fields })}\n`);
  }

  end(): void {}
}
