/**
 * Listens to a run and makes its record: digests always, the output itself when asked to. Bounded, whatever hosts print:
 * a stream beyond DIGESTED_BYTES has no digest, and what is kept of a whole run is at most KEPT_BYTES.
 */

import { createHash, type Hash } from 'node:crypto';
import type { FleetOutcome, HostEvent, HostResult, OutputStream } from '../../client/index.ts';
import type { HostRecord } from './record.ts';

/** A stream longer than this has neither digest nor kept output. */
export const DIGESTED_BYTES = 1024 * 1024;
/** Output kept of one run; a stream that does not fit any more has a digest only. */
export const KEPT_BYTES = 16 * 1024 * 1024;
const ERROR_LENGTH = 200;

const EMPTY_DIGEST = createHash('sha256').digest('hex');

interface Stream {
  length: number;
  /** Undefined once the stream is too long. */
  hash: Hash | undefined;
  /** Undefined when it is not kept. */
  chunks: Uint8Array[] | undefined;
}

/** Who the hosts of a run are, in its order. */
export interface RecordedHost {
  readonly name: string;
  readonly target: string;
}

type Streams = Partial<Record<OutputStream, Stream>>;

export class RunRecorder {
  private readonly keep: boolean;
  private readonly hosts = new Map<number, Streams>();
  private held = 0;

  constructor(keep: boolean) {
    this.keep = keep;
  }

  event(event: HostEvent): void {
    if (event.type !== 'output') return;
    let streams = this.hosts.get(event.host);
    if (streams === undefined) {
      streams = {};
      this.hosts.set(event.host, streams);
    }
    streams[event.stream] ??= { length: 0, hash: createHash('sha256'), chunks: this.keep ? [] : undefined };
    this.take(streams[event.stream]!, event.data);
  }

  /** The records of all hosts, and the bytes that their `kept` points into. */
  finish({ results }: FleetOutcome, hosts: readonly RecordedHost[]): { hosts: HostRecord[]; output: Uint8Array[] } {
    const output: Uint8Array[] = [];
    let size = 0;
    const records = results.map((result, index): HostRecord => {
      const streams = this.hosts.get(index) ?? {};
      const kept: Partial<Record<OutputStream, readonly [number, number]>> = {};
      for (const name of ['stdout', 'stderr'] as const) {
        const chunks = streams[name] === undefined && this.keep ? [] : streams[name]?.chunks;
        if (chunks === undefined || result.class === 'not-started') continue;
        const length = streams[name]?.length ?? 0;
        kept[name] = [size, length];
        output.push(...chunks);
        size += length;
      }
      return { ...hosts[index]!, ...howItEnded(result), digest: digestOf(result, streams), ...(this.keep && { kept }) };
    });
    return { hosts: records, output };
  }

  private take(stream: Stream, data: Uint8Array): void {
    stream.length += data.length;
    const tooLong = stream.length > DIGESTED_BYTES;
    if (tooLong) stream.hash = undefined;
    else stream.hash!.update(data);
    if (stream.chunks === undefined) return;
    if (tooLong || this.held + data.length > KEPT_BYTES) {
      for (const { length } of stream.chunks) this.held -= length;
      stream.chunks = undefined;
      return;
    }
    // Copied: a few bytes kept must not keep the packet they came in.
    stream.chunks.push(Buffer.from(data));
    this.held += data.length;
  }
}

function howItEnded({
  class: end,
  exitStatus,
  signal,
  error,
  bytes,
}: HostResult): Omit<HostRecord, 'name' | 'target' | 'digest' | 'kept'> {
  return {
    class: end,
    ...(exitStatus !== undefined && { exitStatus }),
    ...(signal !== undefined && { signal }),
    ...(error !== undefined && { error: error.message.slice(0, ERROR_LENGTH) }),
    bytes,
  };
}

function digestOf(result: HostResult, streams: Streams): HostRecord['digest'] {
  if (result.class === 'not-started') return {};
  const digest: Partial<Record<OutputStream, string>> = {};
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = streams[name];
    if (stream === undefined) digest[name] = EMPTY_DIGEST;
    else if (stream.hash !== undefined) digest[name] = stream.hash.digest('hex');
  }
  return digest;
}
