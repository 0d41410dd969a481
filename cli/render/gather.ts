/**
 * `--gather`: identical outputs once, under the folded names of their hosts; the rarest first, since that is what one
 * looks for.
 *
 * Hosts are alike when class, status, stdout and stderr are; how the two streams were interleaved is chance and does
 * not count. What is known already is dropped as soon as its host ends. Folding comes once, at the end.
 */

import { createHash, type Hash } from 'node:crypto';
import type { HostEvent, HostResult } from '../../client/index.ts';
import { writeBlock } from './block.ts';
import type { Piece } from './collected.ts';
import type { CollectOptions } from './group.ts';
import { heading } from './heading.ts';
import { classLabel, type Renderer } from './renderer.ts';
import { SpillBuffer } from './spill.ts';

interface Side {
  readonly hash: Hash;
  readonly buffer: SpillBuffer;
}

interface HostOutput {
  readonly stdout: Side;
  readonly stderr: Side;
}

interface Group {
  readonly hosts: number[];
  readonly result: HostResult;
  readonly output: HostOutput | undefined;
}

export class GatherRenderer implements Renderer {
  private readonly options: CollectOptions;
  private readonly outputs = new Map<number, HostOutput>();
  private readonly groups = new Map<string, Group>();

  constructor(options: CollectOptions) {
    this.options = options;
  }

  event(event: HostEvent): void {
    if (event.type === 'output') {
      const { hash, buffer } = this.outputOf(event.host)[event.stream];
      hash.update(event.data);
      buffer.push(event.data);
    } else if (event.type === 'result') {
      this.assign(event.host, event.result);
    }
  }

  async end(): Promise<void> {
    const { hosts, looks, prefix } = this.options;
    for (const group of this.groups.values()) group.hosts.sort((a, b) => a - b);
    const rarestFirst = [...this.groups.values()].sort(
      (a, b) => a.hosts.length - b.hosts.length || a.hosts[0]! - b.hosts[0]!,
    );
    for (const group of rarestFirst) {
      const names = group.hosts.map((host) => hosts[host]!.name);
      const head = prefix ? heading(names, group.result, looks.stdout.color) : '';
      await writeBlock(this.options, head, group.output ? pieces(group.output) : []);
    }
  }

  private outputOf(host: number): HostOutput {
    let output = this.outputs.get(host);
    if (!output) {
      const side = (): Side => ({ hash: createHash('sha256'), buffer: new SpillBuffer(this.options.store) });
      output = { stdout: side(), stderr: side() };
      this.outputs.set(host, output);
    }
    return output;
  }

  private assign(host: number, result: HostResult): void {
    const output = this.outputs.get(host);
    this.outputs.delete(host);
    const digests = output ? `${output.stdout.hash.digest('hex')} ${output.stderr.hash.digest('hex')}` : '';
    const key = `${classLabel(result)} ${digests}`;
    const group = this.groups.get(key);
    if (!group) {
      this.groups.set(key, { hosts: [host], result, output });
      return;
    }
    group.hosts.push(host);
    output?.stdout.buffer.clear();
    output?.stderr.buffer.clear();
  }
}

function* pieces({ stdout, stderr }: HostOutput): Generator<Piece> {
  for (const data of stdout.buffer.drain()) yield { stream: 'stdout', data };
  for (const data of stderr.buffer.drain()) yield { stream: 'stderr', data };
}
