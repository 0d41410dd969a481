/** Streams that keep what they are given, results with defaults, and a script of events played into a renderer. */

import { Writable } from 'node:stream';
import { createRenderer, type RenderOptions } from '../../../cli/render/index.ts';
import type { FleetOutcome, HostEvent, HostResult, OutputStream } from '../../../client/index.ts';
import { FakeClock } from '../../client/fleet/fake-clock.ts';

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

export class Kept extends Writable {
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly chunks: Buffer[] = [];

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk));
    done();
  }

  get buffer(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.buffer.toString();
  }
}

export const result = (fields: Partial<HostResult> & Pick<HostResult, 'class'>): HostResult => ({
  attempts: 1,
  ms: 12.4,
  phases: { connect: 1.2 },
  bytes: { stdout: 1, stderr: 0 },
  ...fields,
});

export const output = (host: number, text: string | Uint8Array, stream: OutputStream = 'stdout'): HostEvent => ({
  type: 'output',
  host,
  stream,
  data: typeof text === 'string' ? Buffer.from(text) : text,
});

export const ends = (host: number, fields: Partial<HostResult> & Pick<HostResult, 'class'>): HostEvent => ({
  type: 'result',
  host,
  result: result(fields),
});

export interface Played {
  readonly stdout: Kept;
  readonly stderr: Kept;
  readonly differs: boolean;
}

export type PlayOptions = Partial<Omit<RenderOptions, 'stdout' | 'stderr' | 'hosts'>> & {
  readonly tty?: boolean;
  /** stderr is the same stream as stdout. */
  readonly merged?: boolean;
};

/** Plays the events, which must end with one result for every name, and answers what was written. */
export async function play(names: string[], events: readonly HostEvent[], options: PlayOptions = {}): Promise<Played> {
  const { tty = false, merged = false, ...rest } = options;
  const stdout = new Kept(tty);
  const stderr = merged ? stdout : new Kept(tty);
  const renderer = createRenderer({
    hosts: names.map((name) => ({ name })),
    command: 'uptime',
    env: {},
    clock: new FakeClock(),
    now: () => Date.UTC(2025, 7, 21, 14, 30, 22),
    ...rest,
    stdout,
    stderr,
  });
  const results: HostResult[] = [];
  for (const event of events) {
    await renderer.event(event);
    if (event.type === 'result') results[event.host] = event.result;
  }
  const outcome: FleetOutcome = { results, ms: 100 };
  await renderer.end(outcome);
  return { stdout, stderr, differs: renderer.differs() };
}
