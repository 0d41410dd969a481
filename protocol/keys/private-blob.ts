/**
 * Private keys in SSH wire form: the same fields stand in openssh-key-v1 files (PROTOCOL.key) and in the agent's
 * "add" requests (draft-ietf-sshm-ssh-agent section 3.2). A certified key names the certificate and leaves the public
 * numbers out.
 */

import { concatBytes } from '@noble/hashes/utils.js';
import { toBigInt } from '../crypto/bignum.ts';
import type { CryptoProvider, RsaSecret } from '../crypto/provider.ts';
import { equalBytes } from '../crypto/random.ts';
import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Reader } from '../wire/reader.ts';
import { decodeUtf8 } from '../wire/text.ts';
import type { Writer } from '../wire/writer.ts';
import { checkRsa, curves, encodePublicMaterial, publicFromSecret, readPublicFields } from './blob.ts';
import { padTo } from './numbers.ts';
import type { PublicKey, SecretMaterial } from './types.ts';

export interface KeyHalves {
  readonly publicKey: PublicKey;
  readonly secret: SecretMaterial;
}

/** Type and fields, without the comment. */
export function writePrivateKey(writer: Writer, { publicKey, secret }: KeyHalves): void {
  const { material, type } = publicKey;
  writer.text(type);
  switch (material.kind) {
    case 'ecdsa':
      writer.text(curves[material.curve].wireName).string(material.point);
      break;
    case 'rsa':
      writer.mpint(material.n).mpint(material.e);
      break;
    case 'dsa':
      writer.mpint(material.p).mpint(material.q).mpint(material.g).mpint(material.y);
      break;
    case 'sk-ecdsa':
      writer.text('nistp256').string(material.point).text(material.application);
      break;
    case 'ed25519':
      writer.string(material.point);
      break;
    case 'sk-ed25519':
      writer.string(material.point).text(material.application);
      break;
  }
  writeSecret(writer, publicKey, secret);
}

/** The form for a certified key: certificate type, certificate, and what the certificate does not say. */
export function writeCertifiedKey(
  writer: Writer,
  certificate: { readonly type: string; readonly blob: Uint8Array },
  { publicKey, secret }: KeyHalves,
): void {
  writer.text(certificate.type).string(certificate.blob);
  const { material } = publicKey;
  if (material.kind === 'ed25519' || material.kind === 'sk-ed25519') writer.string(material.point);
  if (material.kind === 'sk-ed25519' || material.kind === 'sk-ecdsa') writer.text(material.application);
  writeSecret(writer, publicKey, secret);
}

function writeSecret(writer: Writer, { material }: PublicKey, secret: SecretMaterial): void {
  switch (secret.kind) {
    case 'ed25519':
      if (material.kind === 'ed25519') writer.string(concatBytes(secret.seed, material.point));
      break;
    case 'ecdsa':
      writer.mpint(secret.secret);
      break;
    case 'rsa':
      writer.mpint(secret.d).mpint(secret.iqmp).mpint(secret.p).mpint(secret.q);
      break;
    case 'dsa':
      writer.mpint(secret.x);
      break;
    case 'sk':
      writer.u8(secret.flags).string(secret.handle).string(secret.reserved);
      break;
  }
}

/** Reads what `writePrivateKey` writes and checks that the halves belong together. */
export function readPrivateKey(crypto: CryptoProvider, reader: Reader): KeyHalves {
  const type = decodeUtf8(reader.string(limits.algorithmName));
  return readPrivateFields(crypto, type, reader);
}

/** The fields behind the type's name. */
export function readPrivateFields(crypto: CryptoProvider, type: string, reader: Reader): KeyHalves {
  if (type === 'ssh-rsa') {
    // The one type whose private form has the public numbers the other way round.
    const [n, e] = [reader.mpint(), reader.mpint()];
    checkRsa(n, e);
    return readCertifiedFields(crypto, encodePublicMaterial({ kind: 'rsa', n, e }), reader);
  }
  const material = readPublicFields(type, reader);
  return readSecret(crypto, encodePublicMaterial(material), reader);
}

/** The fields behind a certificate whose key is `publicKey`. */
export function readCertifiedFields(crypto: CryptoProvider, publicKey: PublicKey, reader: Reader): KeyHalves {
  const { material } = publicKey;
  if (material.kind === 'ed25519' || material.kind === 'sk-ed25519') {
    if (!equalBytes(reader.string(32), material.point)) throw malformed('public key is not the certified one');
  }
  if (material.kind === 'sk-ed25519' || material.kind === 'sk-ecdsa') {
    if (reader.text(1024) !== material.application) throw malformed('application is not the certified one');
  }
  return readSecret(crypto, publicKey, reader);
}

function readSecret(crypto: CryptoProvider, publicKey: PublicKey, reader: Reader): KeyHalves {
  return checkedHalves(crypto, secretFields(publicKey, reader), publicKey);
}

function secretFields({ material }: PublicKey, reader: Reader): SecretMaterial {
  switch (material.kind) {
    case 'ed25519': {
      const pair = reader.string(64);
      if (pair.length !== 64) throw malformed('Ed25519 secret is not 64 bytes');
      return { kind: 'ed25519', seed: pair.subarray(0, 32) };
    }
    case 'ecdsa':
      return { kind: 'ecdsa', curve: material.curve, secret: reader.mpint() };
    case 'rsa': {
      const { n, e } = material;
      const [d, iqmp, p, q] = [reader.mpint(), reader.mpint(), reader.mpint(), reader.mpint()];
      return { kind: 'rsa', n, e, d, iqmp, p, q };
    }
    case 'dsa': {
      const { p, q, g, y } = material;
      return { kind: 'dsa', p, q, g, y, x: reader.mpint() };
    }
    default:
      return { kind: 'sk', flags: reader.u8(), handle: reader.string(), reserved: reader.string() };
  }
}

/**
 * Takes a secret as it was read, copies it and finds its public half, which must be `claimed` where there is a claim:
 * a secret that does not belong to its public key signs garbage, and a wrong CRT number gives the key away.
 */
export function checkedHalves(crypto: CryptoProvider, found: SecretMaterial, claimed?: PublicKey): KeyHalves {
  const secret = copySecret(found);
  if (secret.kind === 'sk') {
    if (!claimed) throw malformed('security key without its public half');
    return { publicKey: claimed, secret };
  }
  if (secret.kind === 'rsa') checkRsaSecret(secret);
  if (secret.kind === 'dsa') {
    const x = toBigInt(secret.x);
    if (x === 0n || x >= toBigInt(secret.q)) throw malformed('secret number out of range');
  }
  const publicKey = publicFromSecret(crypto, secret);
  if (claimed && !equalBytes(publicKey.blob, claimed.blob)) {
    throw malformed('secret and public key do not belong together');
  }
  return { publicKey, secret };
}

/** Not slice(): of a Buffer that would be a view. ECDSA secrets get their curve's width. */
function copySecret(found: SecretMaterial): SecretMaterial {
  const copy = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
  switch (found.kind) {
    case 'ed25519':
      return { kind: 'ed25519', seed: copy(found.seed) };
    case 'ecdsa': {
      const secret = padTo(found.secret, curves[found.curve].bytes);
      if (!secret) throw malformed('secret number longer than its curve');
      return { ...found, secret };
    }
    case 'rsa': {
      const { n, e, d, p, q, iqmp } = found;
      return { kind: 'rsa', n: copy(n), e: copy(e), d: copy(d), p: copy(p), q: copy(q), iqmp: copy(iqmp) };
    }
    case 'dsa': {
      const { p, q, g, y, x } = found;
      return { kind: 'dsa', p: copy(p), q: copy(q), g: copy(g), y: copy(y), x: copy(x) };
    }
    case 'sk':
      return { ...found, handle: copy(found.handle), reserved: copy(found.reserved) };
  }
}

function checkRsaSecret(secret: RsaSecret): void {
  const [n, p, q, d, e] = [secret.n, secret.p, secret.q, secret.d, secret.e].map(toBigInt) as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const sound =
    p > 1n &&
    q > 1n &&
    p * q === n &&
    d < n &&
    (d * e) % (p - 1n) === 1n &&
    (d * e) % (q - 1n) === 1n &&
    (toBigInt(secret.iqmp) * q) % p === 1n;
  if (!sound) throw malformed('RSA numbers do not belong together');
}
