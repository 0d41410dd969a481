/** User authentication: RFC 4252 and RFC 4256. Numbers 60 to 79 mean what the method under way says. */

import { bool, nameList, rest, string, text, u32 } from '../wire/fields.ts';
import { defineBody, defineMessage } from '../wire/message.ts';

/** RFC 4252 section 5; `body` is the method's own. */
export const UserauthRequest = defineMessage(50, 'USERAUTH_REQUEST', {
  user: text,
  service: text,
  method: text,
  body: rest,
});
/** RFC 4252 section 5.1 */
export const UserauthFailure = defineMessage(51, 'USERAUTH_FAILURE', { methods: nameList, partialSuccess: bool });
/** RFC 4252 section 5.1 */
export const UserauthSuccess = defineMessage(52, 'USERAUTH_SUCCESS', {});
/** RFC 4252 section 5.4 */
export const UserauthBanner = defineMessage(53, 'USERAUTH_BANNER', { message: string, language: rest });
/** RFC 4252 section 7 */
export const UserauthPkOk = defineMessage(60, 'USERAUTH_PK_OK', { algorithm: text, blob: string });
/** RFC 4252 section 8 */
export const UserauthPasswdChangeReq = defineMessage(60, 'USERAUTH_PASSWD_CHANGEREQ', { prompt: text, language: rest });
/** RFC 4256 section 3.2; `prompts` pairs of (string prompt, boolean echo) follow the count. */
export const UserauthInfoRequest = defineMessage(60, 'USERAUTH_INFO_REQUEST', {
  title: text,
  instruction: text,
  language: text,
  count: u32,
  prompts: rest,
});
/** RFC 4256 section 3.4; `count` strings follow. */
export const UserauthInfoResponse = defineMessage(61, 'USERAUTH_INFO_RESPONSE', { count: u32, responses: rest });

/** RFC 4252 section 7, with and without a signature. */
export const PublicKeyQueryBody = defineBody('publickey query', { signed: bool, algorithm: text, blob: string });
export const PublicKeySignedBody = defineBody('publickey', {
  signed: bool,
  algorithm: text,
  blob: string,
  signature: string,
});
/** OpenSSH PROTOCOL section 1.11: publickey-hostbound-v00@openssh.com */
export const HostboundSignedBody = defineBody('publickey-hostbound', {
  signed: bool,
  algorithm: text,
  blob: string,
  hostKey: string,
  signature: string,
});
/** RFC 4252 section 8 */
export const PasswordBody = defineBody('password', { change: bool, password: text });
export const PasswordChangeBody = defineBody('password change', { change: bool, password: text, newPassword: text });
/** RFC 4256 section 3.1 */
export const KeyboardInteractiveBody = defineBody('keyboard-interactive', { language: text, submethods: text });
/** RFC 4252 section 9 */
export const HostbasedBody = defineBody('hostbased', {
  algorithm: text,
  blob: string,
  clientHost: text,
  clientUser: text,
  signature: string,
});

export const userauthMessages = [
  UserauthRequest,
  UserauthFailure,
  UserauthSuccess,
  UserauthBanner,
  UserauthPkOk,
  UserauthPasswdChangeReq,
  UserauthInfoRequest,
  UserauthInfoResponse,
] as const;
