/** What the local disk refused, as an error for people: what was to be written, where, and what to do. */

import { SshError } from '../../client/index.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left',
  EDQUOT: 'the quota is used up',
  EACCES: 'permission denied',
  EROFS: 'it is read-only',
  ENOTDIR: 'a part of the path is no directory',
  EEXIST: 'there is a file of that name',
  ENOENT: 'no such directory',
  EMFILE: 'too many open files',
};

/** `what` begins the sentence; `advice` ends it. */
export function diskError(what: string, advice: string, error: unknown): SshError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const text = `${what}: ${REASONS[code] ?? message}${advice === '' ? '' : ` (${advice})`}`;
  return new SshError('file', text, { cause: error, detail: { grammar: 'cluster', errno: code } });
}

/** Does the work, or throws what is said of its failure. */
export function onDisk<T>(what: string, advice: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(what, advice, error);
  }
}
