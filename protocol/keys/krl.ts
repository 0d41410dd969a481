/**
 * OpenSSH key revocation lists (PROTOCOL.krl): reading, and asking whether a key or certificate is in one.
 *
 * Signatures on a list are skipped, as OpenSSH does: the list is as trustworthy as the file it stands in. Writing is
 * ssh-keygen's affair.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { equalBytes } from '../crypto/random.ts';
import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { decodeUtf8 } from '../wire/text.ts';
import { keyFormat, keyUnsupported, readingKey } from './errors.ts';
import { parsePublicKeyLine } from './public-line.ts';
import type { Certificate, PublicKey } from './types.ts';

/** Revoked certificates of one authority. */
interface CertificateSection {
  /** The authority's key blob; empty for any authority. */
  readonly authority: Uint8Array;
  /** Inclusive. */
  readonly ranges: readonly { readonly low: bigint; readonly high: bigint }[];
  readonly bitmaps: readonly { readonly offset: bigint; readonly bits: Uint8Array }[];
  readonly serials: ReadonlySet<bigint>;
  readonly keyIds: ReadonlySet<string>;
}

export interface Krl {
  readonly version: bigint;
  /** Seconds since 1970. */
  readonly generated: bigint;
  readonly comment: string;
  readonly certificates: readonly CertificateSection[];
  /** Blobs as text, one character a byte: sets of bytes need a key. */
  readonly keys: ReadonlySet<string>;
  readonly sha1: ReadonlySet<string>;
  readonly sha256: ReadonlySet<string>;
}

const magic = 0x5353484b524c0a00n; // "SSHKRL\n\0"
const Section = { certificates: 1, explicitKey: 2, sha1: 3, signature: 4, sha256: 5, extension: 255 } as const;
const CertSection = { serialList: 0x20, serialRange: 0x21, serialBitmap: 0x22, keyId: 0x23, extension: 0x39 } as const;

/** Throws 'key-format', or 'key-unsupported' for a list that demands what we do not know. */
export function parseKrl(bytes: Uint8Array): Krl {
  if (bytes.length > limits.krlBytes) throw keyFormat('revocation list too large', { size: bytes.length });
  return readingKey('KRL', () => readKrl(new Reader(new Uint8Array(bytes))));
}

/**
 * What RevokedHostKeys and RevokedKeys name: a list in the binary form, or a text file with a public key a line
 * (ssh_config(5)). A line that does not parse makes the whole file unusable: it may be the key that matters.
 */
export function parseRevocations(bytes: Uint8Array): Krl {
  if (bytes.length >= 8 && new Reader(bytes).u64() === magic) return parseKrl(bytes);
  if (bytes.length > limits.krlBytes) throw keyFormat('revocation list too large', { size: bytes.length });
  const keys = new Set<string>();
  for (const line of decodeUtf8(bytes).split(/\r\n|\n|\r/)) {
    if (/^\s*(#|$)/.test(line)) continue;
    keys.add(asText(parsePublicKeyLine(line).key.blob));
  }
  const none = new Set<string>();
  return { version: 0n, generated: 0n, comment: '', certificates: [], keys, sha1: none, sha256: none };
}

function readKrl(reader: Reader): Krl {
  if (reader.u64() !== magic) throw malformed('not a key revocation list');
  const format = reader.u32();
  if (format !== 1) throw keyUnsupported('unknown version of a revocation list', { format });
  const [version, generated] = [reader.u64(), reader.u64()];
  reader.u64(); // flags: none is defined
  reader.string(); // reserved
  const comment = reader.text();
  const certificates: CertificateSection[] = [];
  const [keys, sha1, sha256] = [new Set<string>(), new Set<string>(), new Set<string>()];
  while (reader.remaining > 0) {
    const type = reader.u8();
    if (type === Section.signature) {
      // The signature's key, in the place of a section's contents, and then the signature.
      reader.string();
      reader.string();
      continue;
    }
    const section = new Reader(reader.string());
    switch (type) {
      case Section.certificates:
        certificates.push(readCertificates(section));
        break;
      case Section.explicitKey:
        while (section.remaining > 0) keys.add(asText(section.string()));
        break;
      case Section.sha1:
        readHashes(section, 20, sha1);
        break;
      case Section.sha256:
        readHashes(section, 32, sha256);
        break;
      case Section.extension:
        skipExtension(section);
        break;
      default:
        throw keyUnsupported('unknown section in a revocation list', { section: type });
    }
  }
  return { version, generated, comment, certificates, keys, sha1, sha256 };
}

function readHashes(section: Reader, length: number, into: Set<string>): void {
  while (section.remaining > 0) {
    const hash = section.string();
    if (hash.length !== length) throw malformed(`hash of ${hash.length} bytes`);
    into.add(asText(hash));
  }
}

function skipExtension(section: Reader): void {
  const name = section.text();
  const critical = section.bool();
  section.string();
  section.end('extension');
  if (critical) throw keyUnsupported('unknown critical extension of a revocation list', { name });
}

function readCertificates(reader: Reader): CertificateSection {
  const authority = reader.string();
  reader.string(); // reserved
  const ranges: { low: bigint; high: bigint }[] = [];
  const bitmaps: { offset: bigint; bits: Uint8Array }[] = [];
  const serials = new Set<bigint>();
  const keyIds = new Set<string>();
  while (reader.remaining > 0) {
    const type = reader.u8();
    const section = new Reader(reader.string());
    switch (type) {
      case CertSection.serialList:
        while (section.remaining > 0) serials.add(section.u64());
        break;
      case CertSection.serialRange: {
        const [low, high] = [section.u64(), section.u64()];
        if (low > high) throw malformed('serial range the wrong way round');
        ranges.push({ low, high });
        break;
      }
      case CertSection.serialBitmap:
        bitmaps.push({ offset: section.u64(), bits: section.string() });
        break;
      case CertSection.keyId:
        while (section.remaining > 0) keyIds.add(section.text());
        break;
      case CertSection.extension:
        skipExtension(section);
        break;
      default:
        throw keyUnsupported('unknown section in a revocation list', { section: type });
    }
    section.end('section');
  }
  return { authority, ranges, bitmaps, serials, keyIds };
}

function asText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** A certificate is revoked by itself, by the key it certifies, or by its authority. */
export function isRevoked(crypto: CryptoProvider, krl: Krl, subject: PublicKey | Certificate): boolean {
  if (!('signatureKey' in subject)) return isKeyRevoked(crypto, krl, subject);
  return (
    isKeyRevoked(crypto, krl, subject.key) ||
    isKeyRevoked(crypto, krl, subject.signatureKey) ||
    krl.certificates.some((section) => isListed(section, subject))
  );
}

function isKeyRevoked(crypto: CryptoProvider, krl: Krl, { blob }: PublicKey): boolean {
  const hashed = (name: 'sha1' | 'sha256'): string => asText(crypto.hash(name).update(blob).digest());
  return (
    krl.keys.has(asText(blob)) ||
    (krl.sha1.size > 0 && krl.sha1.has(hashed('sha1'))) ||
    (krl.sha256.size > 0 && krl.sha256.has(hashed('sha256')))
  );
}

function isListed(section: CertificateSection, { signatureKey, serial, keyId }: Certificate): boolean {
  if (section.authority.length > 0 && !equalBytes(section.authority, signatureKey.blob)) return false;
  if (section.keyIds.has(keyId)) return true;
  // Serial 0 is what authorities give that do not count: it says nothing.
  if (serial === 0n) return false;
  return (
    section.serials.has(serial) ||
    section.ranges.some(({ low, high }) => low <= serial && serial <= high) ||
    section.bitmaps.some(({ offset, bits }) => hasBit(bits, serial - offset))
  );
}

/** Bit `at` of a big-endian number. */
function hasBit(bits: Uint8Array, at: bigint): boolean {
  if (at < 0n || at >= BigInt(bits.length * 8)) return false;
  const index = Number(at);
  return ((bits[bits.length - 1 - (index >> 3)]! >> (index & 7)) & 1) === 1;
}
