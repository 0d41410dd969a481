// A local port that leads to a port the server reaches, for as long as the caller wants it.
import { type Connection, localForward } from '../../client/index.ts';

export interface Tunnel {
  readonly port: number;
  close(): Promise<void>;
}

/** `host` is a name as the server sees it. */
export async function openTunnel(connection: Connection, host: string, port: number): Promise<Tunnel> {
  const handle = await localForward(connection, {
    type: 'local',
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 }, // 0: the system chooses
    connect: { kind: 'tcp', host, port },
  });
  return { port: handle.port, close: () => handle.close() };
}
