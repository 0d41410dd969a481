/**
 * Symmetric rows on node:crypto: ciphers, hashes, HMAC, PBKDF2. What is returned is a plain Uint8Array, not a Buffer,
 * whose `slice` would share memory where the core expects a copy.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
  pbkdf2Sync,
} from 'node:crypto';
import { type Cipher, type CryptoProvider, type HashName, release } from '../protocol/index.ts';

export const plain = (buffer: Buffer): Uint8Array =>
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);

export const hash: CryptoProvider['hash'] = (name) => {
  const state = createHash(name);
  return {
    update(data) {
      state.update(data);
      return this;
    },
    digest: () => plain(state.digest()),
  };
};

const macLengths: Readonly<Record<HashName, number>> = { md5: 16, sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

export const hmac: CryptoProvider['hmac'] = (name, keyBytes) => {
  const key = createSecretKey(keyBytes);
  return {
    length: macLengths[name],
    compute(...parts) {
      const mac = createHmac(name, key);
      for (const part of parts) mac.update(part);
      return plain(mac.digest());
    },
  };
};

type Direction = 'encrypt' | 'decrypt';

function chained(algorithm: string, key: Uint8Array, iv: Uint8Array | null, direction: Direction): Cipher {
  const cipher = (direction === 'encrypt' ? createCipheriv : createDecipheriv)(algorithm, key, iv);
  cipher.setAutoPadding(false);
  return { process: (data) => plain(cipher.update(data)) };
}

const aes = (key: Uint8Array, mode: string): string => `aes-${key.length * 8}-${mode}`;

export const aesCtr: CryptoProvider['aesCtr'] = (key, iv) => chained(aes(key, 'ctr'), key, iv, 'encrypt');
export const aesCbc: CryptoProvider['aesCbc'] = (key, iv, direction) => chained(aes(key, 'cbc'), key, iv, direction);
export const tripleDesCbc: NonNullable<CryptoProvider['tripleDesCbc']> = (key, iv, direction) =>
  chained('des-ede3-cbc', key, iv, direction);

export const aesBlock: CryptoProvider['aesBlock'] = (key) => {
  const blocks = chained(aes(key, 'ecb'), key, null, 'encrypt');
  return { encrypt: (block) => blocks.process(block) };
};

const gcmTagLength = 16;
const gcmOptions = { authTagLength: gcmTagLength } as const;

export const aesGcm: CryptoProvider['aesGcm'] = (keyBytes) => {
  const algorithm = aes(keyBytes, 'gcm') as 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm';
  // A KeyObject is a sixth cheaper a packet than raw bytes.
  const key: KeyObject = createSecretKey(keyBytes);
  return {
    seal(nonce, aad, text) {
      const end = text.length - gcmTagLength;
      const cipher = createCipheriv(algorithm, key, nonce, gcmOptions);
      cipher.setAAD(aad);
      const sealed = cipher.update(text.subarray(0, end));
      cipher.final();
      text.set(sealed);
      text.set(cipher.getAuthTag(), end);
      release(sealed);
    },
    open(nonce, aad, data, tag) {
      if (tag.length !== gcmTagLength) return undefined;
      const decipher = createDecipheriv(algorithm, key, nonce, gcmOptions);
      decipher.setAAD(aad);
      decipher.setAuthTag(tag);
      const opened = plain(decipher.update(data));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return opened;
    },
  };
};

export const chacha20: CryptoProvider['chacha20'] = (keyBytes) => {
  const key = createSecretKey(keyBytes);
  // OpenSSL's: the 64-bit counter, which starts at 0, then the nonce.
  const iv = new Uint8Array(16);
  return {
    stream(nonce) {
      iv.set(nonce, 8);
      const cipher = createCipheriv('chacha20', key, iv);
      return { process: (data) => plain(cipher.update(data)) };
    },
  };
};

export const pbkdf2: CryptoProvider['pbkdf2'] = (name, password, salt, iterations, length) =>
  plain(pbkdf2Sync(password, salt, iterations, length, name));
