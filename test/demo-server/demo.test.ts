// The demo runs as people run it, and leaves nothing behind.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { bsshBundle } from '../bundle.ts';

const root = new URL('../..', import.meta.url).pathname;

it('shows three nodes and a failure, and cleans up', () => {
  const bundle = bsshBundle();
  const scratch = mkdtempSync(join(tmpdir(), 'demo-test-'));
  const env = { ...process.env, TMPDIR: scratch, BSSH_BUNDLE_DIR: dirname(bundle) };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/run.mjs', 'test/demo-server/demo.ts'], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  const left = readdirSync(scratch);
  rmSync(scratch, { recursive: true, force: true });
  expect({ status, wrong: stdout.match(/^WRONG.*$/gm), left }, stderr).toEqual({ status: 0, wrong: null, left: [] });
}, 60_000);
