/**
 * Cipher rows on @noble/ciphers: AES in its modes, ChaCha20 in its original form.
 *
 * AES here is table-driven, so its memory accesses depend on key and data: see SECURITY.md. No padding is ever added.
 */

import { cbc, gcm, unsafe } from '@noble/ciphers/aes.js';
import { chacha20orig } from '@noble/ciphers/chacha.js';
import { concatBytes } from '@noble/hashes/utils.js';
import type { CryptoProvider } from './provider.ts';

const tagLength = 16;
const blockSize = 16;

/** A copy when the view does not start on a word: noble reads 32 bits at a time. */
const aligned = (bytes: Uint8Array): Uint8Array => (bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes));

export const aesCtr: CryptoProvider['aesCtr'] = (key, iv) => {
  const schedule = unsafe.expandKeyLE(Uint8Array.from(key));
  // noble counts in this block, with carry through all 128 bits (RFC 4344 section 4).
  const counter = Uint8Array.from(iv);
  return { process: (data) => unsafe.ctrCounter(schedule, counter, aligned(data)) };
};

export const aesCbc: CryptoProvider['aesCbc'] = (keyBytes, iv, direction) => {
  const key = Uint8Array.from(keyBytes);
  let chain = Uint8Array.from(iv);
  return {
    process(data) {
      if (data.length === 0) return new Uint8Array(0);
      const cipher = cbc(key, chain, { disablePadding: true });
      const out = direction === 'encrypt' ? cipher.encrypt(data) : cipher.decrypt(data);
      chain = (direction === 'encrypt' ? out : data).slice(-blockSize);
      return out;
    },
  };
};

export const aesGcm: CryptoProvider['aesGcm'] = (keyBytes) => {
  const key = Uint8Array.from(keyBytes);
  return {
    seal(nonce, aad, text) {
      text.set(gcm(key, nonce, aad).encrypt(text.subarray(0, -tagLength)));
    },
    open(nonce, aad, data, tag) {
      if (tag.length !== tagLength) return undefined;
      try {
        return gcm(key, nonce, aad).decrypt(concatBytes(data, tag));
      } catch {
        return undefined;
      }
    },
  };
};

export const aesBlock: CryptoProvider['aesBlock'] = (key) => {
  const schedule = unsafe.expandKeyLE(Uint8Array.from(key));
  return { encrypt: (block) => unsafe.encryptBlock(schedule, Uint8Array.from(block)) };
};

export const chacha20: CryptoProvider['chacha20'] = (keyBytes) => {
  const key = Uint8Array.from(keyBytes);
  return {
    stream(nonceBytes) {
      const nonce = Uint8Array.from(nonceBytes);
      let block = 0;
      return {
        process(data) {
          const out = chacha20orig(key, nonce, data, undefined, block);
          block += data.length / 64;
          return out;
        },
      };
    },
  };
};
