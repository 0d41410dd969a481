/**
 * Public keys on the wire (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4, OpenSSH's PROTOCOL.u2f).
 *
 * Encodings and sizes are checked here; that a point lies on its curve is found out when a signature is verified.
 * Certificates are not keys: see cert.ts.
 */

import { fromBigInt, modPow, toBigInt } from '../crypto/bignum.ts';
import type { CryptoProvider, CurveName, DsaSecret } from '../crypto/provider.ts';
import { malformed, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { decodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';
import { keyFormat, keyUnsupported } from './errors.ts';
import { bitLength, padTo } from './numbers.ts';
import type { PublicKey, PublicMaterial, SecretMaterial } from './types.ts';

export const curves: Readonly<
  Record<CurveName, { readonly wireName: string; readonly bytes: number; readonly bits: number }>
> = {
  p256: { wireName: 'nistp256', bytes: 32, bits: 256 },
  p384: { wireName: 'nistp384', bytes: 48, bits: 384 },
  p521: { wireName: 'nistp521', bytes: 66, bits: 521 },
};

/** How one key type stands in a blob, after its name. Certificates hold the same fields (PROTOCOL.certkeys). */
interface KeyTypeRow {
  readonly type: string;
  read(reader: Reader): PublicMaterial;
}

function readPoint(reader: Reader, curve: CurveName): Uint8Array {
  const named = decodeUtf8(reader.string(64));
  const { wireName, bytes } = curves[curve];
  if (named !== wireName) throw malformed(`curve ${wireName} expected`);
  const point = reader.string(1 + 2 * bytes);
  // RFC 5656 section 3.1 allows compressed points; nobody sends them and OpenSSH refuses them.
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) throw malformed('elliptic curve point is not uncompressed');
  return point;
}

function readEd25519(reader: Reader): Uint8Array {
  const point = reader.string(32);
  if (point.length !== 32) throw malformed('Ed25519 key is not 32 bytes');
  return point;
}

function readApplication(reader: Reader): string {
  const bytes = reader.string(1024);
  const application = decodeUtf8(bytes);
  // It must survive the way back to bytes: its hash is signed.
  if (bytes.some((byte) => byte < 0x20 || byte > 0x7e)) throw malformed('application of a security key is not ASCII');
  return application;
}

/** Refuses moduli and exponents outside what is sane to compute with. */
export function checkRsa(n: Uint8Array, e: Uint8Array): void {
  const bits = bitLength(n);
  if (bits < limits.rsaBitsMin || bits > limits.rsaBitsMax) throw malformed(`RSA modulus of ${bits} bits`);
  const exponent = bitLength(e);
  if (exponent < 2 || (e.at(-1)! & 1) === 0 || (n.at(-1)! & 1) === 0) throw malformed('RSA numbers out of range');
  // A long exponent with a long modulus is a way to burn our time; OpenSSL draws the same line.
  if (exponent > (bits > 3072 ? limits.rsaExponentBits : bits - 1)) throw malformed(`RSA exponent of ${exponent} bits`);
}

function checkDsa(p: Uint8Array, q: Uint8Array, g: Uint8Array, y: Uint8Array): void {
  // FIPS 186-2, as RFC 4253 section 6.6 has it: only 1024/160 was ever interoperable.
  if (bitLength(p) !== 1024 || bitLength(q) !== 160) throw malformed('DSA numbers are not of 1024 and 160 bits');
  if (bitLength(g) < 2 || bitLength(g) > 1024 || bitLength(y) < 2 || bitLength(y) > 1024) {
    throw malformed('DSA numbers out of range');
  }
}

const ecdsaRow = (curve: CurveName): KeyTypeRow => ({
  type: `ecdsa-sha2-${curves[curve].wireName}`,
  read: (r) => ({ kind: 'ecdsa', curve, point: readPoint(r, curve) }),
});

export const keyTypeRows: readonly KeyTypeRow[] = [
  { type: 'ssh-ed25519', read: (r) => ({ kind: 'ed25519', point: readEd25519(r) }) },
  ecdsaRow('p256'),
  ecdsaRow('p384'),
  ecdsaRow('p521'),
  {
    type: 'ssh-rsa',
    read(r) {
      const e = r.mpint();
      const n = r.mpint();
      checkRsa(n, e);
      return { kind: 'rsa', e, n };
    },
  },
  {
    type: 'ssh-dss',
    read(r) {
      const [p, q, g, y] = [r.mpint(), r.mpint(), r.mpint(), r.mpint()];
      checkDsa(p, q, g, y);
      return { kind: 'dsa', p, q, g, y };
    },
  },
  {
    type: 'sk-ssh-ed25519@openssh.com',
    read: (r) => ({ kind: 'sk-ed25519', point: readEd25519(r), application: readApplication(r) }),
  },
  {
    type: 'sk-ecdsa-sha2-nistp256@openssh.com',
    read: (r) => ({ kind: 'sk-ecdsa', point: readPoint(r, 'p256'), application: readApplication(r) }),
  },
];

/** Reads the fields of a key of `type`; throws 'key-unsupported' for a type we do not know. */
export function readPublicFields(type: string, reader: Reader): PublicMaterial {
  const row = keyTypeRows.find((candidate) => candidate.type === type);
  if (!row) throw keyUnsupported('unknown key type', { type });
  return row.read(reader);
}

/** A key type's name out of the front of a blob, whatever follows. */
export function blobType(blob: Uint8Array): string {
  return decodeUtf8(new Reader(blob).string(limits.algorithmName));
}

/** Throws 'malformed' for a broken blob and 'key-unsupported' for a type we do not know. Keeps a copy of `blob`. */
export function parsePublicBlob(blob: Uint8Array): PublicKey {
  // Not blob.slice(): of a Buffer that would be a view.
  const copy = new Uint8Array(blob);
  const reader = new Reader(copy);
  const type = decodeUtf8(reader.string(limits.algorithmName));
  const material = readPublicFields(type, reader);
  reader.end(type);
  return { type, blob: copy, material };
}

export function materialType(material: PublicMaterial): string {
  switch (material.kind) {
    case 'ed25519':
      return 'ssh-ed25519';
    case 'ecdsa':
      return `ecdsa-sha2-${curves[material.curve].wireName}`;
    case 'rsa':
      return 'ssh-rsa';
    case 'dsa':
      return 'ssh-dss';
    case 'sk-ed25519':
      return 'sk-ssh-ed25519@openssh.com';
    case 'sk-ecdsa':
      return 'sk-ecdsa-sha2-nistp256@openssh.com';
  }
}

export function encodePublicMaterial(material: PublicMaterial): PublicKey {
  const type = materialType(material);
  const writer = new Writer().text(type);
  switch (material.kind) {
    case 'ed25519':
      writer.string(material.point);
      break;
    case 'ecdsa':
      writer.text(curves[material.curve].wireName).string(material.point);
      break;
    case 'rsa':
      writer.mpint(material.e).mpint(material.n);
      break;
    case 'dsa':
      writer.mpint(material.p).mpint(material.q).mpint(material.g).mpint(material.y);
      break;
    case 'sk-ed25519':
      writer.string(material.point).text(material.application);
      break;
    case 'sk-ecdsa':
      writer.text('nistp256').string(material.point).text(material.application);
      break;
  }
  // Through the parser, so that nothing leaves here that would not be taken in.
  return parsePublicBlob(writer.finish());
}

/** The public half. Secrets that live in a token have none to compute: their file holds it. */
export function publicFromSecret(crypto: CryptoProvider, secret: SecretMaterial): PublicKey {
  switch (secret.kind) {
    case 'ed25519':
      return encodePublicMaterial({ kind: 'ed25519', point: crypto.ed25519.publicKey(secret.seed) });
    case 'ecdsa': {
      const { curve } = secret;
      return encodePublicMaterial({ kind: 'ecdsa', curve, point: ecdsaPublic(crypto, curve, secret.secret) });
    }
    case 'rsa':
      return encodePublicMaterial({ kind: 'rsa', e: secret.e, n: secret.n });
    case 'dsa': {
      const { p, q, g } = secret;
      return encodePublicMaterial({ kind: 'dsa', p, q, g, y: dsaPublic(secret) });
    }
    case 'sk':
      throw keyUnsupported('a security key cannot compute its public half');
  }
}

/** g^x mod p. */
export function dsaPublic({ p, q, g, x }: Omit<DsaSecret, 'y'>): Uint8Array {
  if (bitLength(p) !== 1024 || bitLength(q) !== 160 || bitLength(x) > 160) throw malformed('DSA numbers out of range');
  return fromBigInt(modPow(toBigInt(g), toBigInt(x), toBigInt(p)));
}

function ecdsaPublic(crypto: CryptoProvider, curve: CurveName, secret: Uint8Array): Uint8Array {
  const scalar = padTo(secret, curves[curve].bytes);
  if (!scalar) throw keyFormat('secret number longer than its curve');
  try {
    return crypto.ecdsa(curve).publicKey(scalar);
  } catch (cause) {
    // Zero, or not below the group order: whatever the provider says about it.
    throw new SshError('key-format', 'secret number out of range', { cause });
  }
}

/** Size in bits as ssh-keygen shows it. */
export function keyBits(key: PublicKey): number {
  const { material } = key;
  switch (material.kind) {
    case 'rsa':
      return bitLength(material.n);
    case 'dsa':
      return bitLength(material.p);
    case 'ecdsa':
      return curves[material.curve].bits;
    default:
      return 256;
  }
}
