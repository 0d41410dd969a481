/** One round of the properties under a seed, in a process of its own; and the notes that failures leave. */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Crasher {
  readonly file: string;
  /** The names of the test and the groups around it, joined as `vitest -t` wants them. */
  readonly test: string;
  readonly seed: number;
  /** What fast-check said: seed, path and counterexample. */
  readonly message: string;
}

export const crashersFolder = 'fuzz/crashers';

export function crashers(folder = crashersFolder): Crasher[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Crasher);
}

export interface Round {
  readonly seed: number;
  /** Glob of the test files. */
  readonly files?: string;
  /** Only the test of exactly this name. */
  readonly test?: string;
  /** Where failures leave their notes. */
  readonly save?: string;
}

/** Runs vitest once; resolves to whether everything passed, with its output. */
export function round({ seed, files, test, save }: Round): Promise<{ ok: boolean; output: string }> {
  const exact = test === undefined ? [] : ['-t', `^${test.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`];
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'fuzz/vitest.config.ts', ...exact];
  const env = {
    ...process.env,
    BSSH_FUZZ_SEED: `${seed}`,
    ...(files !== undefined && { BSSH_FUZZ_FILES: files }),
    ...(save !== undefined && { BSSH_FUZZ_SAVE: save }),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', reject);
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}
