/** The ciphers of openssh-key-v1 files (PROTOCOL.key): each over the whole private section at once. */

import { concatBytes } from '@noble/hashes/utils.js';
import type { Cipher, CryptoProvider } from '../crypto/provider.ts';

export interface FileCipher {
  readonly name: string;
  readonly keyLength: number;
  readonly ivLength: number;
  readonly blockSize: number;
  readonly tagLength: number;
  available(crypto: CryptoProvider): boolean;
  /** Ciphertext with the tag, if there is one, behind it. */
  encrypt(crypto: CryptoProvider, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array;
  /** Undefined when the tag is wrong. */
  decrypt(
    crypto: CryptoProvider,
    key: Uint8Array,
    iv: Uint8Array,
    data: Uint8Array,
    tag: Uint8Array,
  ): Uint8Array | undefined;
}

const always = (): boolean => true;

const aesCtr = (bits: number): FileCipher => ({
  name: `aes${bits}-ctr`,
  keyLength: bits / 8,
  ivLength: 16,
  blockSize: 16,
  tagLength: 0,
  available: always,
  encrypt: (crypto, key, iv, data) => crypto.aesCtr(key, iv).process(data),
  decrypt: (crypto, key, iv, data) => crypto.aesCtr(key, iv).process(data),
});

const aesCbc = (bits: number): FileCipher => ({
  name: `aes${bits}-cbc`,
  keyLength: bits / 8,
  ivLength: 16,
  blockSize: 16,
  tagLength: 0,
  available: always,
  encrypt: (crypto, key, iv, data) => crypto.aesCbc(key, iv, 'encrypt').process(data),
  decrypt: (crypto, key, iv, data) => crypto.aesCbc(key, iv, 'decrypt').process(data),
});

const none = new Uint8Array(0);

const aesGcm = (bits: number): FileCipher => ({
  name: `aes${bits}-gcm@openssh.com`,
  keyLength: bits / 8,
  ivLength: 12,
  blockSize: 16,
  tagLength: 16,
  available: always,
  encrypt(crypto, key, iv, data) {
    const sealed = concatBytes(data, new Uint8Array(16));
    crypto.aesGcm(key).seal(iv, none, sealed);
    return sealed;
  },
  decrypt: (crypto, key, iv, data, tag) => crypto.aesGcm(key).open(iv, none, data, tag),
});

/** PROTOCOL.chacha20poly1305 as for packet 0, without the length that the second half of the key is for. */
function chachaStream(crypto: CryptoProvider, key: Uint8Array): { readonly tagKey: Uint8Array; readonly body: Cipher } {
  const body = crypto.chacha20(key.subarray(0, 32)).stream(new Uint8Array(8));
  return { tagKey: body.process(new Uint8Array(64)).subarray(0, 32), body };
}

const chachaPoly: FileCipher = {
  name: 'chacha20-poly1305@openssh.com',
  keyLength: 64,
  ivLength: 0,
  blockSize: 8,
  tagLength: 16,
  available: always,
  encrypt(crypto, key, _iv, data) {
    const { tagKey, body } = chachaStream(crypto, key);
    const sealed = body.process(data);
    return concatBytes(sealed, crypto.poly1305(tagKey, sealed));
  },
  decrypt(crypto, key, _iv, data, tag) {
    const { tagKey, body } = chachaStream(crypto, key);
    return crypto.equal(crypto.poly1305(tagKey, data), tag) ? body.process(data) : undefined;
  },
};

const tripleDes: FileCipher = {
  name: '3des-cbc',
  keyLength: 24,
  ivLength: 8,
  blockSize: 8,
  tagLength: 0,
  available: (crypto) => crypto.tripleDesCbc !== undefined,
  encrypt: (crypto, key, iv, data) => crypto.tripleDesCbc!(key, iv, 'encrypt').process(data),
  decrypt: (crypto, key, iv, data) => crypto.tripleDesCbc!(key, iv, 'decrypt').process(data),
};

export const fileCiphers: readonly FileCipher[] = [
  aesCtr(256),
  aesCtr(192),
  aesCtr(128),
  aesGcm(256),
  aesGcm(128),
  chachaPoly,
  aesCbc(256),
  aesCbc(192),
  aesCbc(128),
  tripleDes,
];
