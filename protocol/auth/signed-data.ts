/**
 * What a log-in by key signs: RFC 4252 section 7, publickey-hostbound-v00@openssh.com (OpenSSH PROTOCOL section 3.1), and
 * the client host's signature of RFC 4252 section 9.
 */

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

export interface HostbasedInputs {
  readonly algorithm: string;
  /** The client host's key or certificate. */
  readonly blob: Uint8Array;
  /** The client host's name, as a fully qualified one: with a dot at the end. */
  readonly clientHost: string;
  /** Who asks, on the client host. */
  readonly clientUser: string;
}

export function hostbasedData(sessionId: Uint8Array, user: string, inputs: HostbasedInputs): Uint8Array {
  const { algorithm, blob, clientHost, clientUser } = inputs;
  const body = new Writer(512).text(algorithm).string(blob).text(clientHost).text(clientUser).finish();
  const request = UserauthRequest.encode({ user, service: CONNECTION_SERVICE, method: 'hostbased', body });
  return new Writer(1024).string(sessionId).raw(request).finish();
}
