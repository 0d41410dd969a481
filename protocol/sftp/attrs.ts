/**
 * ATTRS, the file attributes of SFTP version 3 (draft-ietf-secsh-filexfer-02 section 5): a flag word and the fields it
 * announces. Owner and group travel together, so do the two times. Later versions' flags are not known here.
 */

import { malformed, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Field } from '../wire/fields.ts';
import type { Reader } from '../wire/reader.ts';
import type { Writer } from '../wire/writer.ts';

export interface SftpAttrs {
  readonly size?: bigint;
  readonly uid?: number;
  readonly gid?: number;
  /** st_mode as POSIX has it: type and permission bits. */
  readonly permissions?: number;
  /** Seconds since 1970. */
  readonly atime?: number;
  readonly mtime?: number;
  readonly extended?: readonly { readonly type: string; readonly data: Uint8Array }[];
}

export const attrFlags = {
  size: 0x0000_0001,
  uidGid: 0x0000_0002,
  permissions: 0x0000_0004,
  acModTime: 0x0000_0008,
  extended: 0x8000_0000,
} as const;

/** File types inside `permissions`. */
export const fileTypes = {
  mask: 0o170000,
  socket: 0o140000,
  link: 0o120000,
  file: 0o100000,
  block: 0o060000,
  directory: 0o040000,
  character: 0o020000,
  fifo: 0o010000,
} as const;

export type FileKind = Exclude<keyof typeof fileTypes, 'mask'> | 'unknown';

export function fileKind(permissions: number | undefined): FileKind {
  const type = (permissions ?? 0) & fileTypes.mask;
  for (const kind of Object.keys(fileTypes) as (keyof typeof fileTypes)[]) {
    if (kind !== 'mask' && fileTypes[kind] === type) return kind;
  }
  return 'unknown';
}

function readAttrs(reader: Reader): SftpAttrs {
  const out: { -readonly [K in keyof SftpAttrs]: SftpAttrs[K] } = {};
  const flags = reader.u32();
  if (flags & attrFlags.size) out.size = reader.u64();
  if (flags & attrFlags.uidGid) {
    out.uid = reader.u32();
    out.gid = reader.u32();
  }
  if (flags & attrFlags.permissions) out.permissions = reader.u32();
  if (flags & attrFlags.acModTime) {
    out.atime = reader.u32();
    out.mtime = reader.u32();
  }
  if (flags & attrFlags.extended) {
    const count = reader.u32();
    if (count > limits.sftpExtendedAttrs) throw malformed(`${count} extended attributes`);
    const extended: { type: string; data: Uint8Array }[] = [];
    for (let i = 0; i < count; i++) extended.push({ type: reader.text(), data: new Uint8Array(reader.string()) });
    out.extended = extended;
  }
  return out;
}

/** A pair is sent together or not at all. */
function pair(first: number | undefined, second: number | undefined, what: string): boolean {
  if ((first === undefined) !== (second === undefined)) throw new SshError('usage', `${what} can only be set together`);
  return first !== undefined;
}

function writeAttrs(writer: Writer, attrs: SftpAttrs): void {
  const owner = pair(attrs.uid, attrs.gid, 'uid and gid');
  const times = pair(attrs.atime, attrs.mtime, 'atime and mtime');
  const extended = attrs.extended ?? [];
  writer.u32(
    (attrs.size === undefined ? 0 : attrFlags.size) +
      (owner ? attrFlags.uidGid : 0) +
      (attrs.permissions === undefined ? 0 : attrFlags.permissions) +
      (times ? attrFlags.acModTime : 0) +
      (extended.length === 0 ? 0 : attrFlags.extended),
  );
  if (attrs.size !== undefined) writer.u64(attrs.size);
  if (owner) writer.u32(attrs.uid!).u32(attrs.gid!);
  if (attrs.permissions !== undefined) writer.u32(attrs.permissions);
  if (times) writer.u32(attrs.atime!).u32(attrs.mtime!);
  if (extended.length === 0) return;
  writer.u32(extended.length);
  for (const { type, data } of extended) writer.text(type).string(data);
}

export const attrs: Field<SftpAttrs> = { kind: 'attrs', read: readAttrs, write: writeAttrs };
