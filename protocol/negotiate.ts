/** KEXINIT: what we offer, and the choice both sides come to (RFC 4253 section 7.1, RFC 8308, OpenSSH PROTOCOL 1.9). */

import {
  type AlgorithmPreferences,
  algorithms,
  type CipherRow,
  type CompressionRow,
  type KexRow,
  type MacRow,
} from './algorithms.ts';
import type { CryptoProvider } from './crypto/provider.ts';
import { Disconnect, SshError } from './errors.ts';
import type { SignatureRow } from './keys/sign.ts';
import { KexInit } from './messages/transport.ts';

export type Role = 'client' | 'server';

export interface DirectionAlgorithms {
  readonly cipher: CipherRow;
  /** Undefined when the cipher authenticates by itself. */
  readonly mac: MacRow | undefined;
  readonly compression: CompressionRow;
}

export interface Negotiated {
  readonly kex: KexRow;
  readonly hostKey: SignatureRow;
  readonly clientToServer: DirectionAlgorithms;
  readonly serverToClient: DirectionAlgorithms;
}

/** Markers that stand in the kex list but are no methods. */
export const marker = {
  extInfoClient: 'ext-info-c',
  extInfoServer: 'ext-info-s',
  strictClient: 'kex-strict-c-v00@openssh.com',
  strictServer: 'kex-strict-s-v00@openssh.com',
} as const;

export function buildKexInit(
  crypto: CryptoProvider,
  role: Role,
  offer: AlgorithmPreferences,
  initial: boolean,
): Uint8Array {
  const markers = !initial
    ? []
    : role === 'client'
      ? [marker.extInfoClient, marker.strictClient]
      : [marker.extInfoServer, marker.strictServer];
  return KexInit.encode({
    cookie: crypto.random(16),
    kex: [...offer.kex, ...markers],
    hostKey: offer.hostKeys,
    cipherClientToServer: offer.ciphers,
    cipherServerToClient: offer.ciphers,
    macClientToServer: offer.macs,
    macServerToClient: offer.macs,
    compressionClientToServer: offer.compression,
    compressionServerToClient: offer.compression,
    languagesClientToServer: [],
    languagesServerToClient: [],
    firstKexPacketFollows: false,
    reserved: 0,
  });
}

export type AlgorithmKind = 'kex' | 'host key' | 'cipher' | 'mac' | 'compression';

/** The first of the client's names that the server has too. */
function pick(kind: AlgorithmKind, client: readonly string[], server: readonly string[], role: Role): string {
  const name = client.find((candidate) => server.includes(candidate) && !isMarker(candidate));
  if (name !== undefined) return name;
  const [ours, theirs] = role === 'client' ? [client, server] : [server, client];
  throw new SshError('no-common-algorithm', `no common ${kind} algorithm`, {
    by: 'peer',
    disconnect: Disconnect.keyExchangeFailed,
    detail: { kind, ours: ours.filter((n) => !isMarker(n)), theirs: theirs.filter((n) => !isMarker(n)) },
  });
}

const isMarker = (name: string): boolean => (Object.values(marker) as string[]).includes(name);

const rowOf = <R extends { name: string }>(rows: readonly R[], name: string): R => {
  const row = rows.find((candidate) => candidate.name === name);
  if (row === undefined) throw new SshError('usage', `algorithm ${name} was offered but has no row`);
  return row;
};

export function negotiate(role: Role, ours: KexInit, theirs: KexInit): Negotiated {
  const [client, server] = role === 'client' ? [ours, theirs] : [theirs, ours];
  const direction = (which: 'ClientToServer' | 'ServerToClient'): DirectionAlgorithms => {
    const cipher = rowOf(algorithms.ciphers, pick('cipher', client[`cipher${which}`], server[`cipher${which}`], role));
    const mac = cipher.aead
      ? undefined
      : rowOf(algorithms.macs, pick('mac', client[`mac${which}`], server[`mac${which}`], role));
    const compression = rowOf(
      algorithms.compression,
      pick('compression', client[`compression${which}`], server[`compression${which}`], role),
    );
    return { cipher, mac, compression };
  };
  return {
    kex: rowOf(algorithms.kex, pick('kex', client.kex, server.kex, role)),
    hostKey: rowOf(algorithms.hostKeys, pick('host key', client.hostKey, server.hostKey, role)),
    clientToServer: direction('ClientToServer'),
    serverToClient: direction('ServerToClient'),
  };
}

/** RFC 4253 section 7.1: a guess is right when both sides' first kex and first host-key names agree. */
export function guessedRight(ours: KexInit, theirs: KexInit): boolean {
  const first = (names: readonly string[]): string | undefined => names.find((name) => !isMarker(name));
  return first(ours.kex) === first(theirs.kex) && first(ours.hostKey) === first(theirs.hostKey);
}

/**
 * Security bits the chosen ciphers ask of a group exchange, and never less than 128 (RFC 4419 section 3 leaves it to the
 * client). Triple-DES has 112 bits, not its key's 192. A MAC asks for nothing more: its key is as long as its hash, but
 * who can break the exchange at the cipher's strength gains nothing that breaking the cipher would not give.
 */
export function neededStrength(chosen: Negotiated): number {
  const of = ({ cipher }: DirectionAlgorithms): number => (cipher.name === '3des-cbc' ? 14 : cipher.keyLength) * 8;
  return Math.max(128, of(chosen.clientToServer), of(chosen.serverToClient));
}
