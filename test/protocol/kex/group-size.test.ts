// The size a group exchange asks for follows the ciphers (RFC 4419 section 3), whatever the MAC.
import { describe, expect, it } from 'vitest';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { KexInit } from '../../../protocol/messages/transport.ts';
import { buildKexInit, neededStrength, negotiate } from '../../../protocol/negotiate.ts';

const init = (cipher: string, mac: string) =>
  KexInit.decode(
    buildKexInit(
      nobleCrypto,
      'client',
      {
        kex: ['diffie-hellman-group-exchange-sha256'],
        hostKeys: ['ssh-ed25519'],
        ciphers: [cipher],
        macs: [mac],
        compression: ['none'],
      },
      false,
    ),
  );

describe('a group exchange', () => {
  it.each([
    ['3des-cbc', 'hmac-sha1', 3072],
    ['aes128-ctr', 'umac-64@openssh.com', 3072],
    ['aes128-ctr', 'hmac-sha2-512', 3072],
    ['aes192-ctr', 'hmac-sha2-256', 7680],
    ['aes256-gcm@openssh.com', 'hmac-sha2-256', 8192],
    ['chacha20-poly1305@openssh.com', 'hmac-sha2-256', 8192],
  ])('asks with %s and %s for %i bits', (cipher, mac, bits) => {
    const chosen = negotiate('client', init(cipher, mac), init(cipher, mac));
    const notes: string[] = [];
    chosen.kex.client(nobleCrypto, { strength: neededStrength(chosen), note: (text) => notes.push(text) }).begin();
    expect(notes).toEqual([`SSH2_MSG_KEX_DH_GEX_REQUEST(2048<${bits}<8192) sent`]);
  });
});
