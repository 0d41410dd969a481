/** One connection of a demo server: the server role's events, answered. */

import {
  type HostKeySigner,
  type IncomingOpen,
  OpenFailure,
  Session,
  type SessionEvent,
  SshError,
} from '../../protocol/index.ts';
import { type ByteStream, ChannelIo, Driver, monotonicNow, nodeCrypto } from '../../transport/index.ts';
import { FaultyStream } from './faults.ts';
import { Forwards } from './forwards.ts';
import { Login, type LoginAttempt } from './login.ts';
import type { Command, DemoServerOptions, FaultPoint, Faults, HostFacts, Subsystem } from './options.ts';
import { SessionChannel } from './session-channel.ts';

/** What all connections of a server share. */
export interface ServerFacts {
  readonly options: DemoServerOptions;
  readonly hostKeys: readonly HostKeySigner[];
  readonly host: HostFacts;
  readonly commands: ReadonlyMap<string, Command>;
  readonly subsystems: ReadonlyMap<string, Subsystem>;
  readonly passwords: Map<string, string>;
}

export class DemoSession {
  readonly faults: Faults;
  /** Undefined for a connection that was never spoken to. */
  readonly session: Session | undefined;
  /** Settles when the connection is over, with what ended it; never rejects. */
  readonly closed: Promise<SshError | undefined>;
  /** Session channels, those that are over included. */
  readonly channels: SessionChannel[] = [];
  /** Names of global requests that came. */
  readonly globalRequests: string[] = [];
  readonly #facts: ServerFacts;
  readonly #stream: FaultyStream;
  readonly #driver: Driver | undefined;
  readonly #forwards: Forwards;
  #login: Login | undefined;
  #isClosed = false;
  #error: SshError | undefined;
  #noMoreSessions = false;
  #settleClosed!: (error: SshError | undefined) => void;
  readonly #replies: { resolve(body: Uint8Array | undefined): void }[] = [];

  constructor(facts: ServerFacts, stream: ByteStream, faults: Faults) {
    this.#facts = facts;
    this.faults = faults;
    this.#stream = new FaultyStream(stream, faults);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    const { options } = facts;
    this.#forwards = new Forwards(
      {
        accept: (open) => this.#accept(open),
        refuse: (open, reason, text) => this.#refuse(open, reason, text),
        open: (channelType, body) => this.open(channelType, body),
      },
      options.forwarding,
    );
    if (this.#mute()) return;
    for (let i = 0; i < (faults.preamble ?? 0); i++) this.#stream.write(Buffer.from(`line ${i} of the preamble\r\n`));
    this.session = new Session({
      role: 'server',
      crypto: options.crypto ?? nodeCrypto(),
      now: monotonicNow(),
      hostKeys: facts.hostKeys,
      ...(options.rekey && { rekey: options.rekey }),
      ...(options.algorithms && { algorithms: options.algorithms }),
      ...(options.maxAuthAttempts !== undefined && { maxAuthAttempts: options.maxAuthAttempts }),
      software: options.software ?? 'demo',
    });
    this.#driver = new Driver(this.session, this.#stream, (event) => this.#event(event));
  }

  /** Connections that end, or stay silent, before a word was said. */
  #mute(): boolean {
    const { closeAt, stallAt, neverSpeak } = this.faults;
    if (closeAt !== 'banner' && stallAt !== 'banner' && !neverSpeak) return false;
    const over = (): void => {
      this.#stream.destroy();
      this.#over(undefined);
    };
    this.#stream.start({ data: () => {}, drain: () => {}, end: over, error: over });
    if (closeAt === 'banner') over();
    return true;
  }

  // ---- what tests look at

  get user(): string | undefined {
    return this.#login?.user;
  }
  get attempts(): readonly LoginAttempt[] {
    return this.#login?.attempts ?? [];
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }
  get authenticated(): boolean {
    return this.session?.authenticated ?? false;
  }

  // ---- what tests do

  /** Starts a key exchange. */
  rekey(): void {
    this.session?.rekey();
    this.#driver?.wake();
  }

  /** Sends a global request; the reply's body, or undefined when it was refused or the connection ended. */
  globalRequest(request: string, body: Uint8Array = new Uint8Array(0)): Promise<Uint8Array | undefined> {
    if (this.session === undefined || this.#isClosed) return Promise.resolve(undefined);
    this.session.globalRequest(request, true, body);
    this.#driver!.wake();
    return new Promise((resolve) => this.#replies.push({ resolve }));
  }

  /** Opens a channel to the client. */
  async open(channelType: string, body: Uint8Array = new Uint8Array(0)): Promise<ChannelIo> {
    if (this.session === undefined || this.#isClosed) throw new SshError('closed', 'the connection is closed');
    const io = this.#io(this.session.mux.open(channelType, body));
    this.#driver!.wake();
    await io.opened;
    return io;
  }

  disconnect(reason?: number, text?: string): void {
    this.session?.disconnect(reason, text);
    this.#driver?.wake();
  }

  /** Closes the socket without a word. */
  destroy(): void {
    if (this.#driver !== undefined) this.#driver.destroy();
    else {
      this.#stream.destroy();
      this.#over(undefined);
    }
  }

  /** Settles when everything the connection started is over. */
  async ended(): Promise<void> {
    await this.closed;
    await Promise.all(this.channels.map((channel) => channel.done));
    await this.#forwards.close();
  }

  // ---- events

  #over(error: SshError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    for (const { resolve } of this.#replies.splice(0)) resolve(undefined);
    void this.#forwards.close();
    this.#settleClosed(error);
  }

  /** A fault that strikes at this point; true when nothing should follow. */
  #strike(point: FaultPoint): boolean {
    const { closeAt, stallAt, disconnectAt } = this.faults;
    if (closeAt === point) this.destroy();
    else if (disconnectAt?.point === point) this.session!.disconnect(disconnectAt.reason, disconnectAt.text);
    else if (stallAt === point) this.#stream.deaf = true;
    else return false;
    return true;
  }

  #event(event: SessionEvent): void {
    // What came in one piece with the last word is of no account.
    const mute = this.session!.closed || this.#stream.deaf;
    if (mute && event.type !== 'channel' && event.type !== 'closed') return;
    switch (event.type) {
      case 'version':
        this.#strike('kexinit');
        break;
      case 'ready':
        if (!event.rekey) this.#ready();
        break;
      case 'auth-request':
        if (!this.#strike('auth')) this.#login!.request(event.request);
        break;
      case 'auth-responses':
        this.#login!.responses(event.responses);
        break;
      case 'channel-open':
        if (!this.#strike('open')) this.#opened(event.open);
        break;
      case 'channel':
        (event.channel.owner as ChannelIo | undefined)?.signal(event.signal);
        break;
      case 'global-request':
        void this.#global(event);
        break;
      case 'global-reply':
        this.#replies.shift()?.resolve(event.ok ? event.body : undefined);
        break;
      case 'closed':
        this.#over(event.error);
    }
  }

  #ready(): void {
    if (this.#strike('newkeys')) return;
    const { options, passwords } = this.#facts;
    this.#login = new Login(this.session!, options, passwords);
    const { hugeBanner } = this.faults;
    if (hugeBanner !== undefined) this.session!.serverAuth.banner('x'.repeat(hugeBanner));
  }

  #opened(open: IncomingOpen) {
    const { refuseChannels } = this.faults;
    if (refuseChannels !== undefined && refuseChannels !== false) {
      return this.#refuse(
        open,
        refuseChannels === true ? OpenFailure.connectFailed : refuseChannels,
        'no channels today',
      );
    }
    if (open.channelType === 'session') return this.#openSession(open);
    if (!this.#forwards.direct(open)) this.#refuse(open, OpenFailure.unknownChannelType, 'unknown channel type');
  }

  #openSession(open: IncomingOpen) {
    const { options, host, commands, subsystems } = this.#facts;
    const living = this.channels.filter((channel) => !channel.io.isClosed).length;
    if (this.#noMoreSessions || living >= (options.maxSessions ?? Number.POSITIVE_INFINITY)) {
      return this.#refuse(open, OpenFailure.connectFailed, 'open failed');
    }
    const home = {
      options,
      faults: this.faults,
      user: this.user!,
      host,
      commands,
      subsystems,
      strike: (point: FaultPoint) => this.#strike(point),
      open: (channelType: string, body?: Uint8Array) => this.open(channelType, body),
      agentSocket: () => this.#forwards.agentSocket(),
    };
    this.channels.push(new SessionChannel(this.#accept(open), home));
  }

  #io(channel: ConstructorParameters<typeof ChannelIo>[0]): ChannelIo {
    const reason = (): SshError | undefined =>
      this.#isClosed ? (this.#error ?? new SshError('closed', 'the connection is closed')) : undefined;
    return new ChannelIo(channel, this.#driver!.wake, reason);
  }

  #accept(open: IncomingOpen): ChannelIo {
    // A mark of one byte: a write settles when its bytes have left the channel.
    const io = this.#io(this.session!.mux.accept(open, { writeMark: 1 }));
    this.#driver!.wake();
    return io;
  }

  #refuse(open: IncomingOpen, reason: number, text: string): void {
    this.session!.mux.refuse(open, reason, text);
    this.#driver!.wake();
  }

  async #global({ request, wantReply, body, slot }: SessionEvent & { type: 'global-request' }): Promise<void> {
    this.globalRequests.push(request);
    if (request === 'no-more-sessions@openssh.com') this.#noMoreSessions = true;
    const answer =
      this.#facts.options.globalRequests?.[request]?.(body) ?? (await this.#forwards.global(request, body));
    if (!wantReply || this.session!.closed) return;
    this.session!.mux.answerGlobal(slot, answer !== undefined, answer);
    this.#driver!.wake();
  }
}
