/** `--group`: a host's whole output under its name when it ends, one host after the other. */

import type { HostEvent, HostResult } from '../../client/index.ts';
import { type BlockTargets, writeBlock } from './block.ts';
import { Collected } from './collected.ts';
import { heading } from './heading.ts';
import type { Renderer, RenderHost } from './renderer.ts';

export interface CollectOptions extends BlockTargets {
  readonly hosts: readonly RenderHost[];
  /** false: no headings. */
  readonly prefix: boolean;
}

export class GroupRenderer implements Renderer {
  private readonly options: CollectOptions;
  private readonly collected = new Map<number, Collected>();
  private turn: Promise<void> = Promise.resolve();

  constructor(options: CollectOptions) {
    this.options = options;
  }

  event(event: HostEvent): void | Promise<void> {
    if (event.type === 'output') {
      let collected = this.collected.get(event.host);
      if (!collected) {
        collected = new Collected(this.options.store);
        this.collected.set(event.host, collected);
      }
      collected.push(event.stream, event.data);
      return;
    }
    if (event.type !== 'result') return;
    this.turn = this.turn.then(() => this.print(event.host, event.result));
    return this.turn;
  }

  end(): Promise<void> {
    return this.turn;
  }

  private print(host: number, result: HostResult): Promise<void> {
    const { hosts, looks, prefix } = this.options;
    const head = prefix ? heading([hosts[host]!.name], result, looks.stdout.color) : '';
    const pieces = this.collected.get(host)?.drain() ?? [];
    this.collected.delete(host);
    return writeBlock(this.options, head, pieces);
  }
}
