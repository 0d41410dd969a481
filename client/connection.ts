/**
 * A logged-in connection: channels, global requests and its end, as promises over the driver's events.
 *
 * Replies to global requests have no ids: they are matched in order, here and nowhere else. What the peer asks for and
 * nobody handles is refused.
 */

import {
  type Channel,
  type ChannelOptions,
  type IncomingOpen,
  type Negotiated,
  OpenFailure,
  type SessionCore,
  type SessionEvent,
  SshError,
} from '../protocol/index.ts';
import { ChannelIo, type Driver } from '../transport/index.ts';
import { idleLimit, idleLimitOfAll } from './channel-timeouts.ts';
import type { ChannelTimeout } from './config/special-values.ts';
import { type ExecHandle, type ExecOptions, exec, subsystem } from './exec.ts';

/** Takes a channel the peer opens: `accept` it, or return a reason to refuse it; a promise means "later". */
export type OpenHandler = (
  open: IncomingOpen,
  accept: (options?: ChannelOptions) => ChannelIo,
) => OpenRefusal | undefined | Promise<OpenRefusal | undefined>;
export interface OpenRefusal {
  readonly reason: number;
  readonly text: string;
}
/** Takes a global request; the answer's body, or undefined to refuse. */
export type GlobalHandler = (body: Uint8Array) => Uint8Array | undefined;

interface Waiter {
  resolve(body: Uint8Array): void;
  reject(error: unknown): void;
  readonly request: string;
}

export class Connection {
  readonly session: SessionCore;
  readonly driver: Driver;
  /** Settles when the connection is over, with what ended it; never rejects. */
  readonly closed: Promise<SshError | undefined>;
  #settleClosed!: (error: SshError | undefined) => void;
  #ended: { readonly error: SshError | undefined } | undefined;
  readonly #replies: Waiter[] = [];
  readonly #openHandlers = new Map<string, OpenHandler>();
  readonly #globalHandlers = new Map<string, GlobalHandler>();
  /** New keys are in place (a rekey). */
  onRekey: (algorithms: Negotiated) => void = () => {};
  /** A channel is being closed because nothing passed for as long as `limitIdle` allows. */
  onIdle: (channel: Channel) => void = () => {};
  #timeouts: readonly ChannelTimeout[] = [];
  /** Asked first about each channel that the peer opens; true: it is answered elsewhere (a client that shares us has it). */
  claimOpen: (open: IncomingOpen) => boolean = () => false;

  constructor(session: SessionCore, driver: Driver) {
    this.session = session;
    this.driver = driver;
    this.closed = new Promise((resolve) => void (this.#settleClosed = resolve));
  }

  /** Events of the session from the log-in on; `connect` forwards them. */
  event(event: SessionEvent): void {
    // What the peer asked for in one piece with its last word is not begun.
    if (this.session.closed && (event.type === 'channel-open' || event.type === 'global-request')) return;
    switch (event.type) {
      case 'channel':
        // Who has waited for this channel often closes the connection with it.
        if (event.signal.what === 'closed') this.driver.hold();
        (event.channel.owner as ChannelIo | undefined)?.signal(event.signal);
        if (event.signal.what === 'expired') this.onIdle(event.channel);
        break;
      case 'channel-open':
        this.#opened(event.open);
        break;
      case 'global-request': {
        const answer = this.#globalHandlers.get(event.request)?.(event.body);
        if (event.wantReply) this.session.mux.answerGlobal(event.slot, answer !== undefined, answer);
        break;
      }
      case 'global-reply': {
        const waiter = this.#replies.shift();
        if (event.ok) waiter?.resolve(event.body);
        else
          waiter?.reject(
            new SshError('channel-request', `the server refused ${waiter.request}`, {
              by: 'peer',
              detail: { request: waiter.request },
            }),
          );
        break;
      }
      case 'ready':
        if (event.rekey) this.onRekey(event.algorithms);
        break;
      case 'closed':
        this.#end(event.error);
    }
  }

  #end(error: SshError | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    for (const waiter of this.#replies.splice(0)) waiter.reject(this.#reason());
    this.#settleClosed(error);
  }

  /** Channels hear of the end before we do: the session knows the cause first. */
  #reason(): SshError {
    return this.#ended?.error ?? this.session.failure ?? new SshError('closed', 'the connection is closed');
  }

  #opened(open: IncomingOpen): void {
    if (this.claimOpen(open)) return;
    const handler = this.#openHandlers.get(open.channelType);
    let answered = false;
    const refuse = (refusal: OpenRefusal | undefined): void => {
      if (answered || this.isClosed) return;
      answered = true;
      const { reason, text } = refusal ?? { reason: OpenFailure.administrativelyProhibited, text: 'refused' };
      this.session.mux.refuse(open, reason, text);
      this.driver.wake();
    };
    if (handler === undefined) return refuse({ reason: OpenFailure.unknownChannelType, text: 'unknown channel type' });
    const answer = handler(open, (options) => {
      if (this.isClosed) throw this.#reason();
      const io = this.#io(this.session.mux.accept(open, options));
      answered = true;
      this.driver.wake();
      return io;
    });
    if (!(answer instanceof Promise)) return refuse(answer);
    answer.then(refuse, (error: Error) => refuse({ reason: OpenFailure.connectFailed, text: error.message }));
  }

  #io(channel: Channel): ChannelIo {
    this.#limit(channel, channel.channelType);
    return new ChannelIo(channel, this.driver.wake, () => (this.isClosed ? this.#reason() : undefined));
  }

  /** Whether the connection is over. */
  get isClosed(): boolean {
    return this.#ended !== undefined || this.session.closed;
  }

  /** Which channel types the peer may open, and who takes them. */
  onOpen(channelType: string, handler: OpenHandler | undefined): void {
    if (handler === undefined) this.#openHandlers.delete(channelType);
    else this.#openHandlers.set(channelType, handler);
  }

  onGlobalRequest(request: string, handler: GlobalHandler): void {
    this.#globalHandlers.set(request, handler);
  }

  /** Opens a channel; throws SshError 'channel-open' when the server refuses, or the connection's error. */
  async open(channelType: string, body: Uint8Array, options?: ChannelOptions): Promise<ChannelIo> {
    if (this.isClosed) throw this.#reason();
    const io = this.#io(this.session.mux.open(channelType, body, options));
    this.driver.wake();
    await io.opened;
    return io;
  }

  /** Opens a session channel (RFC 4254 section 6.1). */
  openSession(options?: ChannelOptions): Promise<ChannelIo> {
    return this.open('session', new Uint8Array(0), options);
  }

  /** Closes channels that are not used for as long as `timeouts` say; for those that are opened from now on. */
  limitIdle(timeouts: readonly ChannelTimeout[]): void {
    this.#timeouts = timeouts;
    this.session.mux.limitIdle(idleLimitOfAll(timeouts));
    this.driver.wake();
  }

  #limit(channel: Channel, type: string): void {
    if (this.#timeouts.length > 0) this.session.mux.limitIdle(idleLimit(this.#timeouts, type), channel);
  }

  /** What runs in a session is known later than that it is one. */
  async #typed(starting: Promise<ExecHandle>, type: string): Promise<ExecHandle> {
    const handle = await starting;
    this.#limit(handle.io.channel, type);
    this.driver.wake();
    return handle;
  }

  /** Runs `command` in a session; resolves once the server has started it. */
  exec(command: string | Uint8Array, options?: ExecOptions): Promise<ExecHandle> {
    return this.#typed(exec(this, { command }, options), 'session:command');
  }

  /** Starts the user's shell, usually with `options.pty`. */
  shell(options?: ExecOptions): Promise<ExecHandle> {
    return this.#typed(exec(this, {}, options), 'session:shell');
  }

  /** Starts a subsystem and returns its channel; stderr is thrown away unless a sink is set. */
  subsystem(name: string, options?: ExecOptions): Promise<ExecHandle> {
    return this.#typed(subsystem(this, name, options), `session:subsystem:${name}`);
  }

  /** Sends a global request and waits for the answer's body. */
  globalRequest(request: string, body: Uint8Array): Promise<Uint8Array> {
    if (this.isClosed) return Promise.reject(this.#reason());
    this.session.globalRequest(request, true, body);
    const reply = new Promise<Uint8Array>((resolve, reject) => this.#replies.push({ resolve, reject, request }));
    this.driver.wake();
    return reply;
  }

  /** Sends a global request that wants no answer. */
  notify(request: string, body: Uint8Array): void {
    if (this.isClosed) return;
    this.session.globalRequest(request, false, body);
    this.driver.wake();
  }

  /** Hides the rhythm of typing on `channel`; false where the server (or the holder of a shared connection) cannot. */
  obscureKeystrokes(channel: Channel, interval: number): boolean {
    const isHidden = this.session.obscureKeystrokes(channel, interval);
    // What the channel before held may leave now.
    this.driver.wake();
    return isHidden;
  }

  rekey(): void {
    this.session.rekey();
    this.driver.wake();
  }

  /** Says goodbye; settles when the connection is over. */
  async close(): Promise<void> {
    this.session.disconnect(undefined, 'disconnected by user');
    this.driver.wake();
    await this.closed;
  }
}
