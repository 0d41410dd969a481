/**
 * The crypto seam: primitives only, no SSH inside, synchronous.
 *
 * A provider is a plain object of small factories, so acceleration is `{ ...noble, aesGcm, hmac, ... }`, row by row. A
 * missing optional row removes the algorithms that need it from our offer; it never fails in mid-handshake. Memory:
 * what a function returns is fresh and the caller's, who may detach it (`release`), so never memory that is used again; what
 * it is given it neither keeps nor changes (keys it may cache; `Aead.seal` is the exception).
 */

export type HashName = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512';

export interface Hash {
  update(data: Uint8Array): this;
  digest(): Uint8Array;
}

/** A keyed MAC that can be used again and again: MAC(parts joined). */
export interface Mac {
  readonly length: number;
  compute(...parts: readonly Uint8Array[]): Uint8Array;
}

/** A stream cipher or CBC chain that carries its state from call to call. Lengths are whole blocks. */
export interface Cipher {
  process(data: Uint8Array): Uint8Array;
}

export interface Aead {
  /** Encrypts `text` where it lies, but for its last 16 bytes, which take the tag: packets are sealed in place. */
  seal(nonce: Uint8Array, aad: Uint8Array, text: Uint8Array): void;
  /** Fresh plaintext, or undefined when the tag is wrong. */
  open(nonce: Uint8Array, aad: Uint8Array, data: Uint8Array, tag: Uint8Array): Uint8Array | undefined;
}

/** ChaCha20 with a 64-bit nonce and 64-bit counter (the original form, as chacha20-poly1305@openssh.com needs). */
export interface ChaCha20 {
  /** The key stream of `nonce` (8 bytes) from block 0 on: whole blocks of 64 bytes at a time, but for the last call. */
  stream(nonce: Uint8Array): Cipher;
}

export interface KeyPair {
  readonly publicKey: Uint8Array;
  /** The shared secret with a peer's public key; throws SshError('kex') for an unusable one (zero point, not on curve, out of range). */
  derive(peer: Uint8Array): Uint8Array;
}

export interface Kem {
  readonly publicKeyLength: number;
  readonly ciphertextLength: number;
  generate(): { readonly publicKey: Uint8Array; decapsulate(ciphertext: Uint8Array): Uint8Array };
  /** Throws SshError('kex') for an unusable public key. */
  encapsulate(publicKey: Uint8Array): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array };
}

export type CurveName = 'p256' | 'p384' | 'p521';

/** Ed25519 (RFC 8032). */
export interface Ed25519 {
  /** 32-byte seed to 32-byte public key. */
  publicKey(seed: Uint8Array): Uint8Array;
  sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** ECDSA with the curve's own hash (RFC 5656 section 6.2.1). Public keys are uncompressed points; signatures r || s at field width. */
export interface Ecdsa {
  generate(): Uint8Array;
  publicKey(secret: Uint8Array): Uint8Array;
  sign(secret: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** All numbers unsigned big-endian without leading zeros. */
export interface RsaPublic {
  readonly e: Uint8Array;
  readonly n: Uint8Array;
}
export interface RsaSecret extends RsaPublic {
  readonly d: Uint8Array;
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  /** q^-1 mod p */
  readonly iqmp: Uint8Array;
}
/** RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2). */
export interface Rsa {
  sign(key: RsaSecret, hash: 'sha1' | 'sha256' | 'sha512', message: Uint8Array): Uint8Array;
  verify(key: RsaPublic, hash: 'sha1' | 'sha256' | 'sha512', message: Uint8Array, signature: Uint8Array): boolean;
  /** Only providers that can: the demo, tests and tools make keys with it. */
  generate?(bits: number): RsaSecret;
}

export interface DsaPublic {
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly g: Uint8Array;
  readonly y: Uint8Array;
}
export interface DsaSecret extends DsaPublic {
  readonly x: Uint8Array;
}
/** DSA with SHA-1, r || s of 20 bytes each (RFC 4253 section 6.6). */
export interface Dsa {
  sign(key: DsaSecret, message: Uint8Array): Uint8Array;
  verify(key: DsaPublic, message: Uint8Array, signature: Uint8Array): boolean;
}

export interface CryptoProvider {
  readonly name: string;
  /** Which rows come from somewhere else than the base provider, for `-v`. */
  readonly overrides: readonly string[];
  random(length: number): Uint8Array;
  /** Constant-time where the platform can; false for different lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  hash(name: HashName): Hash;
  hmac(name: HashName, key: Uint8Array): Mac;
  aesCtr(key: Uint8Array, iv: Uint8Array): Cipher;
  aesCbc(key: Uint8Array, iv: Uint8Array, direction: 'encrypt' | 'decrypt'): Cipher;
  aesGcm(key: Uint8Array): Aead;
  /** Three-key EDE (24 bytes). */
  tripleDesCbc?(key: Uint8Array, iv: Uint8Array, direction: 'encrypt' | 'decrypt'): Cipher;
  /** One AES block at a time (UMAC's key derivation). */
  aesBlock(key: Uint8Array): { encrypt(block: Uint8Array): Uint8Array };
  chacha20(key: Uint8Array): ChaCha20;
  /** One-time authenticator (RFC 8439 section 2.5): 16 bytes. */
  poly1305(key: Uint8Array, data: Uint8Array): Uint8Array;
  x25519(): KeyPair;
  ecdh(curve: CurveName): KeyPair;
  /** Finite-field Diffie-Hellman; public values and secret as unsigned big-endian. `privateBits` sizes the exponent. */
  ffdh(prime: Uint8Array, generator: Uint8Array, privateBits: number): KeyPair;
  readonly kem: { readonly mlkem768?: Kem; readonly sntrup761?: Kem };
  readonly ed25519: Ed25519;
  ecdsa(curve: CurveName): Ecdsa;
  readonly rsa: Rsa;
  readonly dsa?: Dsa;
  pbkdf2(hash: HashName, password: Uint8Array, salt: Uint8Array, iterations: number, length: number): Uint8Array;
  /** Argon2 (RFC 9106) for PuTTY keys; memory in KiB. */
  argon2?(
    flavour: 'd' | 'i' | 'id',
    password: Uint8Array,
    salt: Uint8Array,
    options: { memory: number; passes: number; parallelism: number; length: number },
  ): Uint8Array;
}
