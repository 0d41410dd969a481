// Messages at the wrong time or in the wrong direction (RFC 4253 sections 7 and 10, RFC 4250 section 4.1.2).
import { describe, expect, it } from 'vitest';
import { RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import { KexEcdhInit, KexEcdhReply } from '../../../protocol/messages/kex.ts';
import { ExtInfo, NewKeys, ServiceAccept, ServiceRequest } from '../../../protocol/messages/transport.ts';
import { UserauthFailure, UserauthSuccess } from '../../../protocol/messages/userauth.ts';
import { Writer } from '../../../protocol/wire/writer.ts';

const roles = ['client', 'server'] as const;
const newKeys = NewKeys.encode({});
const clientHalf = KexEcdhInit.encode({ clientPublic: new Uint8Array(32).fill(9) });
const serverHalf = KexEcdhReply.encode({
  hostKey: new Uint8Array(4),
  serverPublic: new Uint8Array(32).fill(9),
  signature: new Uint8Array(4),
});
const reply = (peer: RawPeer): void => {
  if (peer.plays === 'client') peer.clientExchange();
  else peer.send(peer.serverReply());
};
const refused = (peer: RawPeer, code = 'protocol'): void => {
  expect(peer.closed().error).toMatchObject({ code, by: 'peer' });
};

describe.each(roles)('a %s that sends out of phase', (plays) => {
  it('KEXINIT twice', () => {
    const peer = new RawPeer({ plays }).hello().init();
    refused(peer.send(peer.kexInit()));
  });
  it('KEXINIT after its half of the exchange', () => {
    const peer = new RawPeer({ plays }).hello().init();
    reply(peer);
    refused(peer.send(peer.kexInit()));
  });
  it('NEWKEYS before KEXINIT, after it, and once more', () => {
    refused(new RawPeer({ plays }).hello().send(newKeys));
    refused(new RawPeer({ plays }).hello().init().send(newKeys));
    refused(new RawPeer({ plays }).exchange().send(newKeys));
    refused(new RawPeer({ plays }).login().send(newKeys));
  });
  it('NEWKEYS with a body', () => {
    const peer = new RawPeer({ plays }).hello().init();
    reply(peer);
    refused(peer.send(Uint8Array.of(21, 0)), 'malformed');
  });
  it('method messages before KEXINIT, after NEWKEYS and when logged in', () => {
    for (const half of [clientHalf, serverHalf]) {
      refused(new RawPeer({ plays }).hello().send(half));
      refused(new RawPeer({ plays }).exchange().send(half));
      refused(new RawPeer({ plays }).login().send(half));
    }
  });
  it('the half of the other role', () => {
    const wrong = plays === 'client' ? serverHalf : clientHalf;
    refused(new RawPeer({ plays }).hello().init().send(wrong), 'malformed');
  });
  it('its half twice', () => {
    const peer = new RawPeer({ plays }).hello().init();
    reply(peer);
    refused(peer.send(plays === 'client' ? clientHalf : serverHalf));
  });
  it('channel messages before log-in', () => {
    for (let number = 80; number <= 100; number++) {
      refused(new RawPeer({ plays }).exchange().send(Uint8Array.of(number, 0, 0, 0, 0)));
    }
  });
  it('channel messages in the middle of a rekey before log-in', () => {
    for (let number = 80; number <= 100; number++) {
      const peer = new RawPeer({ plays }).exchange();
      if (plays === 'client') peer.skipExtInfo();
      refused(peer.init().send(Uint8Array.of(number, 0, 0, 0, 0)));
    }
  });
  it('messages of the other direction', () => {
    const ofServer = [6, 51, 52, 53];
    for (const number of plays === 'client' ? ofServer : [5, 50]) {
      refused(new RawPeer({ plays }).exchange().send(Uint8Array.of(number, 0, 0, 0, 0)));
      refused(new RawPeer({ plays }).login().send(Uint8Array.of(number, 0, 0, 0, 0)));
    }
  });
  it('message 0', () => {
    refused(new RawPeer({ plays }).login().send(Uint8Array.of(0)));
  });
  it('numbers nobody knows are answered with UNIMPLEMENTED and their sequence number', () => {
    for (const number of [8, 19, 22, 29, 101, 127, 128, 191, 194, 255]) {
      const peer = new RawPeer({ plays }).login();
      const { sequence } = peer.outbound;
      peer.send(Uint8Array.of(number, 1, 2));
      expect([...peer.expect(3)]).toEqual([3, ...new Writer().u32(sequence).finish()]);
      expect(peer.session.closed).toBe(false);
    }
  });
});

describe('a server that sends out of phase', () => {
  const server = (): RawPeer => new RawPeer({ plays: 'server' }).exchange();
  it('authentication after success', () => {
    for (const payload of [
      UserauthSuccess.encode({}),
      UserauthFailure.encode({ methods: [], partialSuccess: false }),
      Uint8Array.of(53, 0, 0, 0, 0, 0, 0, 0, 0),
      Uint8Array.of(60, 0, 0, 0, 0),
      ServiceAccept.encode({ service: 'ssh-userauth' }),
    ]) {
      refused(new RawPeer({ plays: 'server' }).login().send(payload));
    }
  });
  it('success without an attempt', () => refused(server().send(UserauthSuccess.encode({}))));
  it('SERVICE_ACCEPT unasked, twice, or for another service', () => {
    const accept = ServiceAccept.encode({ service: 'ssh-userauth' });
    refused(server().send(accept));
    const twice = server();
    twice.session.auth.requestService();
    refused(twice.pull().send(accept, accept));
    const other = server();
    other.session.auth.requestService();
    refused(other.pull().send(ServiceAccept.encode({ service: 'ssh-connection' })));
  });
  it('EXT_INFO in a rekey, broken, or of too many entries', () => {
    const ext = (count: number, pairs: Uint8Array = new Uint8Array(0)): Uint8Array => ExtInfo.encode({ count, pairs });
    refused(new RawPeer({ plays: 'server' }).login().init().send(ext(0)));
    refused(server().send(ext(1)), 'malformed');
    refused(server().send(ext(0, new Uint8Array(1))), 'malformed');
    refused(server().send(ext(257)), 'malformed');
    const ok = new Writer().text('server-sig-algs').nameList(['ssh-ed25519']).text('unknown').text('x').finish();
    const peer = server().send(ext(2, ok));
    expect(peer.session.auth.serverSignatureAlgorithms).toEqual(['ssh-ed25519']);
  });
});

describe('a client that sends out of phase', () => {
  const client = (): RawPeer => new RawPeer({ plays: 'client' }).exchange();
  it('a request for an unknown service', () => {
    for (const service of ['ssh-connection', '', 'x'.repeat(5000)]) {
      const peer = client().send(ServiceRequest.encode({ service }));
      expect(peer.closed().error).toMatchObject({ code: 'protocol', disconnect: 7 });
    }
  });
  it('a log-in without the service', () => {
    const peer = client();
    refused(peer.send(peer.noneRequest()));
  });
  it('a service request after log-in', () => {
    refused(new RawPeer({ plays: 'client' }).login().send(ServiceRequest.encode({ service: 'ssh-userauth' })));
  });
  it('responses nobody asked for', () => {
    const peer = client().send(ServiceRequest.encode({ service: 'ssh-userauth' }));
    refused(peer.send(Uint8Array.of(61, 0, 0, 0, 0)));
  });
  it('a request after success, which RFC 4252 section 5.1 has ignored', () => {
    const peer = new RawPeer({ plays: 'client' }).login();
    peer.send(peer.noneRequest());
    expect(peer.session.closed).toBe(false);
    expect(peer.numbers()).toEqual([]);
  });
});
