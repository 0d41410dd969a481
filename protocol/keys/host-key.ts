/** What a server shows in a key exchange: a plain key or a certificate, read as the negotiated algorithm expects it. */

import { Disconnect, SshError } from '../errors.ts';
import { parsePublicBlob } from './blob.ts';
import { parseCertificate } from './cert.ts';
import type { SignatureRow } from './sign.ts';
import type { Certificate, PublicKey } from './types.ts';

export interface HostKey {
  /** K_S as it came: the key's or the certificate's blob. */
  readonly blob: Uint8Array;
  /** The key that signs, certified or not. */
  readonly key: PublicKey;
  readonly certificate: Certificate | undefined;
}

export function parseHostKey(blob: Uint8Array, algorithm: SignatureRow): HostKey {
  const mismatch = (type: string): SshError =>
    new SshError('kex', `the server showed a ${type} key for ${algorithm.name}`, {
      by: 'peer',
      disconnect: Disconnect.keyExchangeFailed,
    });
  if (algorithm.certificate) {
    const certificate = reading(() => parseCertificate(blob));
    if (certificate.type !== algorithm.blobType) throw mismatch(certificate.type);
    return { blob, key: certificate.key, certificate };
  }
  const key = reading(() => parsePublicBlob(blob));
  if (key.type !== algorithm.keyType) throw mismatch(key.type);
  return { blob, key, certificate: undefined };
}

/** What is no key that we know is a failed exchange here, not a file of ours that does not parse. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SshError) || error.by === 'peer') throw error;
    throw new SshError('kex', `the server showed no usable host key: ${error.message}`, {
      by: 'peer',
      disconnect: Disconnect.keyExchangeFailed,
      detail: error.detail,
      cause: error,
    });
  }
}
