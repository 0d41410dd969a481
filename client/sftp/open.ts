/**
 * SFTP over a connection: the subsystem's channel as SFTP wants it, and further channels of the same connection for
 * transfers over a distance.
 */

import type { ChannelOptions, SftpClientOptions } from '../../protocol/index.ts';
import { release, SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import type { ExecHandle, ExecOptions } from '../exec.ts';
import { Sftp, type SftpCallOptions } from './sftp.ts';
import { Lanes } from './transfer.ts';
import { lost, type SftpTransport } from './transport.ts';

/** What `openSftp` needs of a connection. */
export interface SubsystemOpener {
  readonly session?: { readonly peerVersion?: { readonly software: string } | undefined };
  subsystem(name: string, options?: ExecOptions): Promise<ExecHandle>;
}

/**
 * What the server may send is bounded by what was asked for, and taken as it comes: the window has only to stay out of
 * the way of the requests in flight (`MOST_BYTES` of a transfer, with their heads).
 */
const channel: ChannelOptions = { window: 40 * 1024 * 1024, maxWindow: 40 * 1024 * 1024, writeMark: 1024 * 1024 };

/** How long an exit status may come behind the end of the output (milliseconds). */
const LAST_WORDS = 500;

/** Starts SFTP in a channel of its own. `signal` ends the start only; to end the session, close it. */
export async function openSftp(
  connection: SubsystemOpener,
  options: SftpClientOptions & SftpCallOptions = {},
): Promise<Sftp> {
  const { signal } = options;
  // An abort later on is for the calls it was given to: cleaning up after them needs the session.
  const starting = new AbortController();
  const abort = (): void => starting.abort(signal!.reason);
  if (signal?.aborted) abort();
  onAbort(signal, abort);
  try {
    const handle = await connection.subsystem('sftp', { channel, signal: starting.signal });
    try {
      return await Sftp.start(channelTransport(handle), options);
    } catch (error) {
      const isAlone = handle.io.failure === undefined;
      handle.io.discard();
      handle.close();
      throw isAlone ? absent(chatter(error)) : error;
    }
  } finally {
    offAbort(signal, abort);
  }
}

/** A connection's SFTP sessions: one now, more when a transfer finds the way long. */
export async function openLanes(
  connection: SubsystemOpener,
  options: SftpClientOptions & SftpCallOptions & { readonly count?: number } = {},
): Promise<Lanes> {
  const { signal: _, ...later } = options;
  const first = await openSftp(connection, options);
  // ProFTPD mixes up the sessions of one connection and dies of it.
  if (/^mod_sftp/.test(connection.session?.peerVersion?.software ?? '')) return new Lanes(first);
  return new Lanes(first, () => openSftp(connection, later), options.count);
}

/** The channel as SFTP's transport. Small pieces need no joining here: the channel fills its packets across them. */
export function channelTransport({ io, exit }: ExecHandle): SftpTransport {
  let ended: ((error?: SshError) => void) | undefined;
  const end = (error: SshError): void => {
    const report = ended;
    ended = undefined;
    report?.(error);
  };
  return {
    send(chunks, taken) {
      let busy: Promise<void> | undefined;
      for (let i = 0; i < chunks.length && !io.isClosed; i++) {
        // Unwilling only means "soon": what was formed together goes together.
        busy = io.write(chunks[i]!, 0, i === chunks.length - 1 ? taken : undefined) ?? busy;
      }
      return busy;
    },
    onBytes: (take) =>
      io.sink(false, (bytes) => {
        // A packet's content, which only this sink has ever seen.
        if (take(bytes)) release(bytes);
      }),
    onEnd(report) {
      ended = report;
      io.onEof = () => void farewell(io.failure, exit).then(end);
      void io.closed.then(async () => end(await farewell(io.failure, exit)));
    },
    close() {
      io.discard();
      io.close();
    },
  };
}

/** Why the session ended: the connection's error, or what the server's program exited with. */
async function farewell(failure: SshError | undefined, exit: ExecHandle['exit']): Promise<SshError> {
  if (failure !== undefined) return failure;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LAST_WORDS);
  });
  try {
    const { status, signal } = (await Promise.race([exit, late])) ?? {};
    if (signal !== undefined) return lost(undefined, `by signal ${signal}`);
    return status === undefined ? lost() : lost(undefined, `with status ${status}`);
  } catch (error) {
    return error instanceof SshError ? error : lost(error);
  } finally {
    clearTimeout(timer);
  }
}

/** A program that is not there ends before it says anything, or before it can be told anything. */
function absent(error: unknown): unknown {
  if (!(error instanceof SshError) || (error.code !== 'lost' && error.code !== 'closed')) return error;
  return new SshError('unsupported', `the server has no SFTP: ${error.message}`, {
    by: 'peer',
    cause: error,
    detail: NO_SFTP,
  });
}

/** Whether an error of `openSftp` says that the server lives, but has no SFTP. */
export const lacksSftp = (error: unknown): boolean =>
  error instanceof SshError &&
  ((error.code === 'channel-request' && error.detail.request === 'subsystem') ||
    (error.code === 'unsupported' && error.detail.subsystem === NO_SFTP.subsystem));

const NO_SFTP = { subsystem: 'sftp' } as const;

/** A start-up file that prints something puts it in front of SFTP's first packet. */
function chatter(error: unknown): unknown {
  if (!(error instanceof SshError) || error.code !== 'malformed') return error;
  return new SshError('sftp', 'the server sent no SFTP: does a start-up file of its shell print something?', {
    by: 'peer',
    cause: error,
  });
}
