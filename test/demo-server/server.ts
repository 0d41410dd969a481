/**
 * The server role as an in-process SSH server, for tests, the demo and fault injection. It is built on the same session
 * as the client and has no place in production: it knows its users from an option and its commands from a table.
 */

import { generateKey, type HostKeySigner, type PublicKey } from '../../protocol/index.ts';
import { type ByteStream, listen, memoryPair, nodeCrypto, socketStream } from '../../transport/index.ts';
import { commands } from './commands.ts';
import type { DemoServerOptions } from './options.ts';
import { DemoSession, type ServerFacts } from './session.ts';
import { sftpSubsystem } from './sftp.ts';

export interface DemoServer {
  readonly host: string;
  readonly port: number;
  /** What clients should know. */
  readonly hostKeys: readonly PublicKey[];
  /** Every connection there was, in order; `isClosed` tells which are over. */
  readonly sessions: readonly DemoSession[];
  /** The client's end of a connection in memory. */
  connect(options?: Parameters<typeof memoryPair>[0]): ByteStream;
  /** Ends every connection and all they started. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

class Server {
  readonly sessions: DemoSession[] = [];
  readonly #facts: ServerFacts;
  readonly #options: DemoServerOptions;

  constructor(options: DemoServerOptions, hostKeys: readonly HostKeySigner[]) {
    this.#options = options;
    const sftp = options.sftpRoot === undefined ? {} : { sftp: sftpSubsystem(options.sftpRoot) };
    this.#facts = {
      options,
      hostKeys,
      host: { hostname: 'demo', uptime: 3 * 86_400 + 7 * 3600 + 900, load: [0.08, 0.03, 0.01], ...options.machine },
      commands: new Map(Object.entries({ ...commands, ...options.commands })),
      subsystems: new Map(Object.entries({ ...sftp, ...options.subsystems })),
      passwords: new Map(),
    };
  }

  /** sshd's MaxStartups: those who are not logged in yet count. */
  turnsAway(): boolean {
    const { maxStartups } = this.#options;
    const starting = this.sessions.filter((session) => !session.isClosed && !session.authenticated).length;
    return maxStartups !== undefined && starting >= maxStartups;
  }

  add(stream: ByteStream): void {
    const { faults = {} } = this.#options;
    const mine = typeof faults === 'function' ? (faults(this.sessions.length) ?? {}) : faults;
    this.sessions.push(new DemoSession(this.#facts, stream, mine));
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await Promise.all(this.sessions.map((session) => session.ended()));
  }
}

export async function startDemoServer(options: DemoServerOptions = {}): Promise<DemoServer> {
  const { host = '127.0.0.1', port = 0 } = options;
  const crypto = options.crypto ?? nodeCrypto();
  const hostKeys = options.hostKeys ?? [{ key: generateKey(crypto, 'ed25519') }];
  const server = new Server(options, hostKeys);
  const listening = await listen({ host, port }, (socket) => {
    socket.on('error', () => {});
    if (server.turnsAway()) socket.end('Exceeded MaxStartups\r\n', () => socket.destroy());
    else server.add(socketStream(socket));
  });
  const close = async (): Promise<void> => {
    await server.close();
    await listening.close();
  };
  return {
    host,
    port: listening.port,
    hostKeys: hostKeys.map(({ key }) => key.publicKey),
    sessions: server.sessions,
    connect(memory) {
      const [ours, theirs] = memoryPair(memory);
      server.add(ours);
      return theirs;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
