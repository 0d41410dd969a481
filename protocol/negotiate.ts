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

/** Within a run on many hosts all offers are alike but for the cookie: ours is written once, theirs are read once. */
let lastMade: { readonly lists: string; readonly payload: Uint8Array } | undefined;
const recentlyRead: { readonly payload: Uint8Array; readonly init: KexInit }[] = [];
/** Ours, and the servers of a few releases. */
const RECENT = 4;
const COOKIE_AT = 1;
const COOKIE_LENGTH = 16;

/** Decodes a KEXINIT; one that says the same as an earlier one, byte for byte, is not parsed again. */
export function readKexInit(payload: Uint8Array): KexInit {
  let read = recentlyRead.find((each) => sameButCookie(each.payload, payload));
  if (read === undefined) {
    read = { init: KexInit.decode(payload), payload: payload.slice() };
    if (recentlyRead.push(read) > RECENT) recentlyRead.shift();
  }
  return { ...read.init, cookie: payload.subarray(COOKIE_AT, COOKIE_AT + COOKIE_LENGTH) };
}

function sameButCookie(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length || a[0] !== b[0]) return false;
  for (let at = COOKIE_AT + COOKIE_LENGTH; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

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
  const { kex, hostKeys, ciphers, macs, compression } = offer;
  const lists = [kex, markers, hostKeys, ciphers, macs, compression].join(' ');
  if (lastMade?.lists !== lists) lastMade = { lists, payload: encodeOffer(offer, markers) };
  const payload = lastMade.payload.slice();
  payload.set(crypto.random(COOKIE_LENGTH), COOKIE_AT);
  return payload;
}

const encodeOffer = (offer: AlgorithmPreferences, markers: readonly string[]): Uint8Array =>
  KexInit.encode({
    cookie: new Uint8Array(COOKIE_LENGTH),
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
