/**
 * Loaded before each fuzz file in a long run: takes the seed from outside, so that a run can be had again, and leaves
 * a note of each property that failed where `run.ts` says.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';

const { BSSH_FUZZ_SEED: seed, BSSH_FUZZ_SAVE: folder } = process.env;

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  ...(seed !== undefined && { seed: Number(seed) }),
  reporter: (out) => {
    if (!out.failed) return;
    const message = fc.defaultReportMessage(out);
    if (folder !== undefined) {
      const { testPath = '', currentTestName = '' } = expect.getState();
      const file = relative(process.cwd(), testPath).replaceAll('\\', '/');
      const name = createHash('sha256').update(`${file}\n${currentTestName}\n${out.seed}`).digest('hex').slice(0, 12);
      const crasher = { file, test: currentTestName.replaceAll(' > ', ' '), seed: out.seed, message };
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(crasher, undefined, 2)}\n`);
    }
    throw new Error(message, { cause: out.errorInstance });
  },
});
