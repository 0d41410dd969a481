/** Local directories that a copy makes, and what they are to have when everything is in them. */

import { chmod, mkdir, stat, utimes } from 'node:fs/promises';
import { SshError } from '../../protocol/index.ts';
import { local, lookLocal } from './local-file.ts';
import { toLocal } from './safe-names.ts';
import type { Pending } from './tree.ts';

export type LocalDirectory = Pick<Pending, 'to' | 'mode' | 'times'>;

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
