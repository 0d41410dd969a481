/** New keys, from the provider's random numbers. */

import type { CryptoProvider, CurveName } from '../crypto/provider.ts';
import { SshError } from '../errors.ts';
import { publicFromSecret } from './blob.ts';
import { keyUnsupported } from './errors.ts';
import type { PrivateKey, SecretMaterial } from './types.ts';

export type GenerateType = 'ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521' | 'rsa';

export function generateKey(
  crypto: CryptoProvider,
  type: GenerateType,
  options: { readonly bits?: number; readonly comment?: string } = {},
): PrivateKey {
  const secret = generateSecret(crypto, type, options.bits ?? 3072);
  return { publicKey: publicFromSecret(crypto, secret), secret, comment: options.comment ?? '' };
}

function generateSecret(crypto: CryptoProvider, type: GenerateType, bits: number): SecretMaterial {
  const ecdsa = (curve: CurveName): SecretMaterial => ({
    kind: 'ecdsa',
    curve,
    secret: crypto.ecdsa(curve).generate(),
  });
  switch (type) {
    case 'ed25519':
      return { kind: 'ed25519', seed: crypto.random(32) };
    case 'ecdsa-sha2-nistp256':
      return ecdsa('p256');
    case 'ecdsa-sha2-nistp384':
      return ecdsa('p384');
    case 'ecdsa-sha2-nistp521':
      return ecdsa('p521');
    case 'rsa':
      if (!crypto.rsa.generate) throw keyUnsupported('this crypto provider makes no RSA keys');
      // OpenSSH's own floor and ceiling for new keys.
      if (!Number.isInteger(bits) || bits < 1024 || bits > 16384) {
        throw new SshError('usage', 'RSA key size out of range', { detail: { bits } });
      }
      return { kind: 'rsa', ...crypto.rsa.generate(bits) };
  }
}
