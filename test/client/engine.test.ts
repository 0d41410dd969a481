import { expect, test } from 'vitest';
import { muchData } from '../../client/engine.ts';
import { release } from '../../protocol/memory.ts';

test('a program that mostly copies frees memory at once, with Node.js 20 too', () => {
  const bytes = new Uint8Array(5000);
  muchData(1000);
  muchData();
  release(bytes);
  expect(bytes.length).toBe(0);
});
