/** How far a run of transfers has come: bytes by host and in all, the rate of late, and what is left of the time. */

import type { TransferProgress } from '../../client/index.ts';
import type { Progress } from '../render/index.ts';
import { rateText, sizeText, timeText } from './amounts.ts';

/** Rates are those of the last seconds. */
const SPAN_MS = 5000;
const SAMPLE_MS = 250;

class Rate {
  readonly #samples: { readonly at: number; readonly bytes: number }[] = [];

  note(bytes: number, now: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && now - last.at < SAMPLE_MS) return;
    this.#samples.push({ at: now, bytes });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > SPAN_MS) this.#samples.shift();
  }

  /** Bytes a second; undefined while it is too early to say. */
  of(bytes: number, now: number): number | undefined {
    const first = this.#samples[0];
    if (first === undefined || now - first.at < SAMPLE_MS) return undefined;
    return ((bytes - first.bytes) * 1000) / (now - first.at);
  }
}

interface HostMeter {
  moved: number;
  expected: number;
  readonly files: Map<string, { done: number; total: number }>;
  /** Files so far. */
  begun: number;
  readonly rate: Rate;
}

export class Meter implements Progress {
  readonly #hosts = new Map<number, HostMeter>();
  readonly #now: () => number;
  readonly #rate = new Rate();
  /** Of every host, when that is known before; otherwise what the files begun add up to. */
  readonly #each: number | undefined;
  readonly #count: number;
  readonly #onSizes: ((bytes: number, files: number) => void) | undefined;
  #moved = 0;
  #expected = 0;
  #begun = 0;

  /** `onSizes` hears, whenever a file is begun, what all begun so far add up to. */
  constructor(
    hosts: number,
    each: number | undefined,
    onSizes?: (bytes: number, files: number) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#count = hosts;
    this.#each = each;
    this.#onSizes = onSizes;
    this.#now = now;
  }

  get moved(): number {
    return this.#moved;
  }

  /** Bytes moved and expected of one host. */
  of(host: number): { readonly moved: number; readonly expected: number } {
    const { moved, expected } = this.#of(host);
    return { moved, expected: this.#each ?? expected };
  }

  note(host: number, { path, done, total = 0 }: TransferProgress): void {
    const meter = this.#of(host);
    const known = meter.files.get(path);
    if (!known) {
      meter.begun++;
      this.#begun++;
    }
    const before = known ?? { done: 0, total: 0 };
    meter.moved += done - before.done;
    meter.expected += total - before.total;
    this.#expected += total - before.total;
    if (!known) this.#onSizes?.(this.#expected, this.#begun);
    this.#moved += done - before.done;
    // Files of /proc bring more than they say.
    if (done === total) meter.files.delete(path);
    else meter.files.set(path, { done, total });
    const now = this.#now();
    meter.rate.note(meter.moved, now);
    this.#rate.note(this.#moved, now);
  }

  host(index: number): string | undefined {
    const meter = this.#hosts.get(index);
    if (meter === undefined) return undefined;
    const expected = this.#each ?? meter.expected;
    // What the files begun add up to says nothing of a tree: more may come.
    const isWhole = this.#each !== undefined || meter.begun < 2;
    const part =
      isWhole && expected > 0 ? `${Math.min(100, Math.floor((meter.moved * 100) / expected))}%` : sizeText(meter.moved);
    const rate = meter.rate.of(meter.moved, this.#now());
    return rate === undefined ? part : `${part} ${rateText(rate)}`;
  }

  total(): string | undefined {
    if (this.#moved === 0) return undefined;
    const rate = this.#rate.of(this.#moved, this.#now());
    const text = rate === undefined ? sizeText(this.#moved) : `${sizeText(this.#moved)} ${rateText(rate)}`;
    if (rate === undefined || rate <= 0 || this.#each === undefined) return text;
    return `${text}, ${timeText(Math.max(0, this.#each * this.#count - this.#moved) / rate)} left`;
  }

  #of(host: number): HostMeter {
    let meter = this.#hosts.get(host);
    if (meter === undefined) {
      meter = { moved: 0, expected: 0, files: new Map(), begun: 0, rate: new Rate() };
      this.#hosts.set(host, meter);
    }
    return meter;
  }
}
