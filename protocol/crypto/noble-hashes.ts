/** Hash, HMAC and PBKDF2 rows on @noble/hashes. */

import { hmac as nobleHmac } from '@noble/hashes/hmac.js';
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import type { CryptoProvider, HashName, Mac } from './provider.ts';

// Functions: a bundle then evaluates a hash when it is first asked for, not at the start of the program.
const hashes = {
  md5: () => md5,
  sha1: () => sha1,
  sha256: () => sha256,
  sha384: () => sha384,
  sha512: () => sha512,
} as const;

export const hash: CryptoProvider['hash'] = (name) => hashes[name]().create();

export const hmac: CryptoProvider['hmac'] = (name: HashName, key: Uint8Array): Mac => {
  // The two padded-key blocks are hashed once here, not for each message.
  const keyed = nobleHmac.create(hashes[name](), key);
  return {
    length: keyed.outputLen,
    compute(...parts) {
      const mac = keyed.clone();
      for (const part of parts) mac.update(part);
      return mac.digest();
    },
  };
};

export const pbkdf2: CryptoProvider['pbkdf2'] = (name, password, salt, iterations, length) =>
  noblePbkdf2(hashes[name](), password, salt, { c: iterations, dkLen: length });
