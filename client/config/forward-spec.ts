/**
 * Forwarding specifications: `-L`, `-R`, `-D` and LocalForward, RemoteForward, DynamicForward, Unix sockets and
 * bracketed IPv6 included. Only reads them; who listens and connects is elsewhere.
 */

import { splitHostPort } from './destination.ts';

/** One end: a TCP address (no host = as GatewayPorts says, or `localhost` at the far end) or a socket path. */
export type ForwardEnd =
  | { readonly kind: 'tcp'; readonly host?: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface Forward {
  readonly type: 'local' | 'remote' | 'dynamic' | 'remote-dynamic';
  readonly listen: ForwardEnd;
  /** Missing when the listener speaks SOCKS. */
  readonly connect?: ForwardEnd;
}

interface Field {
  readonly text: string;
  readonly path: boolean;
}

/** The largest path a sockaddr_un holds on Linux, its NUL left out. */
const sunPathMax = 107;
const hostMax = 1024;

function bracketed(text: string, start: number): { field: Field; end: number } | undefined {
  const close = text.indexOf(']', start);
  if (close < 0 || (close + 1 < text.length && text[close + 1] !== ':')) return undefined;
  const inner = text.slice(start + 1, close);
  return { field: { text: inner, path: inner.includes('/') }, end: close + 1 };
}

function plain(text: string, start: number): { field: Field; end: number } | undefined {
  let out = '';
  let at = start;
  for (; at < text.length && text[at] !== ':'; at++) {
    if (text[at] === '\\') at++;
    if (at >= text.length) return undefined;
    out += text[at];
  }
  return { field: { text: out, path: out.includes('/') }, end: at };
}

/** Up to four fields between colons; undefined when there are more or a bracket is left open. */
function fields(text: string): Field[] | undefined {
  const out: Field[] = [];
  let at = 0;
  while (at < text.length) {
    if (out.length === 4) return undefined;
    const next = text[at] === '[' ? bracketed(text, at) : plain(text, at);
    if (next === undefined) return undefined;
    out.push(next.field);
    at = next.end + 1;
  }
  return out;
}

/** 0..65535 or undefined. */
const port = (field: Field): number | undefined =>
  /^\d{1,10}$/.test(field.text) && Number(field.text) <= 65535 ? Number(field.text) : undefined;

const unix = (field: Field): ForwardEnd | undefined =>
  field.text.length > sunPathMax ? undefined : { kind: 'unix', path: field.text };

function tcp(host: Field | undefined, portField: Field): ForwardEnd | undefined {
  const number = port(portField);
  if (number === undefined || (host !== undefined && host.text.length >= hostMax)) return undefined;
  return { kind: 'tcp', ...(host === undefined ? {} : { host: host.text }), port: number };
}

type Ends = readonly [ForwardEnd | undefined, (ForwardEnd | undefined)?];

/** Which fields form which end; whether a field holds a slash decides between address and path. */
function ends([a, b, c, d]: readonly Field[], count: number): Ends {
  if (a === undefined) return [undefined];
  if (count === 1) return [a.path ? unix(a) : tcp(undefined, a)];
  if (b === undefined) return [undefined];
  if (count === 2) {
    if (a.path && b.path) return [unix(a), unix(b)];
    return b.path ? [tcp(undefined, a), unix(b)] : [tcp(a, b)];
  }
  if (c === undefined) return [undefined];
  if (count === 3) {
    if (a.path) return [unix(a), tcp(b, c)];
    return c.path ? [tcp(a, b), unix(c)] : [tcp(undefined, a), tcp(b, c)];
  }
  return [tcp(a, b), d === undefined ? undefined : tcp(c, d)];
}

/** `spec` after `${ENV}` expansion. undefined: not a specification of this kind. */
export function parseForward(type: 'local' | 'remote' | 'dynamic', spec: string): Forward | undefined {
  const parts = fields(spec.trimStart());
  if (parts === undefined || parts.length === 0) return undefined;
  const both = ends(parts, parts.length);
  const [listen, connect] = both;
  if (listen === undefined) return undefined;
  // Only a remote listener may leave the choice of its port to the other side (RFC 4254 section 7.1).
  if (listen.kind === 'tcp' && listen.port === 0 && type !== 'remote') return undefined;
  if (both.length === 1) {
    if (type === 'local' || parts.length > 2) return undefined;
    return { type: type === 'dynamic' ? 'dynamic' : 'remote-dynamic', listen };
  }
  if (type === 'dynamic' || connect === undefined || (connect.kind === 'tcp' && connect.port === 0)) return undefined;
  return { type, listen, connect };
}

/** `-W`: `host:port`, or the path of a Unix socket. */
export function parseStdioForward(spec: string): ForwardEnd | undefined {
  const parts = fields(spec.trim());
  const [first, second] = parts ?? [];
  if (parts?.length === 1 && first?.path) return unix(first);
  return parts?.length === 2 && first!.text !== '' ? tcp(first, second!) : undefined;
}

export interface PermittedOpen {
  /** `*` permits every host. */
  readonly host: string;
  /** 0 permits every port. */
  readonly port: number;
}

/** One `host:port` of PermitRemoteOpen. */
export function parsePermittedOpen(text: string): PermittedOpen | 'no-host' | 'bad-port' {
  const address = splitHostPort(text);
  if (address === undefined || address.host === '') return 'no-host';
  if (address.port === '*') return { host: address.host, port: 0 };
  const number = address.port === undefined ? undefined : port({ text: address.port, path: false });
  return number === undefined || number === 0 ? 'bad-port' : { host: address.host, port: number };
}

const formatEnd = (end: ForwardEnd): string =>
  end.kind === 'unix' ? end.path : end.host === undefined ? String(end.port) : `[${end.host}]:${end.port}`;

/** The arguments as they are written in a file: `8080 [host]:80`; one argument for a SOCKS listener. */
export const formatForward = ({ listen, connect }: Forward): string =>
  connect === undefined ? formatEnd(listen) : `${formatEnd(listen)} ${formatEnd(connect)}`;
