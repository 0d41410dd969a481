// The file programs of `npm run soak`: `cuts` (transfers cut off at random and resumed), `trips` (1 GiB and 10,000 small
// files to real servers and back) and `fan` (one file to many hosts, some of which fail). Every one prints what it saw
// and says whether all was well.
import { spawn } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import {
  chmodSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cutTransfer } from '../interop/cuts.ts';
import { requireAsyncssh, requireProftpd, startAsyncssh, startProftpd } from '../interop/more-servers.ts';
import { findProgram, isRoot, runDir, type Server, startDropbear, startSshd } from '../interop/servers.ts';

const BSSH = join(process.cwd(), 'dist', 'bssh.mjs');
/** What the process may grow to (MiB). */
const PEAK = 150;
/** And this much more for each host at work: a connection, its channel and what is on the way. */
const PEAK_HOST = 2;

const print = (text: string) => process.stdout.write(`${text}\n`);

interface Run {
  readonly code: number | null;
  readonly err: string;
  readonly seconds: number;
  /** CPU seconds, and MiB at the highest. */
  readonly cpu: number;
  readonly peak: number;
}

/** Runs the command under time(1)'s eye: what the system says of a process that has ended. */
async function bssh(server: Server, hosts: string, args: readonly string[]): Promise<Run> {
  const known = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
  const common = ['-F', 'none', '-i', server.identity, '-l', server.user, '-p', String(server.port)];
  const report = join(runDir(), 'usage');
  const argv = [...common, ...known.flatMap((line) => ['-o', line]), '-H', hosts, '--parallel', '0', ...args];
  const started = performance.now();
  // %M is the highest resident size in KiB.
  const child = spawn('/usr/bin/env', ['time', '-f', '%U %S %M', '-o', report, BSSH, ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const [user = 0, system = 0, size = 0] = readFileSync(report, 'utf8')
    .trim()
    .split('\n')
    .at(-1)!
    .split(' ')
    .map(Number);
  return { code, err, seconds: (performance.now() - started) / 1000, cpu: user + system, peak: size / 1024 };
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function makeFile(path: string, mib: number): void {
  const file = openSync(path, 'w', 0o644);
  const block = Buffer.alloc(2 ** 20);
  for (let i = 0; i < mib; i++) writeSync(file, randomFillSync(block));
}

/** A folder that the server's user may write as well, in memory where there is room for it. */
function workDir(name: string): string {
  const dir = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `bssh-soak-${process.pid}-${name}`);
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

let failed = 0;
function verdict(name: string, run: Run, wrong: readonly (string | false)[]): void {
  const found = wrong.filter((each) => each !== false);
  if (found.length > 0) failed++;
  const { seconds, cpu, peak } = run;
  const figures = `${seconds.toFixed(1)} s, CPU ${cpu.toFixed(1)} s, peak ${peak.toFixed(0)} MiB`;
  print(`${found.length === 0 ? 'ok    ' : 'FAILED'} ${name}: ${figures} ${found.join(', ')}`);
}

async function cuts(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      count: { type: 'string', default: '100' },
      seed: { type: 'string', default: String(Date.now() % 1e9) },
      size: { type: 'string', default: '100' },
    },
  });
  await using server = await startSshd({ config: ['LogLevel INFO'] });
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.count); seed++) {
    try {
      print(
        `ok     seed ${seed}: ${await cutTransfer(seed, { bssh: BSSH, server, size: Number(values.size) * 2 ** 20 })}`,
      );
    } catch (error) {
      failed++;
      print(`FAILED ${(error as Error).message}`);
    }
  }
}

async function trips(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { size: { type: 'string', default: '1024' }, files: { type: 'string', default: '10000' } },
  });
  const servers: [string, Server][] = [['OpenSSH', await startSshd({ config: ['LogLevel INFO'] })]];
  if (isRoot && findProgram('dropbear')) servers.push(['Dropbear', await startDropbear()]);
  if (requireProftpd()) servers.push(['ProFTPD', await startProftpd()]);
  if (requireAsyncssh()) servers.push(['AsyncSSH', await startAsyncssh()]);
  const dir = workDir('trips');
  const large = join(dir, 'large');
  makeFile(large, Number(values.size));
  const tree = join(dir, 'tree');
  for (let n = 0; n < Number(values.files); n++) {
    mkdirSync(join(tree, `d${n % 100}`), { recursive: true });
    writeFileSync(join(tree, `d${n % 100}`, `f${n}`), randomFillSync(Buffer.alloc(n % 9000)));
  }
  const wanted = await digest(large);
  for (const [name, server] of servers) {
    const up = await bssh(server, server.host, ['upload', large, join(dir, 'up')]);
    verdict(`${name}: ${values.size} MiB up`, up, [
      up.code !== 0 && up.err,
      (await digest(join(dir, 'up'))) !== wanted && 'differs',
      up.peak > PEAK && 'too large',
    ]);
    const down = await bssh(server, server.host, ['download', join(dir, 'up'), join(dir, 'down')]);
    verdict(`${name}: ${values.size} MiB down`, down, [
      down.code !== 0 && down.err,
      (await digest(join(dir, 'down'))) !== wanted && 'differs',
      down.peak > PEAK && 'too large',
    ]);
    const there = join(dir, 'there');
    const back = join(dir, 'back');
    const put = await bssh(server, server.host, ['upload', '-r', tree, there]);
    verdict(`${name}: ${values.files} files up`, put, [put.code !== 0 && put.err, put.peak > PEAK && 'too large']);
    const get = await bssh(server, server.host, ['download', '-r', there, back]);
    verdict(`${name}: ${values.files} files down`, get, [
      get.code !== 0 && get.err,
      !sameTree(tree, back) && 'differs',
      get.peak > PEAK && 'too large',
    ]);
    for (const path of [there, back, join(dir, 'up'), join(dir, 'down')]) rmSync(path, { recursive: true });
    await server.stop();
  }
}

function sameTree(one: string, other: string): boolean {
  const names = (dir: string) => (readdirSync(dir, { recursive: true }) as string[]).sort();
  const all = names(one);
  if (all.join('\0') !== names(other).join('\0')) return false;
  return all.every(
    (name) =>
      statSync(join(one, name)).isDirectory() || readFileSync(join(one, name)).equals(readFileSync(join(other, name))),
  );
}

async function fan(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { hosts: { type: 'string', default: '50' }, size: { type: 'string', default: '100' } },
  });
  const hosts = Number(values.hosts);
  const dir = workDir('fan');
  const source = join(dir, 'source');
  makeFile(source, Number(values.size));
  const wanted = await digest(source);
  // Every fifth host has no place for it.
  const fails = (n: number) => n % 5 === 0;
  for (let n = 1; n <= hosts; n++) {
    if (fails(n)) continue;
    mkdirSync(join(dir, `127.0.0.${n}`));
    chmodSync(join(dir, `127.0.0.${n}`), 0o777);
  }
  await using server = await startSshd({ address: '0.0.0.0', config: ['LogLevel INFO'] });
  const target = join(dir, '{host}', 'target');
  const run = await bssh(server, `127.0.0.[1-${hosts}]`, ['upload', source, target]);
  const wrong: string[] = [];
  for (let n = 1; n <= hosts; n++) {
    const path = join(dir, `127.0.0.${n}`, 'target');
    if (!fails(n) && (!existsSync(path) || (await digest(path)) !== wanted)) wrong.push(`127.0.0.${n} differs`);
    if (fails(n) && !run.err.includes(`127.0.0.${n}: ${path}: No such file`)) wrong.push(`127.0.0.${n} says nothing`);
  }
  const badly = Math.floor(hosts / 5);
  const counted = new RegExp(`^${hosts - badly} ok`, 'm').test(run.err);
  verdict(`${values.size} MiB to ${hosts} hosts, ${badly} of which fail`, run, [
    run.code !== 1 && `status ${run.code}`,
    !counted && run.err,
    run.peak > PEAK + hosts * PEAK_HOST && 'too large',
    ...wrong,
  ]);
}

export const programs: Readonly<Record<string, (args: string[]) => Promise<void>>> = { cuts, trips, fan };

/** Runs one of the programs; gives the exit status. */
export async function soakFiles(name: string, args: string[]): Promise<number> {
  await programs[name]!(args);
  print(failed === 0 ? 'all well' : `${failed} failed`);
  return failed === 0 ? 0 : 1;
}
