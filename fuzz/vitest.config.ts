/** How a long run of the properties differs from `npm test`: a seed from outside, and notes of what failed. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: [process.env.BSSH_FUZZ_FILES ?? 'fuzz/*.test.ts'],
    exclude: ['fuzz/replay.test.ts'],
    setupFiles: ['fuzz/arbitraries/setup.ts'],
    testTimeout: 120_000,
    maxWorkers: 2,
  },
});
