/**
 * A local directory into a remote one: several files in flight, each as `upload` does one. Links are left out, or copied
 * as what they lead to; entries that are neither file nor directory are left out.
 */

import type { Dirent, Stats } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, local, lookLocal } from './local-file.ts';
import { fromLocal, joinRemote, toLocal } from './safe-names.ts';
import { sameContent } from './same-content.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';
import { SharedFile } from './shared-file.ts';
import { TransferSlots } from './slots.ts';
import type { FileStat } from './stat.ts';
import { hasStatus, Lanes, type TransferResult } from './transfer.ts';
import { fileOptions, filesAtOnce, type Pending, Tally, type TreeOptions, type TreeResult } from './tree.ts';
import { upload } from './upload.ts';

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
  readonly #pending: Pending[] = [];
  readonly #made: Pending[] = [];
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
    if (!sync?.dryRun) {
      const askedAt = performance.now();
      const isNew = await makeRemote(this.#sftp, directory, this.#options);
      this.#slots.measured(performance.now() - askedAt);
      if (isNew) this.#new.add(directory);
    }
    this.#made.push(directory);
    tally.directories++;
    const there = sync ? await listRemote(this.#sftp, directory.to, this.#options) : undefined;
    const extra = new Map(there);
    // As bytes, whatever node's types say of it.
    const encoding = 'buffer' as BufferEncoding;
    for await (const found of await local(directory.from, opendir(toLocal(directory.from), { encoding }))) {
      if (tally.fatal) return;
      const name = fromLocal(found.name as unknown as Uint8Array);
      extra.delete(name);
      await tally.attempt(join(directory.from, name), () => this.#entry(directory, name, found, there));
    }
    if (sync?.delete) this.#extra.set(directory.to, extra);
  }

  async #entry(parent: Pending, name: string, entry: Dirent, there: Listing | undefined): Promise<void> {
    const tally = this.#tally;
    tally.entry(parent.depth);
    const from = join(parent.from, name);
    const to = joinRemote(parent.to, name);
    // What a plain copy has to know of a file it learns when it opens it.
    const isPlain = entry.isFile() && !this.#options.sync;
    let found = isPlain ? undefined : lookLocal(from);
    if (found?.isSymbolicLink() && this.#options.links === 'follow') found = await local(from, stat(toLocal(from)));
    if (found?.isDirectory()) {
      this.#pending.push({ from, to, depth: parent.depth + 1, mode: found.mode, times: timesOf(found) });
    } else if (isPlain || found?.isFile()) {
      const file = { from, to, found, before: there?.get(name), isNew: this.#new.has(parent) };
      await this.#slots.run(async () => void (await tally.attempt(from, () => this.#file(file))));
    } else {
      tally.skipped++;
    }
  }

  async #file({ from, to, found, before, isNew }: FileCopy): Promise<void> {
    const tally = this.#tally;
    const { sync, sources } = this.#options;
    if (before && found && (await this.#isSame(from, to, found, before))) {
      tally.unchanged++;
    } else if (sync?.dryRun) {
      tally.copied({ from, to, size: found?.size ?? 0 });
    } else {
      const options = { ...fileOptions(this.#options), isNew };
      const send = (file: SharedFile): Promise<TransferResult> =>
        this.#slots.move(file.size, () => upload(this.#lanes, file, to, options));
      const { size } = await (sources ? sources.use(from, send) : SharedFile.use(from, send));
      tally.copied({ from, to, size });
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
