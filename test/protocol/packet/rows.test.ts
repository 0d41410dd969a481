/** The tables: names, order and defaults as OpenSSH's client has them. */

import { expect, it } from 'vitest';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { cipherRows } from '../../../protocol/packet/ciphers.ts';
import { compressionRows } from '../../../protocol/packet/compression.ts';
import { macRows } from '../../../protocol/packet/macs.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';

const offered = (rows: readonly { name: string; default: boolean }[]): string =>
  rows
    .filter((row) => row.default)
    .map(({ name }) => name)
    .join();

it('offers what OpenSSH offers, in its order', () => {
  expect(offered(cipherRows)).toBe(
    'chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr',
  );
  expect(offered(macRows)).toBe(
    'umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,' +
      'hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1',
  );
  expect(offered(compressionRows)).toBe('none,zlib@openssh.com,zlib');
});

it('knows everything `ssh -Q` lists, once', () => {
  const ciphers =
    '3des-cbc aes128-cbc aes192-cbc aes256-cbc aes128-ctr aes192-ctr aes256-ctr aes128-gcm@openssh.com ' +
    'aes256-gcm@openssh.com chacha20-poly1305@openssh.com';
  const macs =
    'hmac-sha1 hmac-sha1-96 hmac-sha2-256 hmac-sha2-512 hmac-md5 hmac-md5-96 umac-64@openssh.com umac-128@openssh.com ' +
    'hmac-sha1-etm@openssh.com hmac-sha1-96-etm@openssh.com hmac-sha2-256-etm@openssh.com ' +
    'hmac-sha2-512-etm@openssh.com hmac-md5-etm@openssh.com hmac-md5-96-etm@openssh.com umac-64-etm@openssh.com ' +
    'umac-128-etm@openssh.com';
  expect(cipherRows.map(({ name }) => name).sort()).toEqual(ciphers.split(' ').sort());
  expect(macRows.map(({ name }) => name).sort()).toEqual(macs.split(' ').sort());
});

it('a row whose primitive is missing is not available', () => {
  const triple = cipherRows.find(({ name }) => name === '3des-cbc')!;
  const { tripleDesCbc: _, ...without } = nodeCrypto();
  expect(triple.available(without)).toBe(false);
  expect(cipherRows.filter((row) => row.name !== '3des-cbc' && !row.available(without))).toEqual([]);
  expect(macRows.every((row) => row.available(nobleCrypto))).toBe(true);
});
