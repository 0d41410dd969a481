/**
 * SFTP extensions, one row each: OpenSSH's PROTOCOL sections 4.2-4.9, and copy-data and home-directory of
 * draft-ietf-secsh-filexfer-extensions-00. A row says what the server must list, what the request carries and what
 * answers it. A row is used only when VERSION lists its name with its data.
 */

import { type Field, string, u64 } from '../wire/fields.ts';
import { type AnyFields, type BodyDefinition, defineBody, type ValuesOf } from '../wire/message.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { attrs } from './attrs.ts';
import { fileName } from './names.ts';

/** STATUS, NAME, or EXTENDED_REPLY with this body. */
type ReplyShape = 'status' | 'names' | BodyDefinition<AnyFields>;

export interface ExtensionRow<F extends AnyFields, R extends ReplyShape> {
  readonly name: string;
  /** What VERSION must say for it. */
  readonly data: string;
  readonly request: BodyDefinition<F>;
  readonly reply: R;
}

const row = <F extends AnyFields, R extends ReplyShape>(
  name: string,
  data: string,
  request: F,
  reply: R,
): ExtensionRow<F, R> => ({ name, data, request: defineBody(name, request), reply });

/** A string that holds a sequence of items up to its end. */
function packed<T>(
  kind: string,
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
): Field<readonly T[]> {
  return {
    kind,
    read(outer) {
      const reader = new Reader(outer.string());
      const out: T[] = [];
      while (reader.remaining > 0) out.push(read(reader));
      return out;
    },
    write(outer, values) {
      const writer = new Writer();
      for (const value of values) write(writer, value);
      outer.string(writer.finish());
    },
  };
}

const ids = packed(
  'ids',
  (reader) => reader.u32(),
  (writer, value: number) => void writer.u32(value),
);
const ownerNames = packed(
  'names',
  (reader) => reader.text(),
  (writer, value: string) => void writer.text(value),
);

const volume = defineBody('statvfs reply', {
  blockSize: u64,
  fragmentSize: u64,
  blocks: u64,
  freeBlocks: u64,
  availableBlocks: u64,
  files: u64,
  freeFiles: u64,
  availableFiles: u64,
  id: u64,
  flags: u64,
  maxName: u64,
});
const serverLimits = defineBody('limits reply', { packet: u64, read: u64, write: u64, handles: u64 });
const owners = defineBody('users-groups-by-id reply', { users: ownerNames, groups: ownerNames });

const twoPaths = { oldPath: fileName, newPath: fileName };
const copy = { from: string, fromOffset: u64, length: u64, to: string, toOffset: u64 };

export const extensions = {
  limits: row('limits@openssh.com', '1', {}, serverLimits),
  posixRename: row('posix-rename@openssh.com', '1', twoPaths, 'status'),
  statvfs: row('statvfs@openssh.com', '2', { path: fileName }, volume),
  fstatvfs: row('fstatvfs@openssh.com', '2', { handle: string }, volume),
  hardlink: row('hardlink@openssh.com', '1', twoPaths, 'status'),
  fsync: row('fsync@openssh.com', '1', { handle: string }, 'status'),
  lsetstat: row('lsetstat@openssh.com', '1', { path: fileName, attrs }, 'status'),
  expandPath: row('expand-path@openssh.com', '1', { path: fileName }, 'names'),
  copyData: row('copy-data', '1', copy, 'status'),
  homeDirectory: row('home-directory', '1', { user: fileName }, 'names'),
  usersGroupsById: row('users-groups-by-id@openssh.com', '1', { uids: ids, gids: ids }, owners),
} as const;

export type ExtensionName = keyof typeof extensions;
type RequestOf<Row> = Row extends ExtensionRow<infer F, infer _R> ? ValuesOf<F> : never;
type ReplyOf<Row> = Row extends { reply: BodyDefinition<infer F> } ? ValuesOf<F> : never;
export type ExtensionRequest<K extends ExtensionName> = RequestOf<(typeof extensions)[K]>;
export type ExtensionReply<K extends ExtensionName> = ReplyOf<(typeof extensions)[K]>;
/** The rows that are answered by EXTENDED_REPLY. */
export type AnsweredExtension = 'limits' | 'statvfs' | 'fstatvfs' | 'usersGroupsById';
export type VolumeStatus = ExtensionReply<'statvfs'>;

/** What a server of ours lists. */
export const extensionPairs = (names: readonly ExtensionName[]): { name: string; data: string }[] =>
  names.map((name) => ({ name: extensions[name].name, data: extensions[name].data }));
