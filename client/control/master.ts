/**
 * The holder of a shared connection: listens on ControlPath and serves whoever may open that socket, which is its owner
 * (OpenSSH PROTOCOL.mux; ControlMaster and `-O` of ssh(1)).
 *
 * It does not decide how long the connection lives: see `clients`, `idle`, `stopped` and `terminated`.
 */

import { existsSync, linkSync, lstatSync, unlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { SshError } from '../../protocol/index.ts';
import { type Listening, listen } from '../../transport/index.ts';
import type { Forward } from '../config/forward-spec.ts';
import type { Log } from '../connect.ts';
import type { Connection } from '../connection.ts';
import type { Forwards } from '../forward/forwards.ts';
import { endText, sameEnd, sameListener } from '../forward/text.ts';
import type { ForwardHandle } from '../forward/types.ts';
import type { X11Forwarding } from '../forward/x11.ts';
import { systemError } from '../system-error.ts';
import { checkControlPath } from './path.ts';
import { ControlPeer } from './peer.ts';
import { RemoteClaims } from './remote-claims.ts';

export interface ControlMasterOptions {
  readonly path: string;
  /** Where it leads, for questions. */
  readonly host: string;
  readonly connection: Connection;
  readonly forwards: Pick<Forwards, 'add' | 'cancel' | 'list'>;
  /** ControlMaster ask: told what is wanted; default: everything is allowed. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
  /** Serves the clients' X11, too: one connection has one display. */
  readonly x11?: Pick<X11Forwarding, 'adopt'> | undefined;
  /** The answer to `-O conninfo`. */
  readonly describe?: ((clients: number) => string) | undefined;
  readonly log?: Log | undefined;
}

/** What one client may ask of all. */
export interface ControlServices {
  readonly host: string;
  readonly claims: RemoteClaims;
  readonly x11: Pick<X11Forwarding, 'adopt'> | undefined;
  describe(): string | undefined;
  readonly forwards: {
    find(forward: Forward): ForwardHandle | undefined;
    open(forward: Forward): Promise<ForwardHandle>;
    close(forward: Forward): Promise<boolean>;
    describe(forward: Forward): string;
  };
  permit(question: string): Promise<boolean>;
  terminate(): void;
  stopListening(): void;
}

const BACKLOG = 64;

/**
 * Listens at `path`, where the socket appears in one step and for its owner only. Undefined when there is one already;
 * throws SshError 'config' when there can be none.
 */
export async function listenControl(options: ControlMasterOptions): Promise<ControlMaster | undefined> {
  const { path } = options;
  const temporary = `${path}.${Buffer.from(options.connection.session.crypto.random(8)).toString('hex')}`;
  checkControlPath(temporary);
  let take: (socket: Socket) => void = (socket) => socket.destroy();
  // The mask belongs to the process: it is ours only during the call, which binds before it returns.
  const before = process.umask(0o177);
  let pending: Promise<Listening>;
  try {
    pending = listen({ path: temporary, backlog: BACKLOG }, (socket) => take(socket));
  } finally {
    process.umask(before);
  }
  let listening: Listening;
  try {
    listening = await pending;
  } catch (cause) {
    // Node says EACCES where the system said ENOENT.
    const missing = !existsSync(dirname(path));
    const reason = systemError(missing ? { code: 'ENOENT' } : cause);
    throw new SshError('config', `unix_listener: cannot bind to path ${temporary}: ${reason}`, {
      cause,
      detail: { path },
    });
  }
  try {
    linkSync(temporary, path);
  } catch (cause) {
    listening.server.close();
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw new SshError('config', `link mux listener ${temporary} => ${path}: ${systemError(cause)}`, {
      cause,
      detail: { path },
    });
  }
  const { ino } = lstatSync(path);
  unlinkSync(temporary);
  const master = new ControlMaster(options, listening, ino);
  take = (socket) => master.accept(socket);
  return master;
}

export class ControlMaster {
  /** Settles when a client asks to end the connection. */
  readonly terminated: Promise<void>;
  /** Settles when no client can come any more. */
  readonly stopped: Promise<void>;
  readonly #options: ControlMasterOptions;
  readonly #listening: Listening;
  readonly #inode: number;
  readonly #peers = new Set<ControlPeer>();
  readonly #services: ControlServices;
  readonly #claims = new RemoteClaims();
  readonly #idle: (() => void)[] = [];
  readonly #busy: (() => void)[] = [];
  #terminate!: () => void;
  #stop!: () => void;
  #unlinked = false;
  /** The socket goes with the process, however that ends. */
  readonly #onExit = (): void => this.#unlink();

  constructor(options: ControlMasterOptions, listening: Listening, inode: number) {
    this.#options = options;
    this.#listening = listening;
    this.#inode = inode;
    this.terminated = new Promise((resolve) => void (this.#terminate = resolve));
    this.stopped = new Promise((resolve) => void (this.#stop = resolve));
    const { connection, host, confirm, forwards, x11, describe } = options;
    connection.claimOpen = this.#claims.take;
    this.#services = {
      host,
      claims: this.#claims,
      x11,
      describe: () => describe?.(this.#peers.size - 1),
      permit: confirm ?? (async () => true),
      terminate: this.#terminate,
      stopListening: () => this.stopListening(),
      forwards: {
        find: (forward) =>
          forwards
            .list()
            .find((each) => sameListener(each.forward, forward) && sameEnd(each.forward.connect, forward.connect)),
        open: (forward) => forwards.add(forward),
        close: (forward) => forwards.cancel(forward),
        describe: describeForward,
      },
    };
    process.on('exit', this.#onExit);
    void connection.closed.then(() => this.close());
  }

  /** Clients that are connected now. */
  get clients(): number {
    return this.#peers.size;
  }

  /** Settles when no client is connected, now or later. */
  idle(): Promise<void> {
    return this.#peers.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Settles when a client is connected, now or later. */
  busy(): Promise<void> {
    return this.#peers.size > 0 ? Promise.resolve() : new Promise((resolve) => this.#busy.push(resolve));
  }

  /** A client has connected. */
  accept(socket: Socket): void {
    const { connection, log } = this.#options;
    const peer = new ControlPeer(socket, connection, this.#services, log);
    this.#peers.add(peer);
    for (const settle of this.#busy.splice(0)) settle();
    void peer.gone.then(() => {
      this.#peers.delete(peer);
      if (this.#peers.size > 0) return;
      for (const settle of this.#idle.splice(0)) settle();
    });
  }

  /** Takes no further clients and removes the socket; those that are connected stay. */
  stopListening(): void {
    if (this.#unlinked) return;
    this.#unlink();
    process.off('exit', this.#onExit);
    this.#listening.server.close();
    this.#stop();
  }

  #unlink(): void {
    if (this.#unlinked) return;
    this.#unlinked = true;
    const { path } = this.#options;
    try {
      // Somebody may have removed ours, and a third one may listen there by now.
      if (lstatSync(path).ino === this.#inode) unlinkSync(path);
    } catch {
      // It is gone already.
    }
  }

  /** The same, and those that are connected have to leave. */
  close(): void {
    this.stopListening();
    for (const peer of this.#peers) peer.end();
  }
}

function describeForward({ type, listen, connect }: Forward): string {
  const kind = type === 'remote-dynamic' ? 'remote' : type;
  return `${kind} forward ${endText(listen, 'LOCALHOST')} -> ${connect === undefined ? '*' : endText(connect)}`;
}
