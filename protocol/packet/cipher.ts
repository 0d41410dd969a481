/**
 * What protects one direction's packets (RFC 4253 section 6), whether AEAD, encrypt-then-MAC or MAC-then-encrypt.
 *
 * A packet is `uint32 packet_length | byte padding_length | payload | padding | tag`. The framing (lengths, padding,
 * sequence numbers) is written once, in `inbound.ts` and `outbound.ts`; a cipher only protects and checks.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { Disconnect, SshError } from '../errors.ts';

export interface Sealer {
  /** The padded part is a multiple of this (at least 8). */
  readonly blockSize: number;
  /** Whether packet_length itself counts towards that multiple (no for AEAD and encrypt-then-MAC). */
  readonly lengthPadded: boolean;
  readonly tagLength: number;
  /** `packet` is a whole plain packet followed by `tagLength` bytes of room; it is sealed in place. */
  seal(sequence: number, packet: Uint8Array): void;
}

export interface Opener {
  readonly blockSize: number;
  readonly lengthPadded: boolean;
  readonly tagLength: number;
  /** Bytes that must be there before `length` can be asked. */
  readonly headLength: number;
  /**
   * Set by CBC with MAC-then-encrypt, where the length is decrypted but not authenticated: after an error the framer reads
   * on to the largest packet before it tells, so that the moment of failure says nothing about the decrypted block.
   */
  readonly readsOn?: boolean;
  /** packet_length of the packet that starts with `head`; called exactly once a packet, before `open`. */
  length(sequence: number, head: Uint8Array): number;
  /** `packet` is the whole packet as received, tag included. Returns fresh memory: padding_length | payload | padding. Throws SshError('mac'). */
  open(sequence: number, packet: Uint8Array): Uint8Array;
}

/** A MAC over `sequence number || data` (RFC 4253 section 6.4), HMAC or UMAC. */
export interface PacketMac {
  readonly length: number;
  compute(sequence: number, data: Uint8Array): Uint8Array;
}

export interface MacRow {
  readonly name: string;
  readonly keyLength: number;
  /** Bytes on the wire. */
  readonly length: number;
  /** Encrypt-then-MAC: the length is sent in clear and the ciphertext is what is authenticated. */
  readonly etm: boolean;
  /** In the offer unless the user says otherwise. */
  readonly default: boolean;
  available(crypto: CryptoProvider): boolean;
  create(crypto: CryptoProvider, key: Uint8Array): PacketMac;
}

export interface CipherRow {
  readonly name: string;
  readonly keyLength: number;
  readonly ivLength: number;
  readonly blockSize: number;
  /** Carries its own authentication: the negotiated MAC is ignored. */
  readonly aead: boolean;
  readonly default: boolean;
  available(crypto: CryptoProvider): boolean;
  /** `mac` is there exactly when `aead` is false. */
  sealer(crypto: CryptoProvider, key: Uint8Array, iv: Uint8Array, mac?: { row: MacRow; mac: PacketMac }): Sealer;
  opener(crypto: CryptoProvider, key: Uint8Array, iv: Uint8Array, mac?: { row: MacRow; mac: PacketMac }): Opener;
}

/** One direction of payload compression (RFC 4253 section 6.2); state runs across packets. */
export interface Compressor {
  /** Fresh memory. Decompressors throw SshError('compression') past `limits.inflatedPayload`. */
  process(payload: Uint8Array): Uint8Array;
}

/** The packet was changed on its way, or the keys differ. */
export const macFailed = (message: string): SshError =>
  new SshError('mac', message, { by: 'peer', disconnect: Disconnect.macError });
