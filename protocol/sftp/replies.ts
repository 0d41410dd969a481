/**
 * What comes back from an SFTP server, in the client's terms: the replies `SftpClient.poll` gives, and how a packet
 * becomes one (draft-ietf-secsh-filexfer-02 section 7). A packet that does not answer what was asked ends the session;
 * a status other than OK fails its request only.
 */

import { protocolError, SshError } from '../errors.ts';
import type { SftpAttrs } from './attrs.ts';
import { type AnsweredExtension, type ExtensionReply, extensions } from './extensions.ts';
import { type ExtensionPair, type NameEntry, type RequestName, replies, sftpStatus } from './messages.ts';

export type SftpReply =
  | { readonly kind: 'version'; readonly version: number; readonly extensions: readonly ExtensionPair[] }
  | ({ readonly id: number } & SftpAnswer);

export type SftpAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'handle'; readonly handle: Uint8Array }
  /** `data` lies in the buffer given to `read`, else it is a view of received memory: use it before more is received. */
  | { readonly kind: 'data'; readonly data: Uint8Array }
  | { readonly kind: 'eof' }
  | { readonly kind: 'names'; readonly names: readonly NameEntry[] }
  | { readonly kind: 'attrs'; readonly attrs: SftpAttrs }
  | ExtendedAnswer
  | { readonly kind: 'failed'; readonly error: SshError };

export type ExtendedAnswer = {
  [K in AnsweredExtension]: { readonly kind: 'extended'; readonly extension: K; readonly values: ExtensionReply<K> };
}[AnsweredExtension];

/** Where the data of a read goes: memory, or what gives it when data is there, so that what is only asked for takes none. */
export type ReadTarget = Uint8Array | (() => Uint8Array);

export interface PendingRequest {
  readonly operation: RequestName | keyof typeof extensions;
  /** The answer that is no status; `status` when only a status can come. */
  readonly expects: 'status' | 'handle' | 'data' | 'names' | 'attrs' | AnsweredExtension;
  readonly path?: string | undefined;
  /** Bytes asked for by a read, and where they are to go. */
  readonly length?: number | undefined;
  into?: ReadTarget | undefined;
}

const statusNames = Object.entries(sftpStatus);
/** The name of a status number, `status 17` for those version 3 does not know. */
export const statusName = (code: number): string =>
  statusNames.find(([, value]) => value === code)?.[0] ?? `status ${code}`;

export function statusError(code: number, text: string, pending: PendingRequest): SshError {
  const { operation, path } = pending;
  return new SshError('sftp', `${operation}${path === undefined ? '' : ` ${path}`}: ${text || statusName(code)}`, {
    by: 'peer',
    detail: { status: code, text, operation, ...(path === undefined ? {} : { path }) },
  });
}

export function decodeReply(type: number, payload: Uint8Array, pending: PendingRequest): SftpAnswer {
  if (type === replies.status.number) {
    const { code, text } = replies.status.decode(payload);
    if (code === sftpStatus.ok && pending.expects === 'status') return { kind: 'done' };
    if (code === sftpStatus.eof && (pending.expects === 'data' || pending.operation === 'readdir'))
      return { kind: 'eof' };
    return { kind: 'failed', error: statusError(code, text, pending) };
  }
  switch (pending.expects) {
    case 'handle':
      // A copy, which `slice` of a Buffer would not be.
      if (type === replies.handle.number)
        return { kind: 'handle', handle: new Uint8Array(replies.handle.decode(payload).handle) };
      break;
    case 'data':
      if (type === replies.data.number) return dataAnswer(replies.data.decode(payload).data, pending);
      break;
    case 'names':
      if (type === replies.names.number) return { kind: 'names', names: replies.names.decode(payload).names };
      break;
    case 'attrs':
      if (type === replies.attrs.number) return { kind: 'attrs', attrs: replies.attrs.decode(payload).attrs };
      break;
    case 'status':
      break;
    default:
      if (type === replies.extended.number)
        return extendedAnswer(pending.expects, replies.extended.decode(payload).body);
  }
  throw protocolError(`SFTP packet ${type} in answer to ${pending.operation}`);
}

/** The first `length` bytes of where a read goes. */
export function memoryOf(into: ReadTarget, length: number): Uint8Array {
  const memory = typeof into === 'function' ? into() : into;
  if (memory.length < length) throw new SshError('usage', `${length} bytes do not fit in ${memory.length}`);
  return memory.subarray(0, length);
}

function dataAnswer(data: Uint8Array, { length, into }: PendingRequest): SftpAnswer {
  if (data.length > length!) throw protocolError(`SFTP read of ${length} bytes answered with ${data.length}`);
  // Nothing at all where EOF is due: some servers do, and a reader that asked again would never end.
  if (data.length === 0) return { kind: 'eof' };
  if (!into) return { kind: 'data', data };
  const memory = memoryOf(into, data.length);
  memory.set(data);
  return { kind: 'data', data: memory };
}

function extendedAnswer(extension: AnsweredExtension, body: Uint8Array): ExtendedAnswer {
  switch (extension) {
    case 'limits':
      return { kind: 'extended', extension, values: extensions.limits.reply.decode(body) };
    case 'statvfs':
    case 'fstatvfs':
      return { kind: 'extended', extension, values: extensions[extension].reply.decode(body) };
    case 'usersGroupsById':
      return { kind: 'extended', extension, values: extensions.usersGroupsById.reply.decode(body) };
  }
}
