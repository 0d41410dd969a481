/**
 * OpenSSH certificates (PROTOCOL.certkeys): reading, and deciding whether one holds.
 *
 * Whether the signing authority is trusted is the caller's affair (known_hosts, TrustedUserCAKeys); what a critical
 * option demands of a session is the server's.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { decodeUtf8 } from '../wire/text.ts';
import { encodePublicMaterial, keyTypeRows, parsePublicBlob, readPublicFields } from './blob.ts';
import { keyUnsupported } from './errors.ts';
import { certificateType, signatureAlgorithm, signatureRow, signatureRows, verify } from './sign.ts';
import type { Certificate } from './types.ts';

const keyTypeOf = new Map(keyTypeRows.map((row) => [certificateType(row.type), row.type]));

export const isCertificateType = (type: string): boolean => keyTypeOf.has(type);

/** Throws 'malformed', or 'key-unsupported' for a type that is no certificate we know. Keeps a copy of `blob`. */
export function parseCertificate(blob: Uint8Array): Certificate {
  const copy = new Uint8Array(blob);
  const reader = new Reader(copy);
  const type = decodeUtf8(reader.string(limits.algorithmName));
  const keyType = keyTypeOf.get(type);
  if (keyType === undefined) throw keyUnsupported('unknown certificate type', { type });
  reader.string(); // nonce
  const key = encodePublicMaterial(readPublicFields(keyType, reader));
  const serial = reader.u64();
  const role = readRole(reader.u32());
  const keyId = reader.text();
  const principals = readPrincipals(reader.string());
  const [validAfter, validBefore] = [reader.u64(), reader.u64()];
  const criticalOptions = readOptions(reader.string());
  const extensions = readOptions(reader.string());
  reader.string(); // reserved
  const authority = reader.string();
  const signedPart = copy.subarray(0, reader.position);
  const signature = reader.string();
  reader.end(type);
  // Chains are not a thing: a certificate as signature key has no plain key type and ends here.
  const signatureKey = parsePublicBlob(authority);
  return {
    type,
    blob: copy,
    key,
    serial,
    role,
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    extensions,
    signatureKey,
    signature,
    signedPart,
  };
}

function readRole(value: number): 'user' | 'host' {
  if (value !== 1 && value !== 2) throw malformed(`certificate of kind ${value}`);
  return value === 1 ? 'user' : 'host';
}

function readPrincipals(bytes: Uint8Array): string[] {
  const reader = new Reader(bytes);
  const principals: string[] = [];
  while (reader.remaining > 0) {
    if (principals.length === limits.certificatePrincipals) throw malformed('certificate with too many principals');
    principals.push(reader.text());
  }
  return principals;
}

function readOptions(bytes: Uint8Array): Map<string, Uint8Array> {
  const reader = new Reader(bytes);
  const options = new Map<string, Uint8Array>();
  while (reader.remaining > 0) {
    const name = reader.text();
    const data = reader.string();
    // Two force-commands would be two opinions about the same thing.
    if (options.has(name)) throw malformed(`certificate option ${name} twice`);
    if (options.size === limits.certificateOptions) throw malformed('certificate with too many options');
    options.set(name, data);
  }
  return options;
}

/** Signature algorithms an authority may use: everything on by default, which leaves SHA-1 out. */
export const defaultAuthorityAlgorithms: readonly string[] = signatureRows
  .filter((row) => row.default && !row.certificate)
  .map((row) => row.name);

const userCriticalOptions: ReadonlySet<string> = new Set(['force-command', 'source-address', 'verify-required']);

export type CertificateFault =
  | 'role' // a user certificate where a host's is wanted, or the other way round
  | 'not-yet-valid'
  | 'expired'
  | 'principal' // not for this host or user
  | 'critical-option' // one we do not know
  | 'signature-algorithm' // the authority signed with an algorithm that is not allowed
  | 'signature'; // not signed by the key it names

export type CertificateVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: CertificateFault; readonly text: string };

export interface CertificateCheck {
  readonly role: 'user' | 'host';
  /** Host or user name that must be among the principals; left out, any will do. */
  readonly principal?: string;
  /** How a principal of a host certificate is matched; the default is equality. OpenSSH takes patterns there. */
  readonly matches?: (pattern: string, name: string) => boolean;
  /** Seconds since 1970. */
  readonly now: bigint;
  readonly allowedSignatureAlgorithms?: readonly string[];
}

/** Everything but the trust in the authority. The signature comes last: it is what costs. */
export function checkCertificate(
  crypto: CryptoProvider,
  certificate: Certificate,
  check: CertificateCheck,
): CertificateVerdict {
  const fault = (reason: CertificateFault, text: string): CertificateVerdict => ({ ok: false, reason, text });
  if (certificate.role !== check.role) return fault('role', `certificate is for a ${certificate.role}`);
  if (check.now < certificate.validAfter) return fault('not-yet-valid', 'certificate is not yet valid');
  if (check.now >= certificate.validBefore) return fault('expired', 'certificate has expired');
  if (!namesPrincipal(certificate, check)) return fault('principal', `certificate is not for ${check.principal}`);
  for (const name of certificate.criticalOptions.keys()) {
    // No critical option is defined for hosts.
    if (check.role === 'host' || !userCriticalOptions.has(name))
      return fault('critical-option', `critical option ${name}`);
  }
  const algorithm = authorityAlgorithm(certificate);
  const allowed = check.allowedSignatureAlgorithms ?? defaultAuthorityAlgorithms;
  if (algorithm === undefined || !allowed.includes(algorithm)) {
    return fault('signature-algorithm', `certificate signed with ${algorithm ?? 'an unknown algorithm'}`);
  }
  const { signatureKey, signedPart, signature } = certificate;
  if (!verify(crypto, signatureKey, algorithm, signedPart, signature)) {
    return fault('signature', 'certificate signature is wrong');
  }
  return { ok: true };
}

/** The plain algorithm the authority signed with, or undefined when it is none we know. */
function authorityAlgorithm({ signature }: Certificate): string | undefined {
  const reader = new Reader(signature);
  if (reader.remaining < 4) return undefined;
  const length = reader.u32();
  if (length > limits.algorithmName || length > reader.remaining) return undefined;
  const row = signatureRow(signatureAlgorithm(signature));
  return row && !row.certificate ? row.name : undefined;
}

/**
 * PROTOCOL.certkeys: no principals at all means any. For users OpenSSH's servers refuse such a certificate, since it
 * would open every account.
 */
function namesPrincipal({ principals, role }: Certificate, { principal, matches }: CertificateCheck): boolean {
  if (principal === undefined) return true;
  if (principals.length === 0) return role === 'host';
  const match = role === 'host' && matches ? matches : (pattern: string, name: string) => pattern === name;
  return principals.some((pattern) => match(pattern, principal));
}
