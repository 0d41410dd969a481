/**
 * The complete provider, and the library's default: @noble, tweetnacl and the files beside this one, nothing else.
 *
 * `createNobleCrypto` takes the random generator, so that a test with a seeded one sees the same bytes in every run.
 */

import { argon2 } from './argon2.ts';
import { createDsa } from './dsa.ts';
import { createFfdh } from './ffdh.ts';
import { createMlkem768 } from './mlkem768.ts';
import { aesBlock, aesCbc, aesCtr, aesGcm, chacha20 } from './noble-ciphers.ts';
import { createEcdh, createEcdsa, createX25519, ed25519 } from './noble-curves.ts';
import { hash, hmac, pbkdf2 } from './noble-hashes.ts';
import { poly1305 } from './poly1305.ts';
import type { CryptoProvider } from './provider.ts';
import { equalBytes, platformRandom, type Random } from './random.ts';
import { createRsa } from './rsa.ts';
import { createSntrup761 } from './sntrup761.ts';
import { tripleDesCbc } from './triple-des.ts';

export function createNobleCrypto(options: { readonly random?: Random } = {}): CryptoProvider {
  const random = options.random ?? platformRandom;
  const basics = { random, equal: equalBytes, hash, hmac };
  return {
    name: 'noble',
    overrides: [],
    ...basics,
    aesCtr,
    aesCbc,
    aesGcm,
    tripleDesCbc,
    aesBlock,
    chacha20,
    poly1305,
    x25519: createX25519(random),
    ecdh: createEcdh(random),
    ffdh: createFfdh(random),
    kem: { mlkem768: createMlkem768(random), sntrup761: createSntrup761(basics) },
    ed25519,
    ecdsa: createEcdsa(random),
    rsa: createRsa(basics),
    dsa: createDsa(basics),
    pbkdf2,
    argon2,
  };
}

export const nobleCrypto: CryptoProvider = /* @__PURE__ */ createNobleCrypto();
