// Garbage collected now, for tests of what is held: all of it, or only what is young.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collector: ((options?: { type: 'minor' }) => void) | undefined;

function collect(options?: { type: 'minor' }): void {
  setFlagsFromString('--expose-gc');
  collector ??= runInNewContext('gc') as typeof collector;
  collector!(options);
}

export const collectGarbage = (): void => collect();

/** What the collector does all the time, at next to no cost. */
export const collectYoung = (): void => collect({ type: 'minor' });
