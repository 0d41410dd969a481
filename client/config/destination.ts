/**
 * Destinations as ssh(1) reads them: `[user@]host`, `ssh://[user@]host[:port]`, the hops of ProxyJump, and which
 * user and host names may stand on a command line. Does not resolve anything.
 */

import { SshError } from '../../protocol/index.ts';

export interface Destination {
  readonly user?: string;
  readonly host: string;
  readonly port?: number;
}

/** 1..65535, decimal digits only (`2000blah` and `0` are refused). */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}

/** `host`, `host:port`, `[v6]` or `[v6]:port`; undefined when it is none of them. */
export function splitHostPort(text: string): { host: string; port?: string } | undefined {
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return undefined;
    const host = text.slice(1, close);
    const after = text.slice(close + 1);
    if (after === '') return { host };
    return after.startsWith(':') ? { host, port: after.slice(1) } : undefined;
  }
  const colon = text.indexOf(':');
  if (colon < 0) return { host: text };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

/** `%41` to `A`, `+` left alone. undefined for a broken escape. */
function decodePercent(text: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function withPort(host: string, port: string | undefined, user: string | undefined): Destination | undefined {
  if (host === '') return undefined;
  const number = port === undefined ? undefined : parsePort(port);
  if (port !== undefined && number === undefined) return undefined;
  return { ...(user === undefined ? {} : { user }), host, ...(number === undefined ? {} : { port: number }) };
}

/** `ssh://...`; undefined when the URI is broken or has a path. */
function parseUri(text: string): Destination | undefined {
  const rest = text.slice('ssh://'.length);
  const slash = rest.indexOf('/');
  if (slash >= 0 && slash !== rest.length - 1) return undefined;
  const authority = slash >= 0 ? rest.slice(0, slash) : rest;
  const at = authority.lastIndexOf('@');
  // What follows `;` in the user part are connection parameters (draft-ietf-secsh-scp-sftp-ssh-uri); none is defined here.
  const user = at < 0 ? undefined : decodePercent(authority.slice(0, at).split(';', 1)[0]!);
  if (at >= 0 && (user === undefined || user === '')) return undefined;
  const address = splitHostPort(authority.slice(at + 1));
  return address === undefined ? undefined : withPort(address.host, address.port, user);
}

export const isUri = (text: string): boolean => /^ssh:\/\//i.test(text);

/** The destination word of a command line. A colon there is part of the name: only URIs carry a port. */
export function parseDestination(text: string): Destination {
  if (isUri(text)) {
    const uri = parseUri(text);
    if (uri === undefined) throw new SshError('usage', `bad destination '${text}'`);
    return uri;
  }
  const at = text.lastIndexOf('@');
  if (at === 0 || at === text.length - 1 || text === '') throw new SshError('usage', `bad destination '${text}'`);
  return at < 0 ? { host: text } : { user: text.slice(0, at), host: text.slice(at + 1) };
}

/** One hop of ProxyJump: `[user@]host[:port]` or a URI. */
export function parseHop(text: string): Destination | undefined {
  if (isUri(text)) return parseUri(text);
  const at = text.lastIndexOf('@');
  if (at === 0) return undefined;
  const address = splitHostPort(text.slice(at + 1));
  return address === undefined
    ? undefined
    : withPort(address.host, address.port, at < 0 ? undefined : text.slice(0, at));
}

/** The comma list of ProxyJump, nearest hop first; undefined when a hop does not parse. */
export function parseHops(text: string): Destination[] | undefined {
  const hops = text.split(',').map((hop) => parseHop(hop.trim()));
  return hops.every((hop) => hop !== undefined) ? hops : undefined;
}

const hostMeta = /[\s'`"$\\;&<>|(){}\x00-\x1f\x7f]/;
const userMeta = /['`";&<>|(){}\x00-\x1f\x7f]/;

/** Names end up in commands (ProxyCommand, Match exec): what a shell would act on is refused, as ssh(1) does. */
export const validHostName = (host: string): boolean => host !== '' && !host.startsWith('-') && !hostMeta.test(host);

export const validUserName = (user: string): boolean =>
  !user.startsWith('-') && !userMeta.test(user) && !/\s-/.test(user) && !user.endsWith('\\');
