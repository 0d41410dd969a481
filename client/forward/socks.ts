/**
 * The server's side of SOCKS 4, 4a and 5 (RFC 1928; the SOCKS 4 and 4A memos), CONNECT only, as a step machine: bytes
 * in; "more", a request or a refusal out. Pure: never throws, whatever it is fed, and keeps a bounded few bytes.
 *
 * Not here: connecting, and log-ins. A client that offers nothing but a password is refused; names are not resolved.
 */

import { decodeUtf8 } from '../../protocol/index.ts';

export interface SocksRequest {
  readonly version: 4 | 5;
  /** A name as it was given, or an address in its usual form. */
  readonly host: string;
  readonly port: number;
}

export type SocksStep =
  /** Wait for bytes; `reply` goes out first. */
  | { readonly kind: 'more'; readonly reply?: Uint8Array }
  /** `rest` came after the request: it is for the destination. `reply` goes out first. */
  | {
      readonly kind: 'request';
      readonly request: SocksRequest;
      readonly rest: Uint8Array;
      readonly reply?: Uint8Array;
    }
  /** Send `reply` and hang up. */
  | { readonly kind: 'refused'; readonly reason: string; readonly reply: Uint8Array };

/** Why a request cannot be served, for `socksReply`. */
export type SocksOutcome = 'granted' | 'failed' | 'forbidden' | 'refused' | 'command' | 'address';

/** RFC 1928 section 6 */
const replies5: Readonly<Record<SocksOutcome, number>> = {
  granted: 0,
  failed: 1,
  forbidden: 2,
  refused: 5,
  command: 7,
  address: 8,
};

/** User id and name of SOCKS 4: no limit is written down; RFC 1928 has 255 for the same things. */
const FIELD_MAX = 255;
const EMPTY = new Uint8Array(0);

/** The answer to a request, with no bound address: nobody reads it after CONNECT. */
export function socksReply(version: 4 | 5, outcome: SocksOutcome): Uint8Array {
  if (version === 4) return Uint8Array.of(0, outcome === 'granted' ? 90 : 91, 0, 0, 0, 0, 0, 0);
  return Uint8Array.of(5, replies5[outcome], 0, 1, 0, 0, 0, 0, 0, 0);
}

const more: SocksStep = { kind: 'more' };
const refused = (reason: string, reply: Uint8Array): SocksStep => ({ kind: 'refused', reason, reply });

/** One client, from its first byte to its request. After a request or a refusal it takes no more. */
export class SocksMachine {
  #held: Uint8Array = EMPTY;
  #greeted = false;
  #over = false;

  receive(bytes: Uint8Array): SocksStep {
    if (this.#over) return refused('the request was made already', EMPTY);
    const held = new Uint8Array(this.#held.length + bytes.length);
    held.set(this.#held);
    held.set(bytes, this.#held.length);
    const step = this.#read(held);
    if (step.kind === 'more') this.#held = held.subarray(held.length - this.#unread);
    else this.#over = true;
    return step;
  }

  /** How many of the last bytes are still to be read, while there is no request. */
  #unread = 0;

  #read(bytes: Uint8Array): SocksStep {
    this.#unread = bytes.length;
    if (bytes.length === 0) return more;
    if (this.#greeted) return this.#request5(bytes, undefined);
    if (bytes[0] === 4) return request4(bytes);
    if (bytes[0] === 5) return this.#greeting5(bytes);
    return refused('neither SOCKS 4 nor 5', EMPTY);
  }

  /** RFC 1928 section 3: version, number of methods, methods. */
  #greeting5(bytes: Uint8Array): SocksStep {
    const end = 2 + (bytes[1] ?? 0);
    if (bytes.length < 2 || bytes.length < end) return more;
    if (!bytes.subarray(2, end).includes(0)) {
      return refused('the client offers no method without a log-in', Uint8Array.of(5, 0xff));
    }
    this.#greeted = true;
    const rest = bytes.subarray(end);
    this.#unread = rest.length;
    return this.#request5(rest, Uint8Array.of(5, 0));
  }

  /** RFC 1928 section 4: version, command, reserved, address type, address, port. */
  #request5(bytes: Uint8Array, reply: Uint8Array | undefined): SocksStep {
    const greeting = reply === undefined ? {} : { reply };
    const refuse = (reason: string, outcome: SocksOutcome): SocksStep =>
      refused(reason, joined(reply, socksReply(5, outcome)));
    if (bytes.length >= 1 && bytes[0] !== 5) return refuse('a request of another version', 'failed');
    if (bytes.length < 5) return { kind: 'more', ...greeting };
    if (bytes[1] !== 1) return refuse(`command ${bytes[1]} is not supported`, 'command');
    const type = bytes[3]!;
    const size = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? 1 + bytes[4]! : 0;
    if (size === 0) return refuse(`address type ${type} is not supported`, 'address');
    const end = 4 + size;
    if (bytes.length < end + 2) return { kind: 'more', ...greeting };
    const address = bytes.subarray(type === 3 ? 5 : 4, end);
    const host = type === 3 ? hostName(address) : type === 1 ? ipv4(address) : ipv6(address);
    if (host === undefined) return refuse('no usable host name', 'address');
    const port = (bytes[end]! << 8) | bytes[end + 1]!;
    return { kind: 'request', request: { version: 5, host, port }, rest: bytes.slice(end + 2), ...greeting };
  }
}

/** Version, command, port, address, user id; for 4A (0.0.0.x with x not 0) a name. */
function request4(bytes: Uint8Array): SocksStep {
  const refuse = (reason: string): SocksStep => refused(reason, socksReply(4, 'failed'));
  if (bytes.length >= 2 && bytes[1] !== 1) return refuse(`command ${bytes[1]} is not supported`);
  if (bytes.length < 9) return more;
  const user = bytes.indexOf(0, 8);
  if ((user < 0 ? bytes.length : user) - 8 > FIELD_MAX) return refuse('the user id is too long');
  if (user < 0) return more;
  const port = (bytes[2]! << 8) | bytes[3]!;
  const address = bytes.subarray(4, 8);
  const named = address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0;
  if (!named)
    return { kind: 'request', request: { version: 4, host: ipv4(address), port }, rest: bytes.slice(user + 1) };
  const end = bytes.indexOf(0, user + 1);
  if ((end < 0 ? bytes.length : end) - user - 1 > FIELD_MAX) return refuse('the host name is too long');
  if (end < 0) return more;
  const host = hostName(bytes.subarray(user + 1, end));
  if (host === undefined) return refuse('no usable host name');
  return { kind: 'request', request: { version: 4, host, port }, rest: bytes.slice(end + 1) };
}

function joined(first: Uint8Array | undefined, second: Uint8Array): Uint8Array {
  return first === undefined ? second : Uint8Array.of(...first, ...second);
}

/** The server resolves it; blanks and control characters are in no name and would only confuse logs. */
function hostName(bytes: Uint8Array): string | undefined {
  const host = decodeUtf8(bytes);
  return host === '' || /[\x00-\x20\x7f-\x9f\ufffd]/.test(host) ? undefined : host;
}

const ipv4 = (bytes: Uint8Array): string => bytes.join('.');

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups cut out. */
function ipv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  // An IPv4-mapped address keeps its dots (section 5), as inet_ntop prints it.
  if (best.at === 0 && best.length === 5 && groups[5] === 0xffff) return `::ffff:${ipv4(bytes.subarray(12))}`;
  return best.at < 0 ? text(0, 8) : `${text(0, best.at)}::${text(best.at + best.length, 8)}`;
}
