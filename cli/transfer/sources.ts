/** The local side of an upload: which files and directories there are to send, before any host is asked. */

import { lstatSync, statSync } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type GlobEntry, glob, hasWildcard, localEntries, toLocal } from '../../client/index.ts';
import { usageError } from '../options/usage.ts';

export interface Source {
  readonly path: string;
  readonly kind: 'file' | 'directory';
  /** What it is called in the directory it goes to; '' when its content goes there itself. */
  readonly name: string;
  /** What is in it. */
  readonly amount: Amount | undefined;
}

export interface Amount {
  readonly bytes: number;
  readonly files: number;
}

export interface SourceOptions {
  readonly recursive: boolean;
  readonly follow: boolean;
  /** Whether to look how much is in directories: that takes a fifteenth of the time to send them when files are small. */
  readonly measure: boolean;
}

export async function findSources(words: readonly string[], options: SourceOptions): Promise<Source[]> {
  const sources: Source[] = [];
  for (const word of words) {
    for (const path of await expand(word)) sources.push(await look(path, options));
  }
  const names = new Map<string, string>();
  for (const { name, path } of sources) {
    const other = names.get(name);
    if (name !== '' && other !== undefined) {
      throw usageError('cluster', `${other} and ${path} would both become ${name}`);
    }
    names.set(name, path);
  }
  return sources;
}

/** A name that is there is itself, whatever characters it has. */
async function expand(word: string): Promise<readonly string[]> {
  if (word === '') throw usageError('cluster', 'a source without a name');
  if (!hasWildcard(word) || (await exists(word))) return [word];
  const found = await glob(word, (directory) => list(directory === '' ? '.' : directory));
  if (found.length === 0) throw usageError('cluster', `${word}: no file matches`);
  return found;
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

async function* list(directory: string): AsyncGenerator<GlobEntry> {
  try {
    for await (const entry of await opendir(directory)) {
      const isDirectory = entry.isSymbolicLink()
        ? (await stat(join(directory, entry.name)).catch(() => undefined))?.isDirectory() === true
        : entry.isDirectory();
      yield { name: entry.name, isDirectory };
    }
  } catch {
    // What cannot be read matches nothing, as in a shell.
  }
}

async function look(path: string, { recursive, follow, measure }: SourceOptions): Promise<Source> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw usageError('cluster', `${path}: ${error.code === 'ENOENT' ? 'no such file or directory' : error.message}`);
  });
  if (found.isFile()) {
    return { path, kind: 'file', name: basename(resolve(path)), amount: { bytes: found.size, files: 1 } };
  }
  if (!found.isDirectory()) throw usageError('cluster', `${path} is no regular file`);
  if (!recursive) throw usageError('cluster', `${path} is a directory (-r copies it)`);
  const name = /(^|\/)\.{1,2}\/*$/.test(path) || resolve(path) === '/' ? '' : basename(resolve(path));
  return { path, kind: 'directory', name, amount: measure ? await amountOf(path, follow) : undefined };
}

/** Entries looked at before others get their turn: synchronous calls cost a tenth of promises, but nothing else runs. */
const AT_ONCE = 500;

/** For the progress only: what cannot be read counts nothing and is told when its turn comes. */
async function amountOf(root: string, follow: boolean): Promise<Amount> {
  let bytes = 0;
  let files = 0;
  let looked = 0;
  const pending = [root];
  const add = (path: string): void => {
    const found = follow ? statSync(toLocal(path)) : lstatSync(toLocal(path));
    if (found.isDirectory()) pending.push(path);
    else if (found.isFile()) {
      bytes += found.size;
      files++;
    }
  };
  // Links to above make a tree without an end; the copy itself will say so.
  for (let next = pending.pop(); next !== undefined && files < 1_000_000; next = pending.pop()) {
    try {
      for (const [name] of localEntries(next)) {
        try {
          add(join(next, name));
        } catch {}
        if (++looked % AT_ONCE === 0) await new Promise((resolve) => void setImmediate(resolve));
      }
    } catch {}
  }
  return { bytes, files };
}
