/** Fingerprints of key blobs as OpenSSH writes them, and the picture ssh-keygen -lv draws of one. */

import { bytesToHex } from '@noble/hashes/utils.js';
import type { CryptoProvider } from '../crypto/provider.ts';
import { encodeBase64 } from './base64.ts';
import { keyBits } from './blob.ts';
import type { PublicKey } from './types.ts';

export type FingerprintHash = 'sha256' | 'md5';

/** `SHA256:` and unpadded base64, or `MD5:` and hexadecimal pairs. For a certificate give the certified key's blob. */
export function fingerprint(crypto: CryptoProvider, blob: Uint8Array, hash: FingerprintHash = 'sha256'): string {
  const digest = crypto.hash(hash).update(blob).digest();
  return hash === 'sha256'
    ? `SHA256:${encodeBase64(digest, { pad: false })}`
    : `MD5:${bytesToHex(digest).match(/../g)!.join(':')}`;
}

/** The short name ssh-keygen gives a key type. */
export function keyTypeLabel(key: PublicKey): string {
  switch (key.material.kind) {
    case 'sk-ed25519':
      return 'ED25519-SK';
    case 'sk-ecdsa':
      return 'ECDSA-SK';
    default:
      return key.material.kind.toUpperCase();
  }
}

const width = 17;
const height = 9;
/** What a square shows after that many visits; the last two are the start and the end of the walk. */
const marks = ' .o+=*BOX@%&#/^SE';

/** The walk of the "drunken bishop" over the digest, two bits a step, lowest bits first. */
export function randomart(crypto: CryptoProvider, key: PublicKey, hash: FingerprintHash = 'sha256'): string {
  const visits = new Uint8Array(width * height);
  let x = width >> 1;
  let y = height >> 1;
  for (const byte of crypto.hash(hash).update(key.blob).digest()) {
    for (let shift = 0; shift < 8; shift += 2) {
      x = Math.min(Math.max(x + ((byte >> shift) & 1 ? 1 : -1), 0), width - 1);
      y = Math.min(Math.max(y + ((byte >> shift) & 2 ? 1 : -1), 0), height - 1);
      const at = y * width + x;
      visits[at] = Math.min(visits[at]! + 1, marks.length - 3);
    }
  }
  visits[(height >> 1) * width + (width >> 1)] = marks.length - 2;
  visits[y * width + x] = marks.length - 1;
  const lines = [border(`[${keyTypeLabel(key)} ${keyBits(key)}]`)];
  for (let row = 0; row < height; row++) {
    lines.push(`|${Array.from(visits.subarray(row * width, (row + 1) * width), (count) => marks[count]).join('')}|`);
  }
  lines.push(border(`[${hash.toUpperCase()}]`));
  return lines.join('\n');
}

function border(title: string): string {
  const left = (width - title.length) >> 1;
  return `+${'-'.repeat(left)}${title}${'-'.repeat(width - title.length - left)}+`;
}
