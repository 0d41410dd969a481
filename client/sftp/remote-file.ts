/** An open remote file: reads and writes at positions, and streams over them. Close it, or its handle stays taken. */

import type { Readable, Writable } from 'node:stream';
import type { VolumeStatus } from '../../protocol/index.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';
import { type FileStat, type StatChange, toAttrs, toStat } from './stat.ts';
import { type ReadRange, readStream, type WriteStart, writeStream } from './streams.ts';

export class RemoteFile {
  readonly sftp: Sftp;
  readonly path: string;
  readonly handle: Uint8Array;
  #closing: Promise<void> | undefined;

  constructor(sftp: Sftp, path: string, handle: Uint8Array) {
    this.sftp = sftp;
    this.path = path;
    this.handle = handle;
  }

  /**
   * Up to `length` bytes from `position`, empty at the end of the file; may be fewer than asked for. `into` receives
   * them and must be left alone until the promise settles, or longer when the call is aborted.
   */
  async read(
    position: number,
    length: number,
    options: SftpCallOptions & { readonly into?: Uint8Array } = {},
  ): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    const { client } = this.sftp.link;
    const size = Math.min(length, client.limits.read);
    const into = options.into ?? new Uint8Array(size);
    const request = (): number => client.read(this.handle, position, size, into, this.path);
    const answer = await this.sftp.ask(request, ['data', 'eof'], options);
    return answer.kind === 'eof' ? new Uint8Array(0) : answer.data;
  }

  /** Writes all of `data`, which must not change until the promise settles. */
  async write(position: number, data: Uint8Array, options: SftpCallOptions = {}): Promise<void> {
    const { client } = this.sftp.link;
    const { write } = client.limits;
    const parts: Promise<unknown>[] = [];
    for (let at = 0; at < data.length; at += write) {
      const part = data.subarray(at, at + write);
      parts.push(this.sftp.ask(() => client.write(this.handle, position + at, part, this.path), 'done', options));
    }
    await Promise.all(parts);
  }

  async stat(options: SftpCallOptions = {}): Promise<FileStat> {
    return toStat(
      (await this.sftp.ask(() => this.sftp.link.client.fstat(this.handle, this.path), 'attrs', options)).attrs,
    );
  }

  async setStat(change: StatChange, options: SftpCallOptions = {}): Promise<void> {
    await this.sftp.ask(() => this.sftp.link.client.fsetstat(this.handle, toAttrs(change), this.path), 'done', options);
  }

  /** Waits until the data is on the server's disk (fsync@openssh.com). */
  async sync(options: SftpCallOptions = {}): Promise<void> {
    const { client } = this.sftp.link;
    await this.sftp.ask(() => client.extended('fsync', { handle: this.handle }), 'done', options);
  }

  statvfs(options: SftpCallOptions = {}): Promise<VolumeStatus> {
    return this.sftp.extended('fstatvfs', { handle: this.handle }, options);
  }

  /** Bytes in order, many requests ahead. Does not close the file. */
  readable(range: ReadRange = {}): Readable {
    return readStream(this, range);
  }

  /** Takes bytes in order, many requests ahead; finished when the server has them all. Does not close the file. */
  writable(start: WriteStart = {}): Writable {
    return writeStream(this, start);
  }

  /** Gives the handle back; calling again waits for the same answer. */
  close(): Promise<void> {
    this.#closing ??= this.sftp
      .ask(() => this.sftp.link.client.close(this.handle, this.path), 'done', {})
      .then(() => undefined);
    return this.#closing;
  }
}
