import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { abortable, offAbort, onAbort } from '../../transport/abort.ts';

describe('waiting for a signal', () => {
  test('one listener serves all, and none stays behind', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const calls: number[] = [];
    const runs = Array.from({ length: 100 }, (_, index) => () => void calls.push(index));
    for (const run of runs) onAbort(signal, run);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const run of runs.slice(2)) offAbort(signal, run);
    controller.abort();
    expect(calls).toEqual([0, 1]);

    const idle = new AbortController().signal;
    onAbort(idle, runs[0]!);
    offAbort(idle, runs[1]!);
    expect(getEventListeners(idle, 'abort')).toHaveLength(1);
    offAbort(idle, runs[0]!);
    offAbort(idle, runs[0]!);
    expect(getEventListeners(idle, 'abort')).toHaveLength(0);
    onAbort(undefined, runs[0]!);
    offAbort(undefined, runs[0]!);
  });

  test('what is taken back while the others are told is not called', () => {
    const controller = new AbortController();
    const calls: string[] = [];
    const second = (): void => void calls.push('second');
    onAbort(controller.signal, () => {
      calls.push('first');
      offAbort(controller.signal, second);
    });
    onAbort(controller.signal, second);
    controller.abort();
    expect(calls).toEqual(['first']);
  });

  test('a promise that comes late goes to `late`', async () => {
    const controller = new AbortController();
    const late: number[] = [];
    let settle = (_: number): void => {};
    const slow = new Promise<number>((resolve) => {
      settle = resolve;
    });
    const outcome = abortable(slow, controller.signal, (value) => void late.push(value));
    controller.abort();
    await expect(outcome).rejects.toMatchObject({ code: 'aborted' });
    settle(7);
    await slow;
    await Promise.resolve();
    expect(late).toEqual([7]);
    expect(await abortable(Promise.resolve(1), new AbortController().signal)).toBe(1);
  });
});
