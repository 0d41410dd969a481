/** Elliptic-curve Diffie-Hellman: RFC 5656 section 4 (NIST curves) and RFC 8731 (Curve25519). */

import type { CryptoProvider, HashName, KeyPair } from '../crypto/provider.ts';
import { KexEcdhInit, KexEcdhReply } from '../messages/kex.ts';
import { Writer } from '../wire/writer.ts';
import type { KexRow } from './method.ts';

/** string Q_C || string Q_S, and K as an mpint. */
function outcome(clientPublic: Uint8Array, serverPublic: Uint8Array, shared: Uint8Array) {
  const hashed = new Writer().string(clientPublic).string(serverPublic).finish();
  const secret = new Writer().mpint(shared).finish();
  shared.fill(0);
  return { hashed, secret };
}

const ecdhRow = (name: string, hash: HashName, pair: (crypto: CryptoProvider) => KeyPair): KexRow => ({
  name,
  hash,
  postQuantum: false,
  default: true,
  available: () => true,
  client(crypto) {
    const ours = pair(crypto);
    return {
      begin: () => KexEcdhInit.encode({ clientPublic: ours.publicKey }),
      receive(payload) {
        const { hostKey, serverPublic, signature } = KexEcdhReply.decode(payload);
        return { done: { ...outcome(ours.publicKey, serverPublic, ours.derive(serverPublic)), hostKey, signature } };
      },
    };
  },
  server(crypto) {
    return {
      receive(payload) {
        const { clientPublic } = KexEcdhInit.decode(payload);
        const ours = pair(crypto);
        const serverPublic = ours.publicKey;
        return {
          done: {
            ...outcome(clientPublic, serverPublic, ours.derive(clientPublic)),
            reply: (hostKey, signature) => KexEcdhReply.encode({ hostKey, serverPublic, signature }),
          },
        };
      },
    };
  },
});

export const ecdhRows: readonly KexRow[] = [
  ecdhRow('curve25519-sha256', 'sha256', (crypto) => crypto.x25519()),
  ecdhRow('curve25519-sha256@libssh.org', 'sha256', (crypto) => crypto.x25519()),
  ecdhRow('ecdh-sha2-nistp256', 'sha256', (crypto) => crypto.ecdh('p256')),
  ecdhRow('ecdh-sha2-nistp384', 'sha384', (crypto) => crypto.ecdh('p384')),
  ecdhRow('ecdh-sha2-nistp521', 'sha512', (crypto) => crypto.ecdh('p521')),
];
