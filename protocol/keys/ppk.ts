/**
 * PuTTY's private key files, versions 2 and 3 (PuTTY manual, appendix C): reading, with the MAC checked.
 *
 * Version 1 and writing are not here.
 */

import { concatBytes } from '@noble/hashes/utils.js';
import type { CryptoProvider } from '../crypto/provider.ts';
import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { encodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';
import { decodeBase64 } from './base64.ts';
import { parsePublicBlob } from './blob.ts';
import { keyFormat, keyUnsupported, passphraseNeeded, readingKey } from './errors.ts';
import { fromHex } from './numbers.ts';
import { checkedHalves } from './private-blob.ts';
import type { PrivateKey, PublicKey, SecretMaterial } from './types.ts';

const format = 'PPK';
const magic = 'PuTTY-User-Key-File-';

interface Ppk {
  readonly version: 2 | 3;
  readonly type: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly publicBlob: Uint8Array;
  readonly privateBlob: Uint8Array;
}

export const isPpk = (text: string): boolean => text.startsWith(magic);

function readFile(text: string): Ppk {
  const lines = text.split(/\r\n|\n|\r/);
  const [, version, type] = /^PuTTY-User-Key-File-(\d+): (\S+)\s*$/.exec(lines[0]!) ?? [];
  if (version === undefined || type === undefined) throw keyFormat('broken first line', { format });
  if (version !== '2' && version !== '3') throw keyUnsupported('unknown PPK version', { format, version });
  const headers = new Map<string, string>();
  const blobs = new Map<string, Uint8Array>();
  for (let at = 1; at < lines.length; at++) {
    const line = lines[at]!;
    if (line === '') continue;
    const colon = line.indexOf(': ');
    if (colon < 0) throw keyFormat('line without a name', { format });
    const [name, value] = [line.slice(0, colon), line.slice(colon + 2)];
    headers.set(name, value);
    if (name !== 'Public-Lines' && name !== 'Private-Lines') continue;
    const count = decimal(value);
    const body = decodeBase64(lines.slice(at + 1, at + 1 + count).join(''));
    if (!body || at + count >= lines.length) throw keyFormat('broken base64', { format });
    blobs.set(name, body);
    at += count;
  }
  const publicBlob = blobs.get('Public-Lines');
  const privateBlob = blobs.get('Private-Lines');
  if (!publicBlob || !privateBlob) throw keyFormat('a part of the key is missing', { format });
  return { version: version === '2' ? 2 : 3, type, headers, publicBlob, privateBlob };
}

function decimal(text: string | undefined): number {
  if (text === undefined || !/^\d{1,9}$/.test(text)) throw keyFormat('number expected', { format });
  return Number(text);
}

function hexadecimal(text: string | undefined): Uint8Array {
  const bytes = text === undefined ? undefined : fromHex(text.trim());
  if (!bytes) throw keyFormat('hexadecimal digits expected', { format });
  return bytes;
}

interface Keys {
  readonly cipher: Uint8Array;
  readonly iv: Uint8Array;
  readonly mac: Uint8Array;
}

function deriveV2(crypto: CryptoProvider, passphrase: Uint8Array): Keys {
  const sha1 = (...parts: Uint8Array[]): Uint8Array => {
    const hash = crypto.hash('sha1');
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const half = (n: number): Uint8Array => sha1(Uint8Array.of(0, 0, 0, n), passphrase);
  return {
    cipher: concatBytes(half(0), half(1)).subarray(0, 32),
    iv: new Uint8Array(16),
    mac: sha1(encodeUtf8('putty-private-key-file-mac-key'), passphrase),
  };
}

function deriveV3(crypto: CryptoProvider, { headers }: Ppk, passphrase: Uint8Array): Keys {
  const flavour = { Argon2d: 'd', Argon2i: 'i', Argon2id: 'id' }[headers.get('Key-Derivation') ?? ''] as
    | 'd'
    | 'i'
    | 'id'
    | undefined;
  if (!flavour || !crypto.argon2) {
    throw keyUnsupported('unknown key derivation', { format, kdf: headers.get('Key-Derivation') });
  }
  const memory = decimal(headers.get('Argon2-Memory'));
  const passes = decimal(headers.get('Argon2-Passes'));
  const parallelism = decimal(headers.get('Argon2-Parallelism'));
  const salt = hexadecimal(headers.get('Argon2-Salt'));
  if (passes < 1 || parallelism < 1 || memory < 8 * parallelism || salt.length < 8) {
    throw keyFormat('key derivation out of range', { format });
  }
  if (memory > limits.argon2MemoryKib || passes * memory > limits.argon2Work) {
    throw keyUnsupported('key derivation costs too much', { format, memory, passes });
  }
  const out = crypto.argon2(flavour, passphrase, salt, { memory, passes, parallelism, length: 80 });
  return { cipher: out.subarray(0, 32), iv: out.subarray(32, 48), mac: out.subarray(48) };
}

/** The MAC keys of files that are not encrypted: version 2 derives one from no passphrase, version 3 has none. */
const plainKeys = (crypto: CryptoProvider, version: 2 | 3): Uint8Array =>
  version === 2 ? deriveV2(crypto, new Uint8Array(0)).mac : new Uint8Array(0);

/** The public half, which no passphrase protects. */
export const peekPpk = (text: string): PublicKey => readingKey(format, () => publicPart(readFile(text)));

function publicPart({ publicBlob, type }: Ppk): PublicKey {
  const publicKey = parsePublicBlob(publicBlob);
  if (publicKey.type !== type) throw malformed('first line names another type');
  return publicKey;
}

export function readPpk(crypto: CryptoProvider, text: string, passphrase?: Uint8Array): PrivateKey {
  return readingKey(format, () => {
    const file = readFile(text);
    const publicKey = publicPart(file);
    const cipher = file.headers.get('Encryption');
    const comment = file.headers.get('Comment') ?? '';
    if (cipher !== 'none' && cipher !== 'aes256-cbc') throw keyUnsupported('unknown cipher', { format, cipher });
    const encrypted = cipher !== 'none';
    let plain = file.privateBlob;
    let macKey: Uint8Array;
    if (encrypted) {
      if (plain.length === 0 || plain.length % 16 !== 0) throw malformed('ciphertext is no whole number of blocks');
      if (passphrase === undefined) throw passphraseNeeded(false, format);
      const keys = file.version === 2 ? deriveV2(crypto, passphrase) : deriveV3(crypto, file, passphrase);
      plain = crypto.aesCbc(keys.cipher, keys.iv, 'decrypt').process(plain);
      macKey = keys.mac;
    } else macKey = plainKeys(crypto, file.version);
    const signed = new Writer(1024).text(file.type).text(cipher).text(comment).string(file.publicBlob).string(plain);
    const mac = crypto.hmac(file.version === 2 ? 'sha1' : 'sha256', macKey).compute(signed.finish());
    if (!crypto.equal(mac, hexadecimal(file.headers.get('Private-MAC')))) {
      throw encrypted ? passphraseNeeded(true, format) : malformed('MAC is wrong');
    }
    return { ...checkedHalves(crypto, readSecret(publicKey, plain), publicKey), comment };
  });
}

function readSecret({ material, type }: PublicKey, plain: Uint8Array): SecretMaterial {
  const reader = new Reader(plain);
  switch (material.kind) {
    case 'ed25519': {
      const seed = reader.string(32);
      if (seed.length !== 32) throw malformed('Ed25519 secret is not 32 bytes');
      return { kind: 'ed25519', seed };
    }
    case 'ecdsa':
      return { kind: 'ecdsa', curve: material.curve, secret: reader.mpint() };
    case 'rsa': {
      const [d, p, q, iqmp] = [reader.mpint(), reader.mpint(), reader.mpint(), reader.mpint()];
      return { kind: 'rsa', n: material.n, e: material.e, d, p, q, iqmp };
    }
    case 'dsa': {
      const { p, q, g, y } = material;
      return { kind: 'dsa', p, q, g, y, x: reader.mpint() };
    }
    default:
      throw keyUnsupported('PuTTY does not keep such keys', { format, type });
  }
}
