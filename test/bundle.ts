// The command as users get it, for tests that start it: dist/bssh.mjs built from the sources as they are now. Each
// state of the sources is built once, into a folder of its own, so that parallel test files share it without a lock.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;

function fingerprint(): string {
  const hash = createHash('sha256');
  for (const layer of ['protocol', 'transport', 'client', 'cli']) {
    for (const entry of (readdirSync(root + layer, { recursive: true }) as string[]).sort()) {
      const { mtimeMs, size } = statSync(join(root, layer, entry));
      if (entry.endsWith('.ts')) hash.update(`${layer}/${entry} ${mtimeMs} ${size}\n`);
    }
  }
  for (const file of ['rolldown.config.js', 'package.json']) hash.update(`${statSync(root + file).mtimeMs}\n`);
  return hash.digest('hex').slice(0, 16);
}

/** Where the tests' runs keep compiled code, instead of a copy in the home of each. */
export const codeFolder = join(tmpdir(), `bssh-code-${process.getuid?.() ?? 0}`);

/** The path of an executable bssh.mjs. */
export function bsshBundle(): string {
  const home = join(tmpdir(), `bssh-bundle-${process.getuid?.() ?? 0}-${fingerprint()}`);
  const file = join(home, 'bssh.mjs');
  if (existsSync(file)) return file;
  const work = mkdtempSync(join(tmpdir(), 'bssh-bundling-'));
  const cli = join(root, 'node_modules/rolldown/bin/cli.mjs');
  const env = { ...process.env, BSSH_BUNDLE_DIR: work };
  execFileSync(process.execPath, [cli, '-c', 'rolldown.config.js', '--logLevel', 'warn'], { cwd: root, env });
  try {
    renameSync(work, home);
  } catch (error) {
    // Another worker was first: its build is of the same sources.
    rmSync(work, { recursive: true, force: true });
    if (!existsSync(file)) throw error;
  }
  return file;
}
