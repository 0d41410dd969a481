/**
 * OpenSSH's private key files, "openssh-key-v1" (PROTOCOL.key), read and written, plain and encrypted.
 *
 * Files with several keys are refused, as OpenSSH does.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { equalBytes } from '../crypto/random.ts';
import { malformed, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';
import { encodeBase64 } from './base64.ts';
import { bcryptPbkdf } from './bcrypt-pbkdf.ts';
import { parsePublicBlob } from './blob.ts';
import { keyFormat, keyUnsupported, passphraseNeeded, readingKey } from './errors.ts';
import { type FileCipher, fileCiphers } from './file-cipher.ts';
import { readPrivateKey, writePrivateKey } from './private-blob.ts';
import type { PrivateKey, PublicKey } from './types.ts';

const magic = encodeUtf8('openssh-key-v1\0');
const format = 'openssh-key-v1';
const saltLength = 16;
/** What ssh-keygen -a defaults to since OpenSSH 9.4. */
const defaultRounds = 24;
const plainBlock = 8;

interface Envelope {
  readonly cipher: string;
  readonly kdf: string;
  readonly kdfOptions: Uint8Array;
  readonly publicBlob: Uint8Array;
  readonly sealed: Uint8Array;
  /** What follows the private section: the tag of an AEAD cipher. */
  readonly tag: Uint8Array;
}

function readEnvelope(bytes: Uint8Array): Envelope {
  const reader = new Reader(bytes);
  if (!equalBytes(reader.raw(magic.length), magic)) throw malformed('magic is missing');
  const cipher = decodeUtf8(reader.string(limits.algorithmName));
  const kdf = decodeUtf8(reader.string(limits.algorithmName));
  const kdfOptions = reader.string();
  const count = reader.u32();
  if (count !== 1) throw malformed(`${count} keys in one file`);
  return { cipher, kdf, kdfOptions, publicBlob: reader.string(), sealed: reader.string(), tag: reader.rest() };
}

/** The public key in the clear part: no passphrase needed. `bytes` is the decoded body of the PEM armour. */
export const peekOpenssh = (bytes: Uint8Array): PublicKey =>
  readingKey(format, () => parsePublicBlob(readEnvelope(bytes).publicBlob));

/** `bytes` is the decoded body of the PEM armour. */
export function readOpenssh(crypto: CryptoProvider, bytes: Uint8Array, passphrase?: Uint8Array): PrivateKey {
  return readingKey(format, () => {
    const envelope = readEnvelope(bytes);
    const publicKey = parsePublicBlob(envelope.publicBlob);
    const encrypted = envelope.cipher !== 'none';
    const opened = encrypted ? decrypt(crypto, envelope, passphrase) : openPlain(envelope);
    const reader = new Reader(opened);
    const [check, again] = [reader.u32(), reader.u32()];
    if (check !== again) {
      if (encrypted) throw passphraseNeeded(true, format);
      throw malformed('check numbers differ');
    }
    const halves = readPrivateKey(crypto, reader);
    if (!equalBytes(halves.publicKey.blob, publicKey.blob)) throw malformed('public and private part differ');
    const comment = reader.text();
    const padding = reader.rest();
    if (padding.length >= 256 || padding.some((byte, i) => byte !== i + 1)) throw malformed('broken padding');
    return { ...halves, comment };
  });
}

function openPlain({ kdf, tag, sealed }: Envelope): Uint8Array {
  if (kdf !== 'none' || tag.length !== 0 || sealed.length % plainBlock !== 0) throw malformed('broken plain key');
  return sealed;
}

function decrypt(crypto: CryptoProvider, envelope: Envelope, passphrase: Uint8Array | undefined): Uint8Array {
  const cipher = findCipher(crypto, envelope.cipher);
  if (envelope.kdf !== 'bcrypt') throw keyUnsupported('unknown key derivation', { format, kdf: envelope.kdf });
  const options = new Reader(envelope.kdfOptions);
  const salt = options.string();
  const rounds = options.u32();
  options.end('key derivation options');
  if (salt.length === 0 || rounds === 0) throw malformed('key derivation without salt or rounds');
  if (rounds > limits.bcryptRounds) throw keyUnsupported('too many key derivation rounds', { format, rounds });
  if (envelope.sealed.length % cipher.blockSize !== 0 || envelope.tag.length !== cipher.tagLength) {
    throw malformed('private part is no whole number of blocks');
  }
  if (passphrase === undefined) throw passphraseNeeded(false, format);
  if (passphrase.length === 0) throw passphraseNeeded(true, format);
  const material = bcryptPbkdf(crypto, passphrase, salt, rounds, cipher.keyLength + cipher.ivLength);
  const key = material.subarray(0, cipher.keyLength);
  const iv = material.subarray(cipher.keyLength);
  const opened = cipher.decrypt(crypto, key, iv, envelope.sealed, envelope.tag);
  if (!opened) throw passphraseNeeded(true, format);
  return opened;
}

function findCipher(crypto: CryptoProvider, name: string): FileCipher {
  const cipher = fileCiphers.find((row) => row.name === name);
  if (!cipher?.available(crypto)) throw keyUnsupported('unknown cipher', { format, cipher: name });
  return cipher;
}

export interface FormatPrivateKeyOptions {
  /** Encrypts the file; an empty one does not. */
  readonly passphrase?: string | Uint8Array;
  readonly cipher?: string;
  readonly rounds?: number;
  /** In place of the key's own. */
  readonly comment?: string;
}

/** The file ssh-keygen would write, armour and all. */
export function formatPrivateKey(
  crypto: CryptoProvider,
  key: PrivateKey,
  options: FormatPrivateKeyOptions = {},
): string {
  const { passphrase = '', rounds = defaultRounds } = options;
  const secret = typeof passphrase === 'string' ? encodeUtf8(passphrase) : passphrase;
  const cipher = secret.length > 0 ? findCipher(crypto, options.cipher ?? 'aes256-ctr') : undefined;
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > limits.bcryptRounds) {
    throw new SshError('usage', 'key derivation rounds out of range', { detail: { rounds } });
  }
  const inner = privateSection(crypto, key, options.comment ?? key.comment, cipher?.blockSize ?? plainBlock);
  const writer = new Writer(inner.length + 1024)
    .raw(magic)
    .text(cipher?.name ?? 'none')
    .text(cipher ? 'bcrypt' : 'none');
  let sealed = inner;
  if (cipher) {
    const salt = crypto.random(saltLength);
    writer.string(new Writer().string(salt).u32(rounds).finish());
    const material = bcryptPbkdf(crypto, secret, salt, rounds, cipher.keyLength + cipher.ivLength);
    const iv = material.subarray(cipher.keyLength);
    sealed = cipher.encrypt(crypto, material.subarray(0, cipher.keyLength), iv, inner);
  } else {
    writer.text('');
  }
  // The length counts the private section alone: a tag stands behind it.
  writer.u32(1).string(key.publicKey.blob).u32(inner.length).raw(sealed);
  const body = encodeBase64(writer.finish()).replace(/.{1,70}/g, '$&\n');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body}-----END OPENSSH PRIVATE KEY-----\n`;
}

function privateSection(crypto: CryptoProvider, key: PrivateKey, comment: string, blockSize: number): Uint8Array {
  if (key.publicKey.material.kind !== key.secret.kind && key.secret.kind !== 'sk') {
    throw keyFormat('public and private part differ in kind');
  }
  const check = crypto.random(4);
  const writer = new Writer(2048).raw(check).raw(check);
  writePrivateKey(writer, key);
  writer.text(comment);
  for (let pad = 1; writer.length % blockSize !== 0; pad++) writer.u8(pad);
  return writer.finish();
}
