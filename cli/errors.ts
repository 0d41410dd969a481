/**
 * What is said to people about an SshError: what happened, to which host, and what to do. ssh(1)'s words where it has
 * them, since people and scripts know those. The only place where codes become prose.
 */

import type { SshError } from '../client/index.ts';

export interface ErrorPlace {
  /** The name in front of messages that ssh prefixes with its own. */
  readonly program: string;
  readonly user: string;
  /** As given. */
  readonly host: string;
  /** As dialled. */
  readonly hostName: string;
  readonly port: number;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): string => (Array.isArray(value) ? value.join(',') : '');

const kindNames: Readonly<Record<string, string>> = {
  kex: 'key exchange method',
  'host key': 'host key type',
  cipher: 'cipher',
  mac: 'MAC',
  compression: 'compression',
};

/** RFC 4254 section 5.1, in OpenSSH's words. */
const openFailures: Readonly<Record<number, string>> = {
  1: 'administratively prohibited',
  2: 'connect failed',
  3: 'unknown channel type',
  4: 'resource shortage',
};

const phaseTexts: Readonly<Record<string, string>> = {
  identification: 'kex_exchange_identification: Connection closed by remote host',
  kex: 'the server closed the connection during the key exchange',
  auth: 'the server closed the connection during authentication',
  connected: 'the server closed the connection',
};

/** One line, without a final full stop where ssh has none. */
export function describeError(error: SshError, place: ErrorPlace): string {
  const { detail } = error;
  const at = `${place.hostName} port ${place.port}`;
  switch (error.code) {
    case 'dns':
      return `${place.program}: Could not resolve hostname ${place.hostName.toLowerCase()}: ${error.message}`;
    case 'refused':
    case 'unreachable':
      return `${place.program}: connect to host ${at}: ${error.message}`;
    case 'timeout':
      return describeTimeout(error, place);
    case 'host-key':
      return detail.reason === undefined
        ? 'Host key verification failed.'
        : `${error.message}\nHost key verification failed.`;
    case 'host-key-signature':
      return `${at}: the host key signature is wrong: somebody may be intercepting the connection`;
    case 'auth':
      return describeAuth(error, place);
    case 'no-common-algorithm':
      return `Unable to negotiate with ${at}: no matching ${kindNames[text(detail.kind)] ?? text(detail.kind)} found. Their offer: ${list(detail.theirs)}`;
    case 'disconnected':
      return `Received disconnect from ${at}:${String(detail.reason)}: ${text(detail.text)}`;
    case 'lost':
      return describeLost(error, place);
    case 'channel-open':
      return detail.reason === 'no-exit-status'
        ? `${place.host}: the command ended without an exit status`
        : `${place.host}: the server refused the session: ${openFailures[Number(detail.reason)] ?? 'refused'}${text(detail.text) && `: ${text(detail.text)}`}`;
    case 'channel-request':
      return describeRequest(text(detail.request), place);
    case 'mac':
    case 'packet-length':
    case 'padding':
      return describeCorrupt(error, at);
    case 'compression':
    case 'malformed':
    case 'protocol':
    case 'strict-kex':
    case 'window':
    case 'kex':
    case 'limit':
      return `ssh_dispatch_run_fatal: Connection to ${at}: ${error.message}`;
    case 'version':
      return `${at}: ${error.message}`;
    case 'config':
      return error.message;
    case 'proxy':
      return describeProxy(error, place);
    default:
      return `${place.host}: ${error.message}`;
  }
}

function describeTimeout({ detail, message }: SshError, place: ErrorPlace): string {
  if (detail.what === 'keepalive') return `Timeout, server ${place.host} not responding.`;
  if (detail.what === 'banner')
    return `Connection timed out during banner exchange\nConnection to ${place.hostName} port ${place.port} timed out`;
  if (detail.what === 'kex')
    return `Connection to ${place.hostName} port ${place.port} timed out during the key exchange`;
  return `${place.program}: connect to host ${place.hostName} port ${place.port}: ${message}`;
}

/** ssh(1) says first what it saw and then what becomes of it; scripts look for the first at the start of a line. */
function describeCorrupt({ code, message }: SshError, at: string): string {
  const says = (verdict: string): string => `ssh_dispatch_run_fatal: Connection to ${at}: ${verdict}`;
  const wrong = 'message authentication code incorrect';
  if (message === wrong) return says(wrong);
  return `${message}.\n${says(code === 'mac' ? wrong : 'Connection corrupted')}`;
}

function describeAuth({ detail }: SshError, place: ErrorPlace): string {
  const methods = list(detail.methods);
  if (detail.reason === 'too-many-failures') {
    return `Received disconnect from ${place.hostName} port ${place.port}:2: ${text(detail.text)}\nTried: ${list(detail.tried)}`;
  }
  return `${place.user}@${place.host}: Permission denied${methods && ` (${methods})`}.`;
}

function describeLost({ detail, cause }: SshError, place: ErrorPlace): string {
  if (detail.phase === 'identification')
    return `${phaseTexts.identification}\nConnection closed by ${place.hostName} port ${place.port}`;
  if (detail.phase === 'control') return `Shared connection to ${place.host} closed.`;
  if (detail.phase === 'connected') return `Connection to ${place.host} closed by remote host.`;
  const how = (cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET' ? 'reset' : 'closed';
  return `Connection ${how} by ${place.hostName} port ${place.port}`;
}

function describeRequest(request: string, place: ErrorPlace): string {
  if (request === 'exec') return 'exec request failed on channel 0';
  if (request === 'shell') return 'shell request failed on channel 0';
  if (request === 'subsystem') return 'subsystem request failed on channel 0';
  return `${place.host}: the server refused the ${request} request`;
}

function describeProxy(error: SshError, place: ErrorPlace): string {
  const cause = error.cause;
  const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : '';
  return `${place.host}: ${error.message}${why}`;
}
