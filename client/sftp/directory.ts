/**
 * Lists a remote directory, batch by batch. A server answers with as many names as it likes (OpenSSH: a hundred), so over a
 * distance one request at a time is slow: several are kept in flight. How many entries are too many is for the reader to
 * say.
 */

import type { Sftp, SftpCallOptions } from './sftp.ts';
import { type FileStat, toStat } from './stat.ts';

export interface DirectoryEntry {
  /** As the server sent it: see `safe-names.ts` before using it as a local name. */
  readonly name: string;
  /** A line like `ls -l`, for people. */
  readonly longName: string;
  /** Of the entry itself: links are not followed. */
  readonly stat: FileStat;
}

const MOST_AHEAD = 16;

export async function* readDirectory(
  sftp: Sftp,
  path: string,
  handle: Uint8Array,
  options: SftpCallOptions,
): AsyncGenerator<readonly DirectoryEntry[], void, undefined> {
  const { client } = sftp.link;
  const ahead: Promise<readonly DirectoryEntry[] | undefined>[] = [];
  let depth = 1;
  const request = (): void => {
    const batch = next(sftp, path, handle, options);
    // A failure behind the one that is waited for is that one's to tell.
    batch.catch(() => {});
    ahead.push(batch);
  };
  try {
    for (;;) {
      while (ahead.length < depth) request();
      const entries = await ahead.shift()!;
      if (!entries) return;
      // Small directories should not cost more requests than they have to.
      depth = Math.min(depth * 2, MOST_AHEAD);
      yield entries;
    }
  } finally {
    if (!sftp.link.ended) sftp.link.ask(client.close(handle), () => {});
  }
}

/** One batch of entries, without `.` and `..`; nothing at the end. */
function next(
  sftp: Sftp,
  path: string,
  handle: Uint8Array,
  options: SftpCallOptions,
): Promise<readonly DirectoryEntry[] | undefined> {
  const request = (): number => sftp.link.client.readdir(handle, path);
  return sftp.ask(request, ['names', 'eof'], options, (answer) => {
    if (answer.kind === 'eof') return undefined;
    const { names } = answer;
    const own = names.filter(({ name }) => name !== '.' && name !== '..');
    return own.map(({ name, longName, attrs }) => ({ name, longName, stat: toStat(attrs) }));
  });
}
