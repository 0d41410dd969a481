/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02), the client's side, sans-IO.
 *
 * A command forms a request and returns its id; `takeOutput` gives what is to be sent, `receive` takes what came, `poll`
 * gives the replies in the order they came. Any number of requests may be in flight. Opens no channel, splits no
 * transfers and retries nothing: that is `client/sftp`.
 */

import { protocolError, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Field } from '../wire/fields.ts';
import type { MessageDefinition, ValuesOf } from '../wire/message.ts';
import { getU32 } from '../wire/writer.ts';
import type { SftpAttrs } from './attrs.ts';
import { type ExtensionName, type ExtensionRequest, extensions } from './extensions.ts';
import { Framer } from './framer.ts';
import { frame, init, readHead, replies, requests, SFTP_VERSION, version } from './messages.ts';
import { Output } from './output.ts';
import { decodeReply, memoryOf, type PendingRequest, type ReadTarget, type SftpReply } from './replies.ts';

/** What one request may ask for. */
export interface SftpLimits {
  readonly read: number;
  readonly write: number;
  /** Handles the server lets us hold; undefined: it did not say. */
  readonly handles: number | undefined;
}

export interface SftpClientOptions {
  /** Which path SYMLINK sends first; `openssh` (the default) is target first, against the draft. */
  readonly symlinkOrder?: 'openssh' | 'draft';
}

/** Section 3: 34000 bytes are understood everywhere, so 32 KiB of data with their head. */
const PLAIN_LIMITS: SftpLimits = { read: 32 * 1024, write: 32 * 1024, handles: undefined };
/** Room for type, id, handle, offset and lengths beside the data of one packet. */
const PACKET_OVERHEAD = 1024;

export class SftpClient {
  readonly #draftSymlink: boolean;
  readonly #framer: Framer;
  readonly #pending = new Map<number, PendingRequest>();
  #nextId = 0;
  #version: number | undefined;
  #extensions: ReadonlyMap<string, string> = new Map();
  #limits = PLAIN_LIMITS;
  /** Requests, formed; all but INIT wait for VERSION (section 4). */
  readonly #output = new Output();
  #init: Uint8Array | undefined = frame(init, { version: SFTP_VERSION, extensions: [] });
  #replies: SftpReply[] = [];
  #polled = 0;
  #ended: SshError | undefined;

  constructor(options: SftpClientOptions = {}) {
    this.#draftSymlink = options.symlinkOrder === 'draft';
    this.#framer = new Framer({
      packet: (payload) => this.#packet(payload),
      place: (head, length) => this.#place(head, length),
      placed: (head, data) => this.#placed(getU32(head, 1), data),
    });
  }

  /** The version agreed on, once it is. */
  get version(): number | undefined {
    return this.#version;
  }

  /** Extension names of VERSION with their data. */
  get extensions(): ReadonlyMap<string, string> {
    return this.#extensions;
  }

  /** What one read or write may carry; larger once a `limits` request is answered. */
  get limits(): SftpLimits {
    return this.#limits;
  }

  /** Requests without an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Whether the server offers `extension` in the form we speak. */
  supports(extension: ExtensionName): boolean {
    const row = extensions[extension];
    return this.#extensions.get(row.name) === row.data;
  }

  /**
   * Takes bytes of the server. They are borrowed until the replies they brought are polled. Throws on whatever breaks
   * the protocol; nothing more can be done with this client then. True: nothing refers to the bytes even now.
   */
  receive(bytes: Uint8Array): boolean {
    if (this.#ended) throw this.#ended;
    try {
      return this.#framer.receive(bytes);
    } catch (error) {
      if (error instanceof SshError) this.end(error);
      throw error;
    }
  }

  /** The stream is over: what waits for an answer fails with `error`, and so does every later command. */
  end(error: SshError): void {
    if (this.#ended) return;
    this.#ended = error;
    for (const id of this.#pending.keys()) this.#replies.push({ id, kind: 'failed', error });
    this.#pending.clear();
    this.#output.take();
  }

  poll(): SftpReply | undefined {
    const reply = this.#replies[this.#polled];
    if (reply) {
      this.#polled++;
    } else if (this.#polled > 0) {
      this.#replies = [];
      this.#polled = 0;
    }
    return reply;
  }

  /** What is to be sent now, in order. Data of `write` is given as it lies: keep it unchanged until it is answered. */
  takeOutput(): readonly Uint8Array[] {
    if (this.#init) {
      const first = this.#init;
      this.#init = undefined;
      return [first];
    }
    return this.#version === undefined ? [] : this.#output.take();
  }

  open(path: string, flags: number, attrs: SftpAttrs = {}): number {
    return this.#ask('open', { path: checked(path), flags, attrs }, { expects: 'handle', path });
  }

  close(handle: Uint8Array, path?: string): number {
    return this.#ask('close', { handle }, { expects: 'status', path });
  }

  /**
   * Up to `length` bytes; `into`, at least as long, receives them and must be left alone until the reply. Here and
   * below, `path` is only what an error is to say.
   */
  read(handle: Uint8Array, offset: number | bigint, length: number, into?: ReadTarget, path?: string): number {
    if (into instanceof Uint8Array && into.length < length)
      throw new SshError('usage', `${length} bytes do not fit in ${into.length}`);
    return this.#ask('read', { handle, offset: position(offset), length }, { expects: 'data', length, into, path });
  }

  write(handle: Uint8Array, offset: number | bigint, data: Uint8Array, path?: string): number {
    if (data.length > limits.sftpPacket - PACKET_OVERHEAD) {
      throw new SshError('usage', `a write of ${data.length} bytes is too long for one request`);
    }
    const at = position(offset);
    const id = this.#register({ operation: 'write', expects: 'status', path });
    this.#output.packetWithData(requests.write.number, id, (writer) => writer.string(handle).u64(at), data);
    return id;
  }

  stat(path: string): number {
    return this.#ask('stat', { path: checked(path) }, { expects: 'attrs', path });
  }

  lstat(path: string): number {
    return this.#ask('lstat', { path: checked(path) }, { expects: 'attrs', path });
  }

  fstat(handle: Uint8Array, path?: string): number {
    return this.#ask('fstat', { handle }, { expects: 'attrs', path });
  }

  setstat(path: string, attrs: SftpAttrs): number {
    return this.#ask('setstat', { path: checked(path), attrs }, { expects: 'status', path });
  }

  fsetstat(handle: Uint8Array, attrs: SftpAttrs, path?: string): number {
    return this.#ask('fsetstat', { handle, attrs }, { expects: 'status', path });
  }

  opendir(path: string): number {
    return this.#ask('opendir', { path: checked(path) }, { expects: 'handle', path });
  }

  readdir(handle: Uint8Array, path?: string): number {
    return this.#ask('readdir', { handle }, { expects: 'names', path });
  }

  remove(path: string): number {
    return this.#ask('remove', { path: checked(path) }, { expects: 'status', path });
  }

  mkdir(path: string, attrs: SftpAttrs = {}): number {
    return this.#ask('mkdir', { path: checked(path), attrs }, { expects: 'status', path });
  }

  rmdir(path: string): number {
    return this.#ask('rmdir', { path: checked(path) }, { expects: 'status', path });
  }

  realpath(path: string): number {
    return this.#ask('realpath', { path: checked(path) }, { expects: 'names', path });
  }

  rename(oldPath: string, newPath: string): number {
    const values = { oldPath: checked(oldPath), newPath: checked(newPath) };
    return this.#ask('rename', values, { expects: 'status', path: oldPath });
  }

  readlink(path: string): number {
    return this.#ask('readlink', { path: checked(path) }, { expects: 'names', path });
  }

  /** `link` becomes a symbolic link that says `target`. */
  symlink(target: string, link: string): number {
    const [first, second] = this.#draftSymlink ? [link, target] : [target, link];
    const values = { target: checked(first), link: checked(second) };
    return this.#ask('symlink', values, { expects: 'status', path: link });
  }

  /** A request of `extensions.ts`; throws `unsupported` when the server does not offer it. */
  extended<K extends ExtensionName>(extension: K, values: ExtensionRequest<K>): number {
    if (this.#ended) throw this.#ended;
    if (!this.supports(extension)) {
      throw new SshError('unsupported', `the server does not offer ${extensions[extension].name}`);
    }
    const row = extensions[extension];
    const paths = values as { path?: string; oldPath?: string; newPath?: string };
    const path = paths.path ?? paths.oldPath;
    for (const each of [path, paths.newPath]) if (each !== undefined) checked(each);
    const body = (row.request as { encode(values: unknown): Uint8Array }).encode(values);
    const expects = typeof row.reply === 'string' ? row.reply : (extension as 'limits');
    const id = this.#register({ operation: extension, expects, path });
    this.#output.packet(requests.extended, { id, name: row.name, body });
    return id;
  }

  #register(pending: PendingRequest): number {
    if (this.#ended) throw this.#ended;
    if (this.#pending.size >= limits.sftpPending) {
      throw new SshError('limit', 'too many SFTP requests in flight', { detail: { limit: 'sftpPending' } });
    }
    do this.#nextId = (this.#nextId + 1) >>> 0;
    while (this.#pending.has(this.#nextId));
    this.#pending.set(this.#nextId, pending);
    return this.#nextId;
  }

  #ask<K extends keyof typeof requests>(
    operation: K,
    values: Record<string, unknown> & { id?: number },
    { expects, path, length, into }: Omit<PendingRequest, 'operation'>,
  ): number {
    // Written out: objects that are spread cost a read a microsecond each.
    const id = this.#register({ operation, expects, path, length, into });
    values.id = id;
    // biome-ignore lint/suspicious/noExplicitAny: the commands above give each definition its own fields
    const definition = requests[operation] as unknown as MessageDefinition<Record<string, Field<any>>>;
    try {
      this.#output.packet(definition, values as ValuesOf<typeof definition.fields>);
    } catch (error) {
      this.#pending.delete(id);
      throw error;
    }
    return id;
  }

  #packet(payload: Uint8Array): void {
    if (this.#version === undefined) {
      this.#negotiated(payload);
      return;
    }
    const { type, id } = readHead(payload);
    const pending = this.#asked(id, type);
    const answer = decodeReply(type, payload, pending);
    this.#forget(id, pending);
    if (answer.kind === 'extended' && answer.extension === 'limits') this.#limits = usable(answer.values);
    this.#replies.push({ id, ...answer });
  }

  #negotiated(payload: Uint8Array): void {
    const values = version.decode(payload);
    if (values.version !== SFTP_VERSION) {
      const detail = { offered: SFTP_VERSION, version: values.version };
      throw new SshError('version', `the server speaks SFTP version ${values.version}`, { by: 'peer', detail });
    }
    this.#version = values.version;
    this.#extensions = new Map(values.extensions.map(({ name, data }) => [name, data]));
    this.#replies.push({ kind: 'version', ...values });
  }

  /** What `id` asked for. It stays in the table until its answer is understood, else a broken one would lose it. */
  #asked(id: number, type: number): PendingRequest {
    const pending = this.#pending.get(id);
    if (!pending) throw protocolError(`SFTP packet ${type} answers request ${id}, which is not open`);
    return pending;
  }

  /**
   * A Map under such traffic makes itself anew every few requests, and V8 hangs the tables it had before, with what stood in them,
   * on one another until the next whole collection: a read's memory must not be found from there.
   */
  #forget(id: number, pending: PendingRequest): void {
    this.#pending.delete(id);
    pending.into = undefined;
  }

  #place(head: Uint8Array, length: number): Uint8Array | undefined {
    if (this.#version === undefined || head[0] !== replies.data.number) return undefined;
    const pending = this.#pending.get(getU32(head, 1));
    const data = getU32(head, 5);
    if (!pending?.into || data !== length - 9 || data > pending.length!) return undefined;
    return memoryOf(pending.into, data);
  }

  #placed(id: number, data: Uint8Array): void {
    this.#forget(id, this.#pending.get(id)!);
    this.#replies.push({ id, kind: 'data', data });
  }
}

/** A NUL would end the name early on the other side. */
function checked(path: string): string {
  if (path.includes('\0')) throw new SshError('usage', 'a path with a NUL in it');
  return path;
}

function position(offset: number | bigint): bigint {
  if (offset < 0 || (typeof offset === 'number' && !Number.isSafeInteger(offset))) {
    throw new SshError('usage', `${offset} is no position in a file`);
  }
  return BigInt(offset);
}

/** OpenSSH PROTOCOL section 4.8: zero means that the server sets no limit; ours stay. */
function usable(server: { packet: bigint; read: bigint; write: bigint; handles: bigint }): SftpLimits {
  const ours = BigInt(limits.sftpPacket - PACKET_OVERHEAD);
  const packet = server.packet === 0n ? ours : server.packet - BigInt(PACKET_OVERHEAD);
  const atMost = (value: bigint, plain: number): number => {
    const wanted = value === 0n ? BigInt(plain) : value;
    const least = [wanted, packet, ours].reduce((a, b) => (a < b ? a : b));
    return least < 1n ? 1 : Number(least);
  };
  const handles = server.handles === 0n || server.handles > 1_000_000n ? undefined : Number(server.handles);
  return { read: atMost(server.read, PLAIN_LIMITS.read), write: atMost(server.write, PLAIN_LIMITS.write), handles };
}
