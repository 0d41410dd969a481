/** An `SftpClient` and an `SftpServer` over a tree in memory, joined by copies of `piece` bytes at a time. */

import { SftpClient, type SftpClientOptions } from '../../../protocol/sftp/client.ts';
import type { SftpReply } from '../../../protocol/sftp/replies.ts';
import { SftpServer, type SftpServerOptions } from '../../../protocol/sftp/server.ts';
import { MemoryFiles } from './memory-files.ts';

export const join = (chunks: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(chunks));

export function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

export class Pair {
  readonly client: SftpClient;
  readonly server: SftpServer;
  readonly files = new MemoryFiles();
  readonly #piece: number;

  constructor(piece: number, options: SftpServerOptions & SftpClientOptions = {}) {
    this.#piece = piece;
    this.client = new SftpClient(options);
    this.server = new SftpServer(options);
  }

  /** Lets everything settle and returns the replies that came. */
  run(): SftpReply[] {
    const got: SftpReply[] = [];
    for (;;) {
      const sent = join(this.client.takeOutput());
      for (const piece of pieces(sent, this.#piece)) {
        this.server.receive(piece);
        this.files.serve(this.server);
      }
      const back = join(this.server.takeOutput());
      for (const piece of pieces(back, this.#piece)) {
        const isCopied = this.client.receive(piece);
        if (isCopied) piece.fill(0xee);
        for (let reply = this.client.poll(); reply; reply = this.client.poll()) {
          // A view of the piece is good until the next one comes.
          got.push(reply.kind === 'data' ? { ...reply, data: reply.data.slice() } : reply);
        }
      }
      if (sent.length === 0 && back.length === 0) return got;
    }
  }

  /** The one reply to `id`. */
  answer(id: number): SftpReply {
    const found = this.run().filter((reply) => 'id' in reply && reply.id === id);
    if (found.length !== 1) throw new Error(`${found.length} replies`);
    return found[0]!;
  }

  handle(id: number): Uint8Array {
    const reply = this.answer(id);
    if (reply.kind !== 'handle') throw new Error(reply.kind);
    return reply.handle;
  }
}
