/**
 * From nothing to a logged-in connection: dial, exchange keys, judge the host key, log in. One linear function; each
 * step has its own error code, one AbortSignal ends any of them.
 *
 * The host-key policy is a required argument: nothing is accepted silently.
 */

import {
  type AlgorithmPreferences,
  type CryptoProvider,
  type HostKey,
  type Negotiated,
  nobleCrypto,
  type PeerVersion,
  type RekeyLimits,
  Session,
  type SessionEvent,
  SshError,
} from '../protocol/index.ts';
import {
  abortable,
  abortError,
  type ByteStream,
  type DialOptions,
  Driver,
  dial,
  monotonicNow,
  offAbort,
  onAbort,
} from '../transport/index.ts';
import { type AuthPlan, authenticate } from './auth.ts';
import { AuthExchange } from './auth-exchange.ts';
import { Connection, type GlobalHandler } from './connection.ts';

export interface HostKeyQuestion {
  readonly host: string;
  readonly port: number;
  /** The address that was dialled, when there is one. */
  readonly address: string | undefined;
  readonly hostKey: HostKey;
  /** The negotiated host-key algorithm. */
  readonly algorithm: string;
}

/** Judges a server's key. False refuses; an SshError 'host-key' thrown says why. */
export type HostKeyPolicy = (question: HostKeyQuestion) => boolean | Promise<boolean>;

/** 0 is for LogLevel VERBOSE, the others are the depths of debugging. */
export type Log = (level: 0 | 1 | 2 | 3, text: string) => void;

export interface ConnectOptions {
  /** The name that is checked and shown; what to dial, unless `dial` says otherwise. */
  readonly host: string;
  /** Default 22. */
  readonly port?: number;
  readonly hostKey: HostKeyPolicy;
  readonly user: string;
  readonly auth: Omit<AuthPlan, 'log' | 'signal' | 'hostLabel'> & { readonly hostLabel?: string };
  /** How to get a byte stream; TCP to `host` and `port` by default. */
  readonly dial?: Partial<DialOptions> | (() => Promise<ByteStream> | ByteStream);
  /** Default: noble. */
  readonly crypto?: CryptoProvider;
  readonly algorithms?: Partial<AlgorithmPreferences>;
  readonly rekey?: RekeyLimits;
  /** Milliseconds of silence, and how many unanswered questions end the connection. */
  readonly keepalive?: { readonly interval: number; readonly count: number };
  /** Milliseconds from the dialled stream to the first keys; default 120 000 (sshd's LoginGraceTime), 0 for none. */
  readonly handshakeTimeout?: number;
  /** Milliseconds that the server may take over each answer of the log-in; default: as long as it likes. */
  readonly answerTimeout?: number;
  readonly software?: string;
  readonly signal?: AbortSignal;
  readonly log?: Log;
  readonly onVersion?: (version: PeerVersion, preamble: readonly string[]) => void;
  readonly onKeys?: (algorithms: Negotiated) => void;
  /** Text the server shows before the log-in, as it came: untrusted bytes. */
  readonly onBanner?: (message: Uint8Array) => void;
  /** Takers of the server's global requests from the start: some come with the end of the log-in. */
  readonly globals?: Readonly<Record<string, GlobalHandler>>;
  /** How far we are; for progress and for classing failures. */
  readonly onPhase?: (phase: 'handshake' | 'auth') => void;
}

const DEFAULT_HANDSHAKE_TIMEOUT = 120_000;

/** Connects and logs in. Throws SshError with the code of the step that failed. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { signal, log = () => {}, port = 22 } = options;
  if (signal?.aborted) throw abortError(signal);
  const { stream, address } = await open(options, port);
  const attempt = new Attempt(options, stream, port, address);
  const give = (): void => void attempt.end(abortError(signal!));
  if (signal?.aborted) give();
  else onAbort(signal, give);
  try {
    await attempt.keys();
    options.onPhase?.('auth');
    const plan: AuthPlan = {
      hostLabel: `${options.user}@${options.host}`,
      ...options.auth,
      log,
      get signal() {
        return attempt.over;
      },
    };
    // A person may be thinking about a password while the server hangs up.
    await attempt.whileItLasts(authenticate(attempt.exchange, plan));
    return attempt.succeeded();
  } catch (error) {
    throw attempt.exchange.explain(attempt.end(error));
  } finally {
    offAbort(signal, give);
  }
}

async function open(
  options: ConnectOptions,
  port: number,
): Promise<{ stream: ByteStream; address: string | undefined }> {
  const { dial: how, signal } = options;
  if (typeof how === 'function') {
    const stream = await abortable(Promise.resolve(how()), signal, (late) => late.destroy());
    return { stream, address: undefined };
  }
  const stream = await dial({ host: options.host, port, ...(signal && { signal }), ...how });
  return { stream, address: stream.remoteAddress };
}

const closed = (): SshError => new SshError('closed', 'the connection is closed');

/** A connection in the making. */
class Attempt {
  readonly connection: Connection;
  readonly exchange: AuthExchange;
  readonly #options: ConnectOptions;
  readonly #session: Session;
  readonly #port: number;
  readonly #address: string | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #keys: { resolve(): void; reject(error: unknown): void } | undefined;
  #over: AbortController | undefined;
  #end: { readonly error: unknown } | undefined;
  #giveUp: ((error: unknown) => void) | undefined;
  #done = false;
  /** What we found wrong ourselves: it outranks how the session then ends. */
  #failure: SshError | undefined;

  constructor(options: ConnectOptions, stream: ByteStream, port: number, address: string | undefined) {
    this.#options = options;
    this.#port = port;
    this.#address = address;
    this.#session = new Session({
      role: 'client',
      crypto: options.crypto ?? nobleCrypto,
      now: monotonicNow(),
      ...(stream.roundTrip !== undefined && { roundTrip: stream.roundTrip }),
      ...(options.algorithms && { algorithms: options.algorithms }),
      ...(options.rekey && { rekey: options.rekey }),
      ...(options.keepalive && { keepalive: options.keepalive }),
      ...(options.software !== undefined && { software: options.software }),
      ...(options.log && { notes: true }),
    });
    const driver = new Driver(this.#session, stream, (event) => this.#event(event));
    this.connection = new Connection(this.#session, driver);
    for (const [name, handler] of Object.entries(options.globals ?? {})) this.connection.onGlobalRequest(name, handler);
    const after = options.answerTimeout ?? 0;
    const answers = after > 0 ? { after, over: (error: SshError) => void this.end(error) } : undefined;
    this.exchange = new AuthExchange(this.#session, driver.wake, options.user, answers);
    const patience = options.handshakeTimeout ?? DEFAULT_HANDSHAKE_TIMEOUT;
    if (patience > 0) {
      this.#timer = setTimeout(() => {
        const what = this.#session.peerVersion === undefined ? 'banner' : 'kex';
        this.end(
          new SshError('timeout', 'the server did not finish the key exchange in time', {
            by: 'peer',
            detail: { what, after: patience },
          }),
        );
      }, patience);
    }
  }

  /** Fires, with the error, when the attempt or the connection it became is over. Made for those who ask: few do. */
  get over(): AbortSignal {
    if (this.#over === undefined) {
      this.#over = new AbortController();
      if (this.#end !== undefined) this.#over.abort(this.#end.error);
      else if (this.#session.closed) this.#over.abort(this.#session.failure ?? closed());
    }
    return this.#over.signal;
  }

  /** `work`, or the error of the end when that comes first. */
  whileItLasts(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      work.then(resolve, reject);
      if (this.#end !== undefined) reject(this.#end.error);
      else this.#giveUp = reject;
    });
  }

  /** From here on the connection tells its end itself. */
  succeeded(): Connection {
    this.#done = true;
    return this.connection;
  }

  /** Settles when the first keys are in place. */
  keys(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#keys = { resolve, reject };
    });
  }

  /** Ends the attempt; returns the error that tells best why. */
  end(error: unknown): unknown {
    clearTimeout(this.#timer);
    if (this.#failure === undefined && error instanceof SshError) this.#failure = error;
    if (!this.#session.closed) {
      this.#session.disconnect();
      this.connection.driver.wake();
    }
    this.#keys?.reject(this.#failure ?? error);
    this.#keys = undefined;
    if (this.#failure !== undefined) this.exchange.fail(this.#failure);
    this.#end ??= { error: this.#failure ?? error };
    this.#giveUp?.(this.#end.error);
    this.#over?.abort(this.#end.error);
    return this.#failure ?? error;
  }

  #event(event: SessionEvent): void {
    const options = this.#options;
    switch (event.type) {
      case 'version':
        options.onVersion?.(event.version, event.preamble);
        options.onPhase?.('handshake');
        break;
      case 'note':
        options.log?.(1, event.text);
        break;
      case 'host-key':
        void this.#judge(event.hostKey, event.algorithm);
        break;
      case 'ready':
        if (event.rekey) this.connection.event(event);
        else {
          clearTimeout(this.#timer);
          options.onKeys?.(event.algorithms);
          // The chunk that brought the keys may bring EXT_INFO too: it is handled before the log-in starts.
          this.#keys?.resolve();
          this.#keys = undefined;
        }
        break;
      case 'banner':
        options.onBanner?.(event.message);
        break;
      case 'auth-service':
      case 'auth-success':
      case 'auth-failure':
      case 'auth-key-ok':
      case 'auth-prompts':
      case 'auth-change-password':
        this.exchange.event(event);
        break;
      case 'closed':
        // An error is slow to make, and after a log-in few ask for it.
        if (!this.#done || this.#over !== undefined) this.end(event.error ?? closed());
        this.connection.event(event);
        break;
      default:
        this.connection.event(event);
    }
  }

  async #judge(hostKey: HostKey, algorithm: string): Promise<void> {
    const { host, hostKey: policy } = this.#options;
    let verdict = false;
    try {
      verdict = await policy({ host, port: this.#port, address: this.#address, hostKey, algorithm });
    } catch (error) {
      this.#failure ??=
        error instanceof SshError
          ? error
          : new SshError('host-key', 'the host key could not be checked', { cause: error });
    }
    if (this.#session.closed) return;
    this.#session.answerHostKey(verdict);
    // The log-in starts at once: it travels with our NEWKEYS.
    this.connection.driver.hold();
    this.connection.driver.wake();
  }
}
