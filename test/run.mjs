// Runs a TypeScript program of this repository: `node test/run.mjs test/bench/main.ts ARGS`. The oldest supported
// Node cannot read types, so the program is bundled first, with packages left where they are. For long runs and
// servers of our own; tests run under vitest.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const [entry, ...args] = process.argv.slice(2);
if (!entry) {
  process.stderr.write('usage: node test/run.mjs FILE.ts [ARGS]\n');
  process.exit(2);
}
const dir = mkdtempSync(join(tmpdir(), 'bssh-run-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const bundle = await rolldown({ input: resolve(entry), platform: 'node', transform: { target: 'node20' } });
await bundle.write({ file: join(dir, 'main.mjs'), format: 'esm', codeSplitting: false });
await bundle.close();
process.argv = [process.argv[0], resolve(entry), ...args];
await import(pathToFileURL(join(dir, 'main.mjs')).href);
