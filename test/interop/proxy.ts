// A TCP proxy between client and server that makes the network worse on purpose: slower, narrower, cut off at a byte,
// with one bit turned, or in crumbs. Each direction has its own faults; order and content are otherwise kept.
import { createServer, type Server, Socket } from 'node:net';

export interface Faults {
  /** Milliseconds that every byte takes. */
  readonly delay?: number;
  /** Bytes per second. */
  readonly rate?: number;
  /** Close the connection once this many bytes have passed. */
  readonly cutAt?: number;
  /** Stop passing bytes after this many, without closing: a dead peer. */
  readonly stallAt?: number;
  /** Turn the lowest bit of the byte with this offset. */
  readonly flipAt?: number;
  /** At most this many bytes in one write. */
  readonly pieces?: number;
}

export interface ProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** From the client to the server. */
  readonly up?: Faults;
  /** From the server to the client. */
  readonly down?: Faults;
}

export interface Proxy {
  readonly host: string;
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Bytes that came out of either end so far. */
  readonly passed: { readonly up: number; readonly down: number };
  /** Cuts every open connection as a reset. */
  reset(): void;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What may be under way at once: enough for 100 MB/s at 300 ms. */
const IN_FLIGHT_MAX = 32 << 20;

/** One direction of one connection. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #faults: Faults;
  readonly #count: (bytes: number) => void;
  readonly #queue: { bytes: Buffer; due: number }[] = [];
  #queued = 0;
  #taken = 0;
  #lineFreeAt = 0;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, faults: Faults, count: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#count = count;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => {
      this.#ended = true;
      this.#run();
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      if (!this.#ended) to.destroy();
    });
    to.on('drain', () => this.#run());
    to.on('close', () => clearTimeout(this.#timer));
  }

  #take(bytes: Buffer): void {
    const { delay = 0, rate, flipAt, pieces = 16_384 } = this.#faults;
    const flip = flipAt === undefined ? -1 : flipAt - this.#taken;
    if (flip >= 0 && flip < bytes.length) bytes[flip]! ^= 1;
    this.#taken += bytes.length;
    const now = performance.now();
    for (let at = 0; at < bytes.length; at += pieces) {
      const piece = bytes.subarray(at, at + pieces);
      if (rate !== undefined) this.#lineFreeAt = Math.max(now, this.#lineFreeAt) + (piece.length * 1000) / rate;
      this.#queue.push({ bytes: piece, due: Math.max(now, this.#lineFreeAt) + delay });
    }
    this.#queued += bytes.length;
    if (this.#queued > IN_FLIGHT_MAX) this.#from.pause();
    this.#run();
  }

  #passed = 0;

  #run(): void {
    clearTimeout(this.#timer);
    const { cutAt = Number.POSITIVE_INFINITY, stallAt = Number.POSITIVE_INFINITY } = this.#faults;
    const limit = Math.min(cutAt, stallAt);
    for (;;) {
      const next = this.#queue[0];
      if (!next) break;
      const wait = next.due - performance.now();
      if (wait > 0.5) {
        this.#timer = setTimeout(() => this.#run(), wait);
        return;
      }
      if (this.#to.writableNeedDrain) return;
      this.#queue.shift();
      const bytes = next.bytes.subarray(0, Math.max(0, limit - this.#passed));
      this.#queued -= next.bytes.length;
      this.#passed += bytes.length;
      this.#count(bytes.length);
      if (bytes.length > 0) this.#to.write(bytes);
      if (this.#passed >= cutAt) this.#to.end(() => this.#from.destroy());
      if (this.#from.isPaused() && this.#queued < IN_FLIGHT_MAX / 2) this.#from.resume();
    }
    if (this.#ended && this.#passed < stallAt) this.#to.end();
  }
}

export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const passed = { up: 0, down: 0 };
  let connections = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    connections++;
    const upstream = new Socket({ allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    new Lane(client, upstream, options.up ?? {}, (bytes) => {
      passed.up += bytes;
    });
    new Lane(upstream, client, options.down ?? {}, (bytes) => {
      passed.down += bytes;
    });
    upstream.connect(options.target).setNoDelay(true);
  });
  const port = await listen(server);
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    host: '127.0.0.1',
    port,
    passed,
    get connections() {
      return connections;
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      if (bound && typeof bound === 'object') resolve(bound.port);
    });
  });
}
