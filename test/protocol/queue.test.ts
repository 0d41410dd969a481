import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Queue } from '../../protocol/queue.ts';
import { collectGarbage } from '../garbage.ts';

describe('the queue', () => {
  it('behaves as an array does', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant('take' as const), fc.nat()), { maxLength: 500 }), (steps) => {
        const queue = new Queue<number>();
        const model: number[] = [];
        for (const step of steps) {
          if (step === 'take') expect(queue.shift()).toBe(model.shift());
          else {
            queue.push(step);
            model.push(step);
          }
          expect(queue.length).toBe(model.length);
          expect(queue.peek()).toBe(model[0]);
          expect(queue.peek(3)).toBe(model[3]);
        }
      }),
    );
  });

  it('holds nothing of what was taken, though it is never empty', async () => {
    const queue = new Queue<object>();
    const gone: WeakRef<object>[] = [];
    queue.push({});
    for (let i = 0; i < 300; i++) {
      queue.push({});
      gone.push(new WeakRef(queue.shift() as object));
    }
    // A WeakRef that was looked at stays until the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(gone.filter((ref) => ref.deref() !== undefined)).toHaveLength(0);
  });
});
