/**
 * Local listeners of a forwarding: which addresses a bind address means, one port for all of them, Unix sockets with
 * their umask, and ssh(1)'s words when they cannot be had.
 */

import { lookup } from 'node:dns/promises';
import { chmodSync, unlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { SshError } from '../../protocol/index.ts';
import { type Listening, listen } from '../../transport/index.ts';
import type { ForwardEnd } from '../config/forward-spec.ts';
import { systemError } from '../system-error.ts';
import type { ForwardOptions } from './types.ts';

/** Connections the system keeps for us while we are busy. */
const BACKLOG = 1024;

export interface Listener {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

interface Address {
  readonly host: string;
  readonly family: 4 | 6;
}

/** A bind address as ssh(1) reads it: none, `localhost`, empty or `*`, or a name or address. */
async function addresses(host: string | undefined, options: ForwardOptions): Promise<readonly Address[]> {
  const { gatewayPorts = false, addressFamily = 'any' } = options;
  const wanted = (list: readonly Address[]): readonly Address[] =>
    list.filter(({ family }) => addressFamily === 'any' || family === (addressFamily === 'inet' ? 4 : 6));
  if (host === '' || host === '*' || (host === undefined && gatewayPorts)) {
    return wanted([
      { host: '0.0.0.0', family: 4 },
      { host: '::', family: 6 },
    ]);
  }
  if (host === undefined || host === 'localhost') {
    return wanted([
      { host: '::1', family: 6 },
      { host: '127.0.0.1', family: 4 },
    ]);
  }
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return wanted(found.map(({ address, family }) => ({ host: address, family: family === 6 ? 6 : 4 })));
}

/** Listens at `end`; throws SshError 'channel-open' after saying why. */
export function listenAt(
  end: ForwardEnd,
  options: ForwardOptions,
  onSocket: (socket: Socket) => void,
): Promise<Listener> {
  return end.kind === 'unix'
    ? listenUnix(end.path, options, onSocket)
    : listenTcp(end.host, end.port, options, onSocket);
}

async function listenTcp(
  host: string | undefined,
  port: number,
  options: ForwardOptions,
  onSocket: (socket: Socket) => void,
): Promise<Listener> {
  const { log, warn } = options;
  const failed = (cause: unknown): SshError => {
    warn?.(`channel_setup_fwd_listener_tcpip: cannot listen to port: ${port}`);
    return new SshError('usage', `cannot listen to port ${port}: ${systemError(cause)}`, {
      cause,
      detail: { host, port, errno: (cause as NodeJS.ErrnoException | undefined)?.code },
    });
  };
  let wanted: readonly Address[];
  try {
    wanted = await addresses(host, options);
  } catch (error) {
    warn?.(`channel_setup_fwd_listener_tcpip: getaddrinfo(${host}): ${systemError(error)}`);
    throw failed(error);
  }
  const open: Listening[] = [];
  let bound = port;
  let first: string | undefined;
  let last: unknown = { code: 'EADDRNOTAVAIL' };
  for (const [index, address] of wanted.entries()) {
    const where = `[${address.host}]:${bound}`;
    log?.(1, `Local forwarding listening on ${address.host} port ${bound}.`);
    try {
      const listening = await listen(
        { host: address.host, port: bound, ipv6Only: address.family === 6, backlog: BACKLOG },
        onSocket,
      );
      open.push(listening);
      first ??= address.host;
      bound = listening.port;
    } catch (error) {
      last = error;
      const text = `bind ${where}: ${systemError(error)}`;
      // One family of two may be missing; only the last address has the last word.
      if (index === wanted.length - 1 && open.length === 0) warn?.(text);
      else log?.(1, text);
    }
  }
  if (first === undefined) throw failed(last);
  return { address: first, port: bound, close: () => closeAll(open) };
}

async function listenUnix(
  path: string,
  options: ForwardOptions,
  onSocket: (socket: Socket) => void,
): Promise<Listener> {
  const { log, warn, bindMask = 0o177, bindUnlink = false } = options;
  if (bindUnlink) {
    try {
      unlinkSync(path);
    } catch {
      // Nothing is in the way, or bind says what is.
    }
  }
  log?.(1, `Local forwarding listening on path ${path}.`);
  // The mask belongs to the process: it is ours only during the call, which binds before it returns.
  const before = setMask(bindMask);
  let listening: Promise<Listening>;
  try {
    listening = listen({ path, backlog: BACKLOG }, onSocket);
  } finally {
    if (before !== undefined) setMask(before);
  }
  try {
    const open = await listening;
    if (before === undefined) chmodSync(path, 0o777 & ~bindMask);
    return { address: path, port: 0, close: () => closeAll([open]) };
  } catch (cause) {
    warn?.(`unix_listener: cannot bind to path ${path}: ${systemError(cause)}`);
    throw new SshError('usage', `cannot listen on ${path}: ${systemError(cause)}`, {
      cause,
      detail: { path, errno: (cause as NodeJS.ErrnoException).code },
    });
  }
}

/** The mask before; undefined in a worker thread, which has no say in it. */
function setMask(mask: number): number | undefined {
  try {
    return process.umask(mask);
  } catch {
    return undefined;
  }
}

/** Stops accepting; what was accepted lives on. */
async function closeAll(open: readonly Listening[]): Promise<void> {
  for (const { server } of open) server.close();
}
