/**
 * TCP: dialling with a time limit, an address family and a source address, and a socket as a ByteStream.
 *
 * All sockets read into one shared buffer: a session copies what it keeps, so nothing is held between two reads, and a
 * thousand connections cost no thousand buffers.
 */

import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { SshError } from '../protocol/index.ts';
import { abortable, abortError, offAbort, onAbort } from './abort.ts';
import type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';

/** What waits is taken in few calls: with a quarter of this a fast download takes a twentieth more processor time. */
const sharedReadBuffer = Buffer.allocUnsafeSlow(1024 * 1024);
/** Bytes handed to the socket before `write` says no. */
const WRITE_MARK = 512 * 1024;

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** 4 or 6; 0 for any. */
  readonly family?: 0 | 4 | 6;
  readonly bindAddress?: string;
  /** Milliseconds for each address tried; 0 or undefined for the system's own patience. */
  readonly timeout?: number;
  /** SO_KEEPALIVE. */
  readonly keepAlive?: boolean;
  readonly signal?: AbortSignal;
  /** Each address about to be tried. */
  readonly onAttempt?: (address: string, port: number) => void;
  /** Each address that failed. */
  readonly onFailure?: (address: string, port: number, error: SshError) => void;
}

export interface TcpStream extends ByteStream {
  readonly socket: Socket;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Connects to the first address that answers; throws SshError 'dns', 'refused', 'unreachable', 'timeout' or 'aborted'. */
export async function dial(options: DialOptions): Promise<TcpStream> {
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const addresses = await resolve(options);
  let last: SshError | undefined;
  for (const address of addresses) {
    if (signal?.aborted) throw abortError(signal);
    options.onAttempt?.(address, options.port);
    try {
      return await connectOne(address, options);
    } catch (error) {
      if (!(error instanceof SshError) || signal?.aborted) throw error;
      options.onFailure?.(address, options.port, error);
      last = error;
    }
  }
  throw last ?? new SshError('dns', 'the name has no address', { detail: { host: options.host } });
}

async function resolve({ host, family = 0, signal }: DialOptions): Promise<string[]> {
  const literal = isIP(host.replace(/%.*$/s, ''));
  if (literal !== 0) {
    if (family !== 0 && literal !== family) {
      throw new SshError('dns', 'Address family for hostname not supported', { detail: { host, reason: 'family' } });
    }
    return [host];
  }
  try {
    const found = await abortable(lookup(host, { all: true, family, order: 'verbatim' }), signal);
    return found.map((entry) => entry.address);
  } catch (error) {
    if (error instanceof SshError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const temporary = code === 'EAI_AGAIN';
    throw new SshError('dns', temporary ? 'Temporary failure in name resolution' : 'Name or service not known', {
      detail: { host, errno: code },
      cause: error,
    });
  }
}

function connectOne(
  address: string,
  { port, bindAddress, timeout = 0, keepAlive = true, signal }: DialOptions,
): Promise<TcpStream> {
  return new Promise((resolve, reject) => {
    const stream = new SocketStream((onread) =>
      connect({
        host: address,
        port,
        ...(bindAddress && { localAddress: bindAddress }),
        noDelay: true,
        keepAlive,
        onread,
      }),
    );
    const { socket } = stream;
    const fail = (error: SshError): void => {
      done();
      socket.destroy();
      reject(error);
    };
    const detail = { host: address, port };
    const timer =
      timeout > 0
        ? setTimeout(
            () =>
              fail(
                new SshError('timeout', 'Connection timed out', {
                  detail: { ...detail, what: 'connect', after: timeout },
                }),
              ),
            timeout,
          )
        : undefined;
    const give = (): void => fail(abortError(signal!));
    const onError = (error: NodeJS.ErrnoException): void => fail(dialError(error, detail));
    const done = (): void => {
      clearTimeout(timer);
      offAbort(signal, give);
      socket.removeListener('error', onError);
      socket.removeListener('connect', onConnect);
      // Whatever a dying socket still says has no listener otherwise.
      socket.on('error', () => {});
    };
    const started = performance.now();
    const onConnect = (): void => {
      stream.roundTrip = performance.now() - started;
      done();
      // Nothing is read until somebody listens.
      socket.pause();
      resolve(stream);
    };
    socket.once('error', onError);
    socket.once('connect', onConnect);
    onAbort(signal, give);
  });
}

function dialError(error: NodeJS.ErrnoException, detail: { host: string; port: number }): SshError {
  const codes: Readonly<Record<string, ['refused' | 'unreachable' | 'timeout', string]>> = {
    ECONNREFUSED: ['refused', 'Connection refused'],
    ECONNRESET: ['refused', 'Connection reset by peer'],
    ETIMEDOUT: ['timeout', 'Connection timed out'],
    EHOSTUNREACH: ['unreachable', 'No route to host'],
    ENETUNREACH: ['unreachable', 'Network is unreachable'],
    EADDRNOTAVAIL: ['unreachable', 'Cannot assign requested address'],
    EACCES: ['unreachable', 'Permission denied'],
    EPERM: ['unreachable', 'Operation not permitted'],
    EMFILE: ['unreachable', 'Too many open files'],
  };
  const [code, text] = codes[error.code ?? ''] ?? ['unreachable', error.code ?? 'the connection failed'];
  return new SshError(code, text, { detail: { ...detail, errno: error.code, what: 'connect' }, cause: error });
}

/** A connected or connecting socket as a ByteStream. */
class SocketStream implements TcpStream {
  readonly socket: Socket;
  roundTrip = 0;
  #handlers: ByteStreamHandlers | undefined;
  #over = false;

  constructor(make: (onread: { buffer: Buffer; callback: (length: number, buffer: Uint8Array) => boolean }) => Socket) {
    this.socket = make({
      buffer: sharedReadBuffer,
      callback: (length, buffer) => {
        this.#handlers?.data(buffer.subarray(0, length));
        return true;
      },
    });
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? '';
  }
  get remotePort(): number {
    return this.socket.remotePort ?? 0;
  }

  start(handlers: ByteStreamHandlers): void {
    this.#handlers = handlers;
    const over = (report: () => void) => (): void => {
      if (this.#over) return;
      this.#over = true;
      report();
    };
    this.socket.on('drain', () => handlers.drain());
    this.socket.once(
      'end',
      over(() => handlers.end()),
    );
    this.socket.once(
      'close',
      over(() => handlers.end()),
    );
    this.socket.once('error', (error) => over(() => handlers.error(error))());
    this.socket.resume();
  }

  write(chunk: Uint8Array, sent?: () => void): boolean {
    if (this.socket.destroyed) return true;
    if (sent === undefined) this.socket.write(chunk);
    else {
      let isTold = false;
      const tell = (): void => {
        if (!isTold) sent();
        isTold = true;
      };
      this.socket.write(chunk, tell);
      // The system has all of it. Node tells that a turn later, when the memory is out of the cache: an upload takes a
      // thirtieth more so.
      if (this.socket.writableLength === 0) tell();
    }
    return this.socket.writableLength < WRITE_MARK;
  }

  pause(): void {
    this.socket.pause();
  }
  resume(): void {
    this.socket.resume();
  }
  end(): void {
    this.socket.end();
  }
  destroy(): void {
    this.socket.destroy();
  }
}
