/** What the layers above may use of the protocol core. Named exports only. */

// Crypto: what a provider on a platform's own crypto is made of.
export { argon2 } from './crypto/argon2.ts';
export { fromBigInt, toBigInt } from './crypto/bignum.ts';
export { usableDsa } from './crypto/dsa.ts';
export { checkGroup, checkPublic, privateExponent, publicNumber } from './crypto/ffdh.ts';
export { type ModpGroup, modpGroups } from './crypto/groups.ts';
export { createMlkem768 } from './crypto/mlkem768.ts';
export { poly1305 } from './crypto/poly1305.ts';
export type {
  Aead,
  ChaCha20,
  Cipher,
  CryptoProvider,
  CurveName,
  Dsa,
  DsaPublic,
  DsaSecret,
  Ecdsa,
  Ed25519,
  Hash,
  HashName,
  Kem,
  KeyPair,
  Mac,
  Rsa,
  RsaPublic,
  RsaSecret,
} from './crypto/provider.ts';
export { equalBytes, platformRandom, type Random } from './crypto/random.ts';
export { crtExponents, padSignature, usableRsa } from './crypto/rsa.ts';
export { Disconnect, type ErrorCode, SshError, type SshErrorOptions } from './errors.ts';
export { limits } from './limits.ts';
