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
  const send = (file: SharedFile): Promise<TransferResult> => new Upload(lanes, file, options).run(remotePath);
  return typeof source === 'string' ? SharedFile.use(source, send) : send(source);
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
    const looking = this.#options.isNew ? undefined : this.#look(path);
    const askedAt = performance.now();
    const [before, file] = await Promise.allSettled([looking, this.#openPart(part)]);
    this.#lanes.shortest = Math.min(this.#lanes.shortest, performance.now() - askedAt);
    if (before.status === 'fulfilled') this.#before = before.value;
    const kind = this.#before?.kind;
    if (kind !== undefined && kind !== 'file' && kind !== 'unknown') {
      if (file.status === 'fulfilled') await this.#discard(file.value);
      if (kind !== 'link') throw notAFile(path, kind);
      return this.run(await this.#sftp.realpath(path, this.#options));
    }
    if (file.status === 'rejected') {
      // A directory that takes no new name may still hold a file that takes new content.
      if (this.#before && hasStatus(file.reason, 'permissionDenied')) return this.#direct(path);
      // The server may have opened it all the same.
      if (file.reason instanceof SshError && file.reason.code === 'aborted' && !resume) await this.#discard(part);
      throw ofTarget(file.reason, part, path);
    }
    try {
      const start = resume ? await this.#resumeAt(file.value) : 0;
      const result = await this.#content(file.value, start);
      await this.#reveal(part, path);
      return result;
    } catch (error) {
      if (!resume) await this.#discard(file.value);
      else file.value.close().catch(() => {});
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

  async #look(path: string): Promise<FileStat | undefined> {
    try {
      return await this.#sftp.lstat(path, this.#options);
    } catch (error) {
      if (hasStatus(error, 'noSuchFile')) return undefined;
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
  async #content(file: RemoteFile, start: number): Promise<TransferResult> {
    const { write } = await this.#sftp.limits();
    const { sync, rate } = this.#options;
    const isSmall = this.#source.size <= Math.min(write, BLOCK_BYTES) && !sync && rate === undefined;
    return isSmall ? this.#fillAtOnce(file) : this.#fill(file, start);
  }

  /** All of it in one flight: with many small files round trips are what counts. */
  async #fillAtOnce(file: RemoteFile): Promise<TransferResult> {
    const { size } = this.#source;
    const block = size > 0 ? await this.#source.block(0) : undefined;
    const written = block && file.write(0, block.bytes, this.#options);
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

  async #attributes(file: RemoteFile): Promise<boolean> {
    const { mode, atime, mtime } = this.#source;
    const { preserve } = this.#options;
    const before = this.#before?.mode;
    const change: StatChange = preserve
      ? { mode: mode & 0o777, atime, mtime }
      : before !== undefined
        ? { mode: before }
        : (mode & 0o600) !== 0o600
          ? { mode: mode & 0o777 }
          : {};
    if (Object.keys(change).length === 0) return true;
    try {
      await file.setStat(change, this.#options);
      return true;
    } catch (error) {
      // File systems without permissions refuse; the content is there all the same.
      if (!(error instanceof SshError) || error.code !== 'sftp') throw error;
      return !preserve;
    }
  }

  async #reveal(part: string, path: string): Promise<void> {
    try {
      await this.#sftp.rename(part, path, this.#options);
    } catch (error) {
      // Version 3 without posix-rename does not replace: the old file has to go first.
      if (this.#sftp.supports('posixRename') || !this.#before || !hasStatus(error, 'failure')) throw error;
      await this.#sftp.remove(path, this.#options);
      await this.#sftp.rename(part, path, this.#options);
    }
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
