/** The connections of one forwarding: counted, ended together, and awaited. */

import { connect, type Socket } from 'node:net';
import type { ForwardEnd } from '../config/forward-spec.ts';

export class Sockets {
  readonly #sockets = new Set<Socket>();
  #listening = true;
  #settle!: () => void;
  /** Settles when `stopped` was called and no socket is left. */
  readonly done: Promise<void>;
  readonly #idle: (() => void)[] = [];

  constructor() {
    this.done = new Promise((resolve) => void (this.#settle = resolve));
  }

  get size(): number {
    return this.#sockets.size;
  }

  add(socket: Socket): void {
    this.#sockets.add(socket);
    // A dying socket may speak before anyone else listens.
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#check();
    });
  }

  /** No further socket will come. */
  stopped(): void {
    this.#listening = false;
    this.#check();
  }

  /** Settles when there is no socket, now or later. */
  idle(): Promise<void> {
    return this.#sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #check(): void {
    if (this.#sockets.size > 0) return;
    for (const settle of this.#idle.splice(0)) settle();
    if (!this.#listening) this.#settle();
  }
}

/** Connects to the near end of a forwarding; rejects with the system's error. */
export function connectEnd(end: ForwardEnd, sockets: Sockets): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...(end.kind === 'unix' ? { path: end.path } : { host: end.host ?? 'localhost', port: end.port, noDelay: true }),
      allowHalfOpen: true,
    });
    sockets.add(socket);
    const gone = (): void => reject(new Error('the connection was given up'));
    socket.once('error', reject);
    socket.once('close', gone);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.off('close', gone);
      resolve(socket);
    });
  });
}
