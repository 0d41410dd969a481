/** What an AbortSignal does to a wait: it ends it at once, whatever the other side does. */

import { SshError } from '../protocol/index.ts';

/** The error for a signal that fired: its reason when that is one of ours, else 'aborted'. */
export const abortError = (signal: AbortSignal): SshError =>
  signal.reason instanceof SshError ? signal.reason : new SshError('aborted', 'aborted', { cause: signal.reason });

interface Waiting {
  readonly all: Set<() => void>;
  readonly tell: () => void;
}

/** Who waits for a signal. One listener serves them all: thousands of calls may share a signal, and listeners are slow. */
const waiting = new WeakMap<AbortSignal, Waiting>();

/** Calls `run` once when `signal`, which has not fired, does; `offAbort` takes that back. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): void {
  if (signal === undefined) return;
  const known = waiting.get(signal);
  if (known !== undefined) {
    known.all.add(run);
    return;
  }
  const all = new Set([run]);
  const tell = (): void => {
    for (const each of all) each();
    waiting.delete(signal);
  };
  waiting.set(signal, { all, tell });
  signal.addEventListener('abort', tell, { once: true });
}

export function offAbort(signal: AbortSignal | undefined, run: () => void): void {
  const known = signal && waiting.get(signal);
  if (!known?.all.delete(run) || known.all.size > 0) return;
  // A signal that somebody listens to is kept alive by those it was made of.
  signal!.removeEventListener('abort', known.tell);
  waiting.delete(signal!);
}

/** `promise`, or the signal's error as soon as it fires. What `promise` then still brings goes to `late`. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void = () => {},
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const end = (): void => {
      promise.then(late, () => {});
      reject(abortError(signal));
    };
    if (signal.aborted) return end();
    onAbort(signal, end);
    promise.then(
      (value) => {
        offAbort(signal, end);
        resolve(value);
      },
      (error) => {
        offAbort(signal, end);
        reject(error);
      },
    );
  });
}
