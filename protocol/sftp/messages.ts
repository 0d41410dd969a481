/**
 * Every packet of SFTP version 3 (draft-ietf-secsh-filexfer-02), one definition each. On the wire a packet is
 * `uint32 length | byte type | body`; all but INIT and VERSION begin their body with a request id. Definitions cover
 * type and body; `frame` adds the length. Extended requests and their replies are in `extensions.ts`.
 */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { type Field, rest, string, u32, u64 } from '../wire/fields.ts';
import {
  type AnyFields,
  defineMessage,
  type MessageDefinition,
  type MessageOf,
  type ValuesOf,
  writeFields,
} from '../wire/message.ts';
import { getU32, Writer } from '../wire/writer.ts';
import { attrs, type SftpAttrs } from './attrs.ts';
import { decodeName, encodeName, fileName } from './names.ts';

export const SFTP_VERSION = 3;

/** Section 7. */
export const sftpStatus = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** Section 6.3. */
export const openFlags = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

export interface NameEntry {
  /** A name as `names.ts` maps it; whatever the server sent, `..` and slashes included. */
  readonly name: string;
  /** A line like `ls -l`, for people. */
  readonly longName: string;
  readonly attrs: SftpAttrs;
}

/** Section 7: the count and the entries of SSH_FXP_NAME. */
const nameEntries: Field<readonly NameEntry[]> = {
  kind: 'names',
  read(reader) {
    const count = reader.u32();
    // An entry is two lengths and a flag word at least.
    if (count > reader.remaining / 12) throw malformed(`${count} names in ${reader.remaining} bytes`);
    const out: NameEntry[] = [];
    for (let i = 0; i < count; i++) {
      out.push({
        name: decodeName(reader.string()),
        longName: decodeName(reader.string()),
        attrs: attrs.read(reader),
      });
    }
    return out;
  },
  write(writer, entries) {
    writer.u32(entries.length);
    for (const entry of entries) {
      writer.string(encodeName(entry.name)).string(encodeName(entry.longName));
      attrs.write(writer, entry.attrs);
    }
  },
};

export interface ExtensionPair {
  readonly name: string;
  readonly data: string;
}

/** Section 4: pairs up to the end of the packet. */
const extensionPairs: Field<readonly ExtensionPair[]> = {
  kind: 'extension pairs',
  read(reader) {
    const out: ExtensionPair[] = [];
    while (reader.remaining > 0) {
      if (out.length === limits.sftpExtensions) throw malformed(`more than ${out.length} extensions`);
      out.push({ name: reader.text(), data: reader.text() });
    }
    return out;
  },
  write(writer, pairs) {
    for (const { name, data } of pairs) writer.text(name).text(data);
  },
};

/** Section 7: message and language came with version 3; servers that leave them out are understood. */
const statusText: Field<string> = {
  kind: 'status text',
  read(reader) {
    if (reader.remaining === 0) return '';
    const text = reader.string();
    reader.rest();
    return decodeName(text.subarray(0, limits.sftpStatusText));
  },
  write: (writer, value) => void writer.string(encodeName(value)).text(''),
};

/** Section 6.2: a handle is at most 256 bytes. */
const handle: Field<Uint8Array> = {
  kind: 'handle',
  read: (reader) => reader.string(limits.sftpHandleBytes),
  write: (writer, value) => void writer.string(value),
};

const id = u32;

export const init = defineMessage(1, 'SSH_FXP_INIT', { version: u32, extensions: extensionPairs });
export const version = defineMessage(2, 'SSH_FXP_VERSION', { version: u32, extensions: extensionPairs });

/** Section 6; the keys name the requests everywhere else. */
export const requests = {
  open: defineMessage(3, 'SSH_FXP_OPEN', { id, path: fileName, flags: u32, attrs }),
  close: defineMessage(4, 'SSH_FXP_CLOSE', { id, handle }),
  read: defineMessage(5, 'SSH_FXP_READ', { id, handle, offset: u64, length: u32 }),
  write: defineMessage(6, 'SSH_FXP_WRITE', { id, handle, offset: u64, data: string }),
  lstat: defineMessage(7, 'SSH_FXP_LSTAT', { id, path: fileName }),
  fstat: defineMessage(8, 'SSH_FXP_FSTAT', { id, handle }),
  setstat: defineMessage(9, 'SSH_FXP_SETSTAT', { id, path: fileName, attrs }),
  fsetstat: defineMessage(10, 'SSH_FXP_FSETSTAT', { id, handle, attrs }),
  opendir: defineMessage(11, 'SSH_FXP_OPENDIR', { id, path: fileName }),
  readdir: defineMessage(12, 'SSH_FXP_READDIR', { id, handle }),
  remove: defineMessage(13, 'SSH_FXP_REMOVE', { id, path: fileName }),
  mkdir: defineMessage(14, 'SSH_FXP_MKDIR', { id, path: fileName, attrs }),
  rmdir: defineMessage(15, 'SSH_FXP_RMDIR', { id, path: fileName }),
  realpath: defineMessage(16, 'SSH_FXP_REALPATH', { id, path: fileName }),
  stat: defineMessage(17, 'SSH_FXP_STAT', { id, path: fileName }),
  rename: defineMessage(18, 'SSH_FXP_RENAME', { id, oldPath: fileName, newPath: fileName }),
  readlink: defineMessage(19, 'SSH_FXP_READLINK', { id, path: fileName }),
  /** The draft sends the link first; OpenSSH, and after it nearly everyone, the target (PROTOCOL section 4.1). */
  symlink: defineMessage(20, 'SSH_FXP_SYMLINK', { id, target: fileName, link: fileName }),
  extended: defineMessage(200, 'SSH_FXP_EXTENDED', { id, name: fileName, body: rest }),
} as const;

/** Section 7 and, for the last, section 8. */
export const replies = {
  status: defineMessage(101, 'SSH_FXP_STATUS', { id, code: u32, text: statusText }),
  handle: defineMessage(102, 'SSH_FXP_HANDLE', { id, handle }),
  data: defineMessage(103, 'SSH_FXP_DATA', { id, data: string }),
  names: defineMessage(104, 'SSH_FXP_NAME', { id, names: nameEntries }),
  attrs: defineMessage(105, 'SSH_FXP_ATTRS', { id, attrs }),
  extended: defineMessage(201, 'SSH_FXP_EXTENDED_REPLY', { id, body: rest }),
} as const;

export type RequestName = keyof typeof requests;
export type RequestValues<K extends RequestName> = MessageOf<(typeof requests)[K]>;

/** A packet with its length in front. */
export function frame<F extends AnyFields>(definition: MessageDefinition<F>, values: ValuesOf<F>): Uint8Array {
  const writer = new Writer(64);
  writeFrame(writer, definition, values);
  return writer.finish();
}

/** As `frame`, behind what stands in `writer`; nothing is added when it throws. */
export function writeFrame<F extends AnyFields>(
  writer: Writer,
  definition: MessageDefinition<F>,
  values: ValuesOf<F>,
): void {
  const start = writer.length;
  try {
    writer.u32(0).u8(definition.number);
    writeFields(writer, definition.fields, values);
  } catch (error) {
    writer.cut(start);
    throw error;
  }
  writer.setU32(start, writer.length - start - 4);
}

/** A packet that ends in a string which is sent after it, from where it lies: the length and all before that string. */
export function writeFrameHead(
  writer: Writer,
  type: number,
  requestId: number,
  between: (writer: Writer) => unknown,
  length: number,
): void {
  const start = writer.length;
  writer.u32(0).u8(type).u32(requestId);
  between(writer);
  writer.u32(length);
  writer.setU32(start, writer.length - start - 4 + length);
}

/** Type and request id of a packet that has one; the framer lets no shorter one through. */
export const readHead = (payload: Uint8Array): { type: number; id: number } => ({
  type: payload[0]!,
  id: getU32(payload, 1),
});
