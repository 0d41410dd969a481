import { expect, test } from 'vitest';
import { muchData } from '../../client/engine.ts';
import { release } from '../../protocol/memory.ts';

const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;

/** Takes, touches and frees 20 MiB; how many pages (of 4 KiB) were new. */
function newPages(): number {
  const before = process.resourceUsage().minorPageFault;
  const all = Array.from({ length: 40 }, () => new Uint8Array(512 * 1024).fill(1));
  for (const bytes of all) release(bytes);
  return process.resourceUsage().minorPageFault - before;
}

test('a program that mostly copies frees memory at once, with Node.js 20 too', () => {
  const bytes = new Uint8Array(5000);
  muchData(1000);
  muchData();
  release(bytes);
  expect(bytes.length).toBe(0);
});

test.runIf(glibcVersionRuntime !== undefined)('and uses again what it freed', () => {
  muchData();
  newPages();
  expect(newPages()).toBeLessThan(1000);
});
