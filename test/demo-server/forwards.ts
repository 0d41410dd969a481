/** Real sockets behind channels: direct-tcpip, tcpip-forward, their Unix twins, and a socket for the client's agent. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DirectStreamlocal,
  DirectTcpip,
  ForwardedStreamlocal,
  ForwardedTcpip,
  type IncomingOpen,
  OpenFailure,
  StreamlocalForward,
  TcpipForward,
  TcpipForwardReply,
} from '../../protocol/index.ts';
import { type ChannelIo, ChannelStream, type Listening, listen } from '../../transport/index.ts';
import type { Route } from './options.ts';

export interface ForwardPort {
  accept(open: IncomingOpen): ChannelIo;
  refuse(open: IncomingOpen, reason: number, text: string): void;
  open(channelType: string, body: Uint8Array): Promise<ChannelIo>;
}

/** Copies both ways until both are over; half-closes travel. */
export function bridge(io: ChannelIo, socket: Socket): void {
  const stream = new ChannelStream(io);
  stream.on('error', () => socket.destroy());
  socket.on('error', () => stream.destroy());
  // A socket that ended in order has left data behind that is still to be sent.
  socket.on('close', () => void (socket.readableEnded || stream.destroy()));
  stream.stderr.resume();
  stream.pipe(socket);
  socket.pipe(stream);
}

export class Forwards {
  readonly #port: ForwardPort;
  readonly #route: Route | undefined;
  readonly #listening = new Map<string, Promise<Listening>>();
  readonly #sockets = new Set<Socket>();
  #agent: { readonly path: string; readonly listening: Promise<Listening> } | undefined;

  constructor(port: ForwardPort, forwarding: boolean | Route | undefined) {
    this.#port = port;
    if (typeof forwarding === 'function') this.#route = forwarding;
    else if (forwarding === true) this.#route = (host, to) => ({ host, port: to });
  }

  /** Takes a direct-* open; false when it is none. */
  direct(open: IncomingOpen): boolean {
    if (open.channelType === 'direct-tcpip') {
      const { host, port } = DirectTcpip.decode(open.body);
      const to = this.#route?.(host, port);
      this.#dial(open, to && (() => connect({ ...to, allowHalfOpen: true, noDelay: true })));
    } else if (open.channelType === 'direct-streamlocal@openssh.com') {
      const { path } = DirectStreamlocal.decode(open.body);
      this.#dial(open, this.#route && (() => connect({ path, allowHalfOpen: true })));
    } else return false;
    return true;
  }

  #dial(open: IncomingOpen, dial: (() => Socket) | undefined) {
    if (dial === undefined) return this.#port.refuse(open, OpenFailure.administrativelyProhibited, 'open failed');
    const socket = this.#track(dial());
    const failed = (error: Error): void => this.#port.refuse(open, OpenFailure.connectFailed, error.message);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      bridge(this.#port.accept(open), socket);
    });
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('close', () => this.#sockets.delete(socket));
  }

  /** Takes a forwarding request; undefined when it is none, else whether and how it is granted. */
  global(request: string, body: Uint8Array): Promise<Uint8Array | undefined> | undefined {
    switch (request) {
      case 'tcpip-forward':
        return this.#listenTcp(TcpipForward.decode(body));
      case 'streamlocal-forward@openssh.com': {
        const { path } = StreamlocalForward.decode(body);
        return this.#listen(`unix ${path}`, { path }, 'forwarded-streamlocal@openssh.com', () =>
          ForwardedStreamlocal.encode({ path, reserved: '' }),
        );
      }
      case 'cancel-tcpip-forward': {
        const { host, port } = TcpipForward.decode(body);
        return this.#cancel(`tcp ${host} ${port}`);
      }
      case 'cancel-streamlocal-forward@openssh.com':
        return this.#cancel(`unix ${StreamlocalForward.decode(body).path}`);
      default:
        return undefined;
    }
  }

  async #listenTcp({ host, port }: { host: string; port: number }): Promise<Uint8Array | undefined> {
    // RFC 4254 section 7.1: names for every address and for loopback. Tests stay on loopback in any case.
    const address = host === '' || host === '*' || host === '0.0.0.0' || host === 'localhost' ? '127.0.0.1' : host;
    let bound = port;
    const describe = (socket: Socket): Uint8Array =>
      ForwardedTcpip.encode({
        host,
        port: bound,
        originHost: socket.remoteAddress ?? '',
        originPort: socket.remotePort ?? 0,
      });
    const granted = await this.#listen(`tcp ${host} ${port}`, { host: address, port }, 'forwarded-tcpip', describe);
    if (granted === undefined || port !== 0) return granted;
    const listening = this.#listening.get(`tcp ${host} 0`)!;
    this.#listening.delete(`tcp ${host} 0`);
    bound = (await listening).port;
    this.#listening.set(`tcp ${host} ${bound}`, listening);
    return TcpipForwardReply.encode({ port: bound });
  }

  async #listen(
    key: string,
    where: { host?: string; port?: number; path?: string },
    channelType: string,
    describe: (socket: Socket) => Uint8Array,
  ): Promise<Uint8Array | undefined> {
    if (this.#route === undefined || this.#listening.has(key)) return undefined;
    const listening = listen(where, (socket) => void this.#arrived(this.#track(socket), channelType, describe(socket)));
    this.#listening.set(key, listening);
    try {
      await listening;
      return new Uint8Array(0);
    } catch {
      this.#listening.delete(key);
      return undefined;
    }
  }

  async #arrived(socket: Socket, channelType: string, body: Uint8Array): Promise<void> {
    socket.pause();
    socket.on('error', () => {});
    try {
      bridge(await this.#port.open(channelType, body), socket);
      socket.resume();
    } catch {
      socket.destroy();
    }
  }

  async #cancel(key: string): Promise<Uint8Array | undefined> {
    const listening = this.#listening.get(key);
    if (listening === undefined) return undefined;
    this.#listening.delete(key);
    // What was accepted before lives on; `close` ends it.
    (await listening).server.close();
    return new Uint8Array(0);
  }

  /** The path of a socket that leads to the client's agent. */
  async agentSocket(): Promise<string> {
    if (this.#agent === undefined) {
      const path = join(mkdtempSync(join(tmpdir(), 'bssh-demo-agent-')), 'agent');
      const listening = listen(
        { path },
        (socket) => void this.#arrived(this.#track(socket), 'auth-agent@openssh.com', new Uint8Array(0)),
      );
      this.#agent = { path, listening };
    }
    await this.#agent.listening;
    return this.#agent.path;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const all = [...this.#listening.values(), ...(this.#agent === undefined ? [] : [this.#agent.listening])];
    for (const listening of await Promise.allSettled(all))
      if (listening.status === 'fulfilled') await listening.value.close();
    this.#listening.clear();
    if (this.#agent !== undefined) rmSync(join(this.#agent.path, '..'), { recursive: true, force: true });
  }
}
