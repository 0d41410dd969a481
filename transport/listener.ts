/** The accept loop of the server role and of local forwards. */

import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { ByteStream } from './byte-stream.ts';
import { byteStream } from './socket-stream.ts';

export interface Listening {
  readonly server: Server;
  /** The port that was bound (0 for a Unix socket). */
  readonly port: number;
  /** Stops accepting and ends the connections that are open. */
  close(): Promise<void>;
}

/** Listens; `allowHalfOpen` sockets, no Nagle delay. Rejects with the system's error. */
export function listen(options: ListenOptions, onSocket: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.removeListener('error', reject);
      server.on('error', () => {});
      const address = server.address();
      resolve({
        server,
        port: typeof address === 'object' && address !== null ? address.port : 0,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}

export const socketStream = (socket: Socket): ByteStream => byteStream(socket, socket);
