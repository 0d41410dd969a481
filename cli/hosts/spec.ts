/**
 * `[user@]host[:port]` in all its spellings: `[v6]:port`, bare IPv6 where nothing else can be meant, `ssh://` URIs.
 * Ranges are expand.ts' business: what comes here is one host.
 */

import { isIPv6 } from 'node:net';

export interface HostSpec {
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/** A word that is no destination; the caller knows which error that makes. */
export interface BadSpec {
  readonly bad: string;
}

const bad = (message: string): BadSpec => ({ bad: message });

const withoutZone = (text: string): string => text.replace(/%[^%]+$/, '');

export const isAddress6 = (text: string): boolean => isIPv6(withoutZone(text));

const parsePortNumber = (text: string): number | undefined => {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
};

/** The part after `user@`. */
const parseHostPort = (text: string): { host: string; port?: number } | BadSpec => {
  let host = text;
  let portText: string | undefined;
  const bracketed = text.startsWith('[') ? /^\[([^[\]]*)\](?::(.*))?$/s.exec(text) : null;
  if (bracketed !== null) {
    host = bracketed[1] as string;
    portText = bracketed[2];
    if (host.includes(':') && !isAddress6(host)) return bad(`'${host}' is not an IPv6 address`);
  } else {
    const colon = text.indexOf(':');
    if (colon >= 0 && text.indexOf(':', colon + 1) >= 0) {
      if (!isAddress6(text)) return bad(`'${text}' has too many colons: write [address]:port`);
    } else if (colon >= 0) {
      host = text.slice(0, colon);
      portText = text.slice(colon + 1);
    }
  }
  if (portText === undefined) return { host };
  const port = parsePortNumber(portText);
  return port === undefined ? bad(`'${portText}' is not a port`) : { host, port };
};

/** What is wrong with a name, apart from any user and port. */
export const hostProblem = (host: string): string | undefined => {
  if (host === '') return 'the host name is empty';
  if (host.startsWith('-')) return `a host name cannot start with a hyphen: '${host}'`;
  // what a shell would take apart has no place in a name that %h may bring into a ProxyCommand
  if (/[\s\x00-\x1f\x7f[\]'"`$\\;&<>|(){}]/.test(host)) return `'${host}' is not a host name`;
  return undefined;
};

const parseUri = (text: string): HostSpec | BadSpec => {
  const authority = text.slice('ssh://'.length).replace(/\/$/, '');
  if (authority.includes('/')) return bad(`'${text}': a path means nothing here`);
  const at = authority.indexOf('@');
  const hostPort = parseHostPort(authority.slice(at + 1));
  if ('bad' in hostPort) return hostPort;
  if (hostPort.host === '' || hostPort.host.includes('@')) return bad(`'${text}' names no host`);
  if (at < 0) return hostPort;
  try {
    // what follows a semicolon are the parameters of the connection, which nobody uses
    const user = decodeURIComponent(authority.slice(0, at).split(';')[0] as string);
    return user === '' ? bad(`'${text}' has an empty user`) : { ...hostPort, user };
  } catch {
    return bad(`'${text}' is not well encoded`);
  }
};

const isUri = (text: string): boolean => /^ssh:\/\//i.test(text);

/** A host in a list or a file: everything is checked. */
export const parseHostSpec = (text: string): HostSpec | BadSpec => {
  if (isUri(text)) return parseUri(text);
  const at = text.lastIndexOf('@');
  if (at === 0) return bad(`'${text}': the user is empty`);
  const hostPort = parseHostPort(text.slice(at + 1));
  if ('bad' in hostPort) return hostPort;
  const problem = hostProblem(hostPort.host);
  if (problem !== undefined) return bad(problem);
  return at < 0 ? hostPort : { ...hostPort, user: text.slice(0, at) };
};

/**
 * The destination of the ssh grammar. ssh(1) takes everything after the last `@` for the name, colons and brackets
 * included; unless only ssh is to be spoken (`strict`), `host:port` and `[v6]:port` are understood, for such names
 * resolve nowhere.
 */
export const parseDestination = (text: string, strict: boolean): HostSpec | BadSpec => {
  if (isUri(text)) return parseUri(text);
  const at = text.lastIndexOf('@');
  if (at === 0) return bad(`'${text}': the user is empty`);
  const rest = text.slice(at + 1);
  const hostPort = strict ? { host: rest } : parseHostPort(rest);
  const named = 'bad' in hostPort ? { host: rest } : hostPort;
  return at < 0 ? named : { ...named, user: text.slice(0, at) };
};

/** The shortest text that reads back as the same spec. */
export const formatHostSpec = ({ user, host, port }: HostSpec): string => {
  const name = host.includes(':') && port !== undefined ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${name}${port === undefined ? '' : `:${port}`}`;
};
