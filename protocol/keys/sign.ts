/**
 * Signature algorithms (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, PROTOCOL.certkeys, PROTOCOL.u2f).
 *
 * One row an algorithm name, in the order OpenSSH offers them. A certificate's name signs with a plain algorithm and
 * with the certified key, so `rsa-sha2-512-cert-v01@openssh.com` makes a signature named `rsa-sha2-512`.
 * Keys that live in a token are verified here and sign only through an agent.
 */

import { concatBytes } from '@noble/hashes/utils.js';
import type { CryptoProvider, CurveName } from '../crypto/provider.ts';
import { SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';
import { curves } from './blob.ts';
import { keyUnsupported } from './errors.ts';
import { padTo, trimZeros } from './numbers.ts';
import type { PrivateKey, PublicKey } from './types.ts';

export interface SignatureRow {
  /** The name that is negotiated. */
  readonly name: string;
  /** The name inside the signature. */
  readonly plain: string;
  /** The type of the key that signs: never a certificate type. */
  readonly keyType: string;
  /** The type the public blob shows: `keyType`, or the certificate type. */
  readonly blobType: string;
  readonly certificate: boolean;
  /** What RSA signs with; the other kinds have one hash each. */
  readonly hash?: 'sha1' | 'sha256' | 'sha512';
  /** In the offer unless the user says otherwise. */
  readonly default: boolean;
  available(crypto: CryptoProvider): boolean;
}

interface Plain {
  readonly name: string;
  readonly keyType: string;
  readonly certName: string;
  readonly hash?: 'sha1' | 'sha256' | 'sha512';
  readonly default: boolean;
}

const simple = (name: string): Plain => {
  const certName = `${name.replace('@openssh.com', '')}-cert-v01@openssh.com`;
  return { name, keyType: name, certName, default: true };
};
const rsa = (name: string, hash: 'sha1' | 'sha256' | 'sha512'): Plain => ({
  name,
  keyType: 'ssh-rsa',
  certName: `${name}-cert-v01@openssh.com`,
  hash,
  // SHA-1 signatures can be forged for a price: only by the user's wish.
  default: hash !== 'sha1',
});

const plains: readonly Plain[] = [
  simple('ssh-ed25519'),
  simple('ecdsa-sha2-nistp256'),
  simple('ecdsa-sha2-nistp384'),
  simple('ecdsa-sha2-nistp521'),
  simple('sk-ssh-ed25519@openssh.com'),
  simple('sk-ecdsa-sha2-nistp256@openssh.com'),
  rsa('rsa-sha2-512', 'sha512'),
  rsa('rsa-sha2-256', 'sha256'),
  rsa('ssh-rsa', 'sha1'),
  { ...simple('ssh-dss'), default: false },
];

/** The type of a certificate over a key of `keyType`. */
export const certificateType = (keyType: string): string =>
  plains.find((plain) => plain.name === keyType)?.certName ?? keyType;

const toRow = (plain: Plain, certificate: boolean): SignatureRow => ({
  name: certificate ? plain.certName : plain.name,
  plain: plain.name,
  keyType: plain.keyType,
  blobType: certificate ? certificateType(plain.keyType) : plain.keyType,
  certificate,
  ...(plain.hash && { hash: plain.hash }),
  default: plain.default,
  available: (crypto) => plain.keyType !== 'ssh-dss' || crypto.dsa !== undefined,
});

/** Certificates first: OpenSSH's HostKeyAlgorithms since 8.5; those that are off come last. */
export const signatureRows: readonly SignatureRow[] = [
  ...plains.filter((plain) => plain.default).map((plain) => toRow(plain, true)),
  ...plains.filter((plain) => plain.default).map((plain) => toRow(plain, false)),
  ...plains.filter((plain) => !plain.default).map((plain) => toRow(plain, true)),
  ...plains.filter((plain) => !plain.default).map((plain) => toRow(plain, false)),
];

const namesByBlob = new Map<string, string[]>();
for (const { blobType, name } of signatureRows) namesByBlob.set(blobType, [...(namesByBlob.get(blobType) ?? []), name]);

const rowsByName: ReadonlyMap<string, SignatureRow> = new Map(signatureRows.map((row) => [row.name, row]));

export const signatureRow = (name: string): SignatureRow | undefined => rowsByName.get(name);

/** The algorithms a key (or certificate) of this type can sign with, best first, those off by default included. */
export const signatureAlgorithmsFor = (blobType: string): readonly string[] => namesByBlob.get(blobType) ?? [];

function rowFor(algorithm: string, keyType: string): SignatureRow {
  const row = signatureRow(algorithm);
  if (!row) throw keyUnsupported('unknown signature algorithm', { algorithm });
  if (row.keyType !== keyType) throw keyUnsupported('the key cannot sign with this algorithm', { algorithm, keyType });
  return row;
}

/** Signs `data`: `string algorithm | string signature`. */
export function sign(crypto: CryptoProvider, key: PrivateKey, algorithm: string, data: Uint8Array): Uint8Array {
  const row = rowFor(algorithm, key.publicKey.type);
  return new Writer(512)
    .text(row.plain)
    .string(signRaw(crypto, key, row, data))
    .finish();
}

function signRaw(crypto: CryptoProvider, key: PrivateKey, row: SignatureRow, data: Uint8Array): Uint8Array {
  const { secret } = key;
  switch (secret.kind) {
    case 'ed25519':
      return crypto.ed25519.sign(secret.seed, data);
    case 'ecdsa': {
      const { bytes } = curves[secret.curve];
      const pair = crypto.ecdsa(secret.curve).sign(secret.secret, data);
      return new Writer(2 * bytes + 16).mpint(pair.subarray(0, bytes)).mpint(pair.subarray(bytes)).finish();
    }
    case 'rsa':
      return crypto.rsa.sign(secret, row.hash ?? 'sha512', data);
    case 'dsa':
      if (!crypto.dsa) throw keyUnsupported('this crypto provider has no DSA');
      return crypto.dsa.sign(secret, data);
    case 'sk':
      throw keyUnsupported('security keys sign only through an agent', { type: key.publicKey.type });
  }
}

/** The algorithm a signature says it was made with; throws 'malformed'. */
export const signatureAlgorithm = (signatureBlob: Uint8Array): string =>
  decodeUtf8(new Reader(signatureBlob).string(limits.algorithmName));

/**
 * Whether `signatureBlob` is `key`'s signature of `data` made with `algorithm`, and with nothing else: RFC 8332
 * section 3.2 demands that the name inside agrees with what was negotiated.
 */
export function verify(
  crypto: CryptoProvider,
  key: PublicKey,
  algorithm: string,
  data: Uint8Array,
  signatureBlob: Uint8Array,
): boolean {
  const row = signatureRow(algorithm);
  if (row?.keyType !== key.type || !row.available(crypto)) return false;
  try {
    const reader = new Reader(signatureBlob);
    if (decodeUtf8(reader.string(limits.algorithmName)) !== row.plain) return false;
    const signature = reader.string();
    const { material } = key;
    // PROTOCOL.u2f: a token signs hash(application) | flags | counter | hash(data); flags and counter follow in clear.
    const signed =
      material.kind === 'sk-ed25519' || material.kind === 'sk-ecdsa'
        ? concatBytes(sha256(crypto, encodeUtf8(material.application)), reader.raw(5), sha256(crypto, data))
        : data;
    reader.end('signature');
    return verifyRaw(crypto, key, row, signed, signature);
  } catch (error) {
    if (error instanceof SshError && error.code === 'malformed') return false;
    throw error;
  }
}

const sha256 = (crypto: CryptoProvider, data: Uint8Array): Uint8Array => crypto.hash('sha256').update(data).digest();

function verifyRaw(
  crypto: CryptoProvider,
  { material }: PublicKey,
  row: SignatureRow,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  switch (material.kind) {
    case 'ed25519':
    case 'sk-ed25519':
      return signature.length === 64 && crypto.ed25519.verify(material.point, data, signature);
    case 'ecdsa':
      return verifyEcdsa(crypto, material.curve, material.point, data, signature);
    case 'sk-ecdsa':
      return verifyEcdsa(crypto, 'p256', material.point, data, signature);
    case 'rsa': {
      // Some signers drop leading zeros of the number; RFC 8332 section 3 wants it read as one, as OpenSSH does.
      const width = trimZeros(material.n).length;
      if (signature.length > width) return false;
      const padded = padTo(signature, width);
      return padded !== undefined && crypto.rsa.verify(material, row.hash ?? 'sha512', data, padded);
    }
    case 'dsa':
      return signature.length === 40 && crypto.dsa?.verify(material, data, signature) === true;
  }
}

/** RFC 5656 section 3.1.2: r and s as mpints. */
function verifyEcdsa(
  crypto: CryptoProvider,
  curve: CurveName,
  point: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const reader = new Reader(signature);
  const { bytes } = curves[curve];
  const r = padTo(reader.mpint(), bytes);
  const s = padTo(reader.mpint(), bytes);
  reader.end('ECDSA signature');
  return r !== undefined && s !== undefined && crypto.ecdsa(curve).verify(point, data, concatBytes(r, s));
}
