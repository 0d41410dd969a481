/** Local directories: what is in them, how a copy makes them, and what they are to have when everything is in them. */

import { type Dirent, opendirSync } from 'node:fs';
import { chmod, mkdir, stat, utimes } from 'node:fs/promises';
import { SshError } from '../../protocol/index.ts';
import { local, localSync, lookLocal } from './local-file.ts';
import { fromLocal, toLocal } from './safe-names.ts';
import type { Pending } from './tree.ts';

export type LocalDirectory = Pick<Pending, 'to' | 'mode' | 'times'>;

/** Entries that are read from the system at a time. */
const AT_ONCE = 256;

/** What is in a directory, without `.` and `..`. Synchronous, like all of `local-file.ts` that is about names. */
export function* localEntries(directory: string): Generator<readonly [name: string, entry: Dirent], void, undefined> {
  // As bytes, whatever node's types say of it.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: AT_ONCE };
  const opened = localSync(directory, () => opendirSync(toLocal(directory) as string, options));
  try {
    for (;;) {
      const entry = localSync(directory, () => opened.readSync());
      if (entry === null) return;
      yield [fromLocal(entry.name as unknown as Uint8Array), entry];
    }
  } finally {
    opened.closeSync();
  }
}

/** The target itself may be a link: the user said so. Below it nothing is followed. */
export async function makeLocal({ to, mode }: LocalDirectory, isRoot: boolean): Promise<void> {
  const there = isRoot ? await stat(toLocal(to)).catch(() => undefined) : lookLocal(to);
  if (there?.isDirectory()) return;
  if (there)
    throw new SshError('file', `${to} is in the way: no directory`, { detail: { path: to, errno: 'ENOTDIR' } });
  await local(to, mkdir(toLocal(to), { recursive: isRoot, mode: ((mode ?? 0o777) & 0o777) | 0o700 }));
}

export async function finishLocal({ to, mode, times }: LocalDirectory, preserve: boolean): Promise<void> {
  if (mode !== undefined && (preserve || (mode & 0o700) !== 0o700)) {
    await local(to, chmod(toLocal(to), mode & 0o777));
  }
  if (preserve && times) await local(to, utimes(toLocal(to), times.atime, times.mtime));
}
