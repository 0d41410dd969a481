/**
 * The client of a shared connection, ours or stock ssh(1)'s: what `-O` asks of its holder, and a Connection of its own
 * through it.
 *
 * Sessions go by proxy mode (OpenSSH PROTOCOL.mux section 9), never by passing file descriptors, which Node cannot do.
 * With a stock holder that has limits: it proxies channels, but of global requests only `tcpip-forward`, which it does
 * not answer. Forwardings are therefore asked for with `openForward`, and live in the holder.
 */

import { connect, type Socket } from 'node:net';
import {
  Alive,
  AliveCheck,
  CloseForward,
  ControlDenied,
  ControlFailure,
  ControlFramer,
  ControlHello,
  ControlOk,
  type CryptoProvider,
  controlNumber,
  controlRequestId,
  controlVersion,
  extensionNames,
  InfoReply,
  InfoRequest,
  OpenForward,
  ProxyReply,
  ProxyRequest,
  ProxySession,
  RemotePort,
  SshError,
  StopListening,
  Terminate,
  X11_EXTENSION,
} from '../../protocol/index.ts';
import { abortError, Driver, socketStream } from '../../transport/index.ts';
import type { Forward } from '../config/forward-spec.ts';
import { Connection } from '../connection.ts';
import { systemError } from '../system-error.ts';
import { forwardToWire } from './forward-wire.ts';
import { checkControlPath } from './path.ts';

export interface ConnectControlOptions {
  /** Milliseconds the holder may take to greet us; default and 0: any. */
  readonly timeout?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to the holder's socket at `path`. Throws SshError 'refused', with `errno` in its detail, when nobody can be
 * reached there, and 'protocol' or 'version' when somebody else answers.
 */
export async function connectControl(path: string, options: ConnectControlOptions = {}): Promise<ControlClient> {
  checkControlPath(path);
  const { timeout = 0, signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const socket = connect({ path });
  const give = (error: SshError): void => void socket.destroy(error);
  const onAbort = (): void => give(abortError(signal!));
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    timeout > 0
      ? setTimeout(
          () =>
            give(new SshError('timeout', 'no greeting', { by: 'peer', detail: { what: 'control', after: timeout } })),
          timeout,
        )
      : undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) => reject(error instanceof SshError ? error : unreachable(path, error)));
    });
    const client = new ControlClient(socket);
    await client.greeted;
    return client;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

const unreachable = (path: string, cause: Error): SshError =>
  new SshError('refused', `Control socket connect(${path}): ${systemError(cause)}`, {
    cause,
    detail: { path, errno: (cause as NodeJS.ErrnoException).code },
  });

interface Waiter {
  readonly requestId: number;
  resolve(packet: Uint8Array): void;
  reject(error: unknown): void;
}

export class ControlClient {
  /** Settles when the holder has said hello. */
  readonly greeted: Promise<void>;
  /** The holder forwards X11 for its clients: see `requestHoldersX11`. */
  forwardsX11 = false;
  readonly #socket: Socket;
  readonly #framer = new ControlFramer();
  readonly #waiting: Waiter[] = [];
  readonly #onData = (chunk: Uint8Array): void => this.#received(chunk);
  #greet: { resolve(): void; reject(error: unknown): void } | undefined;
  #nextId = 0;
  #failure: SshError | undefined;
  /** What becomes of the socket once the holder agrees to proxy. */
  #proxy: ((requestId: number) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.greeted = new Promise((resolve, reject) => void (this.#greet = { resolve, reject }));
    this.greeted.catch(() => {});
    socket.on('data', this.#onData);
    socket.on('error', (error) => this.#over(error));
    socket.on('close', () => this.#over(undefined));
    socket.write(ControlHello.encode({ version: controlVersion, extensions: new Uint8Array(0) }));
  }

  #over(cause: unknown): void {
    this.#failure ??=
      cause instanceof SshError
        ? cause
        : new SshError('lost', 'the control socket was closed', { by: 'peer', detail: { phase: 'control' }, cause });
    this.#greet?.reject(this.#failure);
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#failure);
  }

  #received(chunk: Uint8Array): void {
    try {
      this.#framer.feed(chunk, (packet) => this.#packet(packet));
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      this.#socket.destroy(error);
    }
  }

  #packet(packet: Uint8Array): void {
    if (this.#greet !== undefined) {
      const { version, extensions } = ControlHello.decode(packet);
      this.forwardsX11 = extensionNames(extensions).has(X11_EXTENSION);
      if (version !== controlVersion)
        throw new SshError('version', `unsupported multiplexing protocol version ${version}`, { by: 'peer' });
      this.#greet.resolve();
      this.#greet = undefined;
      return;
    }
    const waiter = this.#waiting.shift();
    if (waiter === undefined || controlRequestId(packet) !== waiter.requestId) {
      throw new SshError('protocol', 'the holder of the shared connection answers what was not asked', { by: 'peer' });
    }
    if (controlNumber(packet) === ProxyReply.number) this.#proxy?.(waiter.requestId);
    waiter.resolve(packet);
  }

  /** Sends a request; gives the reply, or throws SshError 'channel-request' with the holder's reason. */
  async #ask(
    encode: (requestId: number) => Uint8Array,
    ...expected: readonly { readonly number: number }[]
  ): Promise<Uint8Array> {
    if (this.#failure !== undefined) throw this.#failure;
    const requestId = this.#nextId++;
    const reply = new Promise<Uint8Array>((resolve, reject) => this.#waiting.push({ requestId, resolve, reject }));
    this.#socket.write(encode(requestId));
    const packet = await reply;
    const number = controlNumber(packet);
    if (expected.some((message) => message.number === number)) return packet;
    for (const refusal of [ControlDenied, ControlFailure]) {
      if (number !== refusal.number) continue;
      const { reason } = refusal.decode(packet);
      const denied = refusal === ControlDenied;
      throw new SshError('channel-request', reason, { by: 'peer', detail: { request: 'control', denied, reason } });
    }
    throw new SshError('protocol', `unexpected response from master 0x${number.toString(16).padStart(8, '0')}`, {
      by: 'peer',
    });
  }

  /** The process that holds the connection. */
  async check(): Promise<number> {
    const reply = await this.#ask((requestId) => AliveCheck.encode({ requestId }), Alive);
    return Alive.decode(reply).pid;
  }

  /** What the holder says of its connection; lines of text. A stock holder knows no such question. */
  async info(): Promise<string> {
    return InfoReply.decode(await this.#ask((requestId) => InfoRequest.encode({ requestId }), InfoReply)).text;
  }

  /** Asks the holder to end the connection and everything on it. */
  async terminate(): Promise<void> {
    try {
      await this.#ask((requestId) => Terminate.encode({ requestId }), ControlOk);
    } catch (error) {
      // Who ends at once has no time to say so.
      if (!(error instanceof SshError) || error.code !== 'lost') throw error;
    }
  }

  /** Asks the holder to take no further clients. */
  async stopListening(): Promise<void> {
    await this.#ask((requestId) => StopListening.encode({ requestId }), ControlOk);
  }

  /** Has the holder forward; gives the port that the server chose, when it did. */
  async openForward(forward: Forward): Promise<number | undefined> {
    const wire = forwardToWire(forward);
    const reply = await this.#ask((requestId) => OpenForward.encode({ requestId, ...wire }), ControlOk, RemotePort);
    return controlNumber(reply) === RemotePort.number ? RemotePort.decode(reply).port : undefined;
  }

  async closeForward(forward: Forward): Promise<void> {
    const wire = forwardToWire(forward);
    await this.#ask((requestId) => CloseForward.encode({ requestId, ...wire }), ControlOk);
  }

  /** Turns the socket into a Connection, whose end is only ours; this object is of no use any more. */
  async proxy(crypto: CryptoProvider): Promise<Connection> {
    let connection: Connection | undefined;
    this.#proxy = () => {
      connection = this.#connection(crypto);
    };
    await this.#ask((requestId) => ProxyRequest.encode({ requestId }), ProxyReply);
    return connection!;
  }

  #connection(crypto: CryptoProvider): Connection {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    const session = new ProxySession(crypto);
    let connection: Connection | undefined;
    const driver = new Driver(session, socketStream(socket), (event) => connection?.event(event));
    connection = new Connection(session, driver);
    return connection;
  }

  close(): void {
    this.#socket.destroy();
  }
}
