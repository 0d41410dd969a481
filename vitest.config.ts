import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'fuzz/**/*.test.ts'],
    // Hundreds of tests start real servers and terminals on two cores: in CI a test that the machine starved gets a second chance.
    retry: process.env.CI ? 2 : 0,
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
