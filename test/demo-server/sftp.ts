/** The sftp subsystem over a folder: what a client sees as `/` is that folder, and links are not followed out of it. */

import { constants, type Dirent, type Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join, posix } from 'node:path';
import { openFlags, type SftpAttrs, type SftpRequest, SftpServer, sftpStatus } from '../../protocol/index.ts';
import type { ChannelIo } from '../../transport/index.ts';
import type { Subsystem } from './options.ts';

const LISTING = 100;

type Open = { readonly file: fs.FileHandle } | { readonly path: string; readonly entries: Dirent[] };

const attrsOf = (stats: Stats): SftpAttrs => ({
  size: BigInt(stats.size),
  uid: stats.uid,
  gid: stats.gid,
  permissions: stats.mode,
  atime: Math.floor(stats.atimeMs / 1000),
  mtime: Math.floor(stats.mtimeMs / 1000),
});

function statusOf(error: unknown): number {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return sftpStatus.noSuchFile;
  return code === 'EACCES' || code === 'EPERM' ? sftpStatus.permissionDenied : sftpStatus.failure;
}

function systemFlags(flags: number): number {
  const { O_RDONLY, O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_TRUNC, O_EXCL } = constants;
  const reads = (flags & openFlags.read) !== 0;
  const writes = (flags & openFlags.write) !== 0;
  let out = reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY;
  if (flags & openFlags.append) out |= O_APPEND;
  if (flags & openFlags.create) out |= O_CREAT;
  if (flags & openFlags.truncate) out |= O_TRUNC;
  if (flags & openFlags.exclusive) out |= O_EXCL;
  return out;
}

class Folder {
  readonly server = new SftpServer({ extensions: ['posixRename', 'limits', 'fsync', 'hardlink'] });
  readonly #root: string;
  readonly #open = new Map<string, Open>();
  #handles = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** A path as the client names it, with nothing above its root. */
  #inside(path: string): string {
    return posix.resolve('/', path);
  }

  #real(path: string): string {
    return join(this.#root, this.#inside(path));
  }

  async answer(request: SftpRequest): Promise<void> {
    try {
      if (request.request === 'extended') await this.#extended(request);
      else if ('handle' in request) await this.#onHandle(request);
      else await this.#onPath(request);
    } catch (error) {
      this.server.status(request.id, statusOf(error), (error as Error).message);
    }
  }

  #ok(id: number): void {
    this.server.status(id, sftpStatus.ok);
  }

  #keep(id: number, open: Open): void {
    const handle = Buffer.from(String(++this.#handles));
    this.#open.set(String(handle), open);
    this.server.handle(id, handle);
  }

  async #onPath(request: Exclude<SftpRequest, { handle: Uint8Array } | { request: 'extended' }>): Promise<void> {
    const { id } = request;
    switch (request.request) {
      case 'open': {
        const file = await fs.open(
          this.#real(request.path),
          systemFlags(request.flags),
          request.attrs.permissions ?? 0o666,
        );
        return this.#keep(id, { file });
      }
      case 'opendir': {
        const path = this.#real(request.path);
        return this.#keep(id, { path, entries: await fs.readdir(path, { withFileTypes: true }) });
      }
      case 'stat':
        return this.server.attrs(id, attrsOf(await fs.stat(this.#real(request.path))));
      case 'lstat':
        return this.server.attrs(id, attrsOf(await fs.lstat(this.#real(request.path))));
      case 'setstat': {
        const file = await fs.open(this.#real(request.path), constants.O_RDONLY);
        await this.#set(file, request.attrs).finally(() => file.close());
        if (request.attrs.size !== undefined) await fs.truncate(this.#real(request.path), Number(request.attrs.size));
        return this.#ok(id);
      }
      case 'remove':
        await fs.unlink(this.#real(request.path));
        return this.#ok(id);
      case 'mkdir':
        await fs.mkdir(this.#real(request.path), { mode: (request.attrs.permissions ?? 0o777) & 0o7777 });
        return this.#ok(id);
      case 'rmdir':
        await fs.rmdir(this.#real(request.path));
        return this.#ok(id);
      case 'realpath':
        return this.server.names(id, [{ name: this.#inside(request.path), longName: '', attrs: {} }]);
      case 'rename':
        // The draft's rename does not replace.
        await fs.link(this.#real(request.oldPath), this.#real(request.newPath));
        await fs.unlink(this.#real(request.oldPath));
        return this.#ok(id);
      case 'readlink':
        return this.server.names(id, [{ name: await fs.readlink(this.#real(request.path)), longName: '', attrs: {} }]);
      case 'symlink':
        await fs.symlink(request.target, this.#real(request.link));
        return this.#ok(id);
    }
  }

  async #onHandle(request: SftpRequest & { handle: Uint8Array }): Promise<void> {
    const { id } = request;
    const key = Buffer.from(request.handle).toString();
    const open = this.#open.get(key);
    if (open === undefined) return this.server.status(id, sftpStatus.failure, 'no such handle');
    if ('entries' in open) {
      if (request.request === 'close') this.#open.delete(key);
      return request.request === 'readdir' ? this.#list(id, open) : this.#ok(id);
    }
    const { file } = open;
    switch (request.request) {
      case 'close':
        this.#open.delete(key);
        await file.close();
        return this.#ok(id);
      case 'read': {
        const data = new Uint8Array(Math.min(request.length, 256 * 1024));
        const { bytesRead } = await file.read(data, 0, data.length, Number(request.offset));
        if (bytesRead === 0) return this.server.status(id, sftpStatus.eof);
        return this.server.data(id, data.subarray(0, bytesRead));
      }
      case 'write':
        await file.write(request.data, 0, request.data.length, Number(request.offset));
        return this.#ok(id);
      case 'fstat':
        return this.server.attrs(id, attrsOf(await file.stat()));
      case 'fsetstat':
        await this.#set(file, request.attrs);
        if (request.attrs.size !== undefined) await file.truncate(Number(request.attrs.size));
        return this.#ok(id);
      default:
        return this.server.status(id, sftpStatus.failure, 'not a directory');
    }
  }

  async #list(id: number, open: Extract<Open, { path: string }>): Promise<void> {
    const some = open.entries.splice(0, LISTING);
    if (some.length === 0) return this.server.status(id, sftpStatus.eof);
    const names = some.map(async ({ name }) => {
      const attrs = attrsOf(await fs.lstat(join(open.path, name)));
      return { name, longName: `${(attrs.permissions ?? 0).toString(8)} ${attrs.size} ${name}`, attrs };
    });
    this.server.names(id, await Promise.all(names));
  }

  async #set(file: fs.FileHandle, attrs: SftpAttrs): Promise<void> {
    if (attrs.permissions !== undefined) await file.chmod(attrs.permissions & 0o7777);
    if (attrs.uid !== undefined && attrs.gid !== undefined) await file.chown(attrs.uid, attrs.gid);
    if (attrs.atime !== undefined && attrs.mtime !== undefined) await file.utimes(attrs.atime, attrs.mtime);
  }

  async #extended(request: SftpRequest & { request: 'extended' }): Promise<void> {
    const { id } = request;
    switch (request.extension) {
      case 'posixRename':
        await fs.rename(this.#real(request.values.oldPath), this.#real(request.values.newPath));
        return this.#ok(id);
      case 'hardlink':
        await fs.link(this.#real(request.values.oldPath), this.#real(request.values.newPath));
        return this.#ok(id);
      case 'limits':
        return this.server.extended(id, 'limits', { packet: 262_144n, read: 261_120n, write: 261_120n, handles: 100n });
      default:
        return this.#ok(id);
    }
  }

  async close(): Promise<void> {
    for (const open of this.#open.values()) if ('file' in open) await open.file.close();
    this.#open.clear();
  }
}

export function sftpSubsystem(root: string): Subsystem {
  return async ({ io }) => {
    const folder = new Folder(root);
    const { server } = folder;
    const over = new Promise<void>((resolve) => {
      io.onEof = resolve;
      void io.closed.then(resolve);
    });
    io.sink(false, async (chunk) => {
      server.receive(chunk);
      await send(io, server);
      // One by one: what the answers promise has then happened in the order in which it was asked for.
      for (let request = server.poll(); request !== undefined; request = server.poll()) {
        await folder.answer(request);
        await send(io, server);
      }
    });
    await over;
    await folder.close();
    return 0;
  };
}

async function send(io: ChannelIo, server: SftpServer): Promise<void> {
  let busy: Promise<void> | undefined;
  for (const bytes of server.takeOutput()) if (!io.isClosed) busy = io.write(bytes);
  await busy;
}
