/** Diffie-Hellman group exchange: RFC 4419, with the sizes of RFC 8270. */

import { modpGroups } from '../crypto/groups.ts';
import type { CryptoProvider, HashName } from '../crypto/provider.ts';
import { Disconnect, protocolError, SshError } from '../errors.ts';
import { KexGexGroup, KexGexInit, KexGexReply, KexGexRequest } from '../messages/kex.ts';
import { Writer } from '../wire/writer.ts';
import type { KexRow } from './method.ts';

const MIN_BITS = 2048; // RFC 8270 section 3
const MAX_BITS = 8192;

/** Modulus bits for a symmetric strength (NIST SP 800-57 part 1, table 2), within what we ask for. */
function preferredBits(strength: number): number {
  if (strength <= 128) return 3072;
  if (strength <= 192) return 7680;
  return MAX_BITS;
}

function bitLength(bytes: Uint8Array): number {
  return bytes.length === 0 ? 0 : bytes.length * 8 - Math.clz32(bytes[0]!) + 24;
}

function bitsSet(bytes: Uint8Array): number {
  let n = 0;
  for (let byte of bytes) for (; byte; byte &= byte - 1) n++;
  return n;
}

interface Bounds {
  readonly min: number;
  readonly preferred: number;
  readonly max: number;
}

/** min || n || max || p || g || e || f, and K as an mpint. */
function outcome(
  bounds: Bounds,
  group: { prime: Uint8Array; generator: Uint8Array },
  e: Uint8Array,
  f: Uint8Array,
  shared: Uint8Array,
) {
  const hashed = new Writer()
    .u32(bounds.min)
    .u32(bounds.preferred)
    .u32(bounds.max)
    .mpint(group.prime)
    .mpint(group.generator)
    .mpint(e)
    .mpint(f)
    .finish();
  const secret = new Writer().mpint(shared).finish();
  shared.fill(0);
  return { hashed, secret };
}

const exponentBits = (strength: number, prime: Uint8Array): number =>
  Math.min(Math.max(strength, 128) * 4, bitLength(prime) - 1);

function gexRow(name: string, hash: HashName, isDefault: boolean): KexRow {
  return {
    name,
    hash,
    postQuantum: false,
    default: isDefault,
    available: () => true,
    client(crypto, { strength, note }) {
      const bounds = { min: MIN_BITS, preferred: preferredBits(strength), max: MAX_BITS };
      let run:
        | { group: { prime: Uint8Array; generator: Uint8Array }; pair: ReturnType<CryptoProvider['ffdh']> }
        | undefined;
      return {
        begin() {
          note?.(`SSH2_MSG_KEX_DH_GEX_REQUEST(${bounds.min}<${bounds.preferred}<${bounds.max}) sent`);
          return KexGexRequest.encode(bounds);
        },
        receive(payload) {
          if (run === undefined) {
            const group = KexGexGroup.decode(payload);
            note?.('got SSH2_MSG_KEX_DH_GEX_GROUP');
            const bits = bitLength(group.prime);
            // An even modulus is no prime, and a size outside what we asked for is a downgrade or a burden.
            if (bits < bounds.min || bits > bounds.max || (group.prime.at(-1)! & 1) === 0) {
              throw new SshError('kex', `DH GEX group out of range: ${bits} bits`, {
                by: 'peer',
                disconnect: Disconnect.keyExchangeFailed,
              });
            }
            const pair = crypto.ffdh(group.prime, group.generator, exponentBits(strength, group.prime));
            run = { group, pair };
            note?.(`bits set: ${bitsSet(pair.publicKey)}/${bits}`);
            note?.('SSH2_MSG_KEX_DH_GEX_INIT sent');
            return { send: KexGexInit.encode({ clientPublic: pair.publicKey }) };
          }
          const { hostKey, serverPublic, signature } = KexGexReply.decode(payload);
          note?.('got SSH2_MSG_KEX_DH_GEX_REPLY');
          note?.(`bits set: ${bitsSet(serverPublic)}/${bitLength(run.group.prime)}`);
          const shared = run.pair.derive(serverPublic);
          return {
            done: { ...outcome(bounds, run.group, run.pair.publicKey, serverPublic, shared), hostKey, signature },
          };
        },
      };
    },
    server(crypto, { strength }) {
      let run: { bounds: Bounds; group: { prime: Uint8Array; generator: Uint8Array } } | undefined;
      return {
        receive(payload) {
          if (run === undefined) {
            const bounds = KexGexRequest.decode(payload);
            const groups = [modpGroups.group14, modpGroups.group16, modpGroups.group18];
            const fits = groups.filter((g) => g.prime.length * 8 >= bounds.min && g.prime.length * 8 <= bounds.max);
            const group = fits.find((g) => g.prime.length * 8 >= bounds.preferred) ?? fits.at(-1);
            if (bounds.min > bounds.max || group === undefined) throw protocolError('no group in the range asked for');
            run = { bounds, group };
            return { send: KexGexGroup.encode(group) };
          }
          const { clientPublic } = KexGexInit.decode(payload);
          const { bounds, group } = run;
          const pair = crypto.ffdh(group.prime, group.generator, exponentBits(strength, group.prime));
          const serverPublic = pair.publicKey;
          return {
            done: {
              ...outcome(bounds, group, clientPublic, serverPublic, pair.derive(clientPublic)),
              reply: (hostKey, signature) => KexGexReply.encode({ hostKey, serverPublic, signature }),
            },
          };
        },
      };
    },
  };
}

export const gexRows: readonly KexRow[] = [
  gexRow('diffie-hellman-group-exchange-sha256', 'sha256', true),
  gexRow('diffie-hellman-group-exchange-sha1', 'sha1', false),
];
