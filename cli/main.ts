/** The entry of `bssh`: hands argv over and sets the exit code. `-V` alone answers before anything else is loaded. */

import { printErr } from './print.ts';
import { VERSION } from './version.ts';

function fail(error: unknown): void {
  const text = error instanceof Error && process.env.BSSH_DEBUG ? error.stack : String(error);
  // After those who put the terminal back, so that the line starts where lines do.
  process.once('exit', () => printErr(`bssh: internal error: ${text}\n`));
  process.exit(255);
}

const argv = process.argv.slice(2);
const isPdsh = /(^|[\\/])pdsh$/.test(process.argv[1] ?? '');
if (argv.length === 1 && (argv[0] === '-V' || argv[0] === '--version') && !isPdsh) {
  printErr(`bssh ${VERSION}, Node.js ${process.version.slice(1)}\n`);
  process.exit(0);
}
// Not node's own report of it: that quotes the line, and a bundle has few of them.
process.on('uncaughtException', fail);
// What is written by then has left: commands wait for their output before they return.
import('./run.ts')
  .then(({ run }) => run(argv, process.env, process.argv[1] ?? 'bssh'))
  .then((code) => process.exit(code), fail);
