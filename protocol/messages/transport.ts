/** Transport-layer messages: RFC 4253 sections 7 to 12, RFC 8308 (EXT_INFO), OpenSSH PROTOCOL section 1.10 (PING). */

import { bool, nameList, raw, rest, string, text, u32 } from '../wire/fields.ts';
import { defineMessage, type MessageOf } from '../wire/message.ts';

/** RFC 4253 section 11.1 */
export const DisconnectMessage = defineMessage(1, 'DISCONNECT', { reason: u32, description: text, language: rest });
/** RFC 4253 section 11.2 */
export const Ignore = defineMessage(2, 'IGNORE', { data: rest });
/** RFC 4253 section 11.4 */
export const Unimplemented = defineMessage(3, 'UNIMPLEMENTED', { sequence: u32 });
/** RFC 4253 section 11.3 */
export const Debug = defineMessage(4, 'DEBUG', { alwaysDisplay: bool, message: text, language: rest });
/** RFC 4253 section 10 */
export const ServiceRequest = defineMessage(5, 'SERVICE_REQUEST', { service: text });
/** RFC 4253 section 10 */
export const ServiceAccept = defineMessage(6, 'SERVICE_ACCEPT', { service: text });
/** RFC 8308 section 2.3: `count` pairs of name and value follow. */
export const ExtInfo = defineMessage(7, 'EXT_INFO', { count: u32, pairs: rest });
/** RFC 4253 section 7.1 */
export const KexInit = defineMessage(20, 'KEXINIT', {
  cookie: raw(16),
  kex: nameList,
  hostKey: nameList,
  cipherClientToServer: nameList,
  cipherServerToClient: nameList,
  macClientToServer: nameList,
  macServerToClient: nameList,
  compressionClientToServer: nameList,
  compressionServerToClient: nameList,
  languagesClientToServer: nameList,
  languagesServerToClient: nameList,
  firstKexPacketFollows: bool,
  reserved: u32,
});
export type KexInit = MessageOf<typeof KexInit>;
/** RFC 4253 section 7.3 */
export const NewKeys = defineMessage(21, 'NEWKEYS', {});
/** OpenSSH PROTOCOL section 1.10: keystroke-timing chaff asks for an echo. */
export const Ping = defineMessage(192, 'PING', { data: string });
export const Pong = defineMessage(193, 'PONG', { data: string });

export const transportMessages = [
  DisconnectMessage,
  Ignore,
  Unimplemented,
  Debug,
  ServiceRequest,
  ServiceAccept,
  ExtInfo,
  KexInit,
  NewKeys,
  Ping,
  Pong,
] as const;
