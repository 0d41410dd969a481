/** What all forwardings have in common: what they are told, and the handle that ends them. */

import type { Forward } from '../config/forward-spec.ts';
import type { Log } from '../connect.ts';

export interface ForwardOptions {
  /** Listeners without an address are open to other machines. */
  readonly gatewayPorts?: boolean;
  /** Which addresses local listeners without one take. */
  readonly addressFamily?: 'any' | 'inet' | 'inet6';
  /** umask for Unix sockets we make; default 0177. */
  readonly bindMask?: number;
  /** Removes a socket that is in the way. */
  readonly bindUnlink?: boolean;
  /** Destinations that SOCKS clients at the far end may ask for: `any`, `none` or `host:port`. Default: any. */
  readonly permitRemoteOpen?: readonly string[];
  readonly log?: Log;
  /** Lines for the user, as ssh(1) words them. */
  readonly warn?: (text: string) => void;
}

export interface ForwardHandle {
  readonly forward: Forward;
  /** Where it listens: an address (the first, when there are several), what a server was asked for, or a path. */
  readonly address: string;
  /** The port, also when the choice was left to the system or the server; 0 for a Unix socket. */
  readonly port: number;
  /** Connections it carries now. */
  readonly connections: number;
  /** Settles when the listener is gone and every connection of it has ended; never rejects. */
  readonly done: Promise<void>;
  /** Settles when it carries no connection. */
  idle(): Promise<void>;
  /** Takes no new connections; those that are open go on. */
  cancel(): Promise<void>;
  /** The same, and ends those that are open. */
  close(): Promise<void>;
}
