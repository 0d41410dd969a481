/** Finite-field Diffie-Hellman with fixed groups: RFC 4253 section 8, RFC 8268. */

import { modpGroups } from '../crypto/groups.ts';
import type { CryptoProvider, HashName, KeyPair } from '../crypto/provider.ts';
import { KexDhInit, KexDhReply } from '../messages/kex.ts';
import { Writer } from '../wire/writer.ts';
import type { KexRow } from './method.ts';

/** mpint e || mpint f, and K as an mpint. */
function outcome(clientPublic: Uint8Array, serverPublic: Uint8Array, shared: Uint8Array) {
  const hashed = new Writer().mpint(clientPublic).mpint(serverPublic).finish();
  const secret = new Writer().mpint(shared).finish();
  shared.fill(0);
  return { hashed, secret };
}

/** Twice the strength of the hash is what the exponent needs (RFC 4419 section 6.2 reasons alike). */
const exponentBits: Readonly<Record<HashName, number>> = {
  md5: 256,
  sha1: 320,
  sha256: 512,
  sha384: 768,
  sha512: 1024,
};

function dhRow(name: string, hash: HashName, group: keyof typeof modpGroups, isDefault: boolean): KexRow {
  const pair = (crypto: CryptoProvider): KeyPair => {
    const { prime, generator } = modpGroups[group];
    return crypto.ffdh(prime, generator, Math.min(exponentBits[hash], prime.length * 8 - 1));
  };
  return {
    name,
    hash,
    postQuantum: false,
    default: isDefault,
    available: () => true,
    client(crypto) {
      const ours = pair(crypto);
      return {
        begin: () => KexDhInit.encode({ clientPublic: ours.publicKey }),
        receive(payload) {
          const { hostKey, serverPublic, signature } = KexDhReply.decode(payload);
          return { done: { ...outcome(ours.publicKey, serverPublic, ours.derive(serverPublic)), hostKey, signature } };
        },
      };
    },
    server(crypto) {
      return {
        receive(payload) {
          const { clientPublic } = KexDhInit.decode(payload);
          const ours = pair(crypto);
          const serverPublic = ours.publicKey;
          return {
            done: {
              ...outcome(clientPublic, serverPublic, ours.derive(clientPublic)),
              reply: (hostKey, signature) => KexDhReply.encode({ hostKey, serverPublic, signature }),
            },
          };
        },
      };
    },
  };
}

export const dhRows: readonly KexRow[] = [
  dhRow('diffie-hellman-group16-sha512', 'sha512', 'group16', true),
  dhRow('diffie-hellman-group18-sha512', 'sha512', 'group18', true),
  dhRow('diffie-hellman-group14-sha256', 'sha256', 'group14', true),
  dhRow('diffie-hellman-group14-sha1', 'sha1', 'group14', false),
  dhRow('diffie-hellman-group1-sha1', 'sha1', 'group1', false),
];
