/**
 * chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305).
 *
 * Two ChaCha20 instances: one hides the length, the other makes the Poly1305 key from its block 0 and encrypts the rest
 * from block 1 on. The nonce is the sequence number. The tag covers the encrypted length and the ciphertext.
 */

import type { Cipher, CryptoProvider } from '../crypto/provider.ts';
import { release } from '../memory.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import { type CipherRow, macFailed, type Opener, type Sealer } from './cipher.ts';

const tagLength = 16;
const shape = { blockSize: 8, lengthPadded: false, tagLength } as const;
const block = new Uint8Array(64);

/** Both key streams of one direction; the first half of the key is the main one, the second hides the length. */
function streams(crypto: CryptoProvider, key: Uint8Array) {
  const main = crypto.chacha20(key.subarray(0, 32));
  const header = crypto.chacha20(key.subarray(32, 64));
  const nonce = new Uint8Array(8);
  return {
    length(sequence: number, head: Uint8Array): Uint8Array {
      putU32(nonce, 4, sequence);
      return header.stream(nonce).process(head);
    },
    /** The packet's Poly1305 key, and what enciphers the rest: once. */
    packet(sequence: number): { readonly tagKey: Uint8Array; readonly body: Cipher } {
      putU32(nonce, 4, sequence);
      const body = main.stream(nonce);
      return { tagKey: body.process(block).subarray(0, 32), body };
    },
  };
}

function sealer(crypto: CryptoProvider, key: Uint8Array): Sealer {
  const { length, packet } = streams(crypto, key);
  return {
    ...shape,
    seal(sequence, bytes) {
      const end = bytes.length - tagLength;
      const { tagKey, body } = packet(sequence);
      bytes.set(length(sequence, bytes.subarray(0, 4)), 0);
      const sealed = body.process(bytes.subarray(4, end));
      bytes.set(sealed, 4);
      release(sealed);
      bytes.set(crypto.poly1305(tagKey, bytes.subarray(0, end)), end);
    },
  };
}

function opener(crypto: CryptoProvider, key: Uint8Array): Opener {
  const { length, packet } = streams(crypto, key);
  return {
    ...shape,
    headLength: 4,
    length: (sequence, head) => getU32(length(sequence, head), 0),
    open(sequence, bytes) {
      const end = bytes.length - tagLength;
      const { tagKey, body } = packet(sequence);
      if (!crypto.equal(crypto.poly1305(tagKey, bytes.subarray(0, end)), bytes.subarray(end))) {
        throw macFailed('message authentication code incorrect');
      }
      return body.process(bytes.subarray(4, end));
    },
  };
}

export const chachaPolyRow: CipherRow = {
  name: 'chacha20-poly1305@openssh.com',
  keyLength: 64,
  ivLength: 0,
  blockSize: 8,
  aead: true,
  default: true,
  available: () => true,
  sealer,
  opener,
};
