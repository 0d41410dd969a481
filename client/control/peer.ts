/**
 * One client of the connection we hold: its requests one after the other, and its channels once it speaks packets.
 *
 * Requests that pass file descriptors (sessions and stdio forwardings of stock ssh) are refused at once, since Node
 * cannot take descriptors; stock ssh then makes a connection of its own. The bytes that carried them are skipped.
 */

import type { Socket } from 'node:net';
import {
  Alive,
  AliveCheck,
  CloseForward,
  ControlDenied,
  ControlFailure,
  ControlFramer,
  ControlHello,
  ControlOk,
  controlNumber,
  controlRequestId,
  controlVersion,
  encodeExtensions,
  type IncomingOpen,
  InfoReply,
  InfoRequest,
  NewSession,
  NewStdioForward,
  OpenForward,
  ProxyReply,
  ProxyRequest,
  proxiedHead,
  proxiedPayload,
  type Relay,
  RemotePort,
  RequestFailure,
  RequestSuccess,
  SshError,
  StopListening,
  Terminate,
  X11_EXTENSION,
} from '../../protocol/index.ts';
import type { Log } from '../connect.ts';
import type { Connection } from '../connection.ts';
import { forwardFromWire } from './forward-wire.ts';
import type { ControlServices } from './master.ts';
import { type ForwardClaim, forwardClaim } from './remote-claims.ts';

/** Packets of a client that may wait for the ones before them. */
const QUEUE_MARK = 32;
/** Bytes of a client that may wait for the server. */
const BACKLOG_MARK = 1024 * 1024;
/** Descriptors sent after a request, one byte each. */
const descriptors: ReadonlyMap<number, number> = new Map([
  [NewSession.number, 3],
  [NewStdioForward.number, 2],
]);

const REFUSAL = 'this holder takes no file descriptors: use proxy mode (-O proxy) or a connection of your own';

export class ControlPeer {
  /** Settles when the client is gone; never rejects. */
  readonly gone: Promise<void>;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #services: ControlServices;
  readonly #log: Log | undefined;
  readonly #framer = new ControlFramer();
  #greeted = false;
  /** Packets from here on are proxied ones. */
  #asksProxy = false;
  #relay: Relay | undefined;
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  #answers: Promise<void> = Promise.resolve();
  #corked = false;
  readonly #claims = new Set<ForwardClaim>();

  constructor(socket: Socket, connection: Connection, services: ControlServices, log: Log | undefined) {
    this.#socket = socket;
    this.#connection = connection;
    this.#services = services;
    this.#log = log;
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.gone.then(() => this.#left());
    // What an error means is said by the 'close' that follows it.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('end', () => socket.end());
    const extensions = encodeExtensions(services.x11 === undefined ? [] : [X11_EXTENSION]);
    socket.write(ControlHello.encode({ version: controlVersion, extensions }));
  }

  /** Ends it; what was written still goes out. */
  end(): void {
    this.#socket.destroySoon();
  }

  #left(): void {
    this.#relay?.close();
    for (const claim of this.#claims) claim.withdraw();
    this.#connection.driver.wake();
  }

  #received(chunk: Uint8Array): void {
    try {
      this.#framer.feed(chunk, (packet) => this.#packet(packet));
    } catch (error) {
      this.#drop(error);
    }
    this.#connection.driver.wake();
  }

  #drop(error: unknown): void {
    if (!(error instanceof SshError)) throw error;
    this.#log?.(1, `multiplexing client dropped: ${error.message}`);
    this.#socket.destroy();
  }

  #packet(packet: Uint8Array): void {
    if (this.#relay !== undefined && this.#pending === 0) return this.#proxied(this.#relay, packet);
    if (!this.#asksProxy) {
      const number = controlNumber(packet);
      this.#asksProxy = number === ProxyRequest.number;
      this.#framer.skip(descriptors.get(number) ?? 0);
    }
    this.#pending++;
    this.#pace();
    this.#work = this.#work
      .then(() => (this.#relay === undefined ? this.#request(packet) : this.#proxied(this.#relay, packet)))
      .catch((error: unknown) => this.#drop(error))
      .finally(() => {
        this.#pending--;
        this.#pace();
      });
  }

  /** A client that is faster than the server, or than our answers, waits. */
  #pace(): void {
    if (this.#pending >= QUEUE_MARK || (this.#relay?.backlog ?? 0) > BACKLOG_MARK) this.#socket.pause();
    else this.#socket.resume();
  }

  #send(packet: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(packet);
  }

  async #request(packet: Uint8Array): Promise<void> {
    const number = controlNumber(packet);
    if (!this.#greeted) {
      const { version } = ControlHello.decode(packet);
      if (version !== controlVersion) {
        throw new SshError('version', `unsupported multiplexing protocol version ${version}`, { by: 'peer' });
      }
      this.#greeted = true;
      return;
    }
    const requestId = controlRequestId(packet);
    try {
      this.#send(await this.#reply(number, requestId, packet));
    } catch (error) {
      if (!(error instanceof SshError) || (error.by === 'peer' && error.code === 'malformed')) throw error;
      this.#send(ControlFailure.encode({ requestId, reason: error.message }));
    }
    // After the answer has been written: what follows may end the process.
    if (number === Terminate.number && this.#granted) this.#services.terminate();
    if (number === ProxyRequest.number) this.#granted ? this.#proxy() : this.end();
  }

  /** Whether the last request that asked for permission got it. */
  #granted = false;

  async #reply(number: number, requestId: number, packet: Uint8Array): Promise<Uint8Array> {
    const { host } = this.#services;
    const permitted = async (question: string): Promise<boolean> => {
      this.#granted = await this.#services.permit(question);
      return this.#granted;
    };
    const denied = ControlDenied.encode({ requestId, reason: 'Permission denied' });
    const ok = ControlOk.encode({ requestId });
    switch (number) {
      case AliveCheck.number:
        return Alive.encode({ requestId, pid: process.pid });
      case InfoRequest.number: {
        const text = this.#services.describe();
        if (text === undefined)
          return ControlFailure.encode({ requestId, reason: 'this holder says nothing of itself' });
        return InfoReply.encode({ requestId, text });
      }
      case Terminate.number:
        return (await permitted(`Terminate shared connection to ${host}? `)) ? ok : denied;
      case StopListening.number:
        if (!(await permitted(`Disable further multiplexing on shared connection to ${host}? `))) return denied;
        this.#services.stopListening();
        return ok;
      case OpenForward.number:
        return this.#openForward(requestId, OpenForward.decode(packet), permitted);
      case CloseForward.number:
        return this.#closeForward(requestId, CloseForward.decode(packet));
      case ProxyRequest.number:
        return (await permitted(`Allow shared connection to ${host}? `)) ? ProxyReply.encode({ requestId }) : denied;
      case NewSession.number:
      case NewStdioForward.number:
        return ControlFailure.encode({ requestId, reason: REFUSAL });
      default:
        return ControlFailure.encode({ requestId, reason: 'unknown request' });
    }
  }

  async #openForward(
    requestId: number,
    wire: ReturnType<typeof OpenForward.decode>,
    permitted: (question: string) => Promise<boolean>,
  ): Promise<Uint8Array> {
    const forward = forwardFromWire(wire);
    if (forward === undefined) return ControlFailure.encode({ requestId, reason: 'Invalid forwarding request' });
    const { forwards, host } = this.#services;
    let handle = forwards.find(forward);
    if (handle === undefined) {
      if (!(await permitted(`Open ${forwards.describe(forward)} on ${host}? `)))
        return ControlDenied.encode({ requestId, reason: 'Permission denied' });
      try {
        handle = await forwards.open(forward);
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        const { listen } = forward;
        const where = listen.kind === 'unix' ? `path ${listen.path}` : `port ${listen.port}`;
        const reason = forward.type.startsWith('remote')
          ? `remote port forwarding failed for listen ${where}`
          : 'Port forwarding failed';
        return ControlFailure.encode({ requestId, reason });
      }
    }
    const chosen = forward.type.startsWith('remote') && forward.listen.kind === 'tcp' && forward.listen.port === 0;
    return chosen ? RemotePort.encode({ requestId, port: handle.port }) : ControlOk.encode({ requestId });
  }

  async #closeForward(requestId: number, wire: ReturnType<typeof CloseForward.decode>): Promise<Uint8Array> {
    const forward = forwardFromWire(wire);
    const found = forward !== undefined && (await this.#services.forwards.close(forward));
    return found ? ControlOk.encode({ requestId }) : ControlFailure.encode({ requestId, reason: 'port not forwarded' });
  }

  // ---- proxy mode

  #proxy(): void {
    const socket = this.#socket;
    this.#relay = this.#connection.session.mux.relay({
      deliver: (payload) => this.#deliver(payload),
      globalRequest: (request, wantReply, body) => this.#globalRequest(request, wantReply, body),
      channelRequest: (request, body) => (request === 'x11-req' ? this.#x11Request(body) : undefined),
      drained: () => this.#pace(),
      lost: () => this.end(),
    });
    if (socket.destroyed) this.#relay.close();
  }

  #proxied(relay: Relay, packet: Uint8Array): void {
    const payload = proxiedPayload(packet);
    if (payload !== undefined) relay.receive(payload);
    if (relay.backlog > BACKLOG_MARK) this.#pace();
    this.#connection.driver.wake();
  }

  /** The server's X11 channels do not say whose they are, so all of them are ours, and so is the cookie. */
  #x11Request(body: Uint8Array): { request: string; body: Uint8Array } {
    const { x11 } = this.#services;
    if (x11 !== undefined) return { request: 'x11-req', body: x11.adopt(body) };
    this.#log?.(1, 'multiplexing client: X11 forwarding refused, it is off here');
    // What the server does not know it refuses, and its answers stay in their order.
    return { request: 'no-x11@bssh', body: new Uint8Array(0) };
  }

  #deliver(payload: Uint8Array): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (!this.#corked) {
      // Packets that came together leave in one system call.
      this.#corked = true;
      socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(proxiedHead(payload.length));
    socket.write(payload);
  }

  /** Only what concerns this client alone; answers leave in the order of the requests (RFC 4254 section 4). */
  #globalRequest(request: string, wantReply: boolean, body: Uint8Array): void {
    const asked = this.#allowed(request, body);
    this.#answers = Promise.all([asked, this.#answers]).then(([answer]) => {
      if (!wantReply || this.#relay === undefined) return;
      this.#deliver(answer === undefined ? RequestFailure.encode({}) : RequestSuccess.encode({ body: answer }));
    });
  }

  async #allowed(request: string, body: Uint8Array): Promise<Uint8Array | undefined> {
    const { claims } = this.#services;
    try {
      const wanted = forwardClaim(request, body);
      if (wanted === undefined) {
        if (!/^keepalive@/.test(request)) this.#log?.(1, `multiplexing client: global request ${request} refused`);
        return undefined;
      }
      if (wanted.cancels) {
        const own = [...this.#claims].find((claim) => claim.matches(wanted.end));
        if (own === undefined) return undefined;
        this.#claims.delete(own);
        claims.remove(own);
        return await this.#connection.globalRequest(request, body);
      }
      const relay = (open: IncomingOpen): boolean => {
        if (this.#socket.destroyed || this.#relay === undefined) return false;
        this.#relay.offer(open);
        return true;
      };
      const { claim, answer } = await claims.request(this.#connection, request, body, wanted.end, relay);
      this.#claims.add(claim);
      if (this.#socket.destroyed) claim.withdraw();
      return answer;
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      return undefined;
    }
  }
}
