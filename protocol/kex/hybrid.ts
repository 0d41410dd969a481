/**
 * Post-quantum hybrids: a KEM and X25519 side by side, so that breaking one is not enough.
 * draft-ietf-sshm-mlkem-hybrid-kex (mlkem768x25519-sha256) and draft-ietf-sshm-ntruprime-ssh (sntrup761x25519-sha512).
 * Public values are the KEM's part followed by X25519's; K is HASH(KEM secret || X25519 secret), encoded as a string.
 */

import type { CryptoProvider, HashName, Kem } from '../crypto/provider.ts';
import { Disconnect, SshError } from '../errors.ts';
import { KexEcdhInit, KexEcdhReply } from '../messages/kex.ts';
import { Writer } from '../wire/writer.ts';
import type { KexRow } from './method.ts';

const X25519_LENGTH = 32;

function split(value: Uint8Array, kemLength: number): [kem: Uint8Array, point: Uint8Array] {
  if (value.length !== kemLength + X25519_LENGTH) {
    throw new SshError('kex', `hybrid public value of ${value.length} bytes, ${kemLength + X25519_LENGTH} expected`, {
      by: 'peer',
      disconnect: Disconnect.keyExchangeFailed,
    });
  }
  return [value.subarray(0, kemLength), value.subarray(kemLength)];
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

function hybridRow(name: string, hash: HashName, kemOf: (crypto: CryptoProvider) => Kem | undefined): KexRow {
  const combine = (
    crypto: CryptoProvider,
    clientPublic: Uint8Array,
    serverPublic: Uint8Array,
    pq: Uint8Array,
    classic: Uint8Array,
  ) => {
    const shared = crypto.hash(hash).update(pq).update(classic).digest();
    const secret = new Writer().string(shared).finish();
    for (const bytes of [pq, classic, shared]) bytes.fill(0);
    return { secret, hashed: new Writer().string(clientPublic).string(serverPublic).finish() };
  };
  return {
    name,
    hash,
    postQuantum: true,
    default: true,
    available: (crypto) => kemOf(crypto) !== undefined,
    client(crypto) {
      const kem = kemOf(crypto)!;
      const kemKeys = kem.generate();
      const pair = crypto.x25519();
      const clientPublic = join(kemKeys.publicKey, pair.publicKey);
      return {
        begin: () => KexEcdhInit.encode({ clientPublic }),
        receive(payload) {
          const { hostKey, serverPublic, signature } = KexEcdhReply.decode(payload);
          const [ciphertext, point] = split(serverPublic, kem.ciphertextLength);
          const outcome = combine(
            crypto,
            clientPublic,
            serverPublic,
            kemKeys.decapsulate(ciphertext),
            pair.derive(point),
          );
          return { done: { ...outcome, hostKey, signature } };
        },
      };
    },
    server(crypto) {
      const kem = kemOf(crypto)!;
      return {
        receive(payload) {
          const { clientPublic } = KexEcdhInit.decode(payload);
          const [kemPublic, point] = split(clientPublic, kem.publicKeyLength);
          const pair = crypto.x25519();
          const { ciphertext, secret } = kem.encapsulate(kemPublic);
          const serverPublic = join(ciphertext, pair.publicKey);
          return {
            done: {
              ...combine(crypto, clientPublic, serverPublic, secret, pair.derive(point)),
              reply: (hostKey, signature) => KexEcdhReply.encode({ hostKey, serverPublic, signature }),
            },
          };
        },
      };
    },
  };
}

export const hybridRows: readonly KexRow[] = [
  hybridRow('mlkem768x25519-sha256', 'sha256', (crypto) => crypto.kem.mlkem768),
  hybridRow('sntrup761x25519-sha512', 'sha512', (crypto) => crypto.kem.sntrup761),
  hybridRow('sntrup761x25519-sha512@openssh.com', 'sha512', (crypto) => crypto.kem.sntrup761),
];
