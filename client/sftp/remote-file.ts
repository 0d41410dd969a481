/** An open remote file: reads and writes at positions, and streams over them. Close it, or its handle stays taken. */

import type { Readable, Writable } from 'node:stream';
import type { ReadTarget, VolumeStatus } from '../../protocol/index.ts';
import { nothing } from './link.ts';
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
  read(
    position: number,
    length: number,
    options: SftpCallOptions & { readonly into?: ReadTarget } = {},
  ): Promise<Uint8Array> {
    if (length === 0) return Promise.resolve(new Uint8Array(0));
    const { client } = this.sftp.link;
    const size = Math.min(length, client.limits.read);
    const into = options.into ?? new Uint8Array(size);
    const request = (): number => client.read(this.handle, position, size, into, this.path);
    return this.sftp.ask(request, ['data', 'eof'], options, (answer) =>
      answer.kind === 'eof' ? new Uint8Array(0) : answer.data,
    );
  }

  /** Writes all of `data`, which must not change until the promise settles. */
  async write(position: number, data: Uint8Array, options: SftpCallOptions = {}): Promise<void> {
    const { write } = this.sftp.link.client.limits;
    const parts: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += write) {
      parts.push(this.writeOnce(position + at, data.subarray(at, at + write), options));
    }
    await Promise.all(parts);
  }

  /** As `write`, for what one request can carry. */
  writeOnce(position: number, data: Uint8Array, options: SftpCallOptions = {}): Promise<void> {
    const request = (): number => this.sftp.link.client.write(this.handle, position, data, this.path);
    return this.sftp.ask(request, 'done', options, nothing);
  }

  stat(options: SftpCallOptions = {}): Promise<FileStat> {
    const request = (): number => this.sftp.link.client.fstat(this.handle, this.path);
    return this.sftp.ask(request, 'attrs', options, ({ attrs }) => toStat(attrs));
  }

  setStat(change: StatChange, options: SftpCallOptions = {}): Promise<void> {
    const request = (): number => this.sftp.link.client.fsetstat(this.handle, toAttrs(change), this.path);
    return this.sftp.ask(request, 'done', options, nothing);
  }

  /** Waits until the data is on the server's disk (fsync@openssh.com). */
  sync(options: SftpCallOptions = {}): Promise<void> {
    const request = (): number => this.sftp.link.client.extended('fsync', { handle: this.handle });
    return this.sftp.ask(request, 'done', options, nothing);
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
    this.#closing ??= this.sftp.ask(() => this.sftp.link.client.close(this.handle, this.path), 'done', {}, nothing);
    return this.#closing;
  }
}
