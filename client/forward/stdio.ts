/** `-W`: two streams of the caller's joined to a place the server reaches, or to a Unix socket there. */

import type { Readable, Writable } from 'node:stream';
import { SshError } from '../../protocol/index.ts';
import type { ForwardEnd } from '../config/forward-spec.ts';
import type { Connection } from '../connection.ts';
import { openDirect } from './local.ts';

export interface StdioForwardOptions {
  readonly input: Readable;
  /** Ended when the far end has sent all. A reader that left (EPIPE) ends the forwarding in peace. */
  readonly output: Writable;
  readonly signal?: AbortSignal;
}

/**
 * Opens the channel, which may be refused ('channel-open'), and settles when both directions are over or the far end has
 * closed. Rejects with the connection's error when that ends first.
 */
export async function stdioForward(
  connection: Connection,
  to: ForwardEnd,
  { input, output, signal }: StdioForwardOptions,
): Promise<void> {
  if (signal?.aborted) throw new SshError('aborted', 'aborted', { cause: signal.reason });
  const io = await openDirect(connection, to);
  let failed: NodeJS.ErrnoException | undefined;
  let drained = false;
  let release: (() => void) | undefined;
  const leave = (error?: Error): void => {
    failed ??= error;
    release?.();
    io.discard();
    io.close();
  };
  const onData = (chunk: Uint8Array): void => {
    if (io.isClosed) return;
    const busy = io.write(chunk);
    if (busy === undefined) return;
    input.pause();
    busy.then(
      () => input.resume(),
      () => {},
    );
  };
  const onInputOver = (): void => {
    io.eof();
    if (drained) io.close();
  };
  const onDrain = (): void => release?.();
  const onAbort = (): void => leave();
  io.onEof = () => {
    drained = true;
    output.end();
    if (io.channel.eofSent) io.close();
  };
  io.sink(true, () => undefined);
  io.sink(false, (chunk) => {
    if (output.write(chunk)) return undefined;
    return new Promise((resolve) => void (release = resolve));
  });
  input.on('data', onData).once('end', onInputOver).once('error', onInputOver);
  output.on('drain', onDrain).on('error', leave);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  if (input.readableEnded || input.destroyed) onInputOver();
  await io.closed;
  signal?.removeEventListener('abort', onAbort);
  input.off('data', onData).off('end', onInputOver).off('error', onInputOver).pause();
  output.off('drain', onDrain);
  if (signal?.aborted) throw new SshError('aborted', 'aborted', { cause: signal.reason });
  if (io.failure !== undefined) throw io.failure;
  if (failed !== undefined && failed.code !== 'EPIPE') throw failed;
}
