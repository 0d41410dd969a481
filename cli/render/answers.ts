/**
 * Which hosts answered alike: class, status, stdout and stderr, masked where masks are asked for. How the two streams were
 * interleaved is chance and does not count.
 *
 * What is known already is dropped as soon as its host ends; without `keep` nothing is held but digests. No output and no
 * folding of names in here.
 */

import { createHash, type Hash } from 'node:crypto';
import type { HostEvent, HostResult, OutputStream } from '../../client/index.ts';
import { LineMask, type Mask, MaskStream, maskedParts } from './mask.ts';
import { classLabel, type Renderer, type RenderHost } from './renderer.ts';
import { SpillBuffer, type SpillStore } from './spill.ts';

export interface AnswersOptions {
  readonly hosts: readonly RenderHost[];
  readonly store: SpillStore;
  readonly masks: readonly Mask[];
  /** The bytes are wanted later, not only which hosts are alike. */
  readonly keep: boolean;
}

/** What the digests of an answer are. */
export function sha256(parts: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

const digestOfNothing = sha256([]);
const NOTHING = { exact: digestOfNothing, masked: digestOfNothing };

/** One of the two streams of a host. */
class Side {
  readonly bytes: SpillBuffer | undefined;
  private readonly exact = createHash('sha256');
  private readonly masked: { readonly hash: Hash; readonly stream: MaskStream } | undefined;

  constructor({ store, keep }: AnswersOptions, mask: LineMask | undefined) {
    if (keep) this.bytes = new SpillBuffer(store);
    if (mask === undefined) return;
    const hash = createHash('sha256');
    this.masked = { hash, stream: new MaskStream(mask, (bytes) => void hash.update(bytes)) };
  }

  push(data: Uint8Array): void {
    this.exact.update(data);
    this.masked?.stream.push(data);
    this.bytes?.push(data);
  }

  digests(): { readonly exact: string; readonly masked: string } {
    const exact = this.exact.digest('hex');
    if (this.masked === undefined) return { exact, masked: exact };
    this.masked.stream.end();
    return { exact, masked: this.masked.hash.digest('hex') };
  }
}

type Sides = Readonly<Record<OutputStream, Side>>;

export const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

export interface Answer {
  /** Places in the list; sorted once the run is over. */
  readonly hosts: number[];
  /** Of the first of them that ended. */
  readonly result: HostResult;
  /** Digests of stdout and stderr as they count. */
  readonly digests: Readonly<Record<OutputStream, string>>;
}

interface Group extends Answer {
  readonly sides: Sides | undefined;
  /** Of the bytes as they came. */
  readonly exact: string;
  /** All of its hosts said the same even without masks. */
  alike: boolean;
  readonly first: number;
}

/** Did the command come to an end of its own? Only then is there an answer to compare. */
export const isAnswer = ({ class: end }: HostResult): boolean => end === 'ok' || end === 'exit' || end === 'signal';

export class Answers implements Renderer {
  private readonly options: AnswersOptions;
  private readonly open = new Map<number, Sides>();
  private readonly groups = new Map<string, Group>();

  constructor(options: AnswersOptions) {
    this.options = options;
  }

  event(event: HostEvent): void {
    if (event.type === 'output') this.sidesOf(event.host)[event.stream].push(event.data);
    else if (event.type === 'result') this.assign(event.host, event.result);
  }

  end(): void {
    for (const { hosts } of this.groups.values()) hosts.sort((a, b) => a - b);
  }

  /** The rarest first. */
  rarestFirst(): Answer[] {
    return [...this.groups.values()].sort((a, b) => a.hosts.length - b.hosts.length || a.hosts[0]! - b.hosts[0]!);
  }

  /** Sizes of the groups of hosts that have ended so far, the largest first. */
  sizes(): number[] {
    return [...this.groups.values()].map(({ hosts }) => hosts.length).sort((a, b) => b - a);
  }

  /** What most hosts answered; of two as common the one that stands first in the list. */
  majority(): Answer | undefined {
    let best: Answer | undefined;
    for (const answer of this.groups.values()) {
      if (!isAnswer(answer.result)) continue;
      const more = answer.hosts.length - (best?.hosts.length ?? 0);
      if (best === undefined || more > 0 || (more === 0 && answer.hosts[0]! < best.hosts[0]!)) best = answer;
    }
    return best;
  }

  /** The output of its hosts: as it came where all said the very same, else masked. Readable once. */
  *drain(answer: Answer, stream: OutputStream): Generator<Uint8Array> {
    const { sides, alike } = answer as Group;
    if (sides?.[stream].bytes === undefined) return;
    const parts = sides[stream].bytes.drain();
    if (alike) yield* parts;
    else yield* this.masked(answer, parts);
  }

  /** The same as it counts in comparisons, as often as wanted. */
  *read(answer: Answer, stream: OutputStream): Generator<Uint8Array> {
    const bytes = (answer as Group).sides?.[stream].bytes;
    if (bytes !== undefined) yield* this.masked(answer, bytes.parts());
  }

  length(answer: Answer, stream: OutputStream): number {
    return (answer as Group).sides?.[stream].bytes?.length ?? 0;
  }

  private masked(answer: Answer, parts: Iterable<Uint8Array>): Iterable<Uint8Array> {
    const mask = this.maskOf((answer as Group).first);
    return mask === undefined ? parts : maskedParts(parts, mask);
  }

  private maskOf(host: number): LineMask | undefined {
    const { masks, hosts } = this.options;
    return masks.length === 0 ? undefined : new LineMask(masks, hosts[host]!);
  }

  private sidesOf(host: number): Sides {
    let sides = this.open.get(host);
    if (!sides) {
      const mask = this.maskOf(host);
      sides = { stdout: new Side(this.options, mask), stderr: new Side(this.options, mask) };
      this.open.set(host, sides);
    }
    return sides;
  }

  private assign(host: number, result: HostResult): void {
    const sides = this.open.get(host);
    this.open.delete(host);
    const stdout = sides?.stdout.digests() ?? NOTHING;
    const stderr = sides?.stderr.digests() ?? NOTHING;
    const digests = { stdout: stdout.masked, stderr: stderr.masked };
    const exact = `${stdout.exact} ${stderr.exact}`;
    const key = `${classLabel(result)} ${digests.stdout} ${digests.stderr}`;
    const group = this.groups.get(key);
    if (!group) {
      this.groups.set(key, { hosts: [host], result, digests, sides, exact, alike: true, first: host });
      return;
    }
    group.hosts.push(host);
    if (group.exact !== exact) group.alike = false;
    sides?.stdout.bytes?.clear();
    sides?.stderr.bytes?.clear();
  }
}
