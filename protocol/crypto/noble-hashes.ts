/** Hashes, HMAC and key derivation rows on @noble/hashes. */

import { argon2d, argon2i, argon2id } from '@noble/hashes/argon2.js';
import { hmac as nobleHmac } from '@noble/hashes/hmac.js';
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import type { CryptoProvider, HashName, Mac } from './provider.ts';

const hashes = { md5, sha1, sha256, sha384, sha512 } as const;

export const hash: CryptoProvider['hash'] = (name) => hashes[name].create();

export const hmac: CryptoProvider['hmac'] = (name: HashName, key: Uint8Array): Mac => {
  // The two padded-key blocks are hashed once here, not for each message.
  const keyed = nobleHmac.create(hashes[name], key);
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
  noblePbkdf2(hashes[name], password, salt, { c: iterations, dkLen: length });

const flavours = { d: argon2d, i: argon2i, id: argon2id } as const;

export const argon2: NonNullable<CryptoProvider['argon2']> = (flavour, password, salt, options) =>
  flavours[flavour](password, salt, {
    m: options.memory,
    t: options.passes,
    p: options.parallelism,
    dkLen: options.length,
  });
