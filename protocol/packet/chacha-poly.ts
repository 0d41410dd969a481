/**
 * chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305).
 *
 * Two ChaCha20 instances: one hides the length, the other makes the Poly1305 key from its block 0 and encrypts the rest
 * from block 1 on. The nonce is the sequence number. The tag covers the encrypted length and the ciphertext.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { getU32, putU32 } from '../wire/writer.ts';
import { type CipherRow, macFailed, type Opener, type Sealer } from './cipher.ts';

const tagLength = 16;
const shape = { blockSize: 8, lengthPadded: false, tagLength } as const;
const zeros = new Uint8Array(32);

/** Both key streams of one direction; the first half of the key is the main one, the second hides the length. */
function streams(crypto: CryptoProvider, key: Uint8Array) {
  const main = crypto.chacha20(key.subarray(0, 32));
  const header = crypto.chacha20(key.subarray(32, 64));
  const nonce = new Uint8Array(8);
  return {
    length(sequence: number, head: Uint8Array): Uint8Array {
      putU32(nonce, 4, sequence);
      return header.process(nonce, 0, head);
    },
    body(sequence: number, data: Uint8Array): Uint8Array {
      putU32(nonce, 4, sequence);
      return main.process(nonce, 1, data);
    },
    tag(sequence: number, authenticated: Uint8Array): Uint8Array {
      putU32(nonce, 4, sequence);
      return crypto.poly1305(main.process(nonce, 0, zeros), authenticated);
    },
  };
}

function sealer(crypto: CryptoProvider, key: Uint8Array): Sealer {
  const { length, body, tag } = streams(crypto, key);
  return {
    ...shape,
    seal(sequence, packet) {
      const end = packet.length - tagLength;
      packet.set(length(sequence, packet.subarray(0, 4)), 0);
      packet.set(body(sequence, packet.subarray(4, end)), 4);
      packet.set(tag(sequence, packet.subarray(0, end)), end);
    },
  };
}

function opener(crypto: CryptoProvider, key: Uint8Array): Opener {
  const { length, body, tag } = streams(crypto, key);
  return {
    ...shape,
    headLength: 4,
    length: (sequence, head) => getU32(length(sequence, head), 0),
    open(sequence, packet) {
      const end = packet.length - tagLength;
      if (!crypto.equal(tag(sequence, packet.subarray(0, end)), packet.subarray(end))) {
        throw macFailed('message authentication code incorrect');
      }
      return body(sequence, packet.subarray(4, end));
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
