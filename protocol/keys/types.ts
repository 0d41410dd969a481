/** Keys as data: public keys, private keys and certificates. Raw numbers, no encodings; a provider converts once and caches. */

import type { CurveName, DsaPublic, DsaSecret, RsaPublic, RsaSecret } from '../crypto/provider.ts';

/** What the key is, apart from how it is written. */
export type PublicMaterial =
  | { readonly kind: 'ed25519'; readonly point: Uint8Array }
  | { readonly kind: 'ecdsa'; readonly curve: CurveName; readonly point: Uint8Array }
  | ({ readonly kind: 'rsa' } & RsaPublic)
  | ({ readonly kind: 'dsa' } & DsaPublic)
  | { readonly kind: 'sk-ed25519'; readonly point: Uint8Array; readonly application: string }
  | { readonly kind: 'sk-ecdsa'; readonly point: Uint8Array; readonly application: string };

export interface PublicKey {
  /** The key type on the wire: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`, ... Never a certificate type. */
  readonly type: string;
  /** The wire encoding (RFC 4253 section 6.6): what is hashed, compared and sent. */
  readonly blob: Uint8Array;
  readonly material: PublicMaterial;
}

export type SecretMaterial =
  | { readonly kind: 'ed25519'; readonly seed: Uint8Array }
  /** `secret` has the width of its curve. */
  | { readonly kind: 'ecdsa'; readonly curve: CurveName; readonly secret: Uint8Array }
  | ({ readonly kind: 'rsa' } & RsaSecret)
  | ({ readonly kind: 'dsa' } & DsaSecret)
  /** Lives in a token: only an agent can sign with it. */
  | { readonly kind: 'sk'; readonly flags: number; readonly handle: Uint8Array; readonly reserved: Uint8Array };

export interface PrivateKey {
  readonly publicKey: PublicKey;
  readonly secret: SecretMaterial;
  readonly comment: string;
}

/** An OpenSSH certificate (PROTOCOL.certkeys). */
export interface Certificate {
  /** `ssh-ed25519-cert-v01@openssh.com`, ... */
  readonly type: string;
  readonly blob: Uint8Array;
  /** The key that is certified. */
  readonly key: PublicKey;
  readonly serial: bigint;
  readonly role: 'user' | 'host';
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since 1970; the certificate holds from `validAfter` up to and without `validBefore`. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: ReadonlyMap<string, Uint8Array>;
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  readonly signatureKey: PublicKey;
  readonly signature: Uint8Array;
  /** What the signature is over. */
  readonly signedPart: Uint8Array;
}
