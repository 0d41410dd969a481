/**
 * One SSH connection, either role, without I/O (RFC 4251 to 4254).
 *
 * Methods come in four kinds. Getters. Inputs: `receive`, `endOfInput`, `tick`. Commands: `answerHostKey`, those of
 * `auth` and `mux`, `rekey`, `disconnect`. Outputs: `poll`, `takeOutput`, `deadline`. A turn is: one input or any number
 * of commands, then `poll` until undefined, then `takeOutput` until undefined or the socket is full, then one timer for
 * `deadline`. Nothing here throws for what a peer does: the session turns to closed and says so in its last event.
 *
 * Pulled, never pushed: ordinary packets are formed in `takeOutput` only, so that a key exchange has no queue to replay.
 */

import { Acknowledgements } from './acknowledgements.ts';
import { type AlgorithmPreferences, defaultAlgorithms } from './algorithms.ts';
import { ClientAuth, type ClientAuthEvent } from './auth/client.ts';
import { ServerAuth, type ServerAuthEvent } from './auth/server.ts';
import type { Channel } from './connection/channel.ts';
import { Mux, type MuxEvent } from './connection/mux.ts';
import type { CryptoProvider } from './crypto/provider.ts';
import { Disconnect, malformed, protocolError, SshError } from './errors.ts';
import { handlerOf, type Phase } from './guard.ts';
import {
  HOSTBOUND_INFO,
  nameListOf,
  PING_INFO,
  parseExtInfo,
  SIGNATURE_ALGORITHMS_INFO,
  serverExtInfo,
} from './kex/ext-info.ts';
import { type Binding, type HostKeySigner, KexMachine, type KexPort } from './kex/machine.ts';
import { type RekeyLimits, RekeyPolicy } from './kex/policy.ts';
import type { HostKey } from './keys/host-key.ts';
import { signatureRows } from './keys/sign.ts';
import { KeystrokeCover } from './keystrokes.ts';
import { limits } from './limits.ts';
import { type KeepaliveOptions, Liveness } from './liveness.ts';
import { ChannelOpenConfirmation } from './messages/connection.ts';
import { Debug, DisconnectMessage, ExtInfo, Ignore, Ping, Pong, Unimplemented } from './messages/transport.ts';
import { UserauthSuccess } from './messages/userauth.ts';
import type { DirectionAlgorithms, Negotiated, Role } from './negotiate.ts';
import { Inbound } from './packet/inbound.ts';
import { Outbound } from './packet/outbound.ts';
import { PayloadQueue } from './packet/payload-queue.ts';
import { SessionEvents } from './session-events.ts';
import { identification, type PeerVersion, VersionReader } from './version.ts';
import { getU32 } from './wire/writer.ts';

export interface SessionOptions {
  readonly role: Role;
  readonly crypto: CryptoProvider;
  /** The clock's reading at the start, milliseconds of any epoch that only grows. */
  readonly now: number;
  /** softwareversion of our identification, with comments after a blank (RFC 4253 section 4.2). */
  readonly software?: string;
  /** Milliseconds there and back, when that is known already: windows grow only where it holds a transfer back. */
  readonly roundTrip?: number;
  /** What to offer, in order; what is left out is the default. */
  readonly algorithms?: Partial<AlgorithmPreferences>;
  readonly rekey?: RekeyLimits;
  /** Ask the peer for a sign of life after `interval` ms of silence; give up after `count` unanswered ones. */
  readonly keepalive?: KeepaliveOptions;
  /** Server role: at least one. */
  readonly hostKeys?: readonly HostKeySigner[];
  /** Server role: failed attempts before the connection is ended. */
  readonly maxAuthAttempts?: number;
  /** Emit 'note' events: the lines of a debug log. */
  readonly notes?: boolean;
}

export type SessionEvent =
  | { readonly type: 'version'; readonly version: PeerVersion; readonly preamble: readonly string[] }
  /** Client role: parked until `answerHostKey`. The signature is already checked. */
  | { readonly type: 'host-key'; readonly hostKey: HostKey; readonly algorithm: string }
  /** Keys are in place; `rekey` is false the first time: now log in. */
  | { readonly type: 'ready'; readonly algorithms: Negotiated; readonly rekey: boolean }
  | { readonly type: 'note'; readonly text: string }
  | ClientAuthEvent
  | ServerAuthEvent
  | MuxEvent
  /** The last event. Without an error: we disconnected, or the peer did so in peace. */
  | { readonly type: 'closed'; readonly error: SshError | undefined };

const KEEPALIVE = 'keepalive@openssh.com';
/** As long as it takes for a PING to have the size of one key in a channel. */
const FAKE_KEY = new Uint8Array(5);

const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b);

export class Session {
  readonly role: Role;
  readonly crypto: CryptoProvider;
  readonly mux: Mux;
  readonly #options: SessionOptions;
  readonly #kex: KexMachine;
  readonly #policy: RekeyPolicy;
  readonly #inbound = new Inbound();
  readonly #outbound: Outbound;
  readonly #clientAuth: ClientAuth | undefined;
  readonly #serverAuth: ServerAuth | undefined;
  readonly #events = new SessionEvents<SessionEvent>();
  /** Payloads outside the connection layer that wait for the gate. */
  readonly #control = new PayloadQueue();
  readonly #ourVersion: Uint8Array;
  #identification: Uint8Array | undefined;
  #versionReader: VersionReader | undefined;
  #peer: PeerVersion | undefined;
  #negotiated: Negotiated | undefined;
  #outAlgorithms: DirectionAlgorithms | undefined;
  #inAlgorithms: DirectionAlgorithms | undefined;
  #authenticated = false;
  #extInfoSent = false;
  #peerAnswersPing = false;
  #keystrokes: KeystrokeCover | undefined;
  #acknowledgements: Acknowledgements | undefined;
  #now: number;
  readonly #liveness: Liveness;

  constructor(options: SessionOptions) {
    const { role, crypto } = options;
    this.#options = options;
    this.role = role;
    this.crypto = crypto;
    this.#now = options.now;
    this.#liveness = new Liveness(options.keepalive, options.now, options.roundTrip);
    const { line, wire } = identification(options.software ?? 'bssh');
    this.#ourVersion = line;
    this.#identification = wire;
    this.#versionReader = new VersionReader(role === 'client');
    this.#outbound = new Outbound(crypto);
    this.#policy = new RekeyPolicy(options.rekey ?? {}, options.now);
    this.mux = new Mux((event) => this.#muxEvent(event), {
      now: () => this.#now,
      roundTrip: () => this.#liveness.roundTrip,
    });
    this.#kex = new KexMachine(this.#kexPort(), this.#offer(), options.hostKeys ?? []);
    const authPort = {
      crypto,
      send: (payload: Uint8Array) => this.#control.push(payload),
      emit: (event: ClientAuthEvent | ServerAuthEvent) => this.#events.emit(event),
    };
    if (role === 'client') this.#clientAuth = new ClientAuth({ ...authPort, succeeded: () => this.#loggedIn() });
    else {
      const fail = (error: SshError): void => this.fail(error);
      const serverPort = { ...authPort, binding: () => this.binding, fail };
      this.#serverAuth = new ServerAuth(serverPort, options.maxAuthAttempts ?? 6);
    }
    this.#kex.start();
  }

  #offer(): AlgorithmPreferences {
    const offer = { ...defaultAlgorithms(this.crypto), ...this.#options.algorithms };
    if (this.role === 'client') return offer;
    // A server can only offer signatures of keys it has.
    const keys = this.#options.hostKeys ?? [];
    const has = (name: string): boolean => {
      const row = signatureRows.find((candidate) => candidate.name === name);
      return keys.some((k) =>
        row?.certificate ? k.certificate?.type === row.blobType : k.key.publicKey.type === row?.keyType,
      );
    };
    return { ...offer, hostKeys: offer.hostKeys.filter(has) };
  }

  #kexPort(): KexPort {
    const session = this;
    return {
      role: this.role,
      crypto: this.crypto,
      send: (payload) => this.#outbound.send(payload),
      sealWith: (sealer, algorithms, reset) => {
        const compressor = this.#compressionOn(algorithms) ? algorithms.compression.compressor?.() : undefined;
        this.#outbound.rekey(sealer, compressor);
        this.#outAlgorithms = algorithms;
        if (reset) this.#outbound.resetSequence();
        this.#sendExtInfo();
      },
      openWith: (opener, algorithms, reset) => {
        const decompressor = this.#compressionOn(algorithms) ? algorithms.compression.decompressor?.() : undefined;
        this.#inbound.rekey(opener, decompressor);
        this.#inAlgorithms = algorithms;
        if (reset) this.#inbound.resetSequence();
      },
      isFirstInbound: () => this.#inbound.packets === 1,
      showHostKey: (hostKey, algorithm) => this.#events.emit({ type: 'host-key', hostKey, algorithm }),
      finished: (algorithms, rekey) => {
        this.#negotiated = algorithms;
        this.#policy.restart(algorithms, this.#now);
        this.#outbound.limit(this.#policy.mostPackets, this.#policy.mostBytes);
        this.#events.emit({ type: 'ready', algorithms, rekey });
      },
      note: (text) => this.#note(text),
      ourVersion: this.#ourVersion,
      get theirVersion() {
        return session.#peer!.line;
      },
    };
  }

  /** zlib@openssh.com starts when the user is logged in, zlib at once. */
  #compressionOn(algorithms: DirectionAlgorithms): boolean {
    return !algorithms.compression.delayed || this.#authenticated;
  }

  // ---- getters

  get closed(): boolean {
    return this.#events.ended;
  }
  /** What ended the session, once it is closed; undefined when it ended in peace. */
  get failure(): SshError | undefined {
    return this.#events.failure;
  }
  /** The user is logged in; channels may be opened. */
  get authenticated(): boolean {
    return this.#authenticated;
  }
  get peerVersion(): PeerVersion | undefined {
    return this.#peer;
  }
  get algorithms(): Negotiated | undefined {
    return this.#negotiated;
  }
  /** False while the exchange is parked: the driver stops reading. */
  get wantsInput(): boolean {
    return !this.#events.ended && !this.#kex.parked;
  }
  /** Client role only. */
  get auth(): ClientAuth {
    if (this.#clientAuth === undefined) throw new SshError('usage', 'a server has no client authentication');
    return this.#clientAuth;
  }
  /** Server role only. */
  get serverAuth(): ServerAuth {
    if (this.#serverAuth === undefined) throw new SshError('usage', 'a client has no server authentication');
    return this.#serverAuth;
  }
  /** What signatures of this connection are bound to; throws 'usage' before the first key exchange. */
  get binding(): Binding {
    const { binding } = this.#kex;
    if (binding === undefined) throw new SshError('usage', 'no key exchange yet');
    return binding;
  }

  // ---- inputs

  /** Bytes from the peer. `chunk` is borrowed for the call only. */
  receive(chunk: Uint8Array): void {
    if (this.#events.ended) return;
    // Subclasses have a `slice` of their own (Node's does not copy); what is kept below must be a copy.
    const plain =
      chunk.constructor === Uint8Array ? chunk : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#liveness.heard(this.#now);
    this.#guarded(() => {
      let bytes = plain;
      if (this.#versionReader !== undefined) {
        const result = this.#versionReader.read(bytes);
        if (result === undefined) return;
        this.#peer = result.version;
        this.#events.emit({ type: 'version', version: result.version, preamble: this.#versionReader.preamble });
        this.#versionReader = undefined;
        if (this.role === 'client') this.#acknowledgements = new Acknowledgements(result.version);
        bytes = bytes.subarray(result.used);
      }
      const { packets } = this.#inbound;
      this.#inbound.feed(bytes);
      this.#pump();
      if (this.#inbound.packets !== packets) this.#acknowledge();
      if (!this.#events.ended) this.#inbound.settle();
    });
  }

  /** The byte stream ended. */
  endOfInput(cause?: unknown): void {
    if (this.#events.ended) return;
    const phase =
      this.#peer === undefined
        ? 'identification'
        : this.#authenticated
          ? 'connected'
          : this.#kex.established
            ? 'auth'
            : 'kex';
    this.#close(new SshError('lost', 'connection closed by the other side', { by: 'peer', detail: { phase }, cause }));
  }

  /** Tells the time, milliseconds of the epoch of `options.now`. */
  tick(now: number): void {
    if (now > this.#now) this.#now = now;
    // Before that nothing here has a time.
    if (this.#events.ended || !this.#authenticated) return;
    this.#guarded(() => {
      this.#keystrokes?.tick(this.#now);
      this.mux.tick(this.#now);
      this.#keepalive();
      // Here too, or a socket that takes nothing would leave us with a deadline in the past.
      if (this.#rekeyDue()) this.#kex.start();
    });
  }

  #pump(): void {
    while (!this.#events.ended && !this.#kex.parked) {
      const payload = this.#inbound.next();
      if (payload === undefined) return;
      this.#dispatch(payload);
      if (this.#control.weight + this.mux.queued > limits.queuedReplies) {
        throw new SshError('limit', 'too many replies wait for a peer that does not read them', {
          by: 'peer',
          disconnect: Disconnect.byApplication,
          detail: { limit: 'queuedReplies' },
        });
      }
    }
  }

  /** Something came while we wait for something else, and there is no answer that could carry its acknowledgement. */
  #acknowledge(): void {
    if (this.#acknowledgements === undefined || this.#events.ended) return;
    // Delayed compression begins with the packet behind SUCCESS: nothing of ours may cross that.
    const isDue = this.#authenticated
      ? this.mux.channelCount > 0
      : this.#clientAuth!.due && this.#outAlgorithms?.compression.delayed === false;
    if (!isDue || this.#control.weight + this.mux.queued + this.#outbound.pending > 0) return;
    const packet = this.#acknowledgements.take();
    if (packet) this.#control.push(packet);
  }

  #phase(): Phase {
    if (!this.#kex.established) return 'initial';
    if (this.#kex.inboundNarrow) return this.#authenticated ? 'late-rekey' : 'rekey';
    return this.#authenticated ? 'connected' : 'auth';
  }

  #dispatch(payload: Uint8Array): void {
    const number = payload[0];
    if (number === undefined) throw malformed('empty packet');
    const phase = this.#phase();
    switch (handlerOf(number, phase, this.role, this.#kex.strict)) {
      case 'mux':
        if (number === ChannelOpenConfirmation.number) this.#acknowledgements = undefined;
        return this.mux.receive(payload, this.#lastSequence());
      case 'kex':
        return this.#kex.receive(payload);
      case 'auth':
        this.#liveness.answered(this.#now);
        return (this.#clientAuth ?? this.#serverAuth)!.receive(payload);
      case 'transport':
        return this.#transport(number, payload);
      case 'unknown':
        return this.#control.push(Unimplemented.encode({ sequence: this.#lastSequence() }));
      default:
        if (phase === 'initial' && this.#kex.strict) {
          throw new SshError('strict-kex', `strict KEX violation: unexpected packet type ${number}`, {
            by: 'peer',
            disconnect: 2,
          });
        }
        throw protocolError(`message ${number} is not legal in the ${phase} phase`);
    }
  }

  #lastSequence(): number {
    return (this.#inbound.sequence - 1) >>> 0;
  }

  #transport(number: number, payload: Uint8Array): void {
    switch (number) {
      case DisconnectMessage.number: {
        const { reason, description } = DisconnectMessage.decode(payload);
        const detail = {
          reason,
          text: description,
          phase: this.#authenticated ? 'connected' : this.#kex.established ? 'auth' : 'kex',
        };
        const error = new SshError('disconnected', 'the other side disconnected', { by: 'peer', detail });
        return this.#close(reason === Disconnect.byApplication && this.#authenticated ? undefined : error);
      }
      case ExtInfo.number:
        return this.#extInfo(payload);
      case Ping.number:
        return this.#ping(payload);
      case Debug.number:
        return this.#note(`Remote: ${Debug.decode(payload).message}`);
      default: // IGNORE, UNIMPLEMENTED, PONG need nothing.
    }
  }

  #ping(payload: Uint8Array): void {
    const { data } = Ping.decode(payload);
    if (data.length > limits.pingData) {
      throw new SshError('limit', `PING of ${data.length} bytes`, {
        by: 'peer',
        disconnect: Disconnect.protocolError,
        detail: { limit: 'pingData' },
      });
    }
    this.#control.push(Pong.encode({ data }));
  }

  #extInfo(payload: Uint8Array): void {
    const info = parseExtInfo(payload);
    this.#peerAnswersPing = info.has(PING_INFO);
    if (this.#clientAuth === undefined) return;
    const signatures = info.get(SIGNATURE_ALGORITHMS_INFO);
    if (signatures !== undefined) {
      const names = nameListOf(signatures);
      this.#clientAuth.serverSignatureAlgorithms = names;
      this.#note(`kex_ext_info_client_parse: server-sig-algs=<${names.join(',')}>`);
    }
    const hostbound = info.get(HOSTBOUND_INFO);
    if (hostbound !== undefined) this.#clientAuth.hostbound = hostbound.length === 1 && hostbound[0] === 0x30;
  }

  #sendExtInfo(): void {
    if (this.role !== 'server' || this.#extInfoSent || !this.#kex.peerWantsExtInfo) return;
    this.#extInfoSent = true;
    this.#outbound.send(serverExtInfo(this.crypto));
  }

  /** SUCCESS came, or left: delayed compression starts with the packet after it, either way. */
  #loggedIn(): void {
    this.#authenticated = true;
    // Channels may come before the next tick.
    this.mux.tick(this.#now);
    if (this.#outAlgorithms?.compression.delayed)
      this.#outbound.setCompressor(this.#outAlgorithms.compression.compressor!());
    if (this.#inAlgorithms?.compression.delayed)
      this.#inbound.setDecompressor(this.#inAlgorithms.compression.decompressor!());
  }

  #muxEvent(event: MuxEvent): void {
    if (event.type === 'global-reply' && event.request === KEEPALIVE) return;
    this.#events.emit(event);
  }

  #keepalive(): void {
    // While parked nothing is read, so silence says nothing.
    if (this.#kex.parked || !this.#liveness.due(this.#now)) return;
    this.mux.globalRequest(KEEPALIVE, true, new Uint8Array(0));
  }

  // ---- commands

  /** The verdict on the host key shown in the 'host-key' event. */
  answerHostKey(accepted: boolean): void {
    if (this.#events.ended) return;
    this.#guarded(() => {
      this.#kex.answerHostKey(accepted);
      this.#pump();
    });
  }

  globalRequest(request: string, wantReply: boolean, body: Uint8Array): void {
    this.mux.globalRequest(request, wantReply, body);
  }

  /**
   * Starts a key exchange, unless one is under way. Before log-in nothing is worth new keys, and SUCCESS, which turns
   * delayed compression on, must not cross an exchange of ours.
   */
  rekey(): void {
    if (!this.#events.ended && this.#authenticated) this.#kex.start();
  }

  /**
   * Hides the rhythm of what is written to `channel`, a packet every `interval` milliseconds. False when the peer could
   * not tell fake keys from real ones: then nothing is hidden. One channel at a time: the last one asked for.
   */
  obscureKeystrokes(channel: Channel, interval: number): boolean {
    if (!this.#peerAnswersPing) return false;
    this.#keystrokes?.stop();
    this.#keystrokes = new KeystrokeCover(channel, interval, () => getU32(this.crypto.random(4), 0) / 2 ** 32);
    return true;
  }

  /** Says goodbye and closes. What was written and not yet formed is lost. */
  disconnect(reason: number = Disconnect.byApplication, text = ''): void {
    if (this.#events.ended) return;
    this.#sendDisconnect(reason, text);
    this.#close(undefined);
  }

  /** Ends the session because of what the peer sent, found wrong by a layer above. */
  fail(error: SshError): void {
    this.#guarded(() => {
      throw error;
    });
  }

  // ---- outputs

  poll(): SessionEvent | undefined {
    return this.#events.poll();
  }

  /** Bytes for the peer (the caller's to keep), or undefined when there is nothing to send now. */
  takeOutput(): Uint8Array | undefined {
    if (this.#identification !== undefined) {
      const line = this.#identification;
      this.#identification = undefined;
      const first = this.#outbound.take();
      if (first === undefined) return line;
      const both = new Uint8Array(line.length + first.length);
      both.set(line);
      both.set(first, line.length);
      return both;
    }
    if (!this.#events.ended) this.#guarded(() => this.#form());
    return this.#outbound.take();
  }

  #form(): void {
    if (this.#authenticated && this.#rekeyDue()) this.#kex.start();
    if (this.#kex.gateShut) return;
    const { packets } = this.#outbound;
    if (this.#keystrokes?.step(this.#now)) this.#control.push(Ping.encode({ data: FAKE_KEY }));
    this.#formControl();
    if (!this.#authenticated) return;
    this.mux.fill(this.#outbound);
    if (this.#outbound.packets !== packets && this.#rekeyDue()) this.#kex.start();
  }

  #formControl(): void {
    for (let payload = this.#control.peek(); payload !== undefined; payload = this.#control.peek()) {
      const success = this.#serverAuth !== undefined && payload[0] === UserauthSuccess.number;
      // What the client sends before it saw SUCCESS is not compressed: its NEWKEYS must not be on the way then.
      if (success && !this.#kex.idle) return;
      this.#control.shift();
      this.#outbound.send(payload);
      if (!this.#authenticated && payload[0] !== Ignore.number) this.#liveness.questioned(this.#now);
      if (success) this.#loggedIn();
    }
  }

  /** Gives back what `takeOutput` gave, once it has left; optional, it saves a bulk sender memory traffic. */
  recycle(output: Uint8Array): void {
    this.#outbound.recycle(output);
  }

  /** When `tick` is wanted next, or undefined for never. */
  deadline(): number | undefined {
    if (this.#events.ended || !this.#authenticated) return undefined;
    const rekey = this.#kex.idle ? this.#policy.deadline(this.#inbound, this.#outbound) : undefined;
    const alive = this.#kex.parked ? undefined : this.#liveness.deadline();
    return earliest(earliest(rekey, alive), earliest(this.mux.deadline(), this.#keystrokes?.deadline()));
  }

  // ---- inside

  #rekeyDue(): boolean {
    return this.#kex.idle && this.#policy.due(this.#inbound, this.#outbound, this.#now);
  }

  #note(text: string): void {
    if (this.#options.notes === true) this.#events.emit({ type: 'note', text });
  }

  /** Runs a step; what goes wrong in it ends the session, with a DISCONNECT when there is a reason number for it. */
  #guarded(step: () => void): void {
    this.#events.guarded(step, (error) => {
      if (error.disconnect !== undefined) this.#sendDisconnect(error.disconnect, error.message);
      this.#close(error);
    });
  }

  #sendDisconnect(reason: number, description: string): void {
    const short = description.slice(0, limits.disconnectText);
    this.#outbound.send(DisconnectMessage.encode({ reason, description: short, language: new Uint8Array(4) }));
  }

  #close(error: SshError | undefined): void {
    const dying = (): void => {
      this.mux.lost();
      this.#control.clear();
    };
    this.#events.end(error, dying, { type: 'closed', error });
  }
}
