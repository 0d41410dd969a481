/**
 * From an error to the class a host ends in, and whether another try could help.
 *
 * The error's code decides; the phase matters only where one code may mean two things (a timeout, a lost connection).
 */

import { Disconnect, type ErrorCode, SshError } from '../../protocol/index.ts';
import type { HostClass, HostResult, Phase } from './types.ts';

const CLASS_OF: Readonly<Partial<Record<ErrorCode, HostClass>>> = {
  dns: 'dns',
  refused: 'refused',
  unreachable: 'refused',
  proxy: 'refused',
  'host-key': 'host-key',
  'host-key-signature': 'host-key',
  auth: 'auth',
  'key-format': 'auth',
  'key-encrypted': 'auth',
  'key-passphrase': 'auth',
  'key-unsupported': 'auth',
  agent: 'auth',
  'channel-open': 'channel',
  'channel-request': 'channel',
  sftp: 'channel',
  config: 'channel',
  unsupported: 'channel',
  usage: 'channel',
  unexpected: 'unexpected',
  aborted: 'cancelled',
};

/** Codes after which the same connection may succeed a moment later. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'dns',
  'refused',
  'unreachable',
  'proxy',
  'timeout',
  'lost',
  'disconnected',
]);

const isAuthDisconnect = (error: SshError): boolean => {
  const { reason, text } = error.detail;
  return (
    reason === Disconnect.noMoreAuthMethodsAvailable ||
    reason === Disconnect.authCancelledByUser ||
    reason === Disconnect.illegalUserName ||
    // OpenSSH says "Too many authentication failures" with reason 2.
    (typeof text === 'string' && /authentication failures/i.test(text))
  );
};

/** The class for an error that ended a host in the given phase. */
export function classify(error: SshError, phase: Phase): HostClass {
  if (error.code === 'proxy' && error.cause instanceof SshError) return classify(error.cause, phase);
  if (error.code === 'timeout') {
    if (phase !== 'command') return 'connect-timeout';
    return error.detail.what === 'command' ? 'command-timeout' : 'lost';
  }
  if (error.code === 'disconnected' && isAuthDisconnect(error)) return 'auth';
  // Whatever else a peer may do wrong ends its connection.
  return CLASS_OF[error.code] ?? 'lost';
}

/** Could the same connection succeed a moment later? Never once the command was sent: it may have run. */
export function mayPass(error: SshError, phase: Phase): boolean {
  if (phase === 'command' || !PASSING.has(error.code)) return false;
  if (error.code === 'proxy' && error.cause instanceof SshError) return mayPass(error.cause, phase);
  return error.code !== 'disconnected' || !isAuthDisconnect(error);
}

/**
 * Did the server hang up before it identified itself? That is how sshd sheds load beyond MaxStartups, and it says
 * nothing about the host: it passes as soon as the others have logged in.
 */
export const isDrop = (error: SshError, phase: Phase): boolean =>
  error.code === 'lost' && (phase === 'connect' || phase === 'wait' || error.detail.before === 'identification');

/** A host that ended like this counts as failed; one that was never given its chance does not. */
export const isFailure = (result: HostResult): boolean =>
  result.class !== 'ok' && result.class !== 'cancelled' && result.class !== 'not-started';

/** Anything a task may throw, as the one error type. */
export const asSshError = (thrown: unknown): SshError =>
  thrown instanceof SshError
    ? thrown
    : new SshError('unsupported', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
