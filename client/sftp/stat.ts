/** File attributes as programs want them: plain numbers, a kind, and only what the server said. */

import { type FileKind, fileKind, type SftpAttrs, SshError } from '../../protocol/index.ts';

export interface FileStat {
  readonly kind: FileKind;
  /** Bytes; undefined when the server did not say. Exact up to 2^53. */
  readonly size: number | undefined;
  /** Permission bits, without the type. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Seconds since 1970. */
  readonly atime: number | undefined;
  readonly mtime: number | undefined;
}

export const toStat = (attrs: SftpAttrs): FileStat => ({
  kind: fileKind(attrs.permissions),
  size: attrs.size === undefined ? undefined : Number(attrs.size),
  mode: attrs.permissions === undefined ? undefined : attrs.permissions & 0o7777,
  uid: attrs.uid,
  gid: attrs.gid,
  atime: attrs.atime,
  mtime: attrs.mtime,
});

/** What can be set. Owner and group only together, so the two times. */
export interface StatChange {
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: number;
  readonly mtime?: number;
}

export function toAttrs(change: StatChange): SftpAttrs {
  const { size, mode, uid, gid, atime, mtime } = change;
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) {
    throw new SshError('usage', `${size} is no file size`);
  }
  return {
    ...(size === undefined ? {} : { size: BigInt(size) }),
    ...(mode === undefined ? {} : { permissions: mode & 0o7777 }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    // Version 3 has 32 bits: seconds outside them are cut to the nearest.
    ...(atime === undefined ? {} : { atime: seconds(atime) }),
    ...(mtime === undefined ? {} : { mtime: seconds(mtime) }),
  };
}

const seconds = (time: number): number => Math.min(Math.max(Math.floor(time), 0), 0xffff_ffff);
