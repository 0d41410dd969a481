/** A client and a server session joined in memory, with a clock of their own and knobs for how bytes travel. */

import type { AlgorithmPreferences } from '../../../protocol/algorithms.ts';
import type { Channel } from '../../../protocol/connection/channel.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import type { CryptoProvider } from '../../../protocol/crypto/provider.ts';
import type { HostKeySigner } from '../../../protocol/kex/machine.ts';
import type { RekeyLimits } from '../../../protocol/kex/policy.ts';
import { generateKey } from '../../../protocol/keys/generate.ts';
import { Session, type SessionEvent } from '../../../protocol/session.ts';

export interface PairOptions {
  readonly clientCrypto?: CryptoProvider;
  readonly serverCrypto?: CryptoProvider;
  readonly algorithms?: Partial<AlgorithmPreferences>;
  /** Largest piece in which bytes arrive; undefined for whole writes. */
  readonly pieces?: number;
  readonly clientRekey?: RekeyLimits;
  readonly serverRekey?: RekeyLimits;
  readonly keepalive?: { readonly interval: number; readonly count: number };
  readonly hostKeys?: readonly HostKeySigner[];
  readonly notes?: boolean;
  /** What the server says it is. */
  readonly serverSoftware?: string;
  readonly maxAuthAttempts?: number;
  /** Changes bytes on their way. */
  readonly mangle?: (from: 'client' | 'server', bytes: Uint8Array) => Uint8Array | undefined;
}

let defaultHostKey: HostKeySigner | undefined;

export class Pair {
  readonly client: Session;
  readonly server: Session;
  readonly clientEvents: SessionEvent[] = [];
  readonly serverEvents: SessionEvent[] = [];
  /** What to do with each event as it comes; the defaults accept the host key and any log-in. */
  onClient: (event: SessionEvent) => void = () => {};
  onServer: (event: SessionEvent) => void = () => {};
  acceptHostKey = true;
  now = 0;
  readonly #options: PairOptions;

  constructor(options: PairOptions = {}) {
    this.#options = options;
    defaultHostKey ??= { key: generateKey(nobleCrypto, 'ed25519') };
    const shared = {
      now: 0,
      ...(options.algorithms && { algorithms: options.algorithms }),
      ...(options.notes && { notes: true }),
    };
    this.client = new Session({
      ...shared,
      role: 'client',
      crypto: options.clientCrypto ?? nobleCrypto,
      ...(options.clientRekey && { rekey: options.clientRekey }),
      ...(options.keepalive && { keepalive: options.keepalive }),
    });
    this.server = new Session({
      ...shared,
      role: 'server',
      ...(options.serverSoftware && { software: options.serverSoftware }),
      crypto: options.serverCrypto ?? nobleCrypto,
      hostKeys: options.hostKeys ?? [defaultHostKey],
      ...(options.maxAuthAttempts !== undefined && { maxAuthAttempts: options.maxAuthAttempts }),
      ...(options.serverRekey && { rekey: options.serverRekey }),
    });
  }

  #drain(session: Session, events: SessionEvent[], on: (event: SessionEvent) => void): boolean {
    let any = false;
    for (let event = session.poll(); event !== undefined; event = session.poll()) {
      any = true;
      events.push(event);
      if (event.type === 'host-key') session.answerHostKey(this.acceptHostKey);
      on(event);
    }
    return any;
  }

  #move(from: 'client' | 'server'): boolean {
    const source = from === 'client' ? this.client : this.server;
    const target = from === 'client' ? this.server : this.client;
    const output = source.takeOutput();
    if (output === undefined) return false;
    const bytes = this.#options.mangle === undefined ? output : this.#options.mangle(from, output);
    if (bytes === undefined) return true;
    const step = this.#options.pieces ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      // The receiver borrows the chunk: hand it a buffer that is spoiled afterwards.
      const piece = bytes.slice(at, at + step);
      target.receive(piece);
      piece.fill(0xee);
      this.#drain(this.client, this.clientEvents, (e) => this.onClient(e));
      this.#drain(this.server, this.serverEvents, (e) => this.onServer(e));
    }
    return true;
  }

  /** Moves bytes and events until nothing moves any more. */
  run(maxTurns = 100_000): this {
    for (let turn = 0; turn < maxTurns; turn++) {
      let moved = this.#drain(this.client, this.clientEvents, (e) => this.onClient(e));
      moved = this.#drain(this.server, this.serverEvents, (e) => this.onServer(e)) || moved;
      moved = this.#move('client') || moved;
      moved = this.#move('server') || moved;
      if (!moved) return this;
    }
    throw new Error('the pair never came to rest');
  }

  advance(ms: number): this {
    this.now += ms;
    this.client.tick(this.now);
    this.server.tick(this.now);
    return this.run();
  }

  /** Key exchange and a `none` log-in that the server takes. */
  login(): this {
    this.run();
    const before = this.onServer;
    this.onServer = (event) => {
      if (event.type === 'auth-request') this.server.serverAuth.accept();
      before(event);
    };
    this.client.auth.none('someone');
    this.run();
    this.onServer = before;
    return this;
  }

  /** A session channel open on both sides. */
  openChannel(options?: Parameters<Session['mux']['open']>[2]): { client: Channel; server: Channel } {
    let server: Channel | undefined;
    const before = this.onServer;
    this.onServer = (event) => {
      if (event.type === 'channel-open') server = this.server.mux.accept(event.open, options);
      else before(event);
    };
    const client = this.client.mux.open('session', new Uint8Array(0), options);
    this.run();
    this.onServer = before;
    if (server === undefined) throw new Error('the channel did not open');
    return { client, server };
  }

  closed(side: 'client' | 'server'): (SessionEvent & { type: 'closed' }) | undefined {
    const events = side === 'client' ? this.clientEvents : this.serverEvents;
    return events.find((event) => event.type === 'closed');
  }
}

/** Reads everything that waits on a channel. */
export function readAll(channel: Channel, extended = false): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = extended ? channel.readExtended() : channel.read();
    if (chunk === undefined) break;
    chunks.push(chunk);
  }
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Far cheaper than `toEqual` on long arrays. */
export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Bytes that follow from their place, so that a lost or doubled piece shows. */
export function pattern(length: number, seed = 1): Uint8Array {
  const out = new Uint8Array(length);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    out[i] = x;
  }
  return out;
}
