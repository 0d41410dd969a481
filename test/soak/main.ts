// `npm run soak [-- OPTIONS]`: 1 GiB through `bssh HOST cat`, there and back, for every cipher and MAC and each
// provider, against a private sshd: what comes back is what was sent, and the client stays small. Takes from minutes
// (node) to an hour and more (noble); the tests cover the same algorithms with less data.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freshDir, type Server, startSshd } from '../interop/servers.ts';
import { programs, soakFiles } from './files.ts';

const USAGE = `usage: npm run soak -- [--size MiB] [--providers node,noble] [--ciphers NAME,...] [--macs NAME,...]
  [--rekey LIMIT] (bytes between rekeys, as RekeyLimit takes them)
or:    npm run soak -- cuts [--count N] [--seed N] [--size MiB] | trips [--size MiB] [--files N]
  | fan [--hosts N] [--size MiB]
`;
const CIPHERS =
  'chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr';
const MACS = ['umac-64', 'umac-128', 'hmac-sha2-256', 'hmac-sha2-512', 'hmac-sha1']
  .flatMap((name) => (name.startsWith('umac') ? [`${name}@openssh.com`] : [name]).concat(`${name}-etm@openssh.com`))
  .join(',');

/** What the process may grow to (MiB). */
const PEAK = 150;
const SAMPLE_MS = 100;

const [program = ''] = process.argv.slice(2);
if (Object.hasOwn(programs, program)) process.exit(await soakFiles(program, process.argv.slice(3)));

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    providers: { type: 'string', default: 'node,noble' },
    ciphers: { type: 'string', default: CIPHERS },
    macs: { type: 'string', default: MACS },
    rekey: { type: 'string', default: 'default' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const print = (text: string) => process.stdout.write(`${text}\n`);
const list = (text: string) => text.split(',').filter((item) => item !== '');

/** A file of `mib` MiB that does not repeat within one, and its digest. */
function makeInput(mib: number): { path: string; digest: string } {
  const path = join(freshDir('soak'), 'input');
  const file = openSync(path, 'w');
  const hash = createHash('sha256');
  const block = Buffer.alloc(2 ** 20);
  for (let i = 0; i < mib; i++) {
    randomFillSync(block);
    hash.update(block);
    writeSync(file, block);
  }
  closeSync(file);
  return { path, digest: hash.digest('hex') };
}

/** The highest resident size of a process that still runs, in MiB; 0 where the system does not tell. */
function peakOf(child: ChildProcess): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

interface Outcome {
  readonly status: number | null;
  readonly digest: string;
  readonly peak: number;
}

async function echo(server: Server, input: string, provider: string, options: readonly string[]): Promise<Outcome> {
  const args = [
    ...['-F', 'none', '-i', server.identity, '-p', String(server.port), ...options],
    ...['StrictHostKeyChecking=yes', `UserKnownHostsFile=${server.knownHosts}`, `RekeyLimit=${values.rekey}`].flatMap(
      (line) => ['-o', line],
    ),
    ...[`${server.user}@${server.host}`, 'cat'],
  ];
  const stdin = openSync(input, 'r');
  const child = spawn(join(process.cwd(), 'dist', 'bssh.mjs'), args, {
    env: { ...process.env, BSSH_MODE: 'ssh', BSSH_CRYPTO: provider },
    stdio: [stdin, 'pipe', 'inherit'],
  });
  closeSync(stdin);
  let peak = 0;
  const sample = setInterval(() => void (peak = Math.max(peak, peakOf(child))), SAMPLE_MS);
  const status = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const hash = createHash('sha256');
  for await (const chunk of child.stdout!) hash.update(chunk as Buffer);
  clearInterval(sample);
  return { status: await status, digest: hash.digest('hex'), peak };
}

const input = makeInput(Number(values.size));
await using server = await startSshd({ config: ['LogLevel INFO', `Ciphers ${CIPHERS}`, `MACs ${MACS}`] });
const cases = [
  ...list(values.ciphers).map((cipher) => ['-c', cipher, '-m', 'hmac-sha2-256-etm@openssh.com']),
  ...list(values.macs).map((mac) => ['-c', 'aes128-ctr', '-m', mac]),
];
let passed = 0;
let failed = 0;
for (const provider of list(values.providers)) {
  for (const options of cases) {
    const started = performance.now();
    const { status, digest, peak } = await echo(server, input.path, provider, options);
    const wrong = [
      ...(status === 0 ? [] : [`status ${status}`]),
      ...(digest === input.digest ? [] : ['what came back differs']),
      ...(peak < PEAK ? [] : [`more than ${PEAK} MiB`]),
    ];
    if (wrong.length === 0) passed++;
    else failed++;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const name = `${provider} ${options[1]} ${options[1]!.includes('-ctr') ? options[3] : ''}`.trim();
    print(
      `${wrong.length === 0 ? 'ok    ' : 'FAILED'} ${name}: ${seconds} s, peak ${peak.toFixed(0)} MiB ${wrong.join(', ')}`,
    );
  }
}
print(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
