/**
 * One local file to one remote file: open under a temporary name, store over as many lanes as the distance asks for,
 * permissions and times, then the rename that makes it visible.
 */

import { SshError } from '../../protocol/index.ts';
import { BLOCK_BYTES } from './blocks.ts';
import type { RemoteFile } from './remote-file.ts';
import { uploadStart } from './resume.ts';
import type { Sftp } from './sftp.ts';
import { SharedFile } from './shared-file.ts';
import type { FileStat, StatChange } from './stat.ts';
import { Store } from './store.ts';
import {
  checkOptions,
  hasStatus,
  Lanes,
  notAFile,
  ofTarget,
  partOf,
  type TransferOptions,
  type TransferResult,
} from './transfer.ts';

/** A server that does not answer is not waited for any longer when all is over anyway. */
const CLEAN_UP_MS = 3000;

export interface UploadOptions extends TransferOptions {
  /** Waits until the server's disk has it, where the server can tell (fsync@openssh.com). */
  readonly sync?: boolean | undefined;
  /** Its directory was made just now: nothing stands in the target's place, and that is not asked. */
  readonly isNew?: boolean | undefined;
}

/** `source` is a local path, or a file opened for many receivers, which is left open. */
export async function upload(
  to: Sftp | Lanes,
  source: string | SharedFile,
  remotePath: string,
  options: UploadOptions = {},
): Promise<TransferResult> {
  checkOptions(options);
  const lanes = to instanceof Lanes ? to : new Lanes(to);
  if (typeof source !== 'string') return new Upload(lanes, source, options).run(remotePath);
  const file = SharedFile.open(source);
  try {
    return await new Upload(lanes, file, options).run(remotePath);
  } finally {
    file.close();
  }
}

class Upload {
  readonly #lanes: Lanes;
  readonly #sftp: Sftp;
  readonly #source: SharedFile;
  readonly #options: UploadOptions;
  /** What stood in the target's place before. */
  #before: FileStat | undefined;

  constructor(lanes: Lanes, source: SharedFile, options: UploadOptions) {
    this.#lanes = lanes;
    this.#sftp = lanes.first;
    this.#source = source;
    this.#options = options;
  }

  async run(path: string): Promise<TransferResult> {
    const { resume, atomic } = this.#options;
    if (atomic === false) return this.#direct(path);
    const part = partOf(path, resume === true, this.#source.size, this.#source.mtime);
    // One round trip for both. A link in the target's place is written through, so then the part belongs elsewhere.
    const looking = this.#options.isNew ? undefined : this.#sftp.lstat(path, this.#options).catch(() => undefined);
    const askedAt = performance.now();
    let file: RemoteFile | undefined;
    let refused: unknown;
    try {
      file = await this.#openPart(part);
    } catch (error) {
      refused = error;
    }
    this.#lanes.shortest = Math.min(this.#lanes.shortest, performance.now() - askedAt);
    if (looking) this.#before = await looking;
    const kind = this.#before?.kind;
    if (kind !== undefined && kind !== 'file' && kind !== 'unknown') {
      if (file) await this.#discard(file);
      if (kind !== 'link') throw notAFile(path, kind);
      return this.run(await this.#sftp.realpath(path, this.#options));
    }
    if (!file) {
      // A directory that takes no new name may still hold a file that takes new content.
      if (this.#before && hasStatus(refused, 'permissionDenied')) return this.#direct(path);
      // The server may have opened it all the same.
      if (refused instanceof SshError && refused.code === 'aborted' && !resume) await this.#discard(part);
      throw ofTarget(refused, part, path);
    }
    try {
      const start = resume ? await this.#resumeAt(file) : 0;
      const result = await this.#content(file, start);
      await this.#reveal(part, path);
      return result;
    } catch (error) {
      if (!resume) await this.#discard(file);
      else file.close().catch(() => {});
      throw ofTarget(error, part, path);
    }
  }

  async #direct(path: string): Promise<TransferResult> {
    const permissions = this.#source.mode & 0o777;
    const file = await this.#sftp.open(path, 'w', { ...this.#options, permissions });
    try {
      return await this.#content(file, 0);
    } catch (error) {
      file.close().catch(() => {});
      throw error;
    }
  }

  #openPart(part: string): Promise<RemoteFile> {
    // Ours to write whatever the source's bits are; those come at the end.
    const permissions = (this.#source.mode & 0o777) | 0o600;
    return this.#sftp.open(part, this.#options.resume ? 'update' : 'wx', { ...this.#options, permissions });
  }

  /** Where to go on in a part that an earlier try may have left, and which ends there then. */
  async #resumeAt(part: RemoteFile): Promise<number> {
    const { size = 0 } = await part.stat(this.#options);
    if (size === 0) return 0;
    const start = await this.#lookAt(part.path, size);
    try {
      await part.setStat({ size: start }, this.#options);
    } catch (error) {
      // What stands behind is written over, unless there is too much of it.
      if (!(error instanceof SshError) || error.code !== 'sftp' || size > this.#source.size) throw error;
    }
    return start;
  }

  async #lookAt(path: string, size: number): Promise<number> {
    try {
      const part = await this.#sftp.open(path, 'r', this.#options);
      try {
        return await uploadStart(this.#source, part, size, this.#options);
      } finally {
        part.close().catch(() => {});
      }
    } catch (error) {
      // Nothing is built on what the server does not show.
      if (error instanceof SshError && error.code === 'sftp') return 0;
      throw error;
    }
  }

  /** Content, attributes, and the handles given back. */
  #content(file: RemoteFile, start: number): Promise<TransferResult> {
    const { write } = this.#sftp.link.client.limits;
    const { sync, rate } = this.#options;
    const isSmall = this.#source.size <= Math.min(write, BLOCK_BYTES) && !sync && rate === undefined;
    return isSmall ? this.#fillAtOnce(file) : this.#fill(file, start);
  }

  /** All of it in one flight: with many small files round trips are what counts. */
  async #fillAtOnce(file: RemoteFile): Promise<TransferResult> {
    const { size } = this.#source;
    const found = size > 0 ? this.#source.block(0) : undefined;
    const block = found instanceof Promise ? await found : found;
    const written = block && file.writeOnce(0, block.bytes, this.#options);
    const [, attributesKept] = await Promise.all([written, this.#attributes(file), file.close()]);
    // Not after a failure: the bytes may wait to be sent even then.
    block?.release();
    this.#options.onProgress?.({ path: file.path, done: size, total: size });
    return { moved: size, size, attributesKept };
  }

  async #fill(file: RemoteFile, start: number): Promise<TransferResult> {
    const source = this.#source;
    const extra: RemoteFile[] = [];
    let over = false;
    let done = start;
    const store = new Store({
      from: source,
      start,
      signal: this.#options.signal,
      rate: this.#options.rate,
      roundTrip: this.#lanes.shortest,
      onBytes: (count) => {
        done += count;
        this.#options.onProgress?.({ path: file.path, done, total: source.size });
      },
      onDistance: () => void widen(),
    });
    const widen = async (): Promise<void> => {
      const sessions = await this.#lanes.more();
      await Promise.allSettled(
        sessions.map(async (sftp) => {
          const lane = await sftp.open(file.path, 'r+');
          const { write } = await sftp.limits();
          if (over) return lane.close();
          extra.push(lane);
          store.addLane(lane, write);
        }),
      );
    };
    store.addLane(file, (await this.#sftp.limits()).write);
    try {
      await store.run();
    } finally {
      over = true;
      // Some systems rename no file that is open.
      await Promise.allSettled(extra.map((lane) => lane.close()));
    }
    if (this.#options.sync && this.#sftp.supports('fsync')) await file.sync(this.#options);
    const attributesKept = await this.#attributes(file);
    await file.close();
    return { moved: done - start, size: source.size, attributesKept };
  }

  #attributes(file: RemoteFile): Promise<boolean> | true {
    const { mode, atime, mtime } = this.#source;
    const { preserve } = this.#options;
    if (preserve) return this.#set(file, { mode: mode & 0o777, atime, mtime });
    const before = this.#before?.mode;
    if (before !== undefined) return this.#set(file, { mode: before });
    return (mode & 0o600) === 0o600 || this.#set(file, { mode: mode & 0o777 });
  }

  async #set(file: RemoteFile, change: StatChange): Promise<boolean> {
    try {
      await file.setStat(change, this.#options);
      return true;
    } catch (error) {
      // File systems without permissions refuse; the content is there all the same.
      if (!(error instanceof SshError) || error.code !== 'sftp') throw error;
      return !this.#options.preserve;
    }
  }

  #reveal(part: string, path: string): Promise<void> {
    const renamed = this.#sftp.rename(part, path, this.#options);
    if (this.#sftp.supports('posixRename') || !this.#before) return renamed;
    return renamed.catch(async (error) => {
      // Version 3 without posix-rename does not replace: the old file has to go first.
      if (!hasStatus(error, 'failure')) throw error;
      await this.#sftp.remove(path, this.#options);
      await this.#sftp.rename(part, path, this.#options);
    });
  }

  /** Takes the part away again, as far as the session lets us. */
  async #discard(part: RemoteFile | string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLEAN_UP_MS);
    });
    const cleaned = typeof part === 'string' ? [this.#sftp.remove(part)] : [part.close(), this.#sftp.remove(part.path)];
    await Promise.race([Promise.allSettled(cleaned), late]);
    clearTimeout(timer);
  }
}
