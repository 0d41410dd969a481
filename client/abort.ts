/** What an AbortSignal does to a wait: it ends it at once, whatever the other side does. */

import { SshError } from '../protocol/index.ts';

/** The error for a signal that fired: its reason when that is one of ours, else 'aborted'. */
export const abortError = (signal: AbortSignal): SshError =>
  signal.reason instanceof SshError ? signal.reason : new SshError('aborted', 'aborted', { cause: signal.reason });

/** `promise`, or the signal's error as soon as it fires. What `promise` then still brings goes to `late`. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void = () => {},
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      promise.then(late, () => {});
      reject(abortError(signal));
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
