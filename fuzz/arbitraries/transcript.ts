/**
 * A whole conversation recorded with repeatable random numbers: a session of the same seed takes the other side's bytes
 * as they were, encrypted ones included, so that a recording can be spoiled at any place and played again.
 */

import { createNobleCrypto } from '../../protocol/crypto/noble.ts';
import type { Role } from '../../protocol/negotiate.ts';
import { Session, type SessionEvent, type SessionOptions } from '../../protocol/session.ts';
import { hostKey } from './raw-peer.ts';
import { join, pattern } from './suites.ts';

/** Random bytes that are the same in every run, and in no two calls of one. */
function repeatable(seed: number): (length: number) => Uint8Array {
  let call = 0;
  return (length) => pattern(length, seed + 7919 * call++);
}

const algorithms = { kex: ['curve25519-sha256'], hostKeys: ['ssh-ed25519'] };

export function repeatableSession(role: Role, options: Partial<SessionOptions> = {}): Session {
  const crypto = createNobleCrypto({ random: repeatable(role === 'client' ? 1 : 2) });
  const hostKeys = role === 'server' ? { hostKeys: [hostKey] } : {};
  return new Session({ role, crypto, now: 0, algorithms, ...hostKeys, ...options });
}

/** What either side does with its events: the same in a recording and in its replay. */
export function react(session: Session, event: SessionEvent): void {
  switch (event.type) {
    case 'host-key':
      return session.answerHostKey(true);
    case 'ready':
      if (session.role === 'client' && !event.rekey) session.auth.none('someone');
      return;
    case 'auth-request':
      return session.serverAuth.accept();
    case 'auth-success':
      session.mux.open('session', new Uint8Array(0)).write(pattern(500));
      return session.globalRequest('hello', true, new Uint8Array(3));
    case 'channel-open': {
      const channel = session.mux.accept(event.open);
      channel.write(pattern(700));
      channel.eof();
      return;
    }
    case 'global-request':
      if (event.wantReply) session.mux.answerGlobal(event.slot, true);
      return;
    case 'channel':
      if (event.signal.what === 'readable') while (event.channel.read() ?? event.channel.readExtended());
      else if (event.signal.what === 'request' && event.signal.wantReply) event.channel.reply(true);
      else if (event.signal.what === 'eof') event.channel.close();
  }
}

/** Drains events and output; gives back both. */
export function turn(session: Session, events: SessionEvent[]): Uint8Array {
  const output: Uint8Array[] = [];
  for (;;) {
    const event = session.poll();
    if (event !== undefined) {
      events.push(event);
      react(session, event);
      continue;
    }
    const bytes = session.takeOutput();
    if (bytes === undefined) return join(output);
    output.push(bytes.slice());
  }
}

/** The bytes each side sent, in the pieces in which they left. */
export function record(): Record<Role, Uint8Array[]> {
  const sent: Record<Role, Uint8Array[]> = { client: [], server: [] };
  const client = repeatableSession('client');
  const server = repeatableSession('server');
  for (let moved = true; moved; ) {
    moved = false;
    for (const [from, to] of [[client, server] as const, [server, client] as const]) {
      const bytes = turn(from, []);
      if (bytes.length === 0) continue;
      moved = true;
      sent[from.role].push(bytes);
      to.receive(bytes);
    }
  }
  return sent;
}
