/** Forwardings as the control socket's requests name them (OpenSSH PROTOCOL.mux sections 6 and 7). */

import { ForwardKind, type OpenForward, STREAMLOCAL_PORT } from '../../protocol/index.ts';
import type { Forward, ForwardEnd } from '../config/forward-spec.ts';

type Wire = Omit<ReturnType<typeof OpenForward.decode>, 'requestId'>;

/** What ssh(1) names the destination of a SOCKS listener. */
const SOCKS = 'socks';

const listenText = (end: ForwardEnd): string =>
  end.kind === 'unix' ? end.path : end.host === undefined ? '' : end.host === '' ? '*' : end.host;

const portOf = (end: ForwardEnd): number => (end.kind === 'unix' ? STREAMLOCAL_PORT : end.port);

export function forwardToWire({ type, listen, connect }: Forward): Wire {
  return {
    kind: type.startsWith('remote') ? ForwardKind.remote : ForwardKind[type === 'local' ? 'local' : 'dynamic'],
    listenHost: listenText(listen),
    listenPort: portOf(listen),
    connectHost: connect === undefined ? SOCKS : connect.kind === 'unix' ? connect.path : (connect.host ?? 'localhost'),
    connectPort: connect === undefined ? 0 : portOf(connect),
  };
}

function end(host: string, port: number): ForwardEnd | undefined {
  if (port === STREAMLOCAL_PORT) return host === '' ? undefined : { kind: 'unix', path: host };
  if (port > 65_535) return undefined;
  return { kind: 'tcp', ...(host !== '' && { host }), port };
}

/** The forwarding that is asked for; undefined when there is no such. */
export function forwardFromWire({ kind, listenHost, listenPort, connectHost, connectPort }: Wire): Forward | undefined {
  const listen = end(listenHost, listenPort);
  if (listen === undefined) return undefined;
  const noPort = listen.kind === 'tcp' && listen.port === 0;
  const dynamic = kind === ForwardKind.dynamic || (kind === ForwardKind.remote && connectPort === 0);
  if (kind !== ForwardKind.remote && noPort) return undefined;
  if (dynamic) {
    if (kind === ForwardKind.remote) return { type: 'remote-dynamic', listen };
    return listen.kind === 'unix' ? undefined : { type: 'dynamic', listen };
  }
  if ((kind !== ForwardKind.local && kind !== ForwardKind.remote) || connectHost === '' || connectPort === 0)
    return undefined;
  const connect = end(connectHost, connectPort);
  return connect && { type: kind === ForwardKind.local ? 'local' : 'remote', listen, connect };
}
