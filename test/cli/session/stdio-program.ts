// What stdio.test.ts starts: standard input to standard output through StdinReader and FdSink, or one of them alone.
import { FdSink, StdinReader } from '../../../cli/session/stdio.ts';

const [mode, argument = '0'] = process.argv.slice(2);
const stdout = new FdSink(1);
const note = (value: unknown): boolean => process.stderr.write(`${JSON.stringify(value)}\n`);

const finish = async (): Promise<never> => {
  await stdout.flush();
  process.exit(0);
};

if (mode === 'copy') {
  stdout.onClosed = () => {
    note({ closed: true, error: stdout.error?.code });
    process.exit(7);
  };
  await new StdinReader().start((chunk) => stdout.write(chunk));
  await finish();
} else if (mode === 'send') {
  // `argument` bytes in chunks like those of a channel, and then the end without a pause.
  const cpu = process.cpuUsage();
  const chunk = Buffer.alloc(32 * 1024, 'x');
  for (let left = Number(argument); left > 0 && !stdout.closed; left -= chunk.length) {
    const busy = stdout.write(chunk.subarray(0, Math.min(left, chunk.length)));
    if (busy !== undefined) await busy;
  }
  await stdout.flush();
  const used = process.cpuUsage(cpu);
  note({ cpu: (used.user + used.system) / 1e6, closed: stdout.closed, error: stdout.error?.code });
  process.exit(0);
} else if (mode === 'drain') {
  const cpu = process.cpuUsage();
  let bytes = 0;
  await new StdinReader().start((chunk) => void (bytes += chunk.length));
  const used = process.cpuUsage(cpu);
  note({ cpu: (used.user + used.system) / 1e6, bytes });
} else if (mode === 'hold') {
  // Takes one chunk and never asks for the next: memory must not grow, and the end must not hang.
  const stdin = new StdinReader();
  let chunks = 0;
  void stdin.start(() => {
    chunks++;
    return new Promise(() => {});
  });
  setTimeout(() => {
    note({ kind: stdin.kind, chunks, rss: process.memoryUsage().rss });
    process.exit(0);
  }, 300);
} else if (mode === 'leave') {
  // Reads, stops, and ends by itself: nothing may keep the process.
  const stdin = new StdinReader();
  void stdin.start(() => undefined).then(() => note({ stopped: true }));
  setTimeout(() => stdin.stop(), 100);
} else if (mode === 'idle') {
  note({ kind: new StdinReader().kind });
}
