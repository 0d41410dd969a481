/** ML-KEM-768 (FIPS 203) on @noble/post-quantum, as mlkem768x25519-sha256 needs it. */

import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { Disconnect, SshError } from '../errors.ts';
import type { Kem } from './provider.ts';
import type { Random } from './random.ts';

const publicKeyLength = 1184;
const ciphertextLength = 1088;
/** FIPS 203 section 7.1 takes d and z, 32 bytes each; section 7.2 takes m, 32 bytes. */
const seedLength = 64;
const coinsLength = 32;

const unusable = (message: string, cause?: unknown): SshError =>
  new SshError('kex', message, { by: 'peer', disconnect: Disconnect.keyExchangeFailed, cause });

export function createMlkem768(random: Random): Kem {
  return {
    publicKeyLength,
    ciphertextLength,
    generate() {
      const { publicKey, secretKey } = ml_kem768.keygen(random(seedLength));
      return {
        publicKey,
        decapsulate(ciphertext) {
          if (ciphertext.length !== ciphertextLength) throw unusable('ML-KEM ciphertext of wrong length');
          return ml_kem768.decapsulate(ciphertext, secretKey);
        },
      };
    },
    encapsulate(publicKey) {
      if (publicKey.length !== publicKeyLength) throw unusable('ML-KEM public key of wrong length');
      try {
        const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, random(coinsLength));
        return { ciphertext: cipherText, secret: sharedSecret };
      } catch (cause) {
        // FIPS 203 section 7.2: coefficients that are not reduced modulo q.
        throw unusable('ML-KEM public key is malformed', cause);
      }
    },
  };
}
