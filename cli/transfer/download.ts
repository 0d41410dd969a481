/** What `download` does on one host. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  baseName,
  download,
  downloadTree,
  hasWildcard,
  type Lanes,
  type Sftp,
  SshError,
  safeName,
  type TreeOptions,
} from '../../client/index.ts';
import { makeFolder } from '../folder.ts';
import { expandRemote } from './remote.ts';
import { describeTree, type Report } from './report.ts';

export interface DownloadJob {
  readonly words: readonly string[];
  /** Local. */
  readonly destination: string;
  /** The destination is a directory, there or to be made. */
  readonly intoDirectory: boolean;
  readonly recursive: boolean;
  readonly options: Omit<TreeOptions, 'signal' | 'onProgress' | 'onAction' | 'onFailure'>;
}

/** `prefix` is the host's name in local names when there are several hosts. */
export async function downloadAll(
  job: DownloadJob,
  prefix: string | undefined,
  lanes: Lanes,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const taken = new Set<string>();
  for (const word of job.words) {
    await report.attempt(word, async () => {
      for (const path of await expandRemote(lanes.first, word, signal)) {
        await report.attempt(path, () => one(path, word !== path && hasWildcard(word)));
      }
    });
  }

  async function one(path: string, isMatch: boolean): Promise<void> {
    const sftp = lanes.first;
    const { options, recursive, destination } = job;
    const found = await sftp.stat(path, { signal });
    const common = { ...options, signal, onProgress: report.onProgress };
    if (found.kind === 'directory') {
      if (!recursive) throw new SshError('file', `${path} is a directory (-r copies it)`, { detail: { path } });
      const name = job.options.sync || !job.intoDirectory ? '' : await nameOf(sftp, path, signal);
      const to = claim(taken, join(destination, prefix ?? '', name));
      const tree = { ...common, onAction: report.onAction, onFailure: report.onFailure };
      report.done(describeTree(path, to, await downloadTree(sftp, path, to, tree), options.sync !== undefined));
      return;
    }
    if (options.sync) throw new SshError('file', `${path} is no directory`, { detail: { path } });
    const name = safeName(baseName(path));
    const plain = prefix === undefined ? name : `${prefix}_${name}`;
    const to = claim(taken, job.intoDirectory ? join(destination, plain) : destination);
    if (job.intoDirectory) await makeDirectory(destination);
    // A name that the server chose is not written through a link of that name.
    const { size } = await download(sftp, path, to, { ...common, stat: found, followTarget: !isMatch });
    report.done({ from: path, to, bytes: size });
  }
}

/** No two sources become one local file. */
export function claim(taken: Set<string>, path: string): string {
  if (taken.has(path)) {
    throw new SshError('file', `${path} is already there from another source`, { detail: { path } });
  }
  taken.add(path);
  return path;
}

/** The last component; of `.`, `..` and the like what they are called. '' at the root. */
async function nameOf(sftp: Sftp, path: string, signal: AbortSignal): Promise<string> {
  const base = baseName(path);
  if (base !== '' && base !== '.' && base !== '..') return safeName(base);
  const real = baseName(await sftp.realpath(path, { signal }));
  return real === '' ? '' : safeName(real);
}

export async function makeDirectory(path: string): Promise<void> {
  try {
    makeFolder(path);
  } catch (cause) {
    const there = await stat(path).catch(() => undefined);
    const why = there ? 'in the way: no directory' : (cause as Error).message;
    throw new SshError('file', `${path}: ${why}`, { cause, detail: { path } });
  }
}
