/**
 * A peer that does what it is told: the packet layer and the arithmetic of one key exchange, and no rules. Whatever a
 * session has to refuse can be sent with it, at any moment. It knows `curve25519-sha256`, `ssh-ed25519` and
 * `chacha20-poly1305@openssh.com` only.
 */

import { nobleCrypto } from '../../protocol/crypto/noble.ts';
import { deriveKey, exchangeHash } from '../../protocol/kex/hash.ts';
import type { HostKeySigner } from '../../protocol/kex/machine.ts';
import { generateKey } from '../../protocol/keys/generate.ts';
import { sign } from '../../protocol/keys/sign.ts';
import { KexEcdhInit, KexEcdhReply } from '../../protocol/messages/kex.ts';
import { KexInit, NewKeys, ServiceAccept, ServiceRequest } from '../../protocol/messages/transport.ts';
import { UserauthRequest, UserauthSuccess } from '../../protocol/messages/userauth.ts';
import { marker, type Role } from '../../protocol/negotiate.ts';
import { cipherRows } from '../../protocol/packet/ciphers.ts';
import { Inbound } from '../../protocol/packet/inbound.ts';
import { Outbound } from '../../protocol/packet/outbound.ts';
import { Session, type SessionEvent, type SessionOptions } from '../../protocol/session.ts';
import { encodeUtf8 } from '../../protocol/wire/text.ts';
import { Writer } from '../../protocol/wire/writer.ts';
import { join } from './suites.ts';

export const hostKey: HostKeySigner = { key: generateKey(nobleCrypto, 'ed25519') };
const crypto = nobleCrypto;
const chacha = cipherRows.find((row) => row.name === 'chacha20-poly1305@openssh.com')!;
const cheap = {
  kex: ['curve25519-sha256'],
  hostKeys: ['ssh-ed25519'],
  ciphers: [chacha.name],
  macs: ['hmac-sha2-256'],
  compression: ['none'],
};

export interface RawPeerOptions extends Partial<SessionOptions> {
  /** What the peer plays; the session under test plays the other. */
  readonly plays: Role;
  readonly strict?: boolean;
  readonly extInfo?: boolean;
  readonly version?: string;
}

export class RawPeer {
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  /** Undefined leaves the session parked. */
  acceptHostKey: boolean | undefined = true;
  /** Told of every event; the server role's log-ins are accepted unless this is replaced. */
  onEvent: (event: SessionEvent) => void = (event) => {
    if (event.type === 'auth-request') this.session.serverAuth.accept();
  };
  readonly plays: Role;
  readonly #strict: boolean;
  readonly #extInfo: boolean;
  readonly #version: Uint8Array;
  #theirVersion: Uint8Array | undefined;
  #head: number[] = [];
  readonly inbound = new Inbound();
  readonly outbound = new Outbound(crypto);
  #exchanges = 0;
  sessionId: Uint8Array | undefined;
  #ours: Uint8Array | undefined;
  #theirs: Uint8Array | undefined;
  #keys: { readonly secret: Uint8Array; readonly hash: Uint8Array } | undefined;
  #inboundKeys: (() => void) | undefined;
  /** Everything the session put out, as it came. */
  transcript = 0;

  constructor({ plays, strict = true, extInfo = true, version = 'SSH-2.0-raw', ...options }: RawPeerOptions) {
    this.plays = plays;
    this.#strict = strict;
    this.#extInfo = extInfo;
    this.#version = encodeUtf8(version);
    const role = plays === 'client' ? 'server' : 'client';
    const hostKeys = role === 'server' ? { hostKeys: [hostKey] } : {};
    this.session = new Session({ role, crypto, now: 0, algorithms: cheap, ...hostKeys, ...options });
  }

  // ---- bytes

  /** Events out, output in. */
  pull(): this {
    for (;;) {
      const event = this.session.poll();
      if (event !== undefined) {
        this.events.push(event);
        if (event.type === 'host-key' && this.acceptHostKey !== undefined) {
          this.session.answerHostKey(this.acceptHostKey);
        }
        this.onEvent(event);
        continue;
      }
      let output = this.session.takeOutput();
      if (output === undefined) return this;
      this.transcript += output.length;
      if (this.#theirVersion === undefined) {
        const end = output.indexOf(0x0a);
        this.#head.push(...output.subarray(0, end + 1));
        this.#theirVersion = Uint8Array.from(this.#head.slice(0, -2));
        output = output.subarray(end + 1);
      }
      this.inbound.feed(output);
      this.inbound.settle();
    }
  }

  bytes(bytes: Uint8Array): this {
    this.session.receive(bytes);
    return this.pull();
  }

  /** The payloads as packets of our present keys, without sending them. */
  frame(...payloads: readonly Uint8Array[]): Uint8Array {
    for (const payload of payloads) this.outbound.send(payload);
    const pieces: Uint8Array[] = [];
    for (let piece = this.outbound.take(); piece !== undefined; piece = this.outbound.take()) pieces.push(piece);
    return join(pieces);
  }

  send(...payloads: readonly Uint8Array[]): this {
    return this.bytes(this.frame(...payloads));
  }

  /** The session's next payload, if there is one. */
  next(): Uint8Array | undefined {
    this.pull();
    const payload = this.inbound.next();
    if (payload?.[0] === NewKeys.number) this.#inboundKeys?.();
    return payload;
  }

  /** The session's next payload, which has to be message `number`. */
  expect(number: number): Uint8Array {
    const payload = this.next();
    if (payload?.[0] !== number) {
      const failure = this.session.failure === undefined ? '' : ` (${this.session.failure.message})`;
      throw new Error(`message ${number} wanted, ${payload?.[0] ?? 'nothing'} came${failure}`);
    }
    return payload;
  }

  /** Numbers of everything that waits. */
  numbers(): number[] {
    const all: number[] = [];
    for (let payload = this.next(); payload !== undefined; payload = this.next()) all.push(payload[0]!);
    return all;
  }

  closed(): SessionEvent & { type: 'closed' } {
    const last = this.pull().events.at(-1);
    if (last?.type !== 'closed') throw new Error(`the session is not closed: ${last?.type}`);
    return last;
  }

  // ---- a key exchange, step by step

  hello(): this {
    return this.bytes(join([this.#version, Uint8Array.of(13, 10)]));
  }

  kexInit(changes: Partial<KexInit> = {}): Uint8Array {
    const client = this.plays === 'client';
    const markers = [
      ...(this.#extInfo ? [client ? marker.extInfoClient : marker.extInfoServer] : []),
      ...(this.#strict ? [client ? marker.strictClient : marker.strictServer] : []),
    ];
    return KexInit.encode({
      cookie: new Uint8Array(16),
      kex: [...cheap.kex, ...(this.#exchanges === 0 ? markers : [])],
      hostKey: cheap.hostKeys,
      cipherClientToServer: cheap.ciphers,
      cipherServerToClient: cheap.ciphers,
      macClientToServer: cheap.macs,
      macServerToClient: cheap.macs,
      compressionClientToServer: cheap.compression,
      compressionServerToClient: cheap.compression,
      languagesClientToServer: [],
      languagesServerToClient: [],
      firstKexPacketFollows: false,
      reserved: 0,
      ...changes,
    });
  }

  /** Sends our KEXINIT (with `before` in the same write ahead of it) and takes theirs. */
  init(changes: Partial<KexInit> = {}, before: readonly Uint8Array[] = []): this {
    this.#ours = this.kexInit(changes);
    this.send(...before, this.#ours);
    return this.takeInit();
  }

  takeInit(): this {
    this.#theirs = this.expect(KexInit.number);
    return this;
  }

  /** Answers a KEXINIT of theirs that is taken already. */
  answerInit(): this {
    this.#ours = this.kexInit();
    return this.send(this.#ours);
  }

  #finish(ephemeral: { clientPublic: Uint8Array; serverPublic: Uint8Array }, k: Uint8Array, blob: Uint8Array): void {
    const client = this.plays === 'client';
    const secret = new Writer().mpint(k).finish().slice();
    const hash = exchangeHash(crypto, 'sha256', {
      clientVersion: client ? this.#version : this.#theirVersion!,
      serverVersion: client ? this.#theirVersion! : this.#version,
      clientInit: client ? this.#ours! : this.#theirs!,
      serverInit: client ? this.#theirs! : this.#ours!,
      hostKey: blob,
      hashed: new Writer().string(ephemeral.clientPublic).string(ephemeral.serverPublic).finish(),
      secret,
    });
    this.sessionId ??= hash;
    this.#keys = { secret, hash };
    this.#inboundKeys = () => {
      this.inbound.rekey(chacha.opener(crypto, this.#derive(client ? 'D' : 'C'), new Uint8Array(0), undefined));
      if (this.#strict) this.inbound.resetSequence();
    };
  }

  #derive(letter: 'C' | 'D'): Uint8Array {
    const { secret, hash } = this.#keys!;
    return deriveKey(crypto, 'sha256', secret, hash, letter, this.sessionId!, chacha.keyLength);
  }

  /** As a client: our half of the exchange, and their reply. */
  clientExchange(): this {
    const pair = crypto.x25519();
    this.send(KexEcdhInit.encode({ clientPublic: pair.publicKey }));
    const reply = KexEcdhReply.decode(this.expect(KexEcdhReply.number));
    this.#finish(
      { clientPublic: pair.publicKey, serverPublic: reply.serverPublic },
      pair.derive(reply.serverPublic),
      reply.hostKey,
    );
    return this;
  }

  /** As a server: the reply to their half; `change` may spoil it. */
  serverReply(
    change: (reply: Parameters<typeof KexEcdhReply.encode>[0]) => typeof reply = (reply) => reply,
  ): Uint8Array {
    const { clientPublic } = KexEcdhInit.decode(this.expect(KexEcdhInit.number));
    const pair = crypto.x25519();
    const { blob } = hostKey.key.publicKey;
    this.#finish({ clientPublic, serverPublic: pair.publicKey }, pair.derive(clientPublic), blob);
    const signature = sign(crypto, hostKey.key, 'ssh-ed25519', this.#keys!.hash);
    return KexEcdhReply.encode(change({ hostKey: blob, serverPublic: pair.publicKey, signature }));
  }

  /** NEWKEYS as a packet; what is framed after it is under the new keys. */
  newKeys(): Uint8Array {
    const packet = this.frame(NewKeys.encode({}));
    const letter = this.plays === 'client' ? 'C' : 'D';
    this.outbound.rekey(chacha.sealer(crypto, this.#derive(letter), new Uint8Array(0), undefined));
    if (this.#strict) this.outbound.resetSequence();
    this.#exchanges++;
    return packet;
  }

  /** What follows the two KEXINITs. */
  finishExchange(): this {
    if (this.plays === 'client') this.clientExchange();
    else this.send(this.serverReply());
    this.bytes(this.newKeys());
    this.expect(NewKeys.number);
    return this;
  }

  /** A whole key exchange, begun by us. */
  exchange(): this {
    if (this.#exchanges === 0) this.hello();
    return this.init().finishExchange();
  }

  // ---- log-in

  /** Key exchange and a log-in that works. */
  login(): this {
    this.exchange();
    if (this.plays === 'client') {
      this.skipExtInfo();
      this.send(ServiceRequest.encode({ service: 'ssh-userauth' }));
      this.expect(ServiceAccept.number);
      this.send(this.noneRequest());
      this.expect(UserauthSuccess.number);
    } else {
      this.session.auth.none('someone');
      this.expect(ServiceRequest.number);
      this.send(ServiceAccept.encode({ service: 'ssh-userauth' }));
      this.expect(UserauthRequest.number);
      this.send(UserauthSuccess.encode({}));
    }
    return this;
  }

  skipExtInfo(): this {
    if (this.#extInfo) this.expect(7);
    return this;
  }

  noneRequest(): Uint8Array {
    const body = new Uint8Array(0);
    return UserauthRequest.encode({ user: 'someone', service: 'ssh-connection', method: 'none', body });
  }
}
