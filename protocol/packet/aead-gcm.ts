/**
 * aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647 section 7 as changed by OpenSSH's PROTOCOL section 1.6).
 *
 * The length travels in clear as associated data. The nonce is the negotiated 12-byte IV whose last eight bytes count
 * invocations, one a packet; it does not follow the sequence number, so strict key exchange does not touch it.
 */

import type { Aead, CryptoProvider } from '../crypto/provider.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import { type CipherRow, macFailed, type Opener, type Sealer } from './cipher.ts';

const tagLength = 16;
const ivLength = 12;
const shape = { blockSize: 16, lengthPadded: false, tagLength } as const;

/** Steps the invocation counter, a big-endian 64-bit number that wraps by itself (RFC 5647 section 7.1). */
function step(nonce: Uint8Array): void {
  for (let i = ivLength - 1; i >= 4; i--) {
    nonce[i]!++;
    if (nonce[i] !== 0) return;
  }
}

function sealer(aead: Aead, iv: Uint8Array): Sealer {
  const nonce = iv.slice(0, ivLength);
  const aad = new Uint8Array(4);
  return {
    ...shape,
    seal(_sequence, packet) {
      // The length as it stands there: a view of it takes more time.
      putU32(aad, 0, packet.length - 4 - tagLength);
      aead.seal(nonce, aad, packet.subarray(4));
      step(nonce);
    },
  };
}

function opener(aead: Aead, iv: Uint8Array): Opener {
  const nonce = iv.slice(0, ivLength);
  const aad = new Uint8Array(4);
  return {
    ...shape,
    headLength: 4,
    length: (_sequence, head) => getU32(head, 0),
    open(_sequence, packet) {
      const end = packet.length - tagLength;
      putU32(aad, 0, end - 4);
      const plain = aead.open(nonce, aad, packet.subarray(4, end), packet.subarray(end));
      step(nonce);
      if (plain === undefined) throw macFailed('message authentication code incorrect');
      return plain;
    },
  };
}

const row = (name: string, keyLength: number): CipherRow => ({
  name,
  keyLength,
  ivLength,
  blockSize: 16,
  aead: true,
  default: true,
  available: () => true,
  sealer: (crypto: CryptoProvider, key, iv) => sealer(crypto.aesGcm(key), iv),
  opener: (crypto: CryptoProvider, key, iv) => opener(crypto.aesGcm(key), iv),
});

export const gcmRows: readonly CipherRow[] = [row('aes128-gcm@openssh.com', 16), row('aes256-gcm@openssh.com', 32)];
