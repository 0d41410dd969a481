/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02), the server's side, sans-IO: requests come out of `poll`, answers go in
 * by request id, in any order. Knows no files. Every request is owed exactly one answer; `raw` lets a test send what no
 * honest server would.
 */

import { protocolError, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Field } from '../wire/fields.ts';
import type { MessageDefinition } from '../wire/message.ts';
import { Writer } from '../wire/writer.ts';
import type { SftpAttrs } from './attrs.ts';
import {
  type AnsweredExtension,
  type ExtensionName,
  type ExtensionReply,
  type ExtensionRequest,
  extensionPairs,
  extensions,
} from './extensions.ts';
import { Framer } from './framer.ts';
import {
  frame,
  init,
  type NameEntry,
  type RequestName,
  type RequestValues,
  readHead,
  replies,
  requests,
  SFTP_VERSION,
  sftpStatus,
  version,
  writeFrameHead,
} from './messages.ts';
import { statusName } from './replies.ts';

type PlainRequest = {
  [K in Exclude<RequestName, 'extended'>]: { readonly request: K } & RequestValues<K>;
}[Exclude<RequestName, 'extended'>];

type ExtensionCall = {
  [K in ExtensionName]: {
    readonly request: 'extended';
    readonly id: number;
    readonly extension: K;
    readonly values: ExtensionRequest<K>;
  };
}[ExtensionName];

/** Byte fields (handles, data) are views of the input: copy what outlives the answer. */
export type SftpRequest = PlainRequest | ExtensionCall;

export interface SftpServerOptions {
  /** What VERSION lists; other extensions are answered with `unsupported` without being asked for. */
  readonly extensions?: readonly ExtensionName[];
}

const byNumber = new Map(
  Object.entries(requests).map(([name, definition]) => [definition.number, name as RequestName]),
);

export class SftpServer {
  readonly #offered: readonly ExtensionName[];
  readonly #framer = new Framer({ packet: (payload) => this.#packet(payload) });
  /** Requests that are owed an answer. */
  readonly #owed = new Set<number>();
  #started = false;
  #requests: SftpRequest[] = [];
  #polled = 0;
  #output: Uint8Array[] = [];
  #failed: SshError | undefined;

  constructor(options: SftpServerOptions = {}) {
    this.#offered = options.extensions ?? [];
  }

  /** Requests polled or waiting that are owed an answer. */
  get owed(): number {
    return this.#owed.size;
  }

  /** Takes bytes of the client; they are borrowed until the requests they brought are answered. */
  receive(bytes: Uint8Array): void {
    if (this.#failed) throw this.#failed;
    try {
      this.#framer.receive(bytes);
    } catch (error) {
      if (error instanceof SshError) this.#failed = error;
      throw error;
    }
  }

  poll(): SftpRequest | undefined {
    const request = this.#requests[this.#polled];
    if (request) {
      this.#polled++;
    } else if (this.#polled > 0) {
      this.#requests = [];
      this.#polled = 0;
    }
    return request;
  }

  takeOutput(): readonly Uint8Array[] {
    const output = this.#output;
    if (output.length > 0) this.#output = [];
    return output;
  }

  status(id: number, code: number, text: string = statusName(code)): void {
    this.#answer(id, frame(replies.status, { id, code, text }));
  }

  handle(id: number, handle: Uint8Array): void {
    this.#answer(id, frame(replies.handle, { id, handle }));
  }

  /** `data` is sent from where it lies. */
  data(id: number, data: Uint8Array): void {
    const head = new Writer(64);
    writeFrameHead(head, replies.data.number, id, () => undefined, data.length);
    this.#answer(id, head.finish(), data);
  }

  names(id: number, names: readonly NameEntry[]): void {
    this.#answer(id, frame(replies.names, { id, names }));
  }

  attrs(id: number, attrs: SftpAttrs): void {
    this.#answer(id, frame(replies.attrs, { id, attrs }));
  }

  extended<K extends AnsweredExtension>(id: number, extension: K, values: ExtensionReply<K>): void {
    const reply = extensions[extension].reply as { encode(values: unknown): Uint8Array };
    this.#answer(id, frame(replies.extended, { id, body: reply.encode(values) }));
  }

  /** Bytes as they are, in answer to `id` or to nothing: for tests of what a client endures. */
  raw(bytes: Uint8Array, id?: number): void {
    if (id === undefined) this.#output.push(bytes);
    else this.#answer(id, bytes);
  }

  #answer(id: number, ...chunks: Uint8Array[]): void {
    if (!this.#owed.delete(id)) throw new SshError('usage', `request ${id} is not open`);
    this.#output.push(...chunks);
  }

  #packet(payload: Uint8Array): void {
    if (!this.#started) {
      if (init.decode(payload).version < SFTP_VERSION) throw protocolError('a client of SFTP before version 3');
      this.#started = true;
      this.#output.push(frame(version, { version: SFTP_VERSION, extensions: extensionPairs(this.#offered) }));
      return;
    }
    const { type, id } = readHead(payload);
    if (this.#owed.has(id)) throw protocolError(`request id ${id} is used twice`);
    if (this.#owed.size >= limits.sftpPending) throw new SshError('limit', 'too many requests', { by: 'peer' });
    this.#owed.add(id);
    const name = byNumber.get(type);
    if (name === undefined) this.status(id, sftpStatus.unsupported);
    else if (name === 'extended') this.#extended(payload);
    else this.#requests.push({ request: name, ...(decode(name, payload) as object) } as PlainRequest);
  }

  #extended(payload: Uint8Array): void {
    const { id, name, body } = requests.extended.decode(payload);
    const extension = this.#offered.find((each) => extensions[each].name === name);
    if (extension === undefined) {
      this.status(id, sftpStatus.unsupported);
      return;
    }
    const values = extensions[extension].request.decode(body);
    this.#requests.push({ request: 'extended', id, extension, values } as ExtensionCall);
  }
}

function decode(name: RequestName, payload: Uint8Array): unknown {
  // biome-ignore lint/suspicious/noExplicitAny: one of many field sets
  return (requests[name] as unknown as MessageDefinition<Record<string, Field<any>>>).decode(payload);
}
