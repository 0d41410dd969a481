// Transfers through a connection that is cut, or by a client that is killed, at a random point, again and again, until
// the last try is left alone. After each try a target is what it was before or what it is to be, never anything else;
// in the end it is the whole. One number gives all of one case.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProxy } from './proxy.ts';
import { freshDir, type Server } from './servers.ts';

export interface CutSetup {
  /** The command, as it is installed. */
  readonly bssh: string;
  readonly server: Server;
  /** Bytes of the largest file. */
  readonly size: number;
}

const LIMIT_MS = 120_000;

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

function content(size: number, random: () => number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = Math.floor(random() * 2 ** 32) | 1;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, size >>> 2);
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return bytes;
}

/** Runs one case; gives what it was, or throws what went wrong. */
export async function cutTransfer(seed: number, setup: CutSetup): Promise<string> {
  const random = randomFrom(seed);
  const work = new Case(random, setup);
  try {
    return await work.run();
  } catch (error) {
    throw new Error(`seed ${seed}, ${work.what}: ${(error as Error).message}`, { cause: error });
  } finally {
    rmSync(work.dir, { recursive: true, force: true });
  }
}

class Case {
  readonly dir = freshDir('cuts');
  readonly #random: () => number;
  readonly #setup: CutSetup;
  readonly #way: 'upload' | 'download';
  /** By name below the target. */
  readonly #files = new Map<string, { readonly before: Buffer | undefined; readonly after: Buffer }>();
  readonly #isTree: boolean;
  readonly #bytes: number;
  what: string;

  constructor(random: () => number, setup: CutSetup) {
    this.#random = random;
    this.#setup = setup;
    this.#way = random() < 0.5 ? 'upload' : 'download';
    this.#isTree = random() < 0.3;
    const count = this.#isTree ? 25 : 1;
    for (let n = 0; n < count; n++) {
      const size = Math.floor(this.#isTree ? (random() ** 4 * setup.size) / 4 : random() * setup.size);
      const name = this.#isTree ? join('tree', `d${n % 3}`, `f${n}`) : 'file';
      const before = random() < 0.5 ? content(Math.floor(random() * 1.5 * size), random) : undefined;
      this.#files.set(name, { before, after: content(size, random) });
    }
    this.#bytes = [...this.#files.values()].reduce((sum, { after }) => sum + after.length, 0);
    this.what = `${this.#way} of ${this.#isTree ? `${count} files, ` : ''}${this.#bytes} bytes`;
  }

  async run(): Promise<string> {
    for (const folder of ['from', 'to']) mkdirSync(join(this.dir, folder));
    for (const [name, { before, after }] of this.#files) {
      this.#put('from', name, after);
      if (before) this.#put('to', name, before);
    }
    // The server's user is another one.
    for (const path of ['.', ...(readdirSync(this.dir, { recursive: true }) as string[])]) {
      if (statSync(join(this.dir, path)).isDirectory()) chmodSync(join(this.dir, path), 0o777);
    }
    const tries: string[] = [];
    for (let more = 1 + Math.floor(this.#random() * 3); more > 0; more--) {
      tries.push(this.#random() < 0.2 ? await this.#killed() : await this.#cut());
      this.what += `, ${tries.at(-1)}`;
      this.#check(false);
    }
    const { host, port } = this.#setup.server;
    const { code, err } = await this.#transfer({ host, port });
    if (code !== 0) throw new Error(`left alone it ended with ${code}: ${err}`);
    this.#check(true);
    return this.what;
  }

  #put(folder: string, name: string, bytes: Buffer): void {
    mkdirSync(join(this.dir, folder, name, '..'), { recursive: true });
    writeFileSync(join(this.dir, folder, name), bytes);
    chmodSync(join(this.dir, folder, name), 0o666);
  }

  /**
   * At a byte somewhere on the way, or a little behind the end; in the direction of the content or in the other. At times
   * over a distance: then uploads go through several channels, and leave holes.
   */
  async #cut(): Promise<string> {
    const withContent = this.#random() < 0.8;
    const cutAt = Math.floor(this.#random() * (withContent ? 4000 + this.#bytes * 1.05 : 20_000));
    const direction = (this.#way === 'upload') === withContent ? 'up' : 'down';
    const delay = this.#random() < 0.4 ? 5 + Math.floor(this.#random() * 20) : 0;
    const faults = { up: { delay }, down: { delay }, [direction]: { delay, cutAt } };
    await using proxy = await startProxy({ target: this.#setup.server, ...faults });
    const { code, err } = await this.#transfer(proxy);
    if (code === 0) this.#check(true);
    const cut = `cut ${direction} at ${cutAt}${delay > 0 ? `, ${delay} ms away` : ''}`;
    if (code === null) throw new Error(`${cut} it never ended: ${err}`);
    return `${cut} (${code})`;
  }

  async #killed(): Promise<string> {
    const after = Math.floor(200 + this.#random() * 1500);
    const { code } = await this.#transfer(this.#setup.server, (child) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), after);
      child.once('exit', () => clearTimeout(timer));
    });
    if (code === 0) this.#check(true);
    return `killed after ${after} ms`;
  }

  async #transfer(
    at: { readonly host: string; readonly port: number },
    started: (child: ChildProcess) => void = () => {},
  ): Promise<{ readonly code: number | null; readonly err: string }> {
    const { server, bssh } = this.#setup;
    const source = join(this.dir, 'from', this.#isTree ? 'tree' : 'file');
    const known = ['StrictHostKeyChecking=yes', `UserKnownHostsFile=${server.knownHosts}`];
    const options = [...known, `HostKeyAlias=[${server.host}]:${server.port}`].flatMap((line) => ['-o', line]);
    const args = ['-F', 'none', '-i', server.identity, '-l', server.user, '-p', String(at.port), ...options];
    const child = spawn(
      bssh,
      [...args, '-H', at.host, this.#way, '-r', '--resume', source, `${join(this.dir, 'to')}/`],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH, HOME: this.dir } },
    );
    started(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    let err = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    clearTimeout(timer);
    return { code, err };
  }

  /** `complete`: all of it is there, and nothing beside it. */
  #check(complete: boolean): void {
    for (const [name, { before, after }] of this.#files) {
      const path = join(this.dir, 'to', name);
      const found = existsSync(path) ? readFileSync(path) : undefined;
      if (found?.equals(after) || (!complete && (found === undefined ? before === undefined : before?.equals(found)))) {
        continue;
      }
      throw new Error(
        `${name} is ${found === undefined ? 'gone' : `wrong (${found.length} of ${after.length} bytes)`}`,
      );
    }
    for (const name of readdirSync(join(this.dir, 'to'), { recursive: true }) as string[]) {
      if (this.#files.has(name) || statSync(join(this.dir, 'to', name)).isDirectory()) continue;
      if (complete || !name.endsWith('.part')) throw new Error(`${name} was left behind`);
    }
  }
}
