// Programs for tests that need a process of their own: a TypeScript file bundled once a test file, started with node.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { freshDir } from '../../interop/process.ts';

/** The path of a module that node runs. */
export async function bundleProgram(url: URL): Promise<string> {
  const file = join(freshDir('bundle'), 'main.mjs');
  const bundle = await rolldown({ input: url.pathname, platform: 'node', transform: { target: 'node20' } });
  await bundle.write({ file, format: 'esm', codeSplitting: false });
  await bundle.close();
  return file;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Waits for the end of `child`, with what it wrote to the pipes that it has. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('close', (...end) => resolve(end)),
  );
  return { code, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() };
}

export const run = (file: string, args: readonly string[], options: SpawnOptions = {}): Promise<Ended> =>
  ended(spawn(process.execPath, [file, ...args], options));

/** A shell line; `node FILE` stands for the program. */
export const shell = (line: string, options: SpawnOptions = {}): Promise<Ended> =>
  ended(spawn('/bin/bash', ['-c', line], options));
