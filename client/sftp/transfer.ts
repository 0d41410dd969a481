/** What downloads and uploads of single files have in common: options, results, progress, and the name of a part. */

import { randomBytes } from 'node:crypto';
import { SshError, sftpStatus } from '../../protocol/index.ts';
import type { RateLimit } from './rate.ts';
import { partName } from './safe-names.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';

export interface TransferProgress {
  /** The remote path. */
  readonly path: string;
  readonly done: number;
  /** Undefined while unknown. */
  readonly total: number | undefined;
}

export interface TransferOptions extends SftpCallOptions {
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /**
   * The target appears when it is complete (the default), under a temporary name until then. False writes into the
   * target itself.
   */
  readonly atomic?: boolean | undefined;
  /**
   * Leaves the part where it is after a failure, and goes on from there when called again for the same, unchanged
   * source. Needs `atomic`.
   */
  readonly resume?: boolean | undefined;
  /** Permission bits and times of the source, too. */
  readonly preserve?: boolean | undefined;
  /** Bytes a second, alone or shared with other transfers. */
  readonly rate?: RateLimit | undefined;
}

export interface TransferResult {
  /** Bytes moved by this call. */
  readonly moved: number;
  readonly size: number;
  /** False when `preserve` was asked for and the target's side refused. */
  readonly attributesKept: boolean;
}

const MARK_BYTES = 6;
/** Drawn for many files at a time: a draw for each was felt with small ones. */
let drawn: Uint8Array = new Uint8Array(0);

/** Nobody can tell it before: a part that is there already is an error. */
function unusedMark(): string {
  if (drawn.length < MARK_BYTES) drawn = randomBytes(512 * MARK_BYTES);
  const mark = Buffer.from(drawn.subarray(0, MARK_BYTES)).toString('hex');
  drawn = drawn.subarray(MARK_BYTES);
  return mark;
}

/** The part's name: one nobody else uses, or when it is to be found again one that says which source it is of. */
export function partOf(target: string, resume: boolean, size: number | undefined, mtime: number | undefined): string {
  const mark = resume ? `${(size ?? 0).toString(36)}-${(mtime ?? 0).toString(36)}` : unusedMark();
  return partName(target, mark);
}

/** What is wrong with the part is said of the target: the part's name means nothing to people. */
export function ofTarget(error: unknown, part: string, target: string): unknown {
  if (!(error instanceof SshError) || error.detail.path !== part) return error;
  return new SshError(error.code, error.message.replaceAll(part, target), {
    by: error.by,
    cause: error,
    detail: { ...error.detail, path: target },
  });
}

export function checkOptions(options: TransferOptions): void {
  if (options.resume && options.atomic === false) throw new SshError('usage', 'only atomic transfers can be resumed');
}

export const hasStatus = (error: unknown, ...codes: (keyof typeof sftpStatus)[]): boolean =>
  error instanceof SshError && error.code === 'sftp' && codes.some((code) => error.detail.status === sftpStatus[code]);

export const notAFile = (path: string, kind: string): SshError =>
  new SshError('sftp', `${path} is no regular file but a ${kind}`, { by: 'peer', detail: { path, kind } });

/** From this round trip on a server is far away: the window of one channel is felt, and so is waiting for answers. */
export const DISTANCE_MS = 8;

/** Sessions of one connection in all: with four, 50 ms away, the server's 2 MiB windows bound the rate. */
export const MAX_LANES = 6;

/** Further sessions on the same connection, opened when the path is long and kept for the next file. */
export class Lanes {
  readonly first: Sftp;
  readonly #open: (() => Promise<Sftp>) | undefined;
  readonly #count: number;
  #more: Promise<readonly Sftp[]> | undefined;
  #opened: readonly Sftp[] = [];
  /**
   * Milliseconds of the shortest round trip of a request without content: with content a slow server looks like a distant
   * one, and so it does behind the content of other files.
   */
  shortest = Number.POSITIVE_INFINITY;

  /** `open` starts one more session on the connection of `first`; `count` is how many there may be in all. */
  constructor(first: Sftp, open?: () => Promise<Sftp>, count = MAX_LANES) {
    this.first = first;
    this.#open = open;
    this.#count = count;
  }

  /** All sessions beside the first; those that the server refuses (MaxSessions) are done without. */
  more(): Promise<readonly Sftp[]> {
    this.#more ??= this.#openMore();
    return this.#more;
  }

  /** Since when the server owes an answer and sends nothing, in milliseconds of `performance.now`. */
  get quietSince(): number | undefined {
    const times = [this.first, ...this.#opened].map((sftp) => sftp.link.quietSince);
    return times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a));
  }

  /** Ends the sessions opened here; the first one belongs to whoever brought it. */
  async close(): Promise<void> {
    for (const sftp of (await this.#more) ?? []) sftp.close();
  }

  async #openMore(): Promise<readonly Sftp[]> {
    const open = this.#open;
    if (!open) return [];
    const tries = Array.from({ length: this.#count - 1 }, async () => open());
    const settled = await Promise.allSettled(tries);
    this.#opened = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    return this.#opened;
  }
}
