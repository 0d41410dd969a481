/** Local forwarding (`-L`): each connection to a listener of ours becomes a channel to a place the server reaches. */

import type { Socket } from 'node:net';
import { DirectStreamlocal, DirectTcpip } from '../../protocol/index.ts';
import type { ChannelIo } from '../../transport/index.ts';
import type { Forward, ForwardEnd } from '../config/forward-spec.ts';
import type { Connection } from '../connection.ts';
import { bridge, forwardChannel, reset } from './bridge.ts';
import { listenAt } from './listener.ts';
import { Sockets } from './sockets.ts';
import { openFailure } from './text.ts';
import type { ForwardHandle, ForwardOptions } from './types.ts';

/** Who asks; Unix sockets and our own streams have no address, and some servers want one. */
export interface Origin {
  readonly host: string;
  readonly port: number;
}
const nobody: Origin = { host: '127.0.0.1', port: 65_535 };

export const originOf = (socket: Socket): Origin =>
  socket.remoteAddress === undefined ? nobody : { host: socket.remoteAddress, port: socket.remotePort ?? 0 };

/** Opens a channel to `to` as the server sees it: direct-tcpip (RFC 4254 section 7.2) or OpenSSH's streamlocal twin. */
export function openDirect(connection: Connection, to: ForwardEnd, origin: Origin = nobody): Promise<ChannelIo> {
  if (to.kind === 'unix') {
    const body = DirectStreamlocal.encode({ path: to.path, reserved: '', reservedPort: 0 });
    return connection.open('direct-streamlocal@openssh.com', body, forwardChannel);
  }
  const body = DirectTcpip.encode({
    host: to.host ?? 'localhost',
    port: to.port,
    originHost: origin.host,
    originPort: origin.port,
  });
  return connection.open('direct-tcpip', body, forwardChannel);
}

/** What becomes of an accepted connection; may reject, which resets it. */
export type Serve = (socket: Socket) => Promise<void>;

/** Listens as `forward` says and serves what comes, until it is closed or the connection ends. */
export async function serveListener(
  connection: Connection,
  forward: Forward,
  options: ForwardOptions,
  serve: Serve,
): Promise<ForwardHandle> {
  const sockets = new Sockets();
  const listener = await listenAt(forward.listen, options, (socket) => {
    sockets.add(socket);
    serve(socket).catch((error: unknown) => {
      if (!connection.isClosed) options.warn?.(openFailure(error));
      reset(socket);
    });
  });
  const cancel = async (): Promise<void> => {
    await listener.close();
    sockets.stopped();
  };
  const close = async (): Promise<void> => {
    sockets.destroy();
    await cancel();
    await sockets.done;
  };
  // What is bridged ends with its channel, with a reset when it was cut; the rest is waiting for one.
  void connection.closed.then(cancel);
  return {
    forward,
    address: listener.address,
    port: listener.port,
    get connections() {
      return sockets.size;
    },
    done: sockets.done,
    idle: () => sockets.idle(),
    cancel,
    close,
  };
}

/** Sets up a `local` forwarding. Throws when nothing can listen there. */
export function localForward(
  connection: Connection,
  forward: Forward & { readonly connect: ForwardEnd },
  options: ForwardOptions = {},
): Promise<ForwardHandle> {
  return serveListener(connection, forward, options, async (socket) => {
    const io = await openDirect(connection, forward.connect, originOf(socket));
    await bridge(io, socket);
  });
}
