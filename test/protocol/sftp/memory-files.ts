/**
 * A file tree in memory that answers what an `SftpServer` asks: the other side of the SFTP tests. Requests can be
 * answered otherwise by `intercept`, which is how servers that lie, stall or cut short are played.
 */

import type { SftpAttrs } from '../../../protocol/sftp/attrs.ts';
import { openFlags, sftpStatus } from '../../../protocol/sftp/messages.ts';
import type { SftpRequest, SftpServer } from '../../../protocol/sftp/server.ts';

export interface MemoryNode {
  kind: 'file' | 'directory' | 'link';
  permissions: number;
  atime: number;
  mtime: number;
  data: Uint8Array;
  size: number;
  target: string;
}

const types = { file: 0o100000, directory: 0o040000, link: 0o120000 } as const;

export function node(kind: MemoryNode['kind'], more: Partial<MemoryNode> = {}): MemoryNode {
  const data = more.data ?? new Uint8Array(0);
  const permissions = kind === 'directory' ? 0o755 : 0o644;
  return { kind, permissions, atime: 1000, mtime: 1000, size: data.length, target: '', ...more, data };
}

export const attrsOf = (of: MemoryNode): SftpAttrs => ({
  size: BigInt(of.size),
  uid: 1,
  gid: 1,
  permissions: of.permissions | types[of.kind],
  atime: of.atime,
  mtime: of.mtime,
});

type Open = { node: MemoryNode; listing?: [string, MemoryNode][]; append: boolean };

export class MemoryFiles {
  readonly nodes = new Map<string, MemoryNode>([['/', node('directory')]]);
  readonly open = new Map<string, Open>();
  #handles = 0;
  /** Entries in one NAME. */
  listingSize = 3;
  /** Bytes in one DATA at most. */
  readSize = Number.POSITIVE_INFINITY;
  /** Answers in its own way and returns true, or leaves the request to the tree. */
  intercept: (server: SftpServer, request: SftpRequest) => boolean = () => false;
  readonly seen: SftpRequest['request'][] = [];

  path(path: string): string {
    const out: string[] = [];
    for (const part of path.split('/')) {
      if (part === '..') out.pop();
      else if (part !== '' && part !== '.') out.push(part);
    }
    return `/${out.join('/')}`;
  }

  lookup(path: string, follow: boolean): MemoryNode | undefined {
    let at = this.path(path);
    for (let hops = 0; hops < 10; hops++) {
      const found = this.nodes.get(at);
      if (!follow || found?.kind !== 'link') return found;
      at = this.path(found.target.startsWith('/') ? found.target : `${at}/../${found.target}`);
    }
    return undefined;
  }

  /** Answers everything the server has to ask. */
  serve(server: SftpServer): void {
    for (let request = server.poll(); request; request = server.poll()) {
      this.seen.push(request.request);
      if (!this.intercept(server, request)) this.answer(server, request);
    }
  }

  answer(server: SftpServer, request: SftpRequest): unknown {
    const { id } = request;
    const missing = (): void => server.status(id, sftpStatus.noSuchFile, 'No such file');
    const ok = (): void => server.status(id, sftpStatus.ok);
    const failed = (): void => server.status(id, sftpStatus.failure, 'Failure');
    switch (request.request) {
      case 'open': {
        const at = this.path(request.path);
        let found = this.lookup(at, true);
        if (found && request.flags & openFlags.exclusive) return failed();
        if (!found && request.flags & openFlags.create) {
          found = node('file', { permissions: (request.attrs.permissions ?? 0o644) & 0o7777 });
          this.nodes.set(at, found);
        }
        if (!found) return missing();
        if (found.kind !== 'file') return failed();
        if (request.flags & openFlags.truncate) found.size = 0;
        return this.#handle(server, id, { node: found, append: (request.flags & openFlags.append) !== 0 });
      }
      case 'opendir': {
        const at = this.path(request.path);
        const found = this.lookup(at, true);
        if (found?.kind !== 'directory') return missing();
        const prefix = at === '/' ? '/' : `${at}/`;
        const listing: [string, MemoryNode][] = [
          ['.', found],
          ['..', found],
        ];
        for (const [path, each] of this.nodes) {
          const name = path.slice(prefix.length);
          if (path.startsWith(prefix) && name !== '' && !name.includes('/')) listing.push([name, each]);
        }
        return this.#handle(server, id, { node: found, listing, append: false });
      }
      case 'mkdir': {
        if (this.lookup(request.path, false)) return failed();
        this.nodes.set(this.path(request.path), node('directory'));
        return ok();
      }
      case 'remove':
      case 'rmdir':
        return this.nodes.delete(this.path(request.path)) ? ok() : missing();
      case 'stat':
      case 'lstat': {
        const found = this.lookup(request.path, request.request === 'stat');
        return found ? server.attrs(id, attrsOf(found)) : missing();
      }
      case 'setstat': {
        const found = this.lookup(request.path, true);
        if (!found) return missing();
        this.#set(found, request.attrs);
        return ok();
      }
      case 'realpath':
        return server.names(id, [{ name: this.path(request.path), longName: '', attrs: {} }]);
      case 'rename': {
        if (this.nodes.has(this.path(request.newPath))) return failed();
        return this.#rename(request.oldPath, request.newPath) ? ok() : missing();
      }
      case 'readlink': {
        const found = this.lookup(request.path, false);
        return found?.kind === 'link' ? server.names(id, [{ name: found.target, longName: '', attrs: {} }]) : missing();
      }
      case 'symlink': {
        this.nodes.set(this.path(request.link), node('link', { target: request.target }));
        return ok();
      }
      case 'extended':
        return this.#extended(server, request);
      default:
        return this.#byHandle(server, request);
    }
  }

  #byHandle(server: SftpServer, request: SftpRequest & { handle: Uint8Array }): unknown {
    const { id } = request;
    const key = String(request.handle);
    const open = this.open.get(key);
    if (!open) return server.status(id, sftpStatus.failure, 'no such handle');
    switch (request.request) {
      case 'close':
        this.open.delete(key);
        return server.status(id, sftpStatus.ok);
      case 'fstat':
        return server.attrs(id, attrsOf(open.node));
      case 'fsetstat':
        this.#set(open.node, request.attrs);
        return server.status(id, sftpStatus.ok);
      case 'read': {
        const from = Number(request.offset);
        const to = Math.min(from + Math.min(request.length, this.readSize), open.node.size);
        if (from >= to) return server.status(id, sftpStatus.eof);
        return server.data(id, open.node.data.slice(from, to));
      }
      case 'write':
        this.#write(open, Number(request.offset), request.data);
        return server.status(id, sftpStatus.ok);
      case 'readdir': {
        const some = open.listing?.splice(0, this.listingSize) ?? [];
        if (some.length === 0) return server.status(id, sftpStatus.eof);
        const entries = some.map(([name, each]) => ({ name, longName: `- ${name}`, attrs: attrsOf(each) }));
        return server.names(id, entries);
      }
    }
  }

  #extended(server: SftpServer, request: SftpRequest & { request: 'extended' }): unknown {
    const { id } = request;
    switch (request.extension) {
      case 'posixRename': {
        const done = this.#rename(request.values.oldPath, request.values.newPath);
        return server.status(id, done ? sftpStatus.ok : sftpStatus.noSuchFile);
      }
      case 'limits':
        return server.extended(id, 'limits', { packet: 262144n, read: 261120n, write: 261120n, handles: 100n });
      default:
        return server.status(id, sftpStatus.unsupported);
    }
  }

  #handle(server: SftpServer, id: number, open: Open): unknown {
    const handle = Uint8Array.of(0, ++this.#handles >> 8, this.#handles & 255);
    this.open.set(String(handle), open);
    return server.handle(id, handle);
  }

  #rename(from: string, to: string): boolean {
    const found = this.nodes.get(this.path(from));
    if (!found) return false;
    this.nodes.delete(this.path(from));
    this.nodes.set(this.path(to), found);
    return true;
  }

  #set(found: MemoryNode, attrs: SftpAttrs): void {
    if (attrs.permissions !== undefined) found.permissions = attrs.permissions & 0o7777;
    if (attrs.mtime !== undefined) found.mtime = attrs.mtime;
    if (attrs.atime !== undefined) found.atime = attrs.atime;
    if (attrs.size !== undefined) found.size = Number(attrs.size);
  }

  #write(open: Open, offset: number, data: Uint8Array): void {
    const at = open.append ? open.node.size : offset;
    const end = at + data.length;
    if (end > open.node.data.length) {
      const bigger = new Uint8Array(Math.max(end, open.node.data.length * 2));
      bigger.set(open.node.data);
      open.node.data = bigger;
    }
    open.node.data.set(data, at);
    open.node.size = Math.max(open.node.size, end);
  }
}
