// `npm run bench:files [-- OPTIONS]`: bssh upload and download beside sftp(1), scp(1) and rsync(1) over ssh(1), against a
// private sshd on loopback. One large file, many small ones, a server that is far away, and one file to many hosts. All
// use the same cipher and key exchange, and files in memory where there is /dev/shm. Numbers are for people to read.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { startProxy } from '../interop/proxy.ts';
import { findProgram, type Server, startSshd } from '../interop/servers.ts';
import { type Command, compare, table } from './measure.ts';

const CIPHER = 'aes128-gcm@openssh.com';
const KEX = 'curve25519-sha256';
const BSSH = join(process.cwd(), 'dist', 'bssh.mjs');

interface Place {
  readonly server: Server;
  readonly port: number;
  readonly dir: string;
}

const path = (place: Place, name: string): string => join(place.dir, name);

function settings({ server }: Place): string[] {
  const lines = [
    `Ciphers=${CIPHER}`,
    `KexAlgorithms=${KEX}`,
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'IdentitiesOnly=yes',
    `IdentityFile=${server.identity}`,
  ];
  return ['-F', 'none', ...lines.flatMap((line) => ['-o', line])];
}

const bssh = (place: Place, hosts: string, ...args: string[]): Command => ({
  name: 'bssh',
  argv: [
    ...[BSSH, ...settings(place), '-l', place.server.user, '-p', String(place.port)],
    ...['-H', hosts, '--parallel', '0', '--quiet', ...args],
  ],
});

/** The client library's streams, in a program of their own that is bundled as the command is. */
function streamCopy(place: Place): (way: 'get' | 'put', from: string, to: string) => Command {
  const how = { BSSH_BUNDLE_ENTRY: 'test/bench/stream-copy.ts', BSSH_BUNDLE_DIR: path(place, 'stream-copy') };
  const bundler = ['rolldown', '-c', 'rolldown.config.js', '--logLevel', 'warn'];
  execFileSync('npx', bundler, { stdio: 'inherit', env: { ...process.env, ...how } });
  const options = settings(place).filter((word) => word.includes('='));
  const config = ['Host node', 'HostName 127.0.0.1', `Port ${place.port}`, `User ${place.server.user}`, ...options];
  writeFileSync(path(place, 'config'), config.join('\n'));
  const start = [process.execPath, path(place, 'stream-copy/bssh.mjs')];
  // As the command does it for itself: reading the certificates that this names takes Node 30 ms.
  const env = { NODE_EXTRA_CA_CERTS: '' };
  return (way, from, to) => ({ name: 'streams', argv: [...start, way, path(place, 'config'), 'node', from, to], env });
}

/** The other tools; those that are not installed are left out. */
function others(place: Place, way: 'get' | 'put', from: string, to: string, recursive: boolean): Command[] {
  const { server, port, dir } = place;
  const host = `${server.user}@127.0.0.1`;
  const remote = (name: string) => `${host}:${name}`;
  const ends = way === 'put' ? [from, remote(to)] : [remote(from), to];
  const batch = join(dir, `batch-${way}`);
  writeFileSync(batch, `${way} ${recursive ? '-r ' : ''}${from} ${to}\n`);
  const ssh = ['ssh', ...settings(place), '-p', String(port)].join(' ');
  const commands: Command[] = [
    { name: 'rsync', argv: ['rsync', '-W', ...(recursive ? ['-r'] : []), '-e', ssh, ...ends] },
    { name: 'scp', argv: ['scp', '-q', ...settings(place), '-P', String(port), ...(recursive ? ['-r'] : []), ...ends] },
    { name: 'sftp', argv: ['sftp', '-q', ...settings(place), '-P', String(port), '-b', batch, host] },
  ];
  return commands.filter(({ argv }) => findProgram(argv[0]!) !== undefined);
}

const chunk = randomBytes(2 ** 20);

function make(file: string, bytes: number): void {
  writeFileSync(file, '', { mode: 0o644 });
  for (let left = bytes; left > 0; left -= chunk.length) writeFileSync(file, chunk.subarray(0, left), { flag: 'a' });
}

/**
 * Leaves `bytes` of free memory in pieces that are smaller than the 2 MiB in which a virtual machine gives free memory back
 * to its host: what was touched stays, and is the first to be used again. Otherwise runs are longer by up to a third, at
 * random, for in such a machine the first touch of memory takes longer than all else that a copy does with it.
 */
function keepMemory(place: Place, bytes: number): void {
  const folder = path(place, 'kept');
  mkdirSync(folder);
  for (let n = 0; n < bytes / chunk.length; n++) writeFileSync(join(folder, String(n)), chunk);
  for (let n = 0; n < bytes / chunk.length; n++) truncateSync(join(folder, String(n)), 4096);
}

/** Every command makes its target anew, in memory that was touched: what an earlier one left is taken away first. */
function bothWays(
  place: Place,
  title: string,
  name: string,
  bytes: number,
  runs: number,
  streams?: (way: 'get' | 'put', from: string, to: string) => Command,
): void {
  const recursive = name === 'tree';
  const flags = recursive ? ['-r'] : [];
  for (const way of ['get', 'put'] as const) {
    const from = path(place, name);
    const to = path(place, `${name}-${way}`);
    const prepare = (): void => {
      rmSync(to, { recursive: true, force: true });
      if (!recursive) {
        make(to, bytes * 1.25);
        rmSync(to);
        return;
      }
      mkdirSync(to);
      chmodSync(to, 0o777);
    };
    const into = recursive ? `${to}/` : to;
    const ours = bssh(place, '127.0.0.1', way === 'get' ? 'download' : 'upload', ...flags, from, into);
    const library = streams ? [streams(way, from, to)] : [];
    const commands = [ours, ...library, ...others(place, way, from, into, recursive)].map((command) => ({
      ...command,
      prepare,
    }));
    const results = compare(commands, runs);
    process.stdout.write(`${table(`${way} ${title}`, results, bytes)}\n`);
    rmSync(to, { recursive: true, force: true });
  }
}

function fanOut(place: Place, hosts: number, bytes: number, runs: number): void {
  const from = path(place, 'large');
  const folders = path(place, 'fan');
  mkdirSync(folders);
  chmodSync(folders, 0o777);
  const list = `127.0.0.[1-${hosts}]`;
  // Every host is this machine, and writes to the same place: what counts is the sending side.
  const ours = bssh(place, list, 'upload', from, path(place, 'fan/x'));
  const scp = ['scp', '-q', ...settings(place), '-P', String(place.port), from].map((word) => `'${word}'`).join(' ');
  const loop = `for n in $(seq ${hosts}); do ${scp} ${place.server.user}@127.0.0.$n:${folders}/y$n & done; wait`;
  const results = compare([ours, { name: 'scp in parallel', argv: ['sh', '-c', loop] }], runs);
  process.stdout.write(`${table(`put to ${hosts} hosts`, results, bytes * hosts)}\n`);
}

async function far(server: Server, delay: number): Promise<[port: number, stop: () => Promise<unknown>]> {
  const target = { host: server.host, port: server.port };
  const worker = new Worker(new URL(import.meta.url), { workerData: { target, delay } });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return [port, () => worker.terminate()];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: 'large,small,far,many' },
      runs: { type: 'string', default: '5' },
      size: { type: 'string', default: '512' },
      files: { type: 'string', default: '2000' },
      delay: { type: 'string', default: '50' },
      hosts: { type: 'string', default: '8' },
    },
  });
  const only = new Set(values.only.split(','));
  const runs = Number(values.runs);
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'bssh-files-'));
  chmodSync(dir, 0o777);
  try {
    await using server = await startSshd({ address: '0.0.0.0', config: ['LogLevel INFO'] });
    const place = { server, port: server.port, dir };
    const bytes = Number(values.size) * 2 ** 20;
    if (only.has('large') || only.has('many')) make(path(place, 'large'), bytes);
    keepMemory(place, 2.5 * bytes);
    if (only.has('large')) bothWays(place, `${values.size} MiB`, 'large', bytes, runs, streamCopy(place));
    if (only.has('small')) {
      const files = Number(values.files);
      for (let n = 0; n < files; n++) {
        mkdirSync(path(place, `tree/d${n % 20}`), { recursive: true });
        writeFileSync(path(place, `tree/d${n % 20}/f${n}`), Buffer.alloc(4096, n));
      }
      bothWays(place, `${files} files of 4 KiB`, 'tree', files * 4096, runs);
    }
    if (only.has('far')) {
      const [port, stop] = await far(server, Number(values.delay));
      make(path(place, 'middle'), bytes / 4);
      bothWays(
        { ...place, port },
        `${bytes / 4 / 2 ** 20} MiB, ${values.delay} ms away`,
        'middle',
        bytes / 4,
        Math.min(runs, 3),
      );
      await stop();
    }
    if (only.has('many')) fanOut(place, Number(values.hosts), bytes, Math.min(runs, 3));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The clients are waited for synchronously, so the proxy lives in a thread of its own. */
if (!isMainThread) {
  const { target, delay } = workerData as { target: { host: string; port: number }; delay: number };
  const faults = { delay: delay / 2 };
  parentPort!.postMessage((await startProxy({ target, up: faults, down: faults })).port);
} else {
  await main();
}
