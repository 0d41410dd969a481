/** What a public-key log-in signs: RFC 4252 section 7, and publickey-hostbound-v00@openssh.com (OpenSSH PROTOCOL section 3.1). */

import { UserauthRequest } from '../messages/userauth.ts';
import { Writer } from '../wire/writer.ts';

export const CONNECTION_SERVICE = 'ssh-connection';
export const USERAUTH_SERVICE = 'ssh-userauth';
export const HOSTBOUND = 'publickey-hostbound-v00@openssh.com';

export interface SignedDataInputs {
  readonly sessionId: Uint8Array;
  readonly user: string;
  readonly algorithm: string;
  /** The key's or the certificate's blob. */
  readonly blob: Uint8Array;
  /** The server's host key, which binds the signature to it; undefined for the plain method. */
  readonly hostKey?: Uint8Array | undefined;
}

export function signedData({ sessionId, user, algorithm, blob, hostKey }: SignedDataInputs): Uint8Array {
  const method = hostKey === undefined ? 'publickey' : HOSTBOUND;
  const body = new Writer(512).bool(true).text(algorithm).string(blob);
  if (hostKey !== undefined) body.string(hostKey);
  const request = UserauthRequest.encode({ user, service: CONNECTION_SERVICE, method, body: body.finish() });
  return new Writer(1024).string(sessionId).raw(request).finish();
}
