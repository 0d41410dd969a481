/**
 * A local directory into a remote one: several files in flight, each as `upload` does one. Links are left out, or copied
 * as what they lead to; entries that are neither file nor directory are left out.
 */

import type { Dirent, Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { localEntries } from './local-directory.ts';
import { fileError, local, lookLocal } from './local-file.ts';
import { joinRemote, toLocal } from './safe-names.ts';
import { sameContent } from './same-content.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';
import { SharedFiles } from './shared-files.ts';
import { TransferSlots } from './slots.ts';
import type { FileStat } from './stat.ts';
import { hasStatus, Lanes } from './transfer.ts';
import { fileOptions, filesAtOnce, type Pending, Tally, type TreeOptions, type TreeResult } from './tree.ts';
import { type UploadOptions, upload } from './upload.ts';

/** Entries looked at before others get their turn. */
const AT_ONCE = 500;

/** The content of the local directory `source` into the remote directory `remote`, which is made when missing. */
export async function uploadTree(
  to: Sftp | Lanes,
  source: string,
  remote: string,
  options: TreeOptions = {},
): Promise<TreeResult> {
  const lanes = to instanceof Lanes ? to : new Lanes(to);
  const root = await local(source, stat(toLocal(source)));
  if (!root.isDirectory()) throw fileError(new Error('no directory'), source);
  const slots = new TransferSlots(await filesAtOnce(lanes.first, options));
  return new TreeUpload(lanes, slots, options).run(source, remote, root);
}

const timesOf = (of: Stats): Pending['times'] => ({ atime: of.atimeMs / 1000, mtime: of.mtimeMs / 1000 });

type Listing = ReadonlyMap<string, FileStat>;

interface FileCopy {
  readonly from: string;
  readonly to: string;
  /** Known when it is needed. */
  readonly found: Stats | undefined;
  /** What the server has there, when that was asked. */
  readonly before: FileStat | undefined;
  readonly isNew: boolean;
}

class TreeUpload {
  readonly #lanes: Lanes;
  readonly #sftp: Sftp;
  readonly #options: TreeOptions;
  readonly #tally: Tally;
  readonly #slots: TransferSlots;
  readonly #sources: SharedFiles;
  readonly #intoNew: UploadOptions;
  readonly #intoOld: UploadOptions;
  readonly #pending: Pending[] = [];
  readonly #made: Pending[] = [];
  #looked = 0;
  /** Those that were not there before. */
  readonly #new = new Set<Pending>();
  /** For deleting, by remote directory: what only the server has. */
  readonly #extra = new Map<string, Map<string, FileStat>>();

  constructor(lanes: Lanes, slots: TransferSlots, options: TreeOptions) {
    this.#lanes = lanes;
    this.#sftp = lanes.first;
    this.#options = options;
    this.#tally = new Tally(options);
    this.#slots = slots;
    // What is opened for one receiver alone is not kept.
    this.#sources = options.sources ?? new SharedFiles(1, 1);
    this.#intoOld = fileOptions(options);
    this.#intoNew = { ...this.#intoOld, isNew: true };
  }

  async run(source: string, remote: string, root: Stats): Promise<TreeResult> {
    const tally = this.#tally;
    const { sync } = this.#options;
    this.#pending.push({ from: source, to: remote, depth: 0, mode: root.mode, times: timesOf(root) });
    for (let next = this.#pending.pop(); next && !tally.fatal; next = this.#pending.pop()) {
      const directory = next;
      await tally.attempt(directory.from, () => this.#directory(directory));
    }
    await this.#slots.idle();
    if (sync?.delete && tally.failed === 0) {
      for (const [directory, extra] of this.#extra) await tally.attempt(directory, () => this.#prune(directory, extra));
    }
    if (!sync?.dryRun) {
      for (const directory of this.#made.reverse()) {
        await tally.attempt(directory.from, () => finishRemote(this.#sftp, directory, this.#options));
      }
    }
    return tally.result();
  }

  async #directory(directory: Pending): Promise<void> {
    const tally = this.#tally;
    const { sync } = this.#options;
    if (!sync?.dryRun && (await makeRemote(this.#sftp, directory, this.#options))) this.#new.add(directory);
    this.#made.push(directory);
    tally.directories++;
    const there = sync ? await listRemote(this.#sftp, directory.to, this.#options) : undefined;
    const extra = new Map(there);
    for (const [name, entry] of localEntries(directory.from)) {
      if (tally.fatal) return;
      extra.delete(name);
      const from = join(directory.from, name);
      try {
        await this.#entry(directory, from, joinRemote(directory.to, name), entry, there?.get(name));
      } catch (error) {
        tally.fail(from, error);
      }
      if (++this.#looked % AT_ONCE === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
    if (sync?.delete) this.#extra.set(directory.to, extra);
  }

  /** Gives a promise when there is something to wait for before the next one. */
  #entry(
    parent: Pending,
    from: string,
    to: string,
    entry: Dirent,
    before: FileStat | undefined,
  ): Promise<void> | undefined {
    this.#tally.entry(parent.depth);
    const isNew = this.#new.has(parent);
    // What a plain copy has to know of a file it learns when it opens it.
    if (entry.isFile() && !this.#options.sync) return this.#start({ from, to, found: undefined, before, isNew });
    const found = lookLocal(from);
    return this.#found({ from, to, found, before, isNew }, parent.depth);
  }

  async #found(file: FileCopy, depth: number): Promise<void> {
    const { from, to } = file;
    let { found } = file;
    if (found?.isSymbolicLink() && this.#options.links === 'follow') found = await local(from, stat(toLocal(from)));
    if (found?.isDirectory())
      this.#pending.push({ from, to, depth: depth + 1, mode: found.mode, times: timesOf(found) });
    else if (found?.isFile()) await this.#start({ ...file, found });
    else this.#tally.skipped++;
  }

  /** Begins a file as soon as it may, and does not wait for its end. */
  #start(file: FileCopy): Promise<void> | undefined {
    const busy = this.#slots.take();
    if (busy) return busy.then(() => void this.#file(file));
    void this.#file(file);
    return undefined;
  }

  /** In a slot, which it gives back; never fails. */
  async #file({ from, to, found, before, isNew }: FileCopy): Promise<void> {
    const tally = this.#tally;
    const { sync } = this.#options;
    try {
      if (tally.fatal) return;
      if (before && found && (await this.#isSame(from, to, found, before))) tally.unchanged++;
      else if (sync?.dryRun) tally.copied({ from, to, size: found?.size ?? 0 });
      else tally.copied({ from, to, size: await this.#send(from, to, isNew) });
    } catch (error) {
      tally.fail(from, error);
    } finally {
      this.#slots.give();
    }
  }

  async #send(from: string, to: string, isNew: boolean): Promise<number> {
    const taken = this.#sources.take(from);
    const { size } = taken.file;
    try {
      const full = this.#slots.takeRoom(size);
      if (full) await full;
      try {
        await upload(this.#lanes, taken.file, to, isNew ? this.#intoNew : this.#intoOld);
        return size;
      } finally {
        this.#slots.giveRoom(size);
      }
    } finally {
      this.#sources.give(taken);
    }
  }

  async #isSame(from: string, to: string, found: Stats, before: FileStat): Promise<boolean> {
    if (before.kind !== 'file' || before.size !== found.size) return false;
    if (this.#options.sync?.compare === 'content') return sameContent(this.#sftp, to, from, found.size, this.#options);
    return before.mtime === Math.floor(found.mtimeMs / 1000);
  }

  async #prune(directory: string, extra: Listing): Promise<void> {
    for (const [name, found] of extra) {
      const path = joinRemote(directory, name);
      if (!this.#options.sync?.dryRun) await this.#remove(path, found.kind, 0);
      this.#tally.gone(path);
    }
  }

  async #remove(path: string, kind: FileStat['kind'], depth: number): Promise<void> {
    this.#tally.entry(depth);
    const known = kind === 'unknown' ? (await this.#sftp.lstat(path, this.#options)).kind : kind;
    if (known !== 'directory') return this.#sftp.remove(path, this.#options);
    for (const [name, found] of await listRemote(this.#sftp, path, this.#options)) {
      await this.#remove(joinRemote(path, name), found.kind, depth + 1);
    }
    await this.#sftp.rmdir(path, this.#options);
  }
}

/** What a remote directory holds; nothing when there is none. Names that are paths are no entries of it. */
async function listRemote(sftp: Sftp, directory: string, options: SftpCallOptions): Promise<Map<string, FileStat>> {
  const entries = new Map<string, FileStat>();
  try {
    for await (const { name, stat } of sftp.readdir(directory, options)) {
      if (name !== '' && !name.includes('/')) entries.set(name, stat);
    }
  } catch (error) {
    if (!hasStatus(error, 'noSuchFile')) throw error;
  }
  return entries;
}

/** Gives whether it was made now. */
async function makeRemote(sftp: Sftp, { to, mode }: Pending, options: SftpCallOptions): Promise<boolean> {
  try {
    await sftp.mkdir(to, { ...options, permissions: ((mode ?? 0o777) & 0o777) | 0o700 });
    return true;
  } catch (error) {
    // Version 3 has no "exists already": look.
    if (!hasStatus(error, 'failure', 'permissionDenied')) throw error;
    const there = await sftp.stat(to, options).catch(() => undefined);
    if (there?.kind !== 'directory') throw error;
    return false;
  }
}

async function finishRemote(sftp: Sftp, { to, mode, times }: Pending, options: TreeOptions): Promise<void> {
  const preserve = options.preserve || options.sync;
  const bits = mode !== undefined && (preserve || (mode & 0o700) !== 0o700) ? { mode: mode & 0o777 } : {};
  const change = { ...bits, ...(preserve && times ? times : {}) };
  if (Object.keys(change).length > 0) await sftp.setStat(to, change, options);
}
