/**
 * Every packet MAC (RFC 4253 section 6.4, RFC 6668, RFC 4418, OpenSSH's -etm forms), in OpenSSH's
 * order of preference. Truncated and MD5 forms are off by default.
 */

import type { CryptoProvider, HashName } from '../crypto/provider.ts';
import { umac } from '../crypto/umac.ts';
import { putU32 } from '../wire/writer.ts';
import type { MacRow, PacketMac } from './cipher.ts';

function hmac(crypto: CryptoProvider, hash: HashName, key: Uint8Array, length: number): PacketMac {
  const mac = crypto.hmac(hash, key);
  const prefix = new Uint8Array(4);
  return {
    length,
    compute(sequence, data) {
      putU32(prefix, 0, sequence);
      const tag = mac.compute(prefix, data);
      return tag.length === length ? tag : tag.subarray(0, length);
    },
  };
}

function hmacRow(name: string, hash: HashName, keyLength: number, length: number, enabled: boolean): MacRow {
  return {
    name,
    keyLength,
    length,
    etm: name.includes('-etm@'),
    default: enabled,
    available: () => true,
    create: (crypto, key) => hmac(crypto, hash, key, length),
  };
}

/** UMAC takes the sequence number as its nonce, not as part of the data. */
function umacRow(name: string, length: 8 | 16): MacRow {
  return {
    name,
    keyLength: 16,
    length,
    etm: name.includes('-etm@'),
    default: true,
    available: () => true,
    create(crypto, key) {
      const mac = umac(crypto, key, length);
      const nonce = new Uint8Array(8);
      return {
        length,
        compute(sequence, data) {
          putU32(nonce, 4, sequence);
          return mac.compute(nonce, data);
        },
      };
    },
  };
}

export const macRows: readonly MacRow[] = [
  umacRow('umac-64-etm@openssh.com', 8),
  umacRow('umac-128-etm@openssh.com', 16),
  hmacRow('hmac-sha2-256-etm@openssh.com', 'sha256', 32, 32, true),
  hmacRow('hmac-sha2-512-etm@openssh.com', 'sha512', 64, 64, true),
  hmacRow('hmac-sha1-etm@openssh.com', 'sha1', 20, 20, true),
  umacRow('umac-64@openssh.com', 8),
  umacRow('umac-128@openssh.com', 16),
  hmacRow('hmac-sha2-256', 'sha256', 32, 32, true),
  hmacRow('hmac-sha2-512', 'sha512', 64, 64, true),
  hmacRow('hmac-sha1', 'sha1', 20, 20, true),
  hmacRow('hmac-sha1-96-etm@openssh.com', 'sha1', 20, 12, false),
  hmacRow('hmac-md5-etm@openssh.com', 'md5', 16, 16, false),
  hmacRow('hmac-md5-96-etm@openssh.com', 'md5', 16, 12, false),
  hmacRow('hmac-sha1-96', 'sha1', 20, 12, false),
  hmacRow('hmac-md5', 'md5', 16, 16, false),
  hmacRow('hmac-md5-96', 'md5', 16, 12, false),
];
