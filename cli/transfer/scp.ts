/** `upload` and `download` on a host without SFTP: what SCP can do of them, and which option asks for more. */

import { join } from 'node:path';
import {
  baseName,
  type Connection,
  hasWildcard,
  matches,
  RemoteShell,
  remotePath,
  ScpUpload,
  SshError,
  safeName,
  scpDownload,
  shellPattern,
  shellWord,
  type TreeOptions,
} from '../../client/index.ts';
import { claim, type DownloadJob, makeDirectory } from './download.ts';
import { describeTree, type Report } from './report.ts';
import type { UploadJob } from './upload.ts';

/** The SCP end of one host; says how long the server owes something. */
export class ScpHost {
  readonly connection: Connection;
  #session: { readonly quietSince: number | undefined } | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  get quietSince(): number | undefined {
    return this.#session?.quietSince;
  }

  watch(session: { readonly quietSince: number | undefined }): void {
    this.#session = session;
  }
}

export async function scpUploadAll(job: UploadJob, host: ScpHost, report: Report, signal: AbortSignal): Promise<void> {
  const { sources, destination, files, options } = job;
  checkOptions(options);
  const copy = await ScpUpload.start(host.connection, destination, {
    ...options,
    signal,
    sources: files,
    mustBeDirectory: sources.length > 1 || destination.endsWith('/'),
    onProgress: report.onProgress,
    onAction: report.onAction,
    onFailure: report.onFailure,
  });
  host.watch(copy);
  try {
    for (const { path, kind, name } of sources) {
      await report.attempt(path, async () => {
        const to = copy.target(name);
        if (kind === 'directory') report.done(describeTree(path, to, await copy.tree(path, name), false));
        else report.done({ from: path, to, bytes: await copy.file(path, name) });
      });
    }
  } finally {
    await copy.end();
  }
}

/** `prefix` is the host's name in local names when there are several hosts. */
export async function scpDownloadAll(
  job: DownloadJob,
  prefix: string | undefined,
  host: ScpHost,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  checkOptions(job.options);
  const taken = new Set<string>();
  for (const word of job.words) {
    await report.attempt(word, async () => {
      const isPattern = hasWildcard(word) && !(await isThere(host, word, signal));
      const path = remotePath(word);
      const last = baseName(path);
      let arrived = 0;
      await scpDownload(host.connection, isPattern ? shellPattern(path) : shellWord(path), {
        ...job.options,
        signal,
        followTarget: !isPattern,
        onStart: (session) => host.watch(session),
        onProgress: report.onProgress,
        onAction: report.onAction,
        onFailure: report.onFailure,
        async place({ kind, name }) {
          // A server may send what it likes: only what was asked for is taken.
          if (isPattern ? !matches(last, safeName(name)) : arrived++ > 0) throw uninvited(name, word);
          if (kind === 'directory' && !job.recursive) {
            throw new SshError('file', `${word} is a directory (-r copies it)`, { detail: { path: word } });
          }
          return claim(taken, await target(job, prefix, kind, isPattern ? name : last));
        },
        onArrival({ to, bytes, tree }) {
          report.done(tree ? describeTree(word, to, tree, false) : { from: word, to, bytes });
        },
      });
    });
  }
}

/** `name` is one that was asked for, or was held against the pattern. */
async function target(
  job: DownloadJob,
  prefix: string | undefined,
  kind: 'file' | 'directory',
  name: string,
): Promise<string> {
  const { destination, intoDirectory } = job;
  const own = name === '' || name === '.' || name === '..';
  if (kind === 'directory') {
    if (prefix !== undefined) await makeDirectory(join(destination, prefix));
    else if (intoDirectory) await makeDirectory(destination);
    return join(destination, prefix ?? '', intoDirectory && !own ? safeName(name) : '');
  }
  if (!intoDirectory) return destination;
  await makeDirectory(destination);
  const plain = safeName(name);
  return join(destination, prefix === undefined ? plain : `${prefix}_${plain}`);
}

/** A name that is there is itself, whatever characters it has; where nobody can tell, wildcards are wildcards. */
async function isThere(host: ScpHost, path: string, signal: AbortSignal): Promise<boolean> {
  const shell = await RemoteShell.start(host.connection, signal);
  if (shell) host.watch(shell);
  try {
    return shell !== undefined && (await shell.kind(path)) !== 'none';
  } finally {
    await shell?.end();
  }
}

function checkOptions({ sync, resume }: Pick<TreeOptions, 'sync' | 'resume'>): void {
  const option = sync ? '--sync' : resume ? '--resume' : undefined;
  if (option === undefined) return;
  throw new SshError('unsupported', `${option} needs SFTP, which the server does not offer`, { detail: { option } });
}

const uninvited = (name: string, word: string): SshError =>
  new SshError('scp', `the server sent ${JSON.stringify(name)}, which ${word} does not ask for`, {
    by: 'peer',
    detail: { name },
  });
