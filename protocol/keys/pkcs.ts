/**
 * The PEM private keys of other tools: PKCS#1 (RFC 8017 appendix A.1.2), SEC 1 (RFC 5915), OpenSSL's DSA form, PKCS#8
 * (RFC 5958, RFC 8410) and its encrypted form with PBES2 (RFC 8018), and traditional PEM encryption (RFC 1421 headers
 * with OpenSSL's key derivation). Reading only; what we write is openssh-key-v1.
 *
 * Not here: PBES1, PKCS#12 ciphers, scrypt, single DES.
 */

import { concatBytes } from '@noble/hashes/utils.js';
import type { CryptoProvider, CurveName, HashName } from '../crypto/provider.ts';
import { malformed, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { dsaPublic } from './blob.ts';
import { DerReader, Tag } from './der.ts';
import { keyUnsupported, passphraseNeeded, readingKey } from './errors.ts';
import { fromHex } from './numbers.ts';
import type { PemBlock } from './pem.ts';
import { checkedHalves } from './private-blob.ts';
import type { PrivateKey, SecretMaterial } from './types.ts';

const curveOids: Readonly<Record<string, CurveName>> = {
  '1.2.840.10045.3.1.7': 'p256',
  '1.3.132.0.34': 'p384',
  '1.3.132.0.35': 'p521',
};

function curveOf(oid: string): CurveName {
  const curve = Object.hasOwn(curveOids, oid) ? curveOids[oid] : undefined;
  if (!curve) throw keyUnsupported('unknown elliptic curve', { oid });
  return curve;
}

function readPkcs1(der: Uint8Array): SecretMaterial {
  const key = new DerReader(der).sequence();
  if (key.small() !== 0) throw malformed('RSA key with more than two primes');
  const [n, e, d, p, q] = [key.integer(), key.integer(), key.integer(), key.integer(), key.integer()];
  key.integer(); // d mod p-1
  key.integer(); // d mod q-1
  return { kind: 'rsa', n, e, d, p, q, iqmp: key.integer() };
}

/** RFC 5915 section 3. PKCS#8 names the curve outside. */
function readSec1(der: Uint8Array, outerCurve?: CurveName): SecretMaterial {
  const key = new DerReader(der).sequence();
  if (key.small() !== 1) throw malformed('unknown version of an EC key');
  const secret = key.octets();
  const named = key.tag === Tag.context(0) ? curveOf(new DerReader(key.element(Tag.context(0))).oid()) : outerCurve;
  if (!named || (outerCurve && named !== outerCurve)) throw malformed('EC key without its curve');
  return { kind: 'ecdsa', curve: named, secret };
}

function readTraditionalDsa(der: Uint8Array): SecretMaterial {
  const key = new DerReader(der).sequence();
  if (key.small() !== 0) throw malformed('unknown version of a DSA key');
  const [p, q, g, y] = [key.integer(), key.integer(), key.integer(), key.integer()];
  return { kind: 'dsa', p, q, g, y, x: key.integer() };
}

function readPkcs8(der: Uint8Array): SecretMaterial {
  const info = new DerReader(der).sequence();
  if (info.small() > 1) throw malformed('unknown version of a PKCS#8 key');
  const algorithm = info.sequence();
  const oid = algorithm.oid();
  const key = info.octets();
  switch (oid) {
    case '1.2.840.113549.1.1.1':
      return readPkcs1(key);
    case '1.2.840.10045.2.1':
      return readSec1(key, curveOf(algorithm.oid()));
    case '1.3.101.112': {
      const seed = new DerReader(key).octets();
      if (seed.length !== 32) throw malformed('Ed25519 secret is not 32 bytes');
      return { kind: 'ed25519', seed };
    }
    case '1.2.840.10040.4.1': {
      const numbers = algorithm.sequence();
      const [p, q, g] = [numbers.integer(), numbers.integer(), numbers.integer()];
      const x = new DerReader(key).integer();
      return { kind: 'dsa', p, q, g, x, y: dsaPublic({ p, q, g, x }) };
    }
    default:
      throw keyUnsupported('unknown kind of key', { oid });
  }
}

const prfs: Readonly<Record<string, HashName>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

type BlockCipher = (crypto: CryptoProvider, key: Uint8Array, iv: Uint8Array) => (data: Uint8Array) => Uint8Array;
interface CbcRow {
  readonly keyLength: number;
  readonly block: number;
  readonly open: BlockCipher;
}

const aesCbc = (keyLength: number): CbcRow => ({
  keyLength,
  block: 16,
  open: (crypto, key, iv) => (data) => crypto.aesCbc(key, iv, 'decrypt').process(data),
});
const tripleDes: CbcRow = {
  keyLength: 24,
  block: 8,
  open(crypto, key, iv) {
    if (!crypto.tripleDesCbc) throw keyUnsupported('this crypto provider has no 3DES');
    const cipher = crypto.tripleDesCbc(key, iv, 'decrypt');
    return (data) => cipher.process(data);
  },
};
/** By the name in DEK-Info and by object identifier. */
const cbcRows: Readonly<Record<string, CbcRow>> = {
  'AES-128-CBC': aesCbc(16),
  'AES-192-CBC': aesCbc(24),
  'AES-256-CBC': aesCbc(32),
  'DES-EDE3-CBC': tripleDes,
  '2.16.840.1.101.3.4.1.2': aesCbc(16),
  '2.16.840.1.101.3.4.1.22': aesCbc(24),
  '2.16.840.1.101.3.4.1.42': aesCbc(32),
  '1.2.840.113549.3.7': tripleDes,
};

function cbcRow(name: string): CbcRow {
  const row = Object.hasOwn(cbcRows, name) ? cbcRows[name] : undefined;
  if (!row) throw keyUnsupported('unknown cipher', { cipher: name });
  return row;
}

/** RFC 8018 section 6.2; the plaintext of an EncryptedPrivateKeyInfo. */
function openPbes2(crypto: CryptoProvider, der: Uint8Array, passphrase: Uint8Array | undefined): Uint8Array {
  const info = new DerReader(der).sequence();
  const algorithm = info.sequence();
  const scheme = algorithm.oid();
  if (scheme !== '1.2.840.113549.1.5.13') throw keyUnsupported('unknown key encryption', { oid: scheme });
  const parameters = algorithm.sequence();
  const kdf = parameters.sequence();
  const kdfOid = kdf.oid();
  if (kdfOid !== '1.2.840.113549.1.5.12') throw keyUnsupported('unknown key derivation', { oid: kdfOid });
  const cipher = parameters.sequence();
  const row = cbcRow(cipher.oid());
  const iv = cipher.octets();
  const pbkdf = kdf.sequence();
  const salt = pbkdf.octets();
  const iterations = pbkdf.small();
  if (pbkdf.tag === Tag.integer && pbkdf.small() !== row.keyLength) throw malformed('key length of another cipher');
  const prf = pbkdf.tag === Tag.sequence ? pbkdf.sequence().oid() : '1.2.840.113549.2.7';
  const hash = Object.hasOwn(prfs, prf) ? prfs[prf] : undefined;
  if (!hash) throw keyUnsupported('unknown key derivation', { oid: prf });
  if (iterations < 1) throw malformed('key derivation without iterations');
  if (iterations > limits.pbkdf2Iterations) throw keyUnsupported('too many key derivation rounds', { iterations });
  if (passphrase === undefined) throw passphraseNeeded(false, 'PKCS#8');
  const key = crypto.pbkdf2(hash, passphrase, salt, iterations, row.keyLength);
  return openCbc(crypto, row, key, iv, info.octets());
}

/** OpenSSL's EVP_BytesToKey with MD5 and one round. */
function openTraditional(crypto: CryptoProvider, block: PemBlock, passphrase: Uint8Array | undefined): Uint8Array {
  const [name = '', hex = ''] = block.headers.get('dek-info')?.split(',') ?? [];
  const row = cbcRow(name.trim().toUpperCase());
  const iv = fromHex(hex.trim());
  if (!iv || iv.length !== row.block) throw malformed('DEK-Info without a usable vector');
  if (passphrase === undefined) throw passphraseNeeded(false, 'PEM');
  const salted = concatBytes(passphrase, iv.subarray(0, 8));
  let key: Uint8Array = new Uint8Array(0);
  let last: Uint8Array = key;
  while (key.length < row.keyLength) {
    last = crypto.hash('md5').update(last).update(salted).digest();
    key = concatBytes(key, last);
  }
  return openCbc(crypto, row, key.subarray(0, row.keyLength), iv, block.body);
}

/** RFC 1423 padding; a broken one means the wrong passphrase. */
function openCbc(crypto: CryptoProvider, row: CbcRow, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  if (iv.length !== row.block) throw malformed('vector of another length than a block');
  if (data.length === 0 || data.length % row.block !== 0) throw malformed('ciphertext is no whole number of blocks');
  const plain = row.open(crypto, key, iv)(data);
  const pad = plain.at(-1)!;
  if (pad === 0 || pad > row.block || plain.subarray(-pad).some((byte) => byte !== pad)) {
    throw passphraseNeeded(true, 'PEM');
  }
  return plain.subarray(0, -pad);
}

const traditional: Readonly<Record<string, (der: Uint8Array) => SecretMaterial>> = {
  'RSA PRIVATE KEY': readPkcs1,
  'EC PRIVATE KEY': (der) => readSec1(der),
  'DSA PRIVATE KEY': readTraditionalDsa,
  'PRIVATE KEY': readPkcs8,
};

/** A private key of one of the forms above. */
export function readPem(crypto: CryptoProvider, block: PemBlock, passphrase?: Uint8Array): PrivateKey {
  const pbes2 = block.label === 'ENCRYPTED PRIVATE KEY';
  const read = pbes2 ? readPkcs8 : Object.hasOwn(traditional, block.label) ? traditional[block.label] : undefined;
  if (!read) throw keyUnsupported('unknown kind of PEM', { label: block.label });
  return readingKey(block.label, () => {
    const encrypted = pbes2 || /ENCRYPTED/.test(block.headers.get('proc-type') ?? '');
    if (!encrypted) return { ...checkedHalves(crypto, read(block.body)), comment: '' };
    const plain = pbes2 ? openPbes2(crypto, block.body, passphrase) : openTraditional(crypto, block, passphrase);
    try {
      return { ...checkedHalves(crypto, read(plain)), comment: '' };
    } catch (error) {
      // One wrong passphrase in 256 leaves what looks like padding.
      if (error instanceof SshError && error.code === 'malformed') throw passphraseNeeded(true, block.label);
      throw error;
    }
  });
}
