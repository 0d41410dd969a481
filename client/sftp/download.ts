/** One remote file to one local file: stat, open, fetch, and what `local-target.ts` does with it. */

import { Fetch } from './fetch.ts';
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
  const { file, held, part, path } = target;
  let contiguous = held;
  try {
    const start = held > 0 ? await downloadStart(from, file, options) : 0;
    if (start < held) file.truncate(start);
    contiguous = start;
    const limits = await from.sftp.limits();
    let done = start;
    const fetch = new Fetch(
      {
        from,
        fd: file.fd,
        localPath: part,
        start,
        // Files of /proc say that they are empty.
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
    const size = await fetch.run().finally(() => {
      contiguous = fetch.contiguous;
    });
    const attributesKept = await finishTarget(target, stat, size, options);
    return { moved: done - start, size, attributesKept };
  } catch (error) {
    await giveUp(target, contiguous, options);
    throw ofTarget(error, part, path);
  }
}
