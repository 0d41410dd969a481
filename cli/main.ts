/** The entry of `bssh`: hands argv over and sets the exit code. `-V` alone answers before anything else is loaded. */

import { VERSION } from './version.ts';

function end(code: number): void {
  // Written output leaves first: exit() would cut a pipe short.
  process.exitCode = code;
  const streams = [process.stdout, process.stderr].filter((stream) => stream.writableLength > 0);
  let left = streams.length;
  if (left === 0) process.exit(code);
  for (const stream of streams) {
    const done = (): void => {
      if (--left === 0) process.exit(code);
    };
    stream.once('drain', done);
    stream.once('error', done);
  }
}

function fail(error: unknown): void {
  process.stderr.write(`bssh: ${error instanceof Error && process.env.BSSH_DEBUG ? error.stack : String(error)}\n`);
  end(255);
}

const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === '-V' || argv[0] === '--version')) {
  process.stderr.write(`bssh ${VERSION}, Node.js ${process.version.slice(1)}\n`);
  end(0);
} else {
  // A reader of our output that leaves is no crash.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  import('./run.ts').then(({ run }) => run(argv, process.env, process.argv[1] ?? 'bssh').then(end), fail).catch(fail);
}
