/** The ciphers of openssh-key-v1 files (PROTOCOL.key): each over the whole private section at once. */

import { concatBytes } from '@noble/hashes/utils.js';
import type { CryptoProvider } from '../crypto/provider.ts';

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
    const sealed = crypto.aesGcm(key).seal(iv, none, data);
    return concatBytes(sealed.data, sealed.tag);
  },
  decrypt: (crypto, key, iv, data, tag) => crypto.aesGcm(key).open(iv, none, data, tag),
});

/** PROTOCOL.chacha20poly1305 as for packet 0, without the length that the second half of the key is for. */
const chachaNonce = new Uint8Array(8);
const chachaTag = (crypto: CryptoProvider, key: Uint8Array, data: Uint8Array): Uint8Array =>
  crypto.poly1305(crypto.chacha20(key.subarray(0, 32)).process(chachaNonce, 0, new Uint8Array(32)), data);

const chachaPoly: FileCipher = {
  name: 'chacha20-poly1305@openssh.com',
  keyLength: 64,
  ivLength: 0,
  blockSize: 8,
  tagLength: 16,
  available: always,
  encrypt(crypto, key, _iv, data) {
    const sealed = crypto.chacha20(key.subarray(0, 32)).process(chachaNonce, 1, data);
    return concatBytes(sealed, chachaTag(crypto, key, sealed));
  },
  decrypt(crypto, key, _iv, data, tag) {
    if (!crypto.equal(chachaTag(crypto, key, data), tag)) return undefined;
    return crypto.chacha20(key.subarray(0, 32)).process(chachaNonce, 1, data);
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
