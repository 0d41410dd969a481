/**
 * Messages on the control socket of a shared connection (OpenSSH PROTOCOL.mux, version 4).
 *
 * Each packet is a length and a number, both uint32, and fields. Two things are not as that document has them, but as
 * ssh(1) sends them: flags are uint32, and so is the port of a stdio forwarding. The question what connection it is
 * (`-O conninfo`) and the extensions of the greeting are our own. What follows a proxy request is not in here: see
 * proxy-session.ts.
 */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { rest, string, text, u32 } from '../wire/fields.ts';
import { type AnyFields, readFields, type ValuesOf, writeFields } from '../wire/message.ts';
import { Reader } from '../wire/reader.ts';
import { getU32, putU32, Writer } from '../wire/writer.ts';

export const controlVersion = 4;

export interface ControlMessage<F extends AnyFields> {
  readonly number: number;
  readonly name: string;
  readonly fields: F;
  /** The whole packet, its length in front. */
  encode(values: ValuesOf<F>): Uint8Array;
  /** `packet` is what the framer gives: without the length. Byte fields are views. */
  decode(packet: Uint8Array): ValuesOf<F>;
}

function define<F extends AnyFields>(number: number, name: string, fields: F): ControlMessage<F> {
  return {
    number,
    name,
    fields,
    encode(values) {
      const writer = new Writer();
      writer.u32(0).u32(number);
      writeFields(writer, fields, values);
      const packet = writer.finish();
      putU32(packet, 0, packet.length - 4);
      return packet;
    },
    decode(packet) {
      const reader = new Reader(packet);
      const got = reader.u32();
      if (got !== number) throw malformed(`${name} expected on the control socket, 0x${got.toString(16)} came`);
      const values = readFields(reader, fields);
      reader.end(name);
      return values;
    },
  };
}

/** The number of a packet without its length. */
export function controlNumber(packet: Uint8Array): number {
  if (packet.length < 4) throw malformed(`control packet of ${packet.length} bytes`);
  return getU32(packet, 0);
}

const request = { requestId: u32 };
const forward = { ...request, kind: u32, listenHost: text, listenPort: u32, connectHost: text, connectPort: u32 };
const refusal = { requestId: u32, reason: text };

/** Both sides' first packet. Of extensions, each a name and a value, OpenSSH defines none. */
export const ControlHello = define(0x0000_0001, 'MUX_MSG_HELLO', { version: u32, extensions: rest });

/** Followed by three bytes, each with a file descriptor; the environment is strings to the end. */
export const NewSession = define(0x1000_0002, 'MUX_C_NEW_SESSION', {
  ...request,
  reserved: string,
  tty: u32,
  x11: u32,
  agent: u32,
  subsystem: u32,
  escape: u32,
  term: text,
  command: string,
  environment: rest,
});
export const AliveCheck = define(0x1000_0004, 'MUX_C_ALIVE_CHECK', request);
export const Terminate = define(0x1000_0005, 'MUX_C_TERMINATE', request);
export const OpenForward = define(0x1000_0006, 'MUX_C_OPEN_FWD', forward);
export const CloseForward = define(0x1000_0007, 'MUX_C_CLOSE_FWD', forward);
/** Followed by two bytes, each with a file descriptor. */
export const NewStdioForward = define(0x1000_0008, 'MUX_C_NEW_STDIO_FWD', {
  ...request,
  reserved: string,
  host: text,
  port: u32,
});
export const StopListening = define(0x1000_0009, 'MUX_C_STOP_LISTENING', request);
export const ProxyRequest = define(0x1000_000f, 'MUX_C_PROXY', request);
/** Ours; a stock holder answers that it does not know it. */
export const InfoRequest = define(0x1000_b551, 'MUX_C_BSSH_INFO', request);

export const ControlOk = define(0x8000_0001, 'MUX_S_OK', request);
export const ControlDenied = define(0x8000_0002, 'MUX_S_PERMISSION_DENIED', refusal);
export const ControlFailure = define(0x8000_0003, 'MUX_S_FAILURE', refusal);
export const ExitMessage = define(0x8000_0004, 'MUX_S_EXIT_MESSAGE', { sessionId: u32, value: u32 });
export const Alive = define(0x8000_0005, 'MUX_S_ALIVE', { ...request, pid: u32 });
export const SessionOpened = define(0x8000_0006, 'MUX_S_SESSION_OPENED', { ...request, sessionId: u32 });
export const RemotePort = define(0x8000_0007, 'MUX_S_REMOTE_PORT', { ...request, port: u32 });
export const TtyAllocFail = define(0x8000_0008, 'MUX_S_TTY_ALLOC_FAIL', { sessionId: u32 });
export const ProxyReply = define(0x8000_000f, 'MUX_S_PROXY', request);
export const InfoReply = define(0x8000_b551, 'MUX_S_BSSH_INFO', { ...request, text });

export const controlMessages = [
  ControlHello,
  NewSession,
  AliveCheck,
  Terminate,
  OpenForward,
  CloseForward,
  NewStdioForward,
  StopListening,
  ProxyRequest,
  InfoRequest,
  ControlOk,
  ControlDenied,
  ControlFailure,
  ExitMessage,
  Alive,
  SessionOpened,
  RemotePort,
  TtyAllocFail,
  ProxyReply,
  InfoReply,
] as const;

/** A holder that forwards X11 says so by this extension of its greeting: its clients only have to ask in their sessions. */
export const X11_EXTENSION = 'x11@bssh';

export function encodeExtensions(names: readonly string[]): Uint8Array {
  const writer = new Writer();
  for (const name of names) writer.text(name).u32(0);
  return writer.finish();
}

export function extensionNames(extensions: Uint8Array): ReadonlySet<string> {
  const reader = new Reader(extensions);
  const names = new Set<string>();
  while (reader.remaining > 0 && names.size < limits.extInfoEntries) {
    names.add(reader.text());
    reader.string();
  }
  return names;
}

export const ForwardKind = { local: 1, remote: 2, dynamic: 3 } as const;
/** As a port: the host is the path of a Unix socket. */
export const STREAMLOCAL_PORT = 0xffff_fffe;

/** The request id of a request or a reply, whatever else it holds: the second field of all of them. */
export function controlRequestId(packet: Uint8Array): number {
  if (packet.length < 8) throw malformed(`control packet of ${packet.length} bytes`);
  return getU32(packet, 4);
}

/** Packets with their length in front, out of a byte stream: those of the control socket and those it proxies. */
export class ControlFramer {
  readonly #head = new Uint8Array(4);
  #headLength = 0;
  #body: Uint8Array | undefined;
  #filled = 0;
  #skip = 0;

  /** In the middle of a packet. */
  get partial(): boolean {
    return this.#headLength > 0 || this.#skip > 0;
  }

  /** Bytes that belong to no packet: the carriers of file descriptors. */
  skip(bytes: number): void {
    this.#skip += bytes;
  }

  /** `chunk` is borrowed; each packet given to `deliver`, without its length, is a copy of its own. */
  feed(chunk: Uint8Array, deliver: (packet: Uint8Array) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const n = Math.min(this.#skip, chunk.length - at);
        this.#skip -= n;
        at += n;
      } else if (this.#body === undefined) {
        this.#head[this.#headLength++] = chunk[at++]!;
        if (this.#headLength === 4) this.#begin();
      } else {
        const n = Math.min(this.#body.length - this.#filled, chunk.length - at);
        this.#body.set(chunk.subarray(at, at + n), this.#filled);
        this.#filled += n;
        at += n;
      }
      if (this.#body !== undefined && this.#filled === this.#body.length) {
        const packet = this.#body;
        this.#body = undefined;
        this.#headLength = this.#filled = 0;
        deliver(packet);
      }
    }
  }

  #begin(): void {
    const length = getU32(this.#head, 0);
    if (length > limits.controlPacket) throw malformed(`control packet of ${length} bytes`);
    this.#body = new Uint8Array(length);
    this.#filled = 0;
  }
}
