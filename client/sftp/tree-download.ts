/**
 * A remote directory into a local one: several files in flight, each as `download` does one. Nothing is ever written
 * outside the target, whatever a server calls its files: names are single components, links of the server are followed
 * on the server or left out, links in the local tree are not followed.
 */

import type { Stats } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SshError } from '../../protocol/index.ts';
import type { DirectoryEntry } from './directory.ts';
import { type DownloadOptions, download } from './download.ts';
import { finishLocal, localEntries, makeLocal } from './local-directory.ts';
import { local, lookLocal } from './local-file.ts';
import { joinRemote, safeName, toLocal } from './safe-names.ts';
import { sameContent } from './same-content.ts';
import type { Sftp } from './sftp.ts';
import { TransferSlots } from './slots.ts';
import type { FileStat } from './stat.ts';
import { fileOptions, filesAtOnce, type Pending, Tally, type TreeOptions, type TreeResult } from './tree.ts';

/** The content of the remote directory `remote` into the local directory `target`, which is made when missing. */
export async function downloadTree(
  sftp: Sftp,
  remote: string,
  target: string,
  options: TreeOptions = {},
): Promise<TreeResult> {
  const root = await sftp.stat(remote, options);
  if (root.kind !== 'directory')
    throw new SshError('sftp', `${remote} is no directory`, { by: 'peer', detail: { path: remote } });
  const slots = new TransferSlots(await filesAtOnce(sftp, options));
  return new TreeDownload(sftp, slots, options).run(remote, target, root);
}

const timesOf = (from: FileStat): Pending['times'] =>
  from.mtime === undefined ? undefined : { atime: from.atime ?? from.mtime, mtime: from.mtime };

/** Room for a file whose size the server does not tell, or calls nothing: it is read until it ends. */
const UNKNOWN_BYTES = 1024 * 1024;

class TreeDownload {
  readonly #sftp: Sftp;
  readonly #options: TreeOptions;
  readonly #tally: Tally;
  readonly #slots: TransferSlots;
  readonly #fileOptions: DownloadOptions;
  readonly #pending: Pending[] = [];
  readonly #made: Pending[] = [];
  /** For deleting: what the server has, by local directory. */
  readonly #seen = new Map<string, Set<string>>();

  constructor(sftp: Sftp, slots: TransferSlots, options: TreeOptions) {
    this.#sftp = sftp;
    this.#options = options;
    this.#tally = new Tally(options);
    this.#slots = slots;
    this.#fileOptions = { ...fileOptions(options), followTarget: false };
  }

  async run(remote: string, target: string, root: FileStat): Promise<TreeResult> {
    const tally = this.#tally;
    const { sync } = this.#options;
    const first: Pending = { from: remote, to: target, depth: 0, mode: root.mode, times: timesOf(root) };
    this.#pending.push(first);
    for (let next = this.#pending.pop(); next && !tally.fatal; next = this.#pending.pop()) {
      const directory = next;
      await tally.attempt(directory.from, () => this.#directory(directory, directory === first));
    }
    await this.#slots.idle();
    if (sync?.delete && tally.failed === 0) {
      for (const [directory, names] of this.#seen) await tally.attempt(directory, () => this.#prune(directory, names));
    }
    if (!sync?.dryRun) {
      // The deepest first: making entries changes times, and a directory may forbid it.
      for (const directory of this.#made.reverse()) {
        await tally.attempt(directory.to, () =>
          finishLocal(directory, this.#options.preserve === true || sync !== undefined),
        );
      }
    }
    return tally.result();
  }

  async #directory(directory: Pending, isRoot: boolean): Promise<void> {
    const tally = this.#tally;
    const { sync } = this.#options;
    if (!sync?.dryRun) await makeLocal(directory, isRoot);
    this.#made.push(directory);
    tally.directories++;
    const names = new Set<string>();
    for await (const entries of this.#sftp.readdirInBatches(directory.from, this.#options)) {
      for (const found of entries) {
        if (tally.fatal) return;
        if (sync?.delete) names.add(found.name);
        try {
          await this.#entry(directory, found);
        } catch (error) {
          tally.fail(joinRemote(directory.from, found.name), error);
        }
      }
    }
    if (sync?.delete) this.#seen.set(directory.to, names);
  }

  /** Gives a promise when there is something to wait for before the next one. */
  #entry(parent: Pending, { name, stat }: DirectoryEntry): Promise<void> | undefined {
    this.#tally.entry(parent.depth);
    const from = joinRemote(parent.from, safeName(name));
    const to = join(parent.to, name);
    if (stat.kind === 'file') return this.#start(from, to, stat);
    return this.#found(from, to, stat, parent.depth);
  }

  async #found(from: string, to: string, listed: FileStat, depth: number): Promise<void> {
    let stat = listed;
    // Servers need not tell kinds in listings; links tell what they lead to only when asked.
    if (stat.kind === 'unknown') stat = await this.#sftp.lstat(from, this.#options);
    if (stat.kind === 'link' && this.#options.links === 'follow') stat = await this.#sftp.stat(from, this.#options);
    if (stat.kind === 'directory') {
      this.#pending.push({ from, to, depth: depth + 1, mode: stat.mode, times: timesOf(stat) });
    } else if (stat.kind === 'file') await this.#start(from, to, stat);
    else this.#tally.skipped++;
  }

  /** Begins a file as soon as it may, and does not wait for its end. */
  #start(from: string, to: string, stat: FileStat): Promise<void> | undefined {
    const busy = this.#slots.take();
    if (busy) return busy.then(() => void this.#file(from, to, stat));
    void this.#file(from, to, stat);
    return undefined;
  }

  /** In a slot, which it gives back; never fails. */
  async #file(from: string, to: string, stat: FileStat): Promise<void> {
    const tally = this.#tally;
    const { sync } = this.#options;
    try {
      if (tally.fatal) return;
      if (sync && (await this.#isSame(from, to, stat))) tally.unchanged++;
      else if (sync?.dryRun) tally.copied({ from, to, size: stat.size ?? 0 });
      else tally.copied({ from, to, size: await this.#fetch(from, to, stat) });
    } catch (error) {
      tally.fail(from, error);
    } finally {
      this.#slots.give();
    }
  }

  async #fetch(from: string, to: string, stat: FileStat): Promise<number> {
    const room = stat.size || UNKNOWN_BYTES;
    const full = this.#slots.takeRoom(room);
    if (full) await full;
    try {
      const { size } = await download(this.#sftp, from, to, { ...this.#fileOptions, stat });
      return size;
    } finally {
      this.#slots.giveRoom(room);
    }
  }

  async #isSame(from: string, to: string, stat: FileStat): Promise<boolean> {
    let there: Stats | undefined;
    try {
      there = lookLocal(to);
    } catch {
      return false;
    }
    if (!there?.isFile() || there.size !== stat.size) return false;
    if (this.#options.sync?.compare === 'content') return sameContent(this.#sftp, from, to, there.size, this.#options);
    return Math.floor(there.mtimeMs / 1000) === stat.mtime;
  }

  async #prune(directory: string, names: ReadonlySet<string>): Promise<void> {
    if (!lookLocal(directory)) return;
    for (const [name] of localEntries(directory)) {
      if (names.has(name)) continue;
      const path = join(directory, name);
      if (!this.#options.sync?.dryRun) await local(path, rm(toLocal(path), { recursive: true }));
      this.#tally.gone(path);
    }
  }
}
