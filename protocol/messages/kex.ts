/** Key exchange bodies; numbers 30 to 49 mean what the negotiated method says. */

import { mpint, string, u32 } from '../wire/fields.ts';
import { defineMessage } from '../wire/message.ts';

/** RFC 5656 section 4, RFC 8731, and the hybrid methods: the public values are strings. */
export const KexEcdhInit = defineMessage(30, 'KEX_ECDH_INIT', { clientPublic: string });
export const KexEcdhReply = defineMessage(31, 'KEX_ECDH_REPLY', {
  hostKey: string,
  serverPublic: string,
  signature: string,
});
/** RFC 4253 section 8 */
export const KexDhInit = defineMessage(30, 'KEXDH_INIT', { clientPublic: mpint });
export const KexDhReply = defineMessage(31, 'KEXDH_REPLY', { hostKey: string, serverPublic: mpint, signature: string });
/** RFC 4419 section 3 */
export const KexGexRequest = defineMessage(34, 'KEX_DH_GEX_REQUEST', { min: u32, preferred: u32, max: u32 });
export const KexGexGroup = defineMessage(31, 'KEX_DH_GEX_GROUP', { prime: mpint, generator: mpint });
export const KexGexInit = defineMessage(32, 'KEX_DH_GEX_INIT', { clientPublic: mpint });
export const KexGexReply = defineMessage(33, 'KEX_DH_GEX_REPLY', {
  hostKey: string,
  serverPublic: mpint,
  signature: string,
});

export const kexMessages = [
  KexEcdhInit,
  KexEcdhReply,
  KexDhInit,
  KexDhReply,
  KexGexRequest,
  KexGexGroup,
  KexGexInit,
  KexGexReply,
] as const;
