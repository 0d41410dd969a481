/** Dynamic forwarding (`-D`): a SOCKS server here whose connections leave from the server, names resolved there. */

import type { Socket } from 'node:net';
import { SshError } from '../../protocol/index.ts';
import type { Forward } from '../config/forward-spec.ts';
import type { Connection } from '../connection.ts';
import { bridge, reset } from './bridge.ts';
import { openDirect, originOf, serveListener } from './local.ts';
import { SocksMachine, type SocksOutcome, type SocksStep, socksReply } from './socks.ts';
import { openFailure } from './text.ts';
import type { ForwardHandle, ForwardOptions } from './types.ts';

/** Milliseconds a client has to say what it wants. */
const REQUEST_PATIENCE = 60_000;

/** Sets up a `dynamic` forwarding. Throws when nothing can listen there. */
export function dynamicForward(
  connection: Connection,
  forward: Forward,
  options: ForwardOptions = {},
): Promise<ForwardHandle> {
  /** They have no channel yet that would end with the connection. */
  const asking = new Set<Socket>();
  void connection.closed.then(() => asking.forEach(reset));
  return serveListener(connection, forward, options, (socket) => {
    asking.add(socket);
    const request = readRequest(socket).finally(() => asking.delete(socket));
    return serve(connection, socket, request, options);
  });
}

async function serve(
  connection: Connection,
  socket: Socket,
  request: ReturnType<typeof readRequest>,
  options: ForwardOptions,
): Promise<void> {
  const step = await request;
  if (step === undefined) return;
  if (step.kind === 'refused') {
    options.log?.(1, `SOCKS: ${step.reason}`);
    socket.end(step.reply, () => socket.destroySoon());
    return;
  }
  const { version, host, port } = step.request;
  options.log?.(1, `SOCKS ${version}: connect to ${host} port ${port}`);
  let io: Awaited<ReturnType<typeof openDirect>>;
  try {
    io = await openDirect(connection, { kind: 'tcp', host, port }, originOf(socket));
  } catch (error) {
    if (!connection.isClosed) options.warn?.(openFailure(error));
    socket.end(socksReply(version, outcomeOf(error)), () => socket.destroySoon());
    return;
  }
  socket.write(socksReply(version, 'granted'));
  await bridge(io, socket, step.rest);
}

/** RFC 4254 section 5.1 */
export function outcomeOf(error: unknown): SocksOutcome {
  if (!(error instanceof SshError) || error.code !== 'channel-open') return 'failed';
  return error.detail.reason === 1 ? 'forbidden' : error.detail.reason === 2 ? 'refused' : 'failed';
}

/** Reads up to the request, then no further; undefined when the client left first. */
function readRequest(socket: Socket): Promise<Exclude<SocksStep, { kind: 'more' }> | undefined> {
  const machine = new SocksMachine();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), REQUEST_PATIENCE);
    const finish = (step?: Exclude<SocksStep, { kind: 'more' }>): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      resolve(step);
    };
    const onEnd = (): void => {
      socket.destroy();
      finish();
    };
    const onData = (chunk: Uint8Array): void => {
      const step = machine.receive(chunk);
      if (step.kind !== 'refused' && step.reply !== undefined) socket.write(step.reply);
      if (step.kind !== 'more') finish(step);
    };
    socket.on('data', onData).once('end', onEnd).once('close', onEnd);
  });
}
