/** EXT_INFO (RFC 8308): reading what a peer tells of itself, and what our server role tells. */

import type { CryptoProvider } from '../crypto/provider.ts';
import { malformed } from '../errors.ts';
import { signatureRows } from '../keys/sign.ts';
import { limits } from '../limits.ts';
import { ExtInfo } from '../messages/transport.ts';
import { Reader } from '../wire/reader.ts';
import { encodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';

export const HOSTBOUND_INFO = 'publickey-hostbound@openssh.com';
/** OpenSSH PROTOCOL section 1.10: PING is answered. */
export const PING_INFO = 'ping@openssh.com';
/** RFC 8308 section 3.1 */
export const SIGNATURE_ALGORITHMS_INFO = 'server-sig-algs';

/** Names and values; of a name that stands twice the last one counts. */
export function parseExtInfo(payload: Uint8Array): Map<string, Uint8Array> {
  const { count, pairs } = ExtInfo.decode(payload);
  if (count > limits.extInfoEntries) throw malformed(`EXT_INFO of ${count} entries`);
  const reader = new Reader(pairs);
  const entries = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) entries.set(reader.text(), reader.string());
  reader.end('EXT_INFO');
  return entries;
}

/** A value that is a name-list of its own (RFC 8308 section 3.1 gives it no second length). */
export const nameListOf = (value: Uint8Array): string[] => new Reader(new Writer().string(value).finish()).nameList();

/** What a server says: the signatures it takes, and the OpenSSH extensions it has. */
export function serverExtInfo(crypto: CryptoProvider): Uint8Array {
  const names = signatureRows
    .filter((row) => row.default && !row.certificate && row.available(crypto))
    .map((row) => row.name);
  const version = encodeUtf8('0');
  const pairs = new Writer()
    .text(SIGNATURE_ALGORITHMS_INFO)
    .nameList(names)
    .text(HOSTBOUND_INFO)
    .string(version)
    .text(PING_INFO)
    .string(version)
    .finish();
  return ExtInfo.encode({ count: 3, pairs });
}
