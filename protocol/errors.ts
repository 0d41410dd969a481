/**
 * The one error type of the stack.
 *
 * `code` is for programs, `by` says whose fault it is, `disconnect` is the reason number to send when the error ends a
 * connection (RFC 4253 section 11.1). Prose for people is made in `cli/`, from `code` and `detail`.
 */

export type ErrorCode =
  // what a peer may do wrong
  | 'malformed' // a message or file that does not parse
  | 'protocol' // a message that is not legal now
  | 'version' // no or unusable identification line
  | 'packet-length' // impossible packet length
  | 'padding' // impossible padding
  | 'mac' // integrity check failed
  | 'compression' // compressed payload is broken or too large
  | 'strict-kex' // strict key exchange violated
  | 'no-common-algorithm' // detail: { kind, ours, theirs }
  | 'kex' // the key exchange itself failed
  | 'host-key-signature' // the server does not hold the key it showed
  | 'window' // more data than the window allowed
  | 'limit' // a named bound was hit; detail: { limit }
  // outcomes
  | 'host-key' // the host key was not accepted
  | 'auth' // all methods exhausted; detail: { methods, tried }
  | 'channel-open' // the peer refused a channel; detail: { reason, text }
  | 'channel-request' // the peer refused a channel or global request; detail: { request }
  | 'disconnected' // the peer sent DISCONNECT; detail: { reason, text }
  | 'lost' // the byte stream ended without DISCONNECT
  | 'timeout' // detail: { what, after } (milliseconds)
  | 'aborted' // an AbortSignal fired
  | 'closed' // the object is closed already
  // connecting
  | 'dns' // the name does not resolve
  | 'refused' // connection refused
  | 'unreachable' // no route, network down, permission denied
  | 'proxy' // a ProxyCommand or jump failed
  // keys and agents
  | 'key-format' // not a key, or a broken one
  | 'key-encrypted' // a passphrase is needed
  | 'key-passphrase' // the passphrase is wrong
  | 'key-unsupported' // a key or format that is known but not supported
  | 'agent' // the agent failed or refused
  | 'unexpected' // a command ended well, but its output is not what was asked for
  | 'sftp' // an SFTP status; detail: { status, text }
  | 'scp' // what the other side's scp could not do; detail: { text }
  // local
  | 'file' // a local file could not be read or written; detail: { path, errno }
  | 'config' // a file of ours is wrong; detail: { file, line }
  | 'unsupported' // cannot be done here
  | 'usage'; // called wrongly

export interface SshErrorOptions {
  readonly by?: 'peer' | 'local';
  readonly disconnect?: number;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class SshError extends Error {
  override readonly name = 'SshError';
  readonly code: ErrorCode;
  readonly by: 'peer' | 'local';
  /** Reason number for SSH_MSG_DISCONNECT, when the error ends the connection. */
  readonly disconnect: number | undefined;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: SshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.by = options.by ?? 'local';
    this.disconnect = options.disconnect;
    this.detail = options.detail ?? {};
  }
}

/** Disconnection reason codes, RFC 4253 section 11.1. */
export const Disconnect = {
  hostNotAllowedToConnect: 1,
  protocolError: 2,
  keyExchangeFailed: 3,
  macError: 5,
  compressionError: 6,
  serviceNotAvailable: 7,
  protocolVersionNotSupported: 8,
  hostKeyNotVerifiable: 9,
  connectionLost: 10,
  byApplication: 11,
  tooManyConnections: 12,
  authCancelledByUser: 13,
  noMoreAuthMethodsAvailable: 14,
  illegalUserName: 15,
} as const;

/** The peer sent something that does not parse. */
export const malformed = (message: string): SshError =>
  new SshError('malformed', message, { by: 'peer', disconnect: Disconnect.protocolError });

/** The peer sent something that is not legal now. */
export const protocolError = (message: string): SshError =>
  new SshError('protocol', message, { by: 'peer', disconnect: Disconnect.protocolError });
