// Strict key exchange (OpenSSH PROTOCOL section 1.9) and its absence, against a peer that obeys nothing.
import { describe, expect, it } from 'vitest';
import { RawPeer, type RawPeerOptions } from '../../../fuzz/arbitraries/raw-peer.ts';
import { KexEcdhInit } from '../../../protocol/messages/kex.ts';
import { Debug, ExtInfo, Ignore, NewKeys, Ping, Unimplemented } from '../../../protocol/messages/transport.ts';

const ignore = Ignore.encode({ data: new Uint8Array(4) });
const debug = Debug.encode({ alwaysDisplay: true, message: 'hi', language: new Uint8Array(4) });
const unimplemented = Unimplemented.encode({ sequence: 0 });
const extInfo = ExtInfo.encode({ count: 0, pairs: new Uint8Array(0) });
const ping = Ping.encode({ data: new Uint8Array(1) });
const roles = ['client', 'server'] as const;
const harmless = [
  ['IGNORE', ignore],
  ['DEBUG', debug],
  ['UNIMPLEMENTED', unimplemented],
] as const;

const reply = (peer: RawPeer): void => {
  if (peer.plays === 'client') peer.clientExchange();
  else peer.send(peer.serverReply());
};

describe.each(roles)('a %s that injects in the first exchange', (plays) => {
  const start = (options: Partial<RawPeerOptions> = {}): RawPeer => new RawPeer({ plays, ...options }).hello();

  it.each(harmless)('%s before KEXINIT: refused when strict, tolerated when not', (_name, payload) => {
    const strict = start();
    strict.send(payload);
    expect(strict.session.closed).toBe(false);
    strict.send(strict.kexInit());
    expect(strict.closed().error).toMatchObject({ code: 'strict-kex', by: 'peer' });
    expect(start({ strict: false }).init({}, [payload]).finishExchange().session.closed).toBe(false);
  });

  it.each(harmless)('%s between KEXINIT and the method: refused when strict, tolerated when not', (_name, payload) => {
    const strict = start().init();
    strict.send(payload);
    expect(strict.closed().error).toMatchObject({ code: 'strict-kex', by: 'peer', disconnect: 2 });
    const lenient = start({ strict: false }).init();
    expect(lenient.send(payload).finishExchange().session.closed).toBe(false);
  });

  it.each(harmless)('%s before NEWKEYS: refused when strict, tolerated when not', (_name, payload) => {
    const strict = start().init();
    reply(strict);
    strict.send(payload);
    expect(strict.closed().error).toMatchObject({ code: 'strict-kex', by: 'peer' });
    const lenient = start({ strict: false }).init();
    reply(lenient);
    lenient.send(payload).bytes(lenient.newKeys());
    lenient.expect(NewKeys.number);
    expect(lenient.session.closed).toBe(false);
  });

  it.each([0, 7, 8, 19, 22, 29, 50, 60, 80, 90, 94, 127, 128, 192, 255])(
    'message %i is refused either way',
    (number) => {
      for (const strict of [true, false]) {
        const peer = start({ strict }).init();
        peer.send(Uint8Array.of(number, 0, 0, 0, 0));
        expect(peer.closed().error).toMatchObject({ code: strict ? 'strict-kex' : 'protocol', by: 'peer' });
      }
    },
  );

  it('EXT_INFO and PING may come after the first NEWKEYS, not before', () => {
    const peer = start().init();
    reply(peer);
    peer.bytes(peer.newKeys()).send(extInfo, ping);
    expect(peer.session.closed).toBe(false);
    const early = start({ strict: false }).init();
    expect(early.send(extInfo).closed().error).toMatchObject({ code: 'protocol' });
  });
});

describe.each(roles)('the sequence numbers of a %s', (plays) => {
  it('start again at NEWKEYS, at every one', () => {
    const peer = new RawPeer({ plays }).login();
    for (let i = 0; i < 3; i++) {
      peer.send(ignore, debug).exchange();
      peer.send(ping);
      expect(peer.numbers()).toContain(193);
      expect(peer.session.closed).toBe(false);
    }
  });

  it('go on where strict was not agreed', () => {
    const peer = new RawPeer({ plays, strict: false }).login();
    peer.send(ignore).exchange().exchange().send(ping);
    expect(peer.numbers()).toContain(193);
  });

  // Terrapin (CVE-2023-48795): a packet added in the clear makes room for one to be cut after NEWKEYS.
  it('betray a packet that was cut after NEWKEYS', () => {
    const peer = new RawPeer({ plays }).hello().init();
    reply(peer);
    const keys = peer.newKeys();
    peer.frame(extInfo); // is lost on the way
    peer.bytes(keys).bytes(peer.frame(ping));
    // The length is encrypted under the sequence number, too: it is garbage, or else the tag is wrong.
    expect(peer.closed().error!.code).toMatch(/^(mac|packet-length|padding)$/);
  });

  it('betray it after an injection, when strict; and let it pass, when not', () => {
    for (const strict of [true, false]) {
      const peer = new RawPeer({ plays, strict }).hello().init();
      // The attacker's packet is not counted by the honest sender.
      const honest = peer.outbound.sequence;
      peer.send(ignore);
      if (strict) {
        expect(peer.closed().error).toMatchObject({ code: 'strict-kex' });
        continue;
      }
      expect(peer.outbound.sequence).toBe(honest + 1);
      reply(peer);
      peer.bytes(peer.newKeys()).send(ping);
      expect(peer.session.closed).toBe(false);
    }
  });
});

describe('what is announced', () => {
  it.each(roles)('markers stand in the first KEXINIT only, when a %s exchanges keys again', (plays) => {
    const peer = new RawPeer({ plays });
    peer.hello();
    const first = new TextDecoder().decode(peer.expect(20));
    const suffix = plays === 'client' ? 's' : 'c';
    expect(first).toContain(`kex-strict-${suffix}-v00@openssh.com`);
    expect(first).toContain(`ext-info-${suffix}`);
    const again = new RawPeer({ plays }).login();
    again.session.rekey();
    expect(new TextDecoder().decode(again.expect(20))).not.toMatch(/kex-strict|ext-info/);
  });

  it.each(roles)('a marker that a %s shows in a rekey only changes nothing', (plays) => {
    const peer = new RawPeer({ plays, strict: false }).login();
    const kex = ['curve25519-sha256', `kex-strict-${plays[0]}-v00@openssh.com`];
    // RFC 4253 section 7.1 allows IGNORE in any exchange; strictness would not, and would set the numbers to 0.
    peer.init({ kex }).send(ignore).finishExchange().send(ping);
    expect(peer.numbers()).toContain(193);
  });

  it('the marker of the wrong role is no agreement', () => {
    const peer = new RawPeer({ plays: 'client', strict: false }).hello();
    peer.init({ kex: ['curve25519-sha256', 'kex-strict-s-v00@openssh.com'] }).send(ignore);
    expect(peer.session.closed).toBe(false);
    peer.send(KexEcdhInit.encode({ clientPublic: new Uint8Array(31) }));
    expect(peer.closed().error).toMatchObject({ code: 'kex', by: 'peer', disconnect: 3 });
  });
});
