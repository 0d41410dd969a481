import { describe, expect, it } from 'vitest';
import { asSshError, classify, isDrop, mayPass } from '../../../client/fleet/classify.ts';
import type { ErrorCode, HostClass, Phase } from '../../../client/index.ts';
import { SshError } from '../../../client/index.ts';

const error = (code: ErrorCode, detail: Record<string, unknown> = {}, cause?: unknown): SshError =>
  new SshError(code, code, { detail, cause });

describe('classify', () => {
  it('gives each outcome its class', () => {
    const table: [SshError, Phase, HostClass][] = [
      [error('dns'), 'connect', 'dns'],
      [error('refused'), 'connect', 'refused'],
      [error('unreachable'), 'connect', 'refused'],
      [error('proxy'), 'connect', 'refused'],
      [error('proxy', {}, error('auth')), 'connect', 'auth'],
      [error('proxy', {}, error('timeout')), 'connect', 'connect-timeout'],
      [error('timeout', { what: 'connect' }), 'connect', 'connect-timeout'],
      [error('timeout', { what: 'login' }), 'auth', 'connect-timeout'],
      [error('timeout', { what: 'command' }), 'command', 'command-timeout'],
      [error('timeout', { what: 'keepalive' }), 'command', 'lost'],
      [error('host-key'), 'handshake', 'host-key'],
      [error('host-key-signature'), 'handshake', 'host-key'],
      [error('auth'), 'auth', 'auth'],
      [error('key-passphrase'), 'auth', 'auth'],
      [error('agent'), 'auth', 'auth'],
      [error('channel-open'), 'command', 'channel'],
      [error('channel-request'), 'command', 'channel'],
      [error('sftp'), 'command', 'channel'],
      [error('lost'), 'command', 'lost'],
      [error('mac'), 'command', 'lost'],
      [error('no-common-algorithm'), 'handshake', 'lost'],
      [error('disconnected', { reason: 11, text: 'bye' }), 'command', 'lost'],
      [error('disconnected', { reason: 14 }), 'auth', 'auth'],
      [error('disconnected', { reason: 2, text: 'Too many authentication failures' }), 'auth', 'auth'],
      [error('aborted'), 'command', 'cancelled'],
    ];
    for (const [failure, phase, want] of table)
      expect([failure.code, classify(failure, phase)]).toEqual([failure.code, want]);
  });

  it('knows what another try could mend', () => {
    for (const code of ['dns', 'refused', 'unreachable', 'timeout', 'lost', 'disconnected', 'proxy'] as const) {
      expect([code, mayPass(error(code), 'connect'), mayPass(error(code), 'command')]).toEqual([code, true, false]);
    }
    for (const code of ['auth', 'host-key', 'version', 'no-common-algorithm', 'aborted', 'usage'] as const) {
      expect([code, mayPass(error(code), 'connect')]).toEqual([code, false]);
    }
    // A gateway that refuses our key refuses it the next time as well.
    expect(mayPass(error('proxy', {}, error('auth')), 'connect')).toBe(false);
  });

  it('knows a server that sheds load from one that broke off', () => {
    expect(isDrop(error('lost'), 'connect')).toBe(true);
    expect(isDrop(error('lost', { before: 'identification' }), 'handshake')).toBe(true);
    expect(isDrop(error('lost'), 'handshake')).toBe(false);
    expect(isDrop(error('refused'), 'connect')).toBe(false);
  });

  it('takes whatever a task throws', () => {
    expect(asSshError(new TypeError('bug')).message).toBe('bug');
    expect(asSshError('text').message).toBe('text');
    const own = error('auth');
    expect(asSshError(own)).toBe(own);
  });
});
