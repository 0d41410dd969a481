/**
 * The long run: every property again and again, each round under a new seed, until the time is over. What fails is
 * noted in fuzz/crashers, and `npm test` replays it from then on.
 *
 *     npm run fuzz -- [MINUTES] [SEED] [FILES]
 */

import { crashers, crashersFolder, round } from './arbitraries/rounds.ts';

const [minutes = '1', first, files] = process.argv.slice(2);
const time = Number(minutes) * 60_000;
let seed = first === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(first);
if (!(time > 0) || !Number.isInteger(seed)) {
  process.stderr.write('usage: npm run fuzz -- [MINUTES] [SEED] [FILES]\n');
  process.exit(2);
}

const until = Date.now() + time;
let failed = 0;
do {
  const started = Date.now();
  process.stdout.write(`seed ${seed} `);
  const { ok, output } = await round({ seed, save: crashersFolder, ...(files !== undefined && { files }) });
  process.stdout.write(`${ok ? 'ok' : 'FAILED'}, ${Math.round((Date.now() - started) / 1000)} s\n`);
  if (!ok) {
    failed++;
    process.stdout.write(`${output}\n`);
  }
  seed = (seed + 1) & 0x7fff_ffff;
} while (Date.now() < until);

for (const { file, test, seed: with_ } of crashers())
  process.stdout.write(`crasher: ${file}: ${test} (seed ${with_})\n`);
process.exitCode = failed > 0 ? 1 : 0;
