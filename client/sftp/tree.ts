/**
 * Whole directories, either way: several files in flight, each as `download` and `upload` do one. One file's failure is
 * noted and the rest goes on. Nothing is ever written outside the target, whatever a server calls its files: names are
 * single components, links of the server are followed on the server or left out, links in the local tree are not followed.
 */

import { chmod, mkdir, opendir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { limits, SshError } from '../../protocol/index.ts';
import type { DirectoryEntry } from './directory.ts';
import { download } from './download.ts';
import { fileError, local, lookLocal } from './local-file.ts';
import { fromLocal, joinRemote, safeName, toLocal } from './safe-names.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';
import { TransferSlots } from './slots.ts';
import type { FileStat } from './stat.ts';
import { hasStatus, Lanes, type TransferProgress } from './transfer.ts';
import { upload } from './upload.ts';

export interface TreeOptions extends SftpCallOptions {
  /** Symbolic links: left out (the default), or copied as what they lead to. */
  readonly links?: 'skip' | 'follow' | undefined;
  /** Files at a time, 16 when not given. */
  readonly files?: number | undefined;
  readonly preserve?: boolean | undefined;
  readonly resume?: boolean | undefined;
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /** Called for each entry that could not be copied; the rest goes on. */
  readonly onFailure?: ((failure: TreeFailure) => void) | undefined;
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
  /** The first of them. */
  readonly failures: readonly TreeFailure[];
}

const FILES = 16;
const FAILURES_KEPT = 100;

/** What both directions count and how they go on after a failure. */
class Tally {
  files = 0;
  directories = 0;
  bytes = 0;
  skipped = 0;
  failed = 0;
  #entries = 0;
  readonly failures: TreeFailure[] = [];
  readonly #options: TreeOptions;
  /** What ends the whole copy. */
  fatal: SshError | undefined;

  constructor(options: TreeOptions) {
    this.#options = options;
  }

  /** Runs `work`; its failure is noted for `path`, or ends everything when nothing else can go well. */
  async attempt(path: string, work: () => Promise<void>): Promise<void> {
    if (this.fatal) return;
    try {
      await work();
    } catch (cause) {
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
  }

  entry(depth: number): void {
    this.#entries++;
    if (this.#entries > limits.sftpTreeEntries) throw tooMuch('sftpTreeEntries');
    if (depth > limits.sftpTreeDepth) throw tooMuch('sftpTreeDepth');
  }

  result(): TreeResult {
    if (this.fatal) throw this.fatal;
    const { files, directories, bytes, skipped, failed, failures } = this;
    return { files, directories, bytes, skipped, failed, failures };
  }
}

const tooMuch = (limit: 'sftpTreeEntries' | 'sftpTreeDepth'): SshError =>
  new SshError('limit', `the tree has no end: more than ${limits[limit]}`, { by: 'peer', detail: { limit } });

interface Pending {
  readonly from: string;
  readonly to: string;
  readonly depth: number;
  /** Of the source directory; what its copy is to have in the end. */
  readonly mode: number | undefined;
  readonly times: { readonly atime: number; readonly mtime: number } | undefined;
}

const timesOf = (from: FileStat): Pending['times'] =>
  from.mtime === undefined ? undefined : { atime: from.atime ?? from.mtime, mtime: from.mtime };

/** The content of the remote directory `remote` into the local directory `target`, which is made when missing. */
export async function downloadTree(
  sftp: Sftp,
  remote: string,
  target: string,
  options: TreeOptions = {},
): Promise<TreeResult> {
  const tally = new Tally(options);
  const slots = new TransferSlots(await filesAtOnce(sftp, options));
  const root = await sftp.stat(remote, options);
  if (root.kind !== 'directory')
    throw new SshError('sftp', `${remote} is no directory`, { by: 'peer', detail: { path: remote } });
  const first: Pending = { from: remote, to: target, depth: 0, mode: root.mode, times: timesOf(root) };
  const pending: Pending[] = [first];
  const made: Pending[] = [];

  const entry = async (parent: Pending, found: DirectoryEntry): Promise<void> => {
    tally.entry(parent.depth);
    const from = joinRemote(parent.from, safeName(found.name));
    const to = join(parent.to, found.name);
    let { stat } = found;
    // Servers need not tell kinds in listings; links tell what they lead to only when asked.
    if (stat.kind === 'unknown') stat = await sftp.lstat(from, options);
    if (stat.kind === 'link' && options.links === 'follow') stat = await sftp.stat(from, options);
    if (stat.kind === 'directory') {
      pending.push({ from, to, depth: parent.depth + 1, mode: stat.mode, times: timesOf(stat) });
    } else if (stat.kind === 'file') {
      await slots.run(() =>
        tally.attempt(from, async () => {
          const { size } = await download(sftp, from, to, { ...options, stat, followTarget: false });
          tally.files++;
          tally.bytes += size;
        }),
      );
    } else {
      tally.skipped++;
    }
  };

  for (let next = pending.pop(); next && !tally.fatal; next = pending.pop()) {
    const directory = next;
    await tally.attempt(directory.from, async () => {
      await makeLocal(directory, directory === first);
      made.push(directory);
      tally.directories++;
      for await (const found of sftp.readdir(directory.from, options)) {
        if (tally.fatal) return;
        await tally.attempt(joinRemote(directory.from, found.name), () => entry(directory, found));
      }
    });
  }
  await slots.idle();
  // The deepest first: making entries changes times, and a directory may forbid it.
  for (const directory of made.reverse()) await tally.attempt(directory.to, () => finishLocal(directory, options));
  return tally.result();
}

async function filesAtOnce(sftp: Sftp, options: TreeOptions): Promise<number> {
  const { handles } = await sftp.limits();
  // One handle is the listing's.
  return Math.min(options.files ?? FILES, handles === undefined ? Number.POSITIVE_INFINITY : handles - 1);
}

/** The target itself may be a link: the user said so. Below it nothing is followed. */
async function makeLocal({ to, mode }: Pending, isRoot: boolean): Promise<void> {
  const there = isRoot ? await stat(toLocal(to)).catch(() => undefined) : await lookLocal(to);
  if (there?.isDirectory()) return;
  if (there)
    throw new SshError('file', `${to} is in the way: no directory`, { detail: { path: to, errno: 'ENOTDIR' } });
  await local(to, mkdir(toLocal(to), { recursive: isRoot, mode: ((mode ?? 0o777) & 0o777) | 0o700 }));
}

async function finishLocal({ to, mode, times }: Pending, options: TreeOptions): Promise<void> {
  if (mode !== undefined && (options.preserve || (mode & 0o700) !== 0o700)) {
    await local(to, chmod(toLocal(to), mode & 0o777));
  }
  if (options.preserve && times) await local(to, utimes(toLocal(to), times.atime, times.mtime));
}

/** The content of the local directory `source` into the remote directory `remote`, which is made when missing. */
export async function uploadTree(
  to: Sftp | Lanes,
  source: string,
  remote: string,
  options: TreeOptions = {},
): Promise<TreeResult> {
  const lanes = to instanceof Lanes ? to : new Lanes(to);
  const sftp = lanes.first;
  const tally = new Tally(options);
  const slots = new TransferSlots(await filesAtOnce(sftp, options));
  const root = await local(source, stat(toLocal(source)));
  if (!root.isDirectory()) throw fileError(new Error('no directory'), source);
  const pending: Pending[] = [{ from: source, to: remote, depth: 0, mode: root.mode, times: localTimes(root) }];
  const made: Pending[] = [];

  const entry = async (parent: Pending, name: string): Promise<void> => {
    tally.entry(parent.depth);
    const from = join(parent.from, name);
    const path = joinRemote(parent.to, name);
    let found = await lookLocal(from);
    if (found?.isSymbolicLink() && options.links === 'follow') found = await local(from, stat(toLocal(from)));
    if (found?.isDirectory()) {
      pending.push({ from, to: path, depth: parent.depth + 1, mode: found.mode, times: localTimes(found) });
    } else if (found?.isFile()) {
      await slots.run(() =>
        tally.attempt(from, async () => {
          const { size } = await upload(lanes, from, path, options);
          tally.files++;
          tally.bytes += size;
        }),
      );
    } else {
      tally.skipped++;
    }
  };

  for (let next = pending.pop(); next && !tally.fatal; next = pending.pop()) {
    const directory = next;
    await tally.attempt(directory.from, async () => {
      await makeRemote(sftp, directory, options);
      made.push(directory);
      tally.directories++;
      // As bytes, whatever node's types say of it.
      const encoding = 'buffer' as BufferEncoding;
      for await (const found of await local(directory.from, opendir(toLocal(directory.from), { encoding }))) {
        if (tally.fatal) return;
        const name = fromLocal(found.name as unknown as Uint8Array);
        await tally.attempt(join(directory.from, name), () => entry(directory, name));
      }
    });
  }
  await slots.idle();
  for (const directory of made.reverse()) {
    await tally.attempt(directory.from, () => finishRemote(sftp, directory, options));
  }
  return tally.result();
}

const localTimes = (of: { atimeMs: number; mtimeMs: number }): Pending['times'] => ({
  atime: of.atimeMs / 1000,
  mtime: of.mtimeMs / 1000,
});

async function makeRemote(sftp: Sftp, { to, mode }: Pending, options: TreeOptions): Promise<void> {
  try {
    await sftp.mkdir(to, { ...options, permissions: ((mode ?? 0o777) & 0o777) | 0o700 });
  } catch (error) {
    // Version 3 has no "exists already": look.
    if (!hasStatus(error, 'failure', 'permissionDenied')) throw error;
    const there = await sftp.stat(to, options).catch(() => undefined);
    if (there?.kind !== 'directory') throw error;
  }
}

async function finishRemote(sftp: Sftp, { to, mode, times }: Pending, options: TreeOptions): Promise<void> {
  const bits = mode !== undefined && (options.preserve || (mode & 0o700) !== 0o700) ? { mode: mode & 0o777 } : {};
  const change = { ...bits, ...(options.preserve && times ? times : {}) };
  if (Object.keys(change).length > 0) await sftp.setStat(to, change, options);
}
