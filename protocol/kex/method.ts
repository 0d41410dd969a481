/**
 * What a key exchange method looks like to the machine: one run, for either role, from first message to shared secret.
 * A method knows its messages and its arithmetic; hashing, signing and key derivation are the machine's.
 */

import type { CryptoProvider, HashName } from '../crypto/provider.ts';

export interface KexOutcome {
  /** K as it enters the exchange hash and key derivation: already encoded (mpint, or string for hybrids). */
  readonly secret: Uint8Array;
  /** The method's own part of the exchange hash: what stands between K_S and K. */
  readonly hashed: Uint8Array;
}
export interface ClientOutcome extends KexOutcome {
  readonly hostKey: Uint8Array;
  readonly signature: Uint8Array;
}
export interface ServerOutcome extends KexOutcome {
  /** The reply, once the host key has signed the exchange hash. */
  reply(hostKey: Uint8Array, signature: Uint8Array): Uint8Array;
}

/** A step either asks for another message to be sent, or ends the run. */
export type KexStep<Outcome> =
  | { readonly send: Uint8Array; readonly done?: undefined }
  | { readonly done: Outcome; readonly send?: undefined };

export interface KexClient {
  /** The first message. */
  begin(): Uint8Array;
  receive(payload: Uint8Array): KexStep<ClientOutcome>;
}
export interface KexServer {
  receive(payload: Uint8Array): KexStep<ServerOutcome>;
}

export interface KexSituation {
  /** Called with a line for the debug log. */
  readonly note?: (text: string) => void;
  /** Security strength in bits that the negotiated ciphers and MACs ask for: sizes a group exchange. */
  readonly strength: number;
}

export interface KexRow {
  readonly name: string;
  readonly hash: HashName;
  readonly postQuantum: boolean;
  /** In the offer unless the user says otherwise. */
  readonly default: boolean;
  available(crypto: CryptoProvider): boolean;
  client(crypto: CryptoProvider, situation: KexSituation): KexClient;
  server(crypto: CryptoProvider, situation: KexSituation): KexServer;
}
