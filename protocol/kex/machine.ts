/**
 * The key exchange automaton for both roles, first exchange and rekeys alike (RFC 4253 sections 7 to 9, strict kex as in
 * OpenSSH PROTOCOL section 1.9).
 *
 * Invariants:
 * - our gate is shut from our KEXINIT until our NEWKEYS; meanwhile nothing but kex messages is formed;
 * - the inbound guard narrows from *their* KEXINIT until *their* NEWKEYS: before that they may lawfully send data;
 * - a client sends NEWKEYS only after the signature was checked and the host key accepted from outside.
 */

import type { AlgorithmPreferences } from '../algorithms.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Disconnect, protocolError, SshError } from '../errors.ts';
import { type HostKey, parseHostKey } from '../keys/host-key.ts';
import { sign, verify } from '../keys/sign.ts';
import type { PrivateKey } from '../keys/types.ts';
import { KexInit, NewKeys } from '../messages/transport.ts';
import {
  buildKexInit,
  type DirectionAlgorithms,
  guessedRight,
  marker,
  type Negotiated,
  neededStrength,
  negotiate,
  type Role,
  readKexInit,
} from '../negotiate.ts';
import type { Opener, Sealer } from '../packet/cipher.ts';
import { deriveKey, exchangeHash } from './hash.ts';
import type { ClientOutcome, KexClient, KexServer, ServerOutcome } from './method.ts';

/** A host key with which the server role signs; `certificate` is shown instead of the plain key when there is one. */
export interface HostKeySigner {
  readonly key: PrivateKey;
  readonly certificate?: { readonly type: string; readonly blob: Uint8Array };
}

interface KeySet {
  readonly secret: Uint8Array;
  readonly hash: Uint8Array;
  readonly chosen: Negotiated;
}

type KexState =
  | { readonly at: 'idle' }
  | { readonly at: 'init-sent'; readonly ours: Uint8Array }
  | {
      readonly at: 'exchanging';
      readonly ours: Uint8Array;
      readonly theirs: Uint8Array;
      readonly chosen: Negotiated;
      readonly run: Run;
      skipGuess: boolean;
    }
  | {
      readonly at: 'awaiting-verdict';
      readonly keys: KeySet;
      readonly hostKey: HostKey;
      readonly signature: Uint8Array;
    }
  | { readonly at: 'awaiting-newkeys'; readonly keys: KeySet };

type Run =
  | { readonly role: 'client'; readonly method: KexClient }
  | { readonly role: 'server'; readonly method: KexServer };

/** What the first exchange settled for the whole connection: OpenSSH's agent and its host-bound signatures refer to it. */
export interface Binding {
  readonly sessionId: Uint8Array;
  /** The server's key or certificate. */
  readonly hostKey: Uint8Array;
  /** The server's signature of the session id. */
  readonly signature: Uint8Array;
}

/** What the machine needs from the session: a narrow way out, never the session itself. */
export interface KexPort {
  readonly role: Role;
  readonly crypto: CryptoProvider;
  /** Forms one packet at once. */
  send(payload: Uint8Array): void;
  sealWith(sealer: Sealer, algorithms: DirectionAlgorithms, resetSequence: boolean): void;
  openWith(opener: Opener, algorithms: DirectionAlgorithms, resetSequence: boolean): void;
  /** The peer's KEXINIT is the first packet it sent. */
  isFirstInbound(): boolean;
  showHostKey(hostKey: HostKey, algorithm: string): void;
  finished(chosen: Negotiated, rekey: boolean): void;
  note(text: string): void;
  readonly ourVersion: Uint8Array;
  readonly theirVersion: Uint8Array;
}

export class KexMachine {
  readonly #port: KexPort;
  readonly #offer: AlgorithmPreferences;
  readonly #hostKeys: readonly HostKeySigner[];
  #state: KexState = { at: 'idle' };
  #binding: Binding | undefined;
  #knownHostKey: Uint8Array | undefined;
  /** Both sides announced strict key exchange in the first KEXINIT. */
  strict = false;
  peerWantsExtInfo = false;
  /** Their KEXINIT came and their NEWKEYS did not. */
  inboundNarrow = false;
  /** Nothing but kex messages may be formed. */
  gateShut = true;
  /** The first exchange is over in both directions. */
  established = false;

  constructor(port: KexPort, offer: AlgorithmPreferences, hostKeys: readonly HostKeySigner[]) {
    this.#port = port;
    this.#offer = offer;
    this.#hostKeys = hostKeys;
  }

  get idle(): boolean {
    return this.#state.at === 'idle';
  }

  /** Parked: the outside has yet to judge the host key; no input may be handled. */
  get parked(): boolean {
    return this.#state.at === 'awaiting-verdict';
  }

  get binding(): Binding | undefined {
    return this.#binding;
  }

  /** Sends our KEXINIT, unless an exchange is under way. */
  start(): void {
    if (this.#state.at !== 'idle') return;
    this.#state = { at: 'init-sent', ours: this.#sendInit() };
  }

  #sendInit(): Uint8Array {
    const ours = buildKexInit(this.#port.crypto, this.#port.role, this.#offer, this.#binding === undefined);
    this.#port.send(ours);
    this.gateShut = true;
    this.#port.note('SSH2_MSG_KEXINIT sent');
    return ours;
  }

  receive(payload: Uint8Array): void {
    const number = payload[0]!;
    if (number === KexInit.number) return this.#onInit(payload);
    if (number === NewKeys.number) return this.#onNewKeys(payload);
    const state = this.#state;
    if (state.at !== 'exchanging') throw protocolError(`message ${number} without a key exchange under way`);
    if (state.skipGuess) {
      state.skipGuess = false;
      return;
    }
    if (state.run.role === 'client') {
      const step = state.run.method.receive(payload);
      if (step.done === undefined) this.#port.send(step.send);
      else this.#clientDone(state, step.done);
    } else {
      const step = state.run.method.receive(payload);
      if (step.done === undefined) this.#port.send(step.send);
      else this.#serverDone(state, step.done);
    }
  }

  #onInit(payload: Uint8Array): void {
    const state = this.#state;
    if (state.at !== 'idle' && state.at !== 'init-sent') throw protocolError('KEXINIT in the middle of a key exchange');
    const theirInit = readKexInit(payload);
    this.#port.note('SSH2_MSG_KEXINIT received');
    const { role, crypto } = this.#port;
    if (this.#binding === undefined) {
      const theirs = role === 'client' ? marker.strictServer : marker.strictClient;
      this.strict = theirInit.kex.includes(theirs);
      this.peerWantsExtInfo = theirInit.kex.includes(role === 'client' ? marker.extInfoServer : marker.extInfoClient);
      if (this.strict && !this.#port.isFirstInbound()) {
        throw new SshError('strict-kex', 'strict KEX violation: KEXINIT was not the first packet', {
          by: 'peer',
          disconnect: Disconnect.protocolError,
        });
      }
    }
    this.inboundNarrow = true;
    const ours = state.at === 'init-sent' ? state.ours : this.#sendInit();
    const ourInit = readKexInit(ours);
    const chosen = negotiate(role, ourInit, theirInit);
    const situation = { strength: neededStrength(chosen), note: (text: string) => this.#port.note(text) };
    const run: Run =
      role === 'client'
        ? { role, method: chosen.kex.client(crypto, situation) }
        : { role, method: chosen.kex.server(crypto, situation) };
    this.#state = {
      at: 'exchanging',
      ours,
      theirs: payload,
      chosen,
      run,
      skipGuess: theirInit.firstKexPacketFollows && !guessedRight(ourInit, theirInit),
    };
    if (run.role === 'client') this.#port.send(run.method.begin());
  }

  #hash(
    state: KexState & { at: 'exchanging' },
    hostKey: Uint8Array,
    outcome: { hashed: Uint8Array; secret: Uint8Array },
  ): Uint8Array {
    const { role, crypto, ourVersion, theirVersion } = this.#port;
    const client = role === 'client';
    return exchangeHash(crypto, state.chosen.kex.hash, {
      clientVersion: client ? ourVersion : theirVersion,
      serverVersion: client ? theirVersion : ourVersion,
      clientInit: client ? state.ours : state.theirs,
      serverInit: client ? state.theirs : state.ours,
      hostKey,
      hashed: outcome.hashed,
      secret: outcome.secret,
    });
  }

  #clientDone(state: KexState & { at: 'exchanging' }, done: ClientOutcome): void {
    const { crypto } = this.#port;
    const algorithm = state.chosen.hostKey;
    const hostKey = parseHostKey(done.hostKey, algorithm);
    const hash = this.#hash(state, done.hostKey, done);
    if (!verify(crypto, hostKey.key, algorithm.name, hash, done.signature)) {
      throw new SshError('host-key-signature', 'the host key signature over the key exchange is wrong', {
        by: 'peer',
        disconnect: Disconnect.keyExchangeFailed,
      });
    }
    const keys: KeySet = { secret: done.secret, hash, chosen: state.chosen };
    this.#state = { at: 'awaiting-verdict', keys, hostKey, signature: new Uint8Array(done.signature) };
    // A rekey under the very key that was accepted before needs no second opinion.
    if (this.#knownHostKey !== undefined && crypto.equal(this.#knownHostKey, hostKey.blob)) this.answerHostKey(true);
    else this.#port.showHostKey(hostKey, algorithm.name);
  }

  /** The outside's verdict on the host key shown last. */
  answerHostKey(accepted: boolean): void {
    const state = this.#state;
    if (state.at !== 'awaiting-verdict') throw new SshError('usage', 'no host key awaits a verdict');
    if (!accepted) {
      throw new SshError('host-key', 'host key not accepted', { disconnect: Disconnect.hostKeyNotVerifiable });
    }
    const hostKey = state.hostKey.blob.slice();
    this.#knownHostKey = hostKey;
    this.#binding ??= { sessionId: state.keys.hash, hostKey, signature: state.signature };
    this.#sendNewKeys(state.keys);
  }

  #serverDone(state: KexState & { at: 'exchanging' }, done: ServerOutcome): void {
    const row = state.chosen.hostKey;
    const signer = this.#hostKeys.find((candidate) =>
      row.certificate ? candidate.certificate?.type === row.blobType : candidate.key.publicKey.type === row.keyType,
    );
    if (signer === undefined) throw new SshError('usage', `no host key for ${row.name}`);
    const blob = row.certificate ? signer.certificate!.blob : signer.key.publicKey.blob;
    const hash = this.#hash(state, blob, done);
    const signature = sign(this.#port.crypto, signer.key, row.name, hash);
    this.#binding ??= { sessionId: hash, hostKey: blob, signature };
    this.#port.send(done.reply(blob, signature));
    this.#sendNewKeys({ secret: done.secret, hash, chosen: state.chosen });
  }

  #sendNewKeys(keys: KeySet): void {
    const { role, crypto } = this.#port;
    this.#port.send(NewKeys.encode({}));
    const algorithms = role === 'client' ? keys.chosen.clientToServer : keys.chosen.serverToClient;
    const { key, iv, mac } = this.#directionKeys(keys, role);
    this.#port.sealWith(algorithms.cipher.sealer(crypto, key, iv, mac), algorithms, this.strict);
    this.#port.note('SSH2_MSG_NEWKEYS sent');
    this.gateShut = false;
    this.#state = { at: 'awaiting-newkeys', keys };
  }

  #onNewKeys(payload: Uint8Array): void {
    NewKeys.decode(payload);
    const state = this.#state;
    if (state.at !== 'awaiting-newkeys') throw protocolError('NEWKEYS without a finished key exchange');
    const { role, crypto } = this.#port;
    const { keys } = state;
    const algorithms = role === 'client' ? keys.chosen.serverToClient : keys.chosen.clientToServer;
    const { key, iv, mac } = this.#directionKeys(keys, role === 'client' ? 'server' : 'client');
    this.#port.openWith(algorithms.cipher.opener(crypto, key, iv, mac), algorithms, this.strict);
    this.#port.note('SSH2_MSG_NEWKEYS received');
    keys.secret.fill(0);
    this.inboundNarrow = false;
    const rekey = this.established;
    this.established = true;
    this.#state = { at: 'idle' };
    this.#port.finished(keys.chosen, rekey);
  }

  /** Keys of what `sender` sends. */
  #directionKeys({ secret, hash, chosen }: KeySet, sender: Role) {
    const { crypto } = this.#port;
    const [ivLetter, keyLetter, macLetter] =
      sender === 'client' ? (['A', 'C', 'E'] as const) : (['B', 'D', 'F'] as const);
    const { cipher, mac } = sender === 'client' ? chosen.clientToServer : chosen.serverToClient;
    const derive = (letter: 'A' | 'B' | 'C' | 'D' | 'E' | 'F', length: number): Uint8Array =>
      deriveKey(crypto, chosen.kex.hash, secret, hash, letter, this.#binding!.sessionId, length);
    return {
      iv: derive(ivLetter, cipher.ivLength),
      key: derive(keyLetter, cipher.keyLength),
      mac: mac === undefined ? undefined : { row: mac, mac: mac.create(crypto, derive(macLetter, mac.keyLength)) },
    };
  }
}
