/**
 * What a long run found stays found: each note in fuzz/crashers is run again under its seed. That notes are taken and
 * replayed at all is shown with a property that is broken on purpose.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { crashers, round } from './arbitraries/rounds.ts';

it.each(crashers())(
  '$file: $test, seed $seed',
  async ({ file, test, seed }) => {
    const { ok, output } = await round({ files: file, test, seed });
    expect(ok, output).toBe(true);
  },
  120_000,
);

it('notes what fails, and finds it again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bssh-fuzz-'));
  try {
    const files = 'fuzz/arbitraries/broken-on-purpose.ts';
    const { ok, output } = await round({ files, seed: 12345, save: folder });
    expect(ok, output).toBe(false);
    const [note, ...others] = crashers(folder);
    expect(others).toEqual([]);
    expect(note).toMatchObject({ file: files, test: 'numbers (all of them) stay below 1000', seed: 12345 });
    expect(note!.message).toContain('Counterexample: [1000]');
    const again = await round({ files, test: note!.test, seed: note!.seed });
    expect(again.ok, again.output).toBe(false);
    expect(again.output).toContain('Counterexample: [1000]');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
