/**
 * Remote forwarding (`-R`): the server listens (RFC 4254 section 7.1; OpenSSH PROTOCOL section 2.4 for Unix sockets) and
 * what it sends goes to a place we reach, or to wherever its client asks for by SOCKS.
 *
 * A channel for a listener that was not asked for is refused. The target answers before the channel is accepted.
 */

import type { Socket } from 'node:net';
import {
  ForwardedStreamlocal,
  ForwardedTcpip,
  type IncomingOpen,
  OpenFailure,
  SshError,
  StreamlocalForward,
  TcpipForward,
  TcpipForwardReply,
} from '../../protocol/index.ts';
import type { ChannelIo } from '../../transport/index.ts';
import { type Forward, type ForwardEnd, parsePermittedOpen } from '../config/forward-spec.ts';
import type { Connection, OpenRefusal } from '../connection.ts';
import { systemError } from '../system-error.ts';
import { bridge, forwardChannel } from './bridge.ts';
import { connectEnd, Sockets } from './sockets.ts';
import { SocksMachine, socksReply } from './socks.ts';
import { endText } from './text.ts';
import type { ForwardHandle, ForwardOptions } from './types.ts';

type Accept = Parameters<Parameters<Connection['onOpen']>[1] & {}>[1];

/** Sets up a `remote` or `remote-dynamic` forwarding; throws SshError 'channel-request' when the server refuses. */
export async function remoteForward(
  connection: Connection,
  forward: Forward,
  options: ForwardOptions = {},
): Promise<ForwardHandle> {
  let router = routers.get(connection);
  if (router === undefined) {
    router = new Router(connection);
    routers.set(connection, router);
  }
  const listening = new RemoteListener(connection, forward, options);
  await router.add(listening);
  return listening;
}

const routers = new WeakMap<Connection, Router>();

/** Which of a connection's forwardings a channel belongs to. */
class Router {
  readonly #listeners = new Set<RemoteListener>();
  /** Requests whose port is not known yet: a channel may overtake the news of it. */
  readonly #settling = new Set<Promise<void>>();

  constructor(connection: Connection) {
    connection.onOpen('forwarded-tcpip', async (open, accept) => {
      const { host, port } = ForwardedTcpip.decode(open.body);
      return (await this.#find((all) => byAddress(all, host, port)))?.take(open, accept) ?? unknown();
    });
    connection.onOpen('forwarded-streamlocal@openssh.com', async (open, accept) => {
      const { path } = ForwardedStreamlocal.decode(open.body);
      const here = (all: readonly RemoteListener[]): RemoteListener | undefined =>
        all.find(({ forward }) => forward.listen.kind === 'unix' && forward.listen.path === path);
      return (await this.#find(here))?.take(open, accept) ?? unknown();
    });
  }

  async #find(
    pick: (all: readonly RemoteListener[]) => RemoteListener | undefined,
  ): Promise<RemoteListener | undefined> {
    const found = pick([...this.#listeners]);
    if (found !== undefined || this.#settling.size === 0) return found;
    await Promise.allSettled(this.#settling);
    return pick([...this.#listeners]);
  }

  async add(listener: RemoteListener): Promise<void> {
    this.#listeners.add(listener);
    void listener.stopped.then(() => this.#listeners.delete(listener));
    const settled = listener.start();
    this.#settling.add(settled);
    try {
      await settled;
    } finally {
      this.#settling.delete(settled);
    }
  }
}

const unknown = (): OpenRefusal => ({
  reason: OpenFailure.administrativelyProhibited,
  text: 'no such forwarding was asked for',
});

/** Servers may name the address otherwise than we did: the port alone decides when only one listener has it. */
function byAddress(all: readonly RemoteListener[], host: string, port: number): RemoteListener | undefined {
  const candidates = all.filter((listener) => listener.forward.listen.kind === 'tcp' && listener.port === port);
  return (
    candidates.find((listener) => listener.address === host) ?? (candidates.length === 1 ? candidates[0] : undefined)
  );
}

/** What is asked for: nothing given means loopback, `*` means all (RFC 4254 section 7.1). */
const bindAddress = (host: string | undefined): string => (host === undefined ? 'localhost' : host === '*' ? '' : host);

class RemoteListener implements ForwardHandle {
  readonly forward: Forward;
  readonly address: string;
  port: number;
  readonly stopped: Promise<void>;
  readonly #connection: Connection;
  readonly #options: ForwardOptions;
  readonly #sockets = new Sockets();
  #granted = false;
  #stop!: () => void;

  constructor(connection: Connection, forward: Forward, options: ForwardOptions) {
    const { listen } = forward;
    this.forward = forward;
    this.address = listen.kind === 'unix' ? listen.path : bindAddress(listen.host);
    this.port = listen.kind === 'unix' ? 0 : listen.port;
    this.#connection = connection;
    this.#options = options;
    this.stopped = new Promise((resolve) => void (this.#stop = resolve));
  }

  get done(): Promise<void> {
    return this.#sockets.done;
  }
  get connections(): number {
    return this.#sockets.size;
  }

  idle(): Promise<void> {
    return this.#sockets.idle();
  }

  #over(): void {
    this.#granted = false;
    this.#stop();
    this.#sockets.stopped();
  }

  async start(): Promise<void> {
    const { listen } = this.forward;
    try {
      if (listen.kind === 'unix') {
        await this.#connection.globalRequest('streamlocal-forward@openssh.com', this.#body());
      } else {
        const reply = await this.#connection.globalRequest('tcpip-forward', this.#body());
        if (listen.port === 0) this.port = this.#allocated(reply);
      }
    } catch (error) {
      this.#over();
      throw error;
    }
    this.#granted = true;
    void this.#connection.closed.then(() => this.#over());
  }

  #allocated(reply: Uint8Array): number {
    const { port } = TcpipForwardReply.decode(reply);
    if (port >= 1 && port <= 65_535) return port;
    throw new SshError('channel-request', 'the server allocated an impossible port', {
      by: 'peer',
      detail: { request: 'tcpip-forward', port },
    });
  }

  #body(): Uint8Array {
    return this.forward.listen.kind === 'unix'
      ? StreamlocalForward.encode({ path: this.address })
      : TcpipForward.encode({ host: this.address, port: this.port });
  }

  /** A channel of ours: connect, then accept. */
  async take(open: IncomingOpen, accept: Accept): Promise<OpenRefusal | undefined> {
    const { connect } = this.forward;
    this.#options.log?.(
      1,
      `${open.channelType}: listen ${this.address} port ${this.port}, connect ${endText(connect)}`,
    );
    if (connect === undefined) {
      this.#socks(accept(forwardChannel));
      return undefined;
    }
    let socket: Socket;
    try {
      socket = await connectEnd(connect, this.#sockets);
    } catch (error) {
      const text = systemError(error);
      this.#options.warn?.(
        connect.kind === 'unix'
          ? `connect_to ${connect.path}: failed: ${text}`
          : `connect_to ${connect.host} port ${connect.port}: failed: ${text}`,
      );
      return { reason: OpenFailure.connectFailed, text };
    }
    this.#join(() => accept(forwardChannel), socket);
    return undefined;
  }

  #join(take: () => ChannelIo, socket: Socket, first?: Uint8Array): void {
    try {
      void bridge(take(), socket, first);
    } catch (error) {
      // The connection ended, or its channels are used up.
      socket.destroy();
      throw error;
    }
  }

  /** The far end's client speaks SOCKS: to us, through the channel. */
  #socks(io: ChannelIo): void {
    const machine = new SocksMachine();
    const hangUp = (): void => {
      io.eof();
      io.close();
    };
    io.onEof = hangUp;
    io.sink(true, () => undefined);
    io.sink(false, (chunk) => {
      const step = machine.receive(chunk);
      if (step.reply !== undefined) void io.write(step.reply)?.catch(() => {});
      if (step.kind === 'more') return undefined;
      io.onEof = () => {};
      if (step.kind === 'request') return this.#connectFor(io, step);
      this.#options.log?.(1, `SOCKS: ${step.reason}`);
      io.discard();
      hangUp();
      return undefined;
    });
  }

  /** While this is pending nothing more is read, and then the bridge's own sink takes over. */
  async #connectFor(io: ChannelIo, step: SocksStepRequest): Promise<void> {
    const { version, host, port } = step.request;
    const { log, warn, permitRemoteOpen = ['any'] } = this.#options;
    log?.(1, `SOCKS ${version}: connect to ${host} port ${port}`);
    const answer = (outcome: Parameters<typeof socksReply>[1]): void => {
      if (!io.isClosed) void io.write(socksReply(version, outcome))?.catch(() => {});
    };
    const end: ForwardEnd = { kind: 'tcp', host, port };
    if (!permitted(permitRemoteOpen, host, port)) {
      warn?.(`Received request to connect to host ${host} port ${port}, but the request was denied.`);
      answer('forbidden');
      io.close();
      return;
    }
    let socket: Socket;
    try {
      socket = await connectEnd(end, this.#sockets);
    } catch (error) {
      warn?.(`connect_to ${host} port ${port}: failed: ${systemError(error)}`);
      answer((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'failed');
      io.close();
      return;
    }
    answer('granted');
    if (step.rest.length > 0) socket.write(step.rest);
    void bridge(io, socket);
  }

  async cancel(): Promise<void> {
    if (!this.#granted) return;
    const request =
      this.forward.listen.kind === 'unix' ? 'cancel-streamlocal-forward@openssh.com' : 'cancel-tcpip-forward';
    const body = this.#body();
    this.#over();
    try {
      await this.#connection.globalRequest(request, body);
    } catch (error) {
      // The connection's end ends the listener too; a server that will not let go has said so.
      if (error instanceof SshError && error.code === 'channel-request') throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.cancel();
    } finally {
      this.#sockets.destroy();
      await this.#sockets.done;
    }
  }
}

type SocksStepRequest = Extract<ReturnType<SocksMachine['receive']>, { kind: 'request' }>;

/** PermitRemoteOpen: hosts are compared as they are written, no name is looked up. */
function permitted(rules: readonly string[], host: string, port: number): boolean {
  if (rules[0] === 'any') return true;
  return rules.some((rule) => {
    const open = parsePermittedOpen(rule);
    if (typeof open !== 'object') return false;
    return (open.host === '*' || open.host === host) && (open.port === 0 || open.port === port);
  });
}
