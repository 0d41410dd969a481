/** Argon2 (RFC 9106) on @noble/hashes. In a file of its own, since providers on a platform's crypto need it too. */

import { argon2d, argon2i, argon2id } from '@noble/hashes/argon2.js';
import type { CryptoProvider } from './provider.ts';

const flavours = { d: () => argon2d, i: () => argon2i, id: () => argon2id } as const;

export const argon2: NonNullable<CryptoProvider['argon2']> = (flavour, password, salt, options) =>
  flavours[flavour]()(password, salt, {
    m: options.memory,
    t: options.passes,
    p: options.parallelism,
    dkLen: options.length,
  });
