/**
 * What copies of whole directories have in common, either way: options, results, and how they go on after one entry
 * failed. The ways themselves are `tree-download.ts` and `tree-upload.ts`.
 */

import { limits, SshError } from '../../protocol/index.ts';
import { fileError } from './local-file.ts';
import type { RateLimit } from './rate.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';
import type { SharedFiles } from './shared-files.ts';
import type { TransferProgress } from './transfer.ts';

export interface TreeOptions extends SftpCallOptions {
  /** Symbolic links: left out (the default), or copied as what they lead to. */
  readonly links?: 'skip' | 'follow' | undefined;
  /**
   * Files at a time, 256 when not given, half of them with a server that does not say how many it takes; what they have in
   * flight is bounded, too.
   */
  readonly files?: number | undefined;
  readonly preserve?: boolean | undefined;
  readonly resume?: boolean | undefined;
  readonly rate?: RateLimit | undefined;
  /** Where uploads find files that other receivers get as well. */
  readonly sources?: SharedFiles | undefined;
  readonly sync?: SyncOptions | undefined;
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /** Called for each file that was copied and each entry that was deleted (or would be). */
  readonly onAction?: ((action: TreeAction) => void) | undefined;
  /** Called for each entry that could not be copied; the rest goes on. */
  readonly onFailure?: ((failure: TreeFailure) => void) | undefined;
}

/** Only what differs is copied; times are kept, since they tell what differs. */
export interface SyncOptions {
  /** `time`: another size or time of change; `content`: both files are read when the sizes are equal. */
  readonly compare: 'time' | 'content';
  /** Entries that the source does not have are deleted in the end, unless something failed before. */
  readonly delete: boolean;
  /** Nothing is changed; `onAction` tells what would be. */
  readonly dryRun: boolean;
}

export interface TreeAction {
  readonly action: 'copy' | 'delete';
  /** Where it comes from; for what is deleted, the same as `to`. */
  readonly from: string;
  readonly to: string;
  readonly size: number;
}

export interface TreeFailure {
  /** Where it comes from. */
  readonly path: string;
  readonly error: SshError;
}

export interface TreeResult {
  readonly files: number;
  readonly directories: number;
  readonly bytes: number;
  /** Links, devices, sockets and FIFOs that were left out. */
  readonly skipped: number;
  readonly failed: number;
  /** With `sync`: files that were the same already, and entries deleted. */
  readonly unchanged: number;
  readonly deleted: number;
  /** The first of them. */
  readonly failures: readonly TreeFailure[];
}

/** Enough that both sides are busy all the time: 10,000 small files take a tenth less time than with half of it. */
const FILES = 256;
const FILES_UNTOLD = 128;
const FAILURES_KEPT = 100;

/** What both directions count and how they go on after a failure. */
export class Tally {
  files = 0;
  directories = 0;
  bytes = 0;
  skipped = 0;
  unchanged = 0;
  deleted = 0;
  failed = 0;
  #entries = 0;
  readonly failures: TreeFailure[] = [];
  readonly #options: TreeOptions;
  /** What ends the whole copy. */
  fatal: SshError | undefined;

  constructor(options: TreeOptions) {
    this.#options = options;
  }

  copied(action: Omit<TreeAction, 'action'>): void {
    this.files++;
    this.bytes += action.size;
    this.#options.onAction?.({ action: 'copy', ...action });
  }

  gone(path: string): void {
    this.deleted++;
    this.#options.onAction?.({ action: 'delete', from: path, to: path, size: 0 });
  }

  /** Runs `work` unless all is over already. */
  async attempt(path: string, work: () => Promise<void>): Promise<void> {
    if (this.fatal) return;
    try {
      await work();
    } catch (cause) {
      this.fail(path, cause);
    }
  }

  /** A failure is noted for `path`, or ends all when nothing can go well any more. */
  fail(path: string, cause: unknown): void {
    const error = fileError(cause, path);
    if (['aborted', 'lost', 'closed', 'protocol', 'malformed', 'disconnected', 'limit'].includes(error.code)) {
      this.fatal ??= error;
      return;
    }
    this.failed++;
    const failure = { path, error };
    if (this.failures.length < FAILURES_KEPT) this.failures.push(failure);
    this.#options.onFailure?.(failure);
  }

  entry(depth: number): void {
    checkTree(++this.#entries, depth);
  }

  result(): TreeResult {
    if (this.fatal) throw this.fatal;
    const { files, directories, bytes, skipped, failed, failures, unchanged, deleted } = this;
    return { files, directories, bytes, skipped, failed, failures, unchanged, deleted };
  }
}

/** Throws when a tree with so many entries, one of them so deep, has to be one without an end. */
export function checkTree(entries: number, depth: number): void {
  if (entries > limits.sftpTreeEntries) throw tooMuch('sftpTreeEntries');
  if (depth > limits.sftpTreeDepth) throw tooMuch('sftpTreeDepth');
}

const tooMuch = (limit: 'sftpTreeEntries' | 'sftpTreeDepth'): SshError =>
  new SshError('limit', `the tree has no end: more than ${limits[limit]}`, { by: 'peer', detail: { limit } });

export interface Pending {
  readonly from: string;
  readonly to: string;
  readonly depth: number;
  /** Of the source directory; what its copy is to have in the end. */
  readonly mode: number | undefined;
  readonly times: { readonly atime: number; readonly mtime: number } | undefined;
}

export async function filesAtOnce(sftp: Sftp, options: TreeOptions): Promise<number> {
  const { handles } = await sftp.limits();
  // One handle is the listing's.
  return Math.min(options.files ?? FILES, handles === undefined ? FILES_UNTOLD : handles - 1);
}

/** How each file of a tree is copied. */
export const fileOptions = ({ signal, preserve, resume, rate, sync, onProgress }: TreeOptions) => ({
  signal,
  preserve: preserve === true || sync !== undefined,
  resume,
  rate,
  onProgress,
});
