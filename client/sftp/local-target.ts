/**
 * Where a file that arrives is written: a part beside the target, which takes the target's name when it is complete, or
 * the target itself when that cannot be. Links in the target's place are followed only when the caller says so.
 */

import { constants, renameSync, rmSync, type Stats } from 'node:fs';
import { LocalFile, localSync, lookLocal, resolveLocal } from './local-file.ts';
import { toLocal } from './safe-names.ts';
import type { FileStat } from './stat.ts';
import { ofTarget, partOf, type TransferOptions } from './transfer.ts';

/** What is known of the source. */
export type SourceStat = Pick<FileStat, 'size' | 'mode' | 'atime' | 'mtime'>;

export interface TargetOptions extends TransferOptions {
  /** A local link in the target's place is replaced (false) or written through (true, the default). */
  readonly followTarget?: boolean | undefined;
}

export interface Target {
  /** Where it ends up. */
  readonly path: string;
  /** Where it is written; the same as `path` when not atomic. */
  readonly part: string;
  readonly file: LocalFile;
  /** Bytes that an earlier try left. */
  readonly held: number;
  /** What stood there before. */
  readonly before: Stats | undefined;
}

export function openTarget(localPath: string, stat: SourceStat, options: TargetOptions): Target {
  let path = localPath;
  let before = lookLocal(path);
  if (before?.isSymbolicLink() && options.followTarget !== false) {
    path = resolveLocal(path);
    before = lookLocal(path);
  }
  const mode = (stat.mode ?? 0o666) & 0o777;
  const special = before !== undefined && !before.isFile() && !before.isSymbolicLink();
  if (options.atomic === false || special) return direct(path, mode, before);
  const part = partOf(path, options.resume === true, stat.size, stat.mtime);
  try {
    return openPart(path, part, mode, before, options.resume === true);
  } catch (error) {
    // A directory that takes no new name may still hold a file that takes new content.
    if (before?.isFile() && refused(error)) return direct(path, mode, before);
    throw ofTarget(error, part, path);
  }
}

function openPart(path: string, part: string, mode: number, before: Stats | undefined, resume: boolean): Target {
  // What an earlier try left is looked at.
  const access = resume ? constants.O_RDWR : constants.O_WRONLY | constants.O_EXCL;
  const flags = access | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  // Ours to write whatever the source's bits are; those come at the end.
  const file = new LocalFile(part, flags, mode | 0o600);
  return { path, part, file, before, held: resume ? file.stat().size : 0 };
}

function direct(path: string, mode: number, before: Stats | undefined): Target {
  // No O_NOFOLLOW on Windows, and no links to fear from a server there.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0);
  return { path, part: path, file: new LocalFile(path, flags, mode), before, held: 0 };
}

const refused = (error: unknown): boolean =>
  ['EACCES', 'EPERM', 'EROFS'].includes(String((error as { detail?: { errno?: string } }).detail?.errno));

/** Attributes, then the name. Gives whether the attributes could be had. */
export async function finishTarget(
  target: Target,
  stat: SourceStat,
  size: number,
  options: TargetOptions,
): Promise<boolean> {
  const { path, part, file, before } = target;
  let kept = true;
  // A part of before may be longer; a new one ends where the last byte went.
  if (part !== path && options.resume) file.truncate(size);
  const regular = !before || before.isFile() || part !== path;
  const mode = options.preserve ? stat.mode : part !== path && before?.isFile() ? before.mode : undefined;
  const ownerBits = stat.mode === undefined || (stat.mode & 0o600) === 0o600 ? undefined : stat.mode;
  if (regular) {
    const want = mode ?? (before ? undefined : ownerBits);
    // Set-id bits of somebody else's choosing have no place here.
    if (want !== undefined) kept = worked(() => file.chmod(want & (options.preserve ? 0o777 : 0o7777)));
    if (options.preserve && stat.mtime !== undefined) {
      const { atime, mtime } = stat;
      kept = worked(() => file.utimes(atime ?? mtime, mtime)) && kept;
    }
  }
  await file.close(size);
  if (part !== path) localSync(path, () => renameSync(toLocal(part), toLocal(path)));
  return kept || !options.preserve;
}

function worked(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

export async function giveUp(target: Target, contiguous: number, options: TargetOptions): Promise<void> {
  const { path, part, file } = target;
  // What is kept for the next try ends where this one got to.
  if (options.resume && part !== path) worked(() => file.truncate(contiguous));
  await file.close(Number.POSITIVE_INFINITY).catch(() => {});
  if (!options.resume && part !== path) worked(() => rmSync(toLocal(part), { force: true }));
}
