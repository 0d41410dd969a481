/**
 * A remote directory into a local one: several files in flight, each as `download` does one. Nothing is ever written
 * outside the target, whatever a server calls its files: names are single components, links of the server are followed
 * on the server or left out, links in the local tree are not followed.
 */

import type { Stats } from 'node:fs';
import { opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SshError } from '../../protocol/index.ts';
import type { DirectoryEntry } from './directory.ts';
import { download } from './download.ts';
import { finishLocal, makeLocal } from './local-directory.ts';
import { local, lookLocal } from './local-file.ts';
import { fromLocal, joinRemote, safeName, toLocal } from './safe-names.ts';
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
  const askedAt = performance.now();
  const root = await sftp.stat(remote, options);
  const roundTrip = performance.now() - askedAt;
  if (root.kind !== 'directory')
    throw new SshError('sftp', `${remote} is no directory`, { by: 'peer', detail: { path: remote } });
  const slots = new TransferSlots(await filesAtOnce(sftp, options));
  slots.measured(roundTrip);
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
  readonly #pending: Pending[] = [];
  readonly #made: Pending[] = [];
  /** For deleting: what the server has, by local directory. */
  readonly #seen = new Map<string, Set<string>>();

  constructor(sftp: Sftp, slots: TransferSlots, options: TreeOptions) {
    this.#sftp = sftp;
    this.#options = options;
    this.#tally = new Tally(options);
    this.#slots = slots;
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
    for await (const found of this.#sftp.readdir(directory.from, this.#options)) {
      if (tally.fatal) return;
      if (sync?.delete) names.add(found.name);
      await tally.attempt(joinRemote(directory.from, found.name), () => this.#entry(directory, found));
    }
    if (sync?.delete) this.#seen.set(directory.to, names);
  }

  async #entry(parent: Pending, found: DirectoryEntry): Promise<void> {
    const tally = this.#tally;
    tally.entry(parent.depth);
    const from = joinRemote(parent.from, safeName(found.name));
    const to = join(parent.to, found.name);
    let { stat } = found;
    // Servers need not tell kinds in listings; links tell what they lead to only when asked.
    if (stat.kind === 'unknown') stat = await this.#sftp.lstat(from, this.#options);
    if (stat.kind === 'link' && this.#options.links === 'follow') stat = await this.#sftp.stat(from, this.#options);
    if (stat.kind === 'directory') {
      this.#pending.push({ from, to, depth: parent.depth + 1, mode: stat.mode, times: timesOf(stat) });
    } else if (stat.kind === 'file') {
      const file = stat;
      await this.#slots.run(async () => void (await tally.attempt(from, () => this.#file(from, to, file))));
    } else {
      tally.skipped++;
    }
  }

  async #file(from: string, to: string, stat: FileStat): Promise<void> {
    const tally = this.#tally;
    const { sync } = this.#options;
    if (sync && (await this.#isSame(from, to, stat))) {
      tally.unchanged++;
    } else if (sync?.dryRun) {
      tally.copied({ from, to, size: stat.size ?? 0 });
    } else {
      const options = { ...fileOptions(this.#options), stat, followTarget: false };
      const { size } = await this.#slots.move(stat.size || UNKNOWN_BYTES, () =>
        download(this.#sftp, from, to, options),
      );
      tally.copied({ from, to, size });
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
    // As bytes, whatever node's types say of it.
    const encoding = 'buffer' as BufferEncoding;
    if (!lookLocal(directory)) return;
    for await (const found of await local(directory, opendir(toLocal(directory), { encoding }))) {
      const name = fromLocal(found.name as unknown as Uint8Array);
      if (names.has(name)) continue;
      const path = join(directory, name);
      if (!this.#options.sync?.dryRun) await local(path, rm(toLocal(path), { recursive: true }));
      this.#tally.gone(path);
    }
  }
}
