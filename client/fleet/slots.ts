/**
 * Counted slots with a second limit by key: handshakes in flight over all, and through one gateway.
 *
 * First come, first served, except that a full gateway never holds up hosts that do not use it.
 */

import { SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';

interface Waiter {
  readonly key: string | undefined;
  readonly grant: (release: () => void) => void;
}

export class Slots {
  private readonly limit: number;
  private readonly keyLimit: number;
  private readonly waiters = new Set<Waiter>();
  private readonly byKey = new Map<string, number>();
  private taken = 0;

  /** 0 = no limit. */
  constructor(limit: number, keyLimit: number) {
    this.limit = limit === 0 ? Number.POSITIVE_INFINITY : limit;
    this.keyLimit = keyLimit === 0 ? Number.POSITIVE_INFINITY : keyLimit;
  }

  get inUse(): number {
    return this.taken;
  }

  /** Rejects with the signal's reason when it fires first. */
  take(key: string | undefined, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(reasonOf(signal));
    if (this.isFree(key)) return Promise.resolve(this.occupy(key));
    return new Promise((resolve, reject) => {
      const give = (): void => {
        this.waiters.delete(waiter);
        reject(reasonOf(signal));
      };
      const waiter: Waiter = {
        key,
        grant: (release) => {
          offAbort(signal, give);
          resolve(release);
        },
      };
      onAbort(signal, give);
      this.waiters.add(waiter);
    });
  }

  private isFree(key: string | undefined): boolean {
    return this.taken < this.limit && (key === undefined || (this.byKey.get(key) ?? 0) < this.keyLimit);
  }

  private occupy(key: string | undefined): () => void {
    this.taken++;
    if (key !== undefined) this.byKey.set(key, (this.byKey.get(key) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.taken--;
      if (key !== undefined) this.byKey.set(key, this.byKey.get(key)! - 1);
      this.grantWaiting();
    };
  }

  private grantWaiting(): void {
    for (const waiter of this.waiters) {
      if (this.taken >= this.limit) return;
      if (!this.isFree(waiter.key)) continue;
      this.waiters.delete(waiter);
      waiter.grant(this.occupy(waiter.key));
    }
  }
}

const reasonOf = (signal: AbortSignal): SshError =>
  signal.reason instanceof SshError ? signal.reason : new SshError('aborted', 'aborted', { cause: signal.reason });
