/** The servers the SFTP tests talk to: OpenSSH's own over pipes, and one in memory that can be slow, far or dishonest. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Sftp } from '../../../client/sftp/sftp.ts';
import { type SftpTransport, streamTransport } from '../../../client/sftp/transport.ts';
import { SshError } from '../../../protocol/errors.ts';
import { SftpServer, type SftpServerOptions } from '../../../protocol/sftp/server.ts';
import { MemoryFiles } from '../../protocol/sftp/memory-files.ts';

export const SERVER = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server', '/usr/lib/ssh/sftp-server'].find(
  (path) => existsSync(path),
);
if (!SERVER) console.warn('skipped: no sftp-server here (Debian: openssh-sftp-server)');

export interface RealServer {
  readonly sftp: Sftp;
  kill(): void;
  readonly gone: Promise<void>;
}

export async function realServer(args: readonly string[] = []): Promise<RealServer> {
  const child = spawn(SERVER!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const sftp = await Sftp.start(streamTransport(child.stdout, child.stdin));
  return { sftp, kill: () => void child.kill('SIGKILL'), gone };
}

export interface FakeOptions extends SftpServerOptions {
  /** Milliseconds each way. */
  readonly delay?: number;
  /** Bytes the client may have on their way, as an SSH channel's window has it. */
  readonly window?: number;
}

export class FakeTransport implements SftpTransport {
  readonly server: SftpServer;
  readonly files: MemoryFiles;
  readonly #delay: number;
  readonly #window: number;
  #take: (bytes: Uint8Array) => void = () => {};
  #ended: (error?: SshError) => void = () => {};
  #onWay = 0;
  #waiting: (() => void)[] = [];
  closed = false;
  sent = 0;

  constructor(options: FakeOptions = {}, files = new MemoryFiles()) {
    this.server = new SftpServer(options);
    this.files = files;
    this.#delay = options.delay ?? 0;
    this.#window = options.window ?? Number.POSITIVE_INFINITY;
  }

  onBytes(take: (bytes: Uint8Array) => void): void {
    this.#take = take;
  }

  onEnd(ended: (error?: SshError) => void): void {
    this.#ended = ended;
  }

  send(chunks: readonly Uint8Array[], taken?: () => void): Promise<void> | undefined {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.sent += length;
    this.#onWay += length;
    // As late as a channel's packets: what is not left alone until then arrives changed.
    setImmediate(() => {
      const bytes = Uint8Array.from(Buffer.concat(chunks));
      taken?.();
      this.#later(() => {
        if (this.closed) return;
        this.server.receive(bytes);
        this.files.serve(this.server);
        this.flush();
        this.#later(() => {
          this.#onWay -= length;
          for (const go of this.#waiting.splice(0)) go();
        });
      });
    });
    if (this.#onWay < this.#window) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Sends what the server has to say. */
  flush(): void {
    const back = Uint8Array.from(Buffer.concat(this.server.takeOutput()));
    if (back.length === 0) return;
    this.#later(() => {
      if (!this.closed) this.#take(back);
    });
  }

  /** The connection dies. */
  die(): void {
    this.closed = true;
    this.#ended(new SshError('lost', 'the connection died', { by: 'peer' }));
  }

  close(): void {
    this.closed = true;
  }

  #later(act: () => void): void {
    if (this.#delay === 0) setImmediate(act);
    else setTimeout(act, this.#delay);
  }
}

export async function fakeServer(
  options: FakeOptions = {},
): Promise<{ sftp: Sftp; transport: FakeTransport; files: MemoryFiles }> {
  const transport = new FakeTransport(options);
  return { sftp: await Sftp.start(transport), transport, files: transport.files };
}
