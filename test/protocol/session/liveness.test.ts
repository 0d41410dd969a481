// Keepalive, PING, UNIMPLEMENTED, the end of a connection, and that our own bugs stay visible.
import { describe, expect, it } from 'vitest';
import { RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { limits } from '../../../protocol/limits.ts';
import { GlobalRequest, RequestFailure, RequestSuccess } from '../../../protocol/messages/connection.ts';
import { Debug, DisconnectMessage, Ignore, Ping, Pong } from '../../../protocol/messages/transport.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';
import { Pair } from './pair.ts';

const nothing = new Uint8Array(0);
const failure = RequestFailure.encode({});
const ignore = Ignore.encode({ data: nothing });

describe('keepalive', () => {
  const keepalive = { interval: 1000, count: 3 };
  const start = (): RawPeer => new RawPeer({ plays: 'server', keepalive }).login();
  const at = (peer: RawPeer, now: number): RawPeer => {
    peer.session.tick(now);
    return peer.pull();
  };

  it('asks after each interval of silence and gives up after `count` unanswered', () => {
    const peer = start();
    expect(peer.session.deadline()).toBe(1000);
    expect(at(peer, 999).numbers()).toEqual([]);
    for (let n = 1; n <= 3; n++) {
      const request = GlobalRequest.decode(at(peer, n * 1000).expect(80));
      expect(request).toMatchObject({ request: 'keepalive@openssh.com', wantReply: true });
      expect(at(peer, n * 1000 + 999).numbers()).toEqual([]);
      expect(peer.session.deadline()).toBe((n + 1) * 1000);
    }
    at(peer, 4000);
    expect(peer.closed().error).toMatchObject({ code: 'timeout', detail: { what: 'keepalive', after: 4000 } });
    expect(DisconnectMessage.decode(peer.expect(1)).reason).toBe(10);
    expect(peer.session.deadline()).toBeUndefined();
  });

  it('any input is a sign of life, were it half a packet', () => {
    const peer = start();
    for (let now = 1000; now < 50_000; now += 1000) {
      at(peer, now).send(ignore);
      expect(peer.session.closed).toBe(false);
    }
    for (const byte of peer.frame(Ignore.encode({ data: new Uint8Array(60) }))) {
      peer.session.tick(peer.session.deadline()!);
      peer.bytes(Uint8Array.of(byte));
    }
    expect(peer.session.closed).toBe(false);
  });

  it('swallows the replies to its own requests only', () => {
    const peer = start();
    peer.session.globalRequest('first', true, nothing);
    at(peer, 1000);
    peer.session.mux.globalRequest('second', true, nothing);
    at(peer, 2000);
    peer.pull();
    peer.send(RequestSuccess.encode({ body: Uint8Array.of(1) }), failure);
    peer.send(RequestSuccess.encode({ body: Uint8Array.of(2) }), failure);
    const replies = peer.events.flatMap((event) => (event.type === 'global-reply' ? [event] : []));
    expect(replies.map(({ request, ok, body }) => [request, ok, body[0]])).toEqual([
      ['first', true, 1],
      ['second', true, 2],
    ]);
    expect(peer.send(failure).closed().error).toMatchObject({ code: 'protocol' });
  });

  it('does not run before log-in, nor when it is off', () => {
    expect(new RawPeer({ plays: 'server', keepalive }).exchange().session.deadline()).toBeUndefined();
    const off = new RawPeer({ plays: 'server' }).login();
    expect(at(off, 1e9).numbers()).toEqual([]);
  });

  it('gives up on a peer that hangs in a rekey', () => {
    const peer = start();
    peer.session.rekey();
    for (let now = 1000; now <= 4000; now += 1000) at(peer, now);
    expect(peer.closed().error).toMatchObject({ code: 'timeout' });
  });
});

describe('PING and the rest of the transport', () => {
  it('PING is echoed, an oversized one refused, PONG and DEBUG pass', () => {
    const peer = new RawPeer({ plays: 'client', notes: true }).login();
    peer.send(Ping.encode({ data: Uint8Array.of(1, 2, 3) }));
    expect(Pong.decode(peer.expect(193)).data).toEqual(Uint8Array.of(1, 2, 3));
    const language = new Uint8Array(4);
    peer.send(Pong.encode({ data: nothing }), Debug.encode({ alwaysDisplay: false, message: 'hm', language }));
    expect(peer.events.some((event) => event.type === 'note' && event.text === 'Remote: hm')).toBe(true);
    peer.send(Ping.encode({ data: new Uint8Array(limits.pingData + 1) }));
    expect(peer.closed().error).toMatchObject({ code: 'limit', detail: { limit: 'pingData' } });
  });

  it('a flood of events that nobody takes ends the session without an exception', () => {
    const peer = new RawPeer({ plays: 'client' }).login();
    const ask = GlobalRequest.encode({ request: 'x', wantReply: false, body: nothing });
    const many = peer.frame(...Array.from({ length: limits.pendingEvents + 1 }, () => ask));
    peer.session.mux.open('session', nothing);
    peer.session.receive(many);
    expect(peer.session.failure).toMatchObject({ code: 'limit', by: 'peer' });
    peer.onEvent = () => {};
    expect(peer.closed().error).toBe(peer.session.failure);
  });

  it('a flood of requests that want replies is refused', () => {
    const peer = new RawPeer({ plays: 'client' }).login();
    const ask = GlobalRequest.encode({ request: 'x', wantReply: true, body: nothing });
    for (let i = 0; i < limits.pendingRequests; i++) peer.session.receive(peer.frame(ask));
    expect(peer.pull().session.closed).toBe(false);
    expect(peer.send(ask).closed().error).toMatchObject({ code: 'limit', by: 'peer' });
  });
});

describe('the end', () => {
  it('we disconnect: the peer learns why, both are closed, nothing follows', () => {
    for (const side of ['client', 'server'] as const) {
      const pair = new Pair({ clientCrypto: nodeCrypto() }).login();
      const { client } = pair.openChannel();
      pair[side].disconnect(11, 'enough');
      pair.run();
      expect(pair.closed('client')?.error).toBeUndefined();
      expect(pair.closed('server')?.error).toBeUndefined();
      for (const events of [pair.clientEvents, pair.serverEvents]) expect(events.at(-1)?.type).toBe('closed');
      expect(client.state).toBe('closed');
      pair.client.receive(new Uint8Array(100));
      pair.client.tick(1e9);
      pair.client.endOfInput();
      pair.client.disconnect();
      expect(pair.client.poll()).toBeUndefined();
      expect(pair.client.takeOutput()).toBeUndefined();
    }
  });

  it('the peer disconnects: its reason and text come out', () => {
    const language = new Uint8Array(4);
    for (const logIn of [true, false]) {
      const peer = new RawPeer({ plays: 'server' });
      if (logIn) peer.login();
      else peer.exchange();
      peer.numbers();
      peer.send(DisconnectMessage.encode({ reason: 2, description: 'too many failures', language }), ignore);
      expect(peer.closed().error).toMatchObject({
        code: 'disconnected',
        by: 'peer',
        detail: { reason: 2, text: 'too many failures', phase: logIn ? 'connected' : 'auth' },
      });
      expect(peer.numbers()).toEqual([]);
    }
    const early = new RawPeer({ plays: 'server' }).exchange();
    early.send(DisconnectMessage.encode({ reason: 11, description: '', language }));
    expect(early.closed().error).toMatchObject({ code: 'disconnected' });
  });

  it('the stream ends: where it ended is told', () => {
    const phases = { identification: 0, kex: 1, auth: 2, connected: 3 };
    for (const [phase, step] of Object.entries(phases)) {
      const peer = new RawPeer({ plays: 'client' });
      if (step === 1) peer.hello();
      if (step === 2) peer.exchange();
      if (step === 3) peer.login();
      peer.session.endOfInput(new Error('reset'));
      const { error } = peer.closed();
      expect(error).toMatchObject({ code: 'lost', by: 'peer', detail: { phase } });
      expect((error!.cause as Error).message).toBe('reset');
    }
  });
});

describe('a bug of ours', () => {
  const broken = (where: 'hash' | 'x25519'): void => {
    const bug = (): never => {
      throw new TypeError('a bug');
    };
    const crypto = { ...nobleCrypto, [where]: bug };
    const pair = new Pair({ serverCrypto: crypto, algorithms: { kex: ['curve25519-sha256'] } });
    pair.run();
  };
  it('surfaces: it is not taken for the fault of a peer', () => {
    expect(() => broken('hash')).toThrow(new TypeError('a bug'));
    expect(() => broken('x25519')).toThrow(new TypeError('a bug'));
  });
  it('surfaces from every input and output of a running session', () => {
    let on = false;
    const chacha20: typeof nobleCrypto.chacha20 = (key) => {
      const { stream } = nobleCrypto.chacha20(key);
      return {
        stream: (nonce) => {
          if (on) throw new TypeError('a bug');
          return stream(nonce);
        },
      };
    };
    const peer = new RawPeer({ plays: 'client', crypto: { ...nobleCrypto, chacha20 } }).login();
    const packet = peer.frame(ignore);
    peer.session.globalRequest('x', false, nothing);
    on = true;
    expect(() => peer.session.takeOutput()).toThrow(new TypeError('a bug'));
    expect(() => peer.session.receive(packet)).toThrow(new TypeError('a bug'));
    expect(() => peer.session.disconnect()).toThrow(new TypeError('a bug'));
  });
});
