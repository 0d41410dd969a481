/** One remote file to one local file: stat, open, fetch, and what `local-target.ts` does with it. */

import { AT_ONCE_BYTES, takeBlock } from './blocks.ts';
import { Fetch } from './fetch.ts';
import { fileError, writeAll } from './local-file.ts';
import { finishTarget, giveUp, openTarget, type Target, type TargetOptions } from './local-target.ts';
import type { RemoteFile } from './remote-file.ts';
import { downloadStart } from './resume.ts';
import type { Sftp } from './sftp.ts';
import type { FileStat } from './stat.ts';
import { checkOptions, notAFile, ofTarget, type TransferResult } from './transfer.ts';

export interface DownloadOptions extends TargetOptions {
  /** What is known of the remote file already, from a listing. */
  readonly stat?: FileStat | undefined;
}

export async function download(
  sftp: Sftp,
  remotePath: string,
  localPath: string,
  options: DownloadOptions = {},
): Promise<TransferResult> {
  checkOptions(options);
  const stat = options.stat ?? (await sftp.stat(remotePath, options));
  // A FIFO would hang the server's open, a device never ends.
  if (stat.kind !== 'file' && stat.kind !== 'unknown') throw notAFile(remotePath, stat.kind);
  const from = await sftp.open(remotePath, 'r', options);
  try {
    const target = openTarget(localPath, stat, options);
    return await fill(from, stat, target, options);
  } finally {
    // Nothing depends on the answer, and over a distance waiting for it costs a round trip.
    from.close().catch(() => {});
  }
}

async function fill(
  from: RemoteFile,
  stat: FileStat,
  target: Target,
  options: DownloadOptions,
): Promise<TransferResult> {
  const { held, part, path } = target;
  const copied = { start: 0, end: held };
  try {
    const whole = mayComeAtOnce(from, stat, target, options) && (await fillAtOnce(from, stat.size!, target, options));
    if (whole) copied.end = stat.size!;
    else await fetch(from, stat, target, options, copied);
    const size = copied.end;
    const attributesKept = await finishTarget(target, stat, size, options);
    return { moved: size - copied.start, size, attributesKept };
  } catch (error) {
    await giveUp(target, copied.end, options);
    throw ofTarget(error, part, path);
  }
}

/** Files of /proc say that they are empty. */
const mayComeAtOnce = (
  { sftp }: RemoteFile,
  { size }: FileStat,
  { held }: Target,
  { rate }: DownloadOptions,
): boolean =>
  size !== undefined &&
  size > 0 &&
  size <= Math.min(sftp.link.client.limits.read, AT_ONCE_BYTES) &&
  held === 0 &&
  rate === undefined;

/** All of it by one request: most files are small. False when it was not all that came; nothing is written then. */
async function fillAtOnce(
  from: RemoteFile,
  size: number,
  { file, part }: Target,
  options: DownloadOptions,
): Promise<boolean> {
  const bytes = await from.read(0, size, { signal: options.signal, into: () => takeBlock(size) });
  if (bytes.length < size) return false;
  let problem: unknown;
  // At once, since it is little.
  writeAll(file.fd, bytes, 0, (error) => {
    problem = error;
  });
  if (problem) throw fileError(problem, part);
  options.onProgress?.({ path: from.path, done: size, total: size });
  return true;
}

/** Request by request. What is whole, from which byte to which, is in `copied` at any time. */
async function fetch(
  from: RemoteFile,
  stat: FileStat,
  { file, held, part }: Target,
  options: DownloadOptions,
  copied: { start: number; end: number },
): Promise<void> {
  const start = held > 0 ? await downloadStart(from, file, options) : 0;
  if (start < held) file.truncate(start);
  copied.start = start;
  copied.end = start;
  const limits = await from.sftp.limits();
  let done = start;
  const fetching = new Fetch(
    {
      from,
      fd: file.fd,
      localPath: part,
      start,
      end: stat.size ? stat.size : Number.POSITIVE_INFINITY,
      signal: options.signal,
      rate: options.rate,
      onBytes(count) {
        done += count;
        options.onProgress?.({ path: from.path, done, total: stat.size });
      },
    },
    limits.read,
  );
  try {
    await fetching.run();
  } finally {
    copied.end = fetching.contiguous;
  }
}
