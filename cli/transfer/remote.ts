/** Paths on a host as people type them: `~`, wildcards, and what a destination turns out to be. */

import { type GlobEntry, glob, hasStatus, hasWildcard, joinRemote, type Sftp, SshError } from '../../client/index.ts';

/** `~` is where SFTP starts; `~user` only the server can tell. */
export async function expandHome(sftp: Sftp, path: string, signal: AbortSignal): Promise<string> {
  const [head = ''] = path.split('/');
  if (!head.startsWith('~')) return path;
  if (head === '~') return path.slice(1).replace(/^\/+/, '') || '.';
  if (!sftp.supports('expandPath')) {
    throw new SshError('unsupported', `${path}: the server cannot tell where that is`, { detail: { path } });
  }
  return sftp.expandPath(path, { signal });
}

/** The paths that `word` stands for; a name that is there is itself, whatever characters it has. */
export async function expandRemote(sftp: Sftp, word: string, signal: AbortSignal): Promise<readonly string[]> {
  const path = await expandHome(sftp, word, signal);
  if (!hasWildcard(path) || (await isThere(sftp, path, signal))) return [path];
  const found = await glob(path, (directory) => list(sftp, directory, signal));
  if (found.length === 0) throw new SshError('file', `${word}: no file matches`, { detail: { path: word } });
  return found;
}

async function isThere(sftp: Sftp, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await sftp.lstat(path, { signal });
    return true;
  } catch (error) {
    if (error instanceof SshError && error.code === 'sftp') return false;
    throw error;
  }
}

async function* list(sftp: Sftp, directory: string, signal: AbortSignal): AsyncGenerator<GlobEntry> {
  try {
    for await (const { name, stat } of sftp.readdir(directory === '' ? '.' : directory, { signal })) {
      // A name that is a path could lead anywhere.
      if (name === '' || name.includes('/')) continue;
      let { kind } = stat;
      if (kind === 'link' || kind === 'unknown') {
        kind = await sftp.stat(joinRemote(directory, name), { signal }).then(
          (found) => found.kind,
          () => 'unknown' as const,
        );
      }
      yield { name, isDirectory: kind === 'directory' };
    }
  } catch (error) {
    // What cannot be read matches nothing, as in a shell.
    if (!(error instanceof SshError) || error.code !== 'sftp') throw error;
  }
}

export interface RemoteTarget {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** Where uploads go; `mustBeDirectory` when several are to go there. */
export async function remoteTarget(
  sftp: Sftp,
  word: string,
  mustBeDirectory: boolean,
  signal: AbortSignal,
  mayBeMissing = false,
): Promise<RemoteTarget> {
  const paths = await expandRemote(sftp, word, signal);
  if (paths.length > 1) {
    throw new SshError('file', `${word} means ${paths.length} places, not one`, { detail: { path: word } });
  }
  const path = paths[0]!;
  let isDirectory = false;
  try {
    isDirectory = (await sftp.stat(path, { signal })).kind === 'directory';
  } catch (error) {
    if (!hasStatus(error, 'noSuchFile')) throw error;
  }
  if (!isDirectory && !mayBeMissing && (mustBeDirectory || path.endsWith('/'))) {
    throw new SshError('file', `${path}: no such directory`, { detail: { path } });
  }
  return { path, isDirectory };
}
