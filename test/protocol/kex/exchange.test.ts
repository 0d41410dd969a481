// Guesses, host keys and the parked exchange (RFC 4253 sections 7 and 8).
import { describe, expect, it } from 'vitest';
import { hostKey, RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { generateKey } from '../../../protocol/keys/generate.ts';
import { sign } from '../../../protocol/keys/sign.ts';
import { limits } from '../../../protocol/limits.ts';
import { KexEcdhInit } from '../../../protocol/messages/kex.ts';
import { DisconnectMessage, ExtInfo, Ping } from '../../../protocol/messages/transport.ts';
import { UserauthBanner } from '../../../protocol/messages/userauth.ts';
import { Writer } from '../../../protocol/wire/writer.ts';

const wrongGuess = { kex: ['ecdh-sha2-nistp256', 'curve25519-sha256'], firstKexPacketFollows: true };
const guessed = KexEcdhInit.encode({ clientPublic: new Uint8Array(65).fill(4) });

describe('first_kex_packet_follows', () => {
  it('a wrong guess of the client is passed over, a second packet is not', () => {
    const peer = new RawPeer({ plays: 'client' }).hello().init(wrongGuess);
    peer.send(guessed).finishExchange();
    expect(peer.session.closed).toBe(false);
    const twice = new RawPeer({ plays: 'client' }).hello().init(wrongGuess);
    expect(twice.send(guessed).send(guessed).closed().error).toMatchObject({ code: 'kex' });
  });
  it('a right guess of the client is taken', () => {
    const peer = new RawPeer({ plays: 'client' }).hello();
    peer.init({ firstKexPacketFollows: true }).finishExchange();
    expect(peer.session.closed).toBe(false);
  });
  it('a guess is wrong when the host-key names differ, too', () => {
    const hostKeys = ['rsa-sha2-512', 'ssh-ed25519'];
    const peer = new RawPeer({ plays: 'client' }).hello().init({ hostKey: hostKeys, firstKexPacketFollows: true });
    peer.send(guessed).finishExchange();
    expect(peer.session.closed).toBe(false);
  });
  it('markers at the head of a list are no guess', () => {
    const kex = ['ext-info-c', 'kex-strict-c-v00@openssh.com', 'curve25519-sha256'];
    const peer = new RawPeer({ plays: 'client' }).hello().init({ kex, firstKexPacketFollows: true });
    expect(peer.finishExchange().session.closed).toBe(false);
  });
  it('a wrong guess of a server is passed over', () => {
    const peer = new RawPeer({ plays: 'server' }).hello().init(wrongGuess);
    peer.send(Uint8Array.of(31, 1, 2, 3)).finishExchange();
    expect(peer.session.closed).toBe(false);
  });
  it('a wrong guess in a rekey is passed over', () => {
    for (const plays of ['client', 'server'] as const) {
      const peer = new RawPeer({ plays }).login().init(wrongGuess);
      expect(peer.send(guessed).finishExchange().session.closed).toBe(false);
    }
  });
});

describe('a server whose key or signature is wrong', () => {
  const answered = (change: Parameters<RawPeer['serverReply']>[0]): RawPeer => {
    const peer = new RawPeer({ plays: 'server' }).hello().init();
    return peer.send(peer.serverReply(change));
  };
  const other = generateKey(nobleCrypto, 'ed25519');
  const p256 = generateKey(nobleCrypto, 'ecdsa-sha2-nistp256');

  it.each<[string, Parameters<RawPeer['serverReply']>[0], string]>([
    [
      'one bit of the signature',
      (r) => ({ ...r, signature: r.signature.map((b, i) => (i === 60 ? b ^ 1 : b)) }),
      'host-key-signature',
    ],
    [
      'a signature by another key',
      (r) => ({ ...r, signature: sign(nobleCrypto, other, 'ssh-ed25519', r.hostKey) }),
      'host-key-signature',
    ],
    ['an empty signature', (r) => ({ ...r, signature: new Uint8Array(0) }), 'host-key-signature'],
    [
      'a signature of another algorithm',
      (r) => ({ ...r, signature: sign(nobleCrypto, p256, 'ecdsa-sha2-nistp256', r.hostKey) }),
      'host-key-signature',
    ],
    ['another key', (r) => ({ ...r, hostKey: other.publicKey.blob }), 'host-key-signature'],
    ['a key of another type', (r) => ({ ...r, hostKey: p256.publicKey.blob }), 'kex'],
    ['a key of an unknown type', (r) => ({ ...r, hostKey: new Writer().text('ssh-new').finish() }), 'kex'],
    ['no key', (r) => ({ ...r, hostKey: new Uint8Array(0) }), 'malformed'],
    ['a cut key', (r) => ({ ...r, hostKey: r.hostKey.subarray(0, 40) }), 'malformed'],
    ['a zero point', (r) => ({ ...r, serverPublic: new Uint8Array(32) }), 'kex'],
    ['a short point', (r) => ({ ...r, serverPublic: new Uint8Array(31).fill(3) }), 'kex'],
    ['another point', (r) => ({ ...r, serverPublic: new Uint8Array(32).fill(9) }), 'host-key-signature'],
  ])('%s', (_name, change, code) => {
    const peer = answered(change);
    const { error } = peer.closed();
    expect(error).toMatchObject({ code, by: 'peer' });
    expect(error!.disconnect).toBeTypeOf('number');
    expect(peer.events.some((event) => event.type === 'host-key' || event.type === 'ready')).toBe(false);
    expect(peer.numbers()).toEqual([1]);
  });

  it('a client that sends a useless point', () => {
    for (const clientPublic of [new Uint8Array(0), new Uint8Array(32), new Uint8Array(33), new Uint8Array(5000)]) {
      const peer = new RawPeer({ plays: 'client' }).hello().init();
      const { error } = peer.send(KexEcdhInit.encode({ clientPublic })).closed();
      expect(error).toMatchObject({ code: 'kex', by: 'peer', disconnect: 3 });
    }
  });
});

describe('while the exchange is parked', () => {
  const parked = (): RawPeer => {
    const peer = new RawPeer({ plays: 'server' }).hello().init();
    peer.acceptHostKey = undefined;
    return peer.send(peer.serverReply());
  };

  it('nothing is sent, no input is wanted, and the key is shown once', () => {
    const peer = parked();
    expect(peer.numbers()).toEqual([]);
    expect(peer.session.wantsInput).toBe(false);
    const shown = peer.events.filter((event) => event.type === 'host-key');
    expect(shown).toHaveLength(1);
    expect(shown[0]).toMatchObject({ algorithm: 'ssh-ed25519', hostKey: { blob: hostKey.key.publicKey.blob } });
  });

  it('after a refusal nothing leaves but DISCONNECT', () => {
    const peer = parked();
    peer.bytes(peer.newKeys());
    peer.session.answerHostKey(false);
    expect(peer.closed().error).toMatchObject({ code: 'host-key', by: 'local' });
    expect(DisconnectMessage.decode(peer.expect(1)).reason).toBe(9);
    peer.send(Ping.encode({ data: new Uint8Array(1) }));
    peer.session.auth.none('someone');
    expect(peer.numbers()).toEqual([]);
  });

  it('what came behind the reply is handled after the verdict', () => {
    const peer = parked();
    const pairs = new Writer().text('server-sig-algs').nameList(['ssh-ed25519', 'rsa-sha2-512']).finish();
    const language = new Uint8Array(4);
    peer.bytes(peer.newKeys());
    peer.send(ExtInfo.encode({ count: 1, pairs }), UserauthBanner.encode({ message: new Uint8Array(2), language }));
    expect(peer.events.some((event) => event.type === 'ready' || event.type === 'banner')).toBe(false);
    peer.session.answerHostKey(true);
    peer.expect(21);
    expect(peer.events.map((event) => event.type)).toEqual(['version', 'host-key', 'ready', 'banner']);
    expect(peer.session.auth.serverSignatureAlgorithms).toEqual(['ssh-ed25519', 'rsa-sha2-512']);
  });

  it('input is held up to its bound, byte by byte or at once', () => {
    for (const piece of [1000, limits.parkedInput]) {
      const peer = parked();
      for (let sent = 0; sent + piece <= limits.parkedInput; sent += piece) peer.bytes(new Uint8Array(piece));
      expect(peer.session.closed).toBe(false);
      peer.bytes(new Uint8Array(piece));
      expect(peer.closed().error).toMatchObject({ code: 'limit', by: 'peer', detail: { limit: 'parkedInput' } });
      // The verdict that comes too late changes nothing.
      peer.session.answerHostKey(true);
      expect(peer.numbers()).toEqual([1]);
    }
  });

  it('the end of the stream ends it, and a late verdict sends nothing', () => {
    const peer = parked();
    peer.session.endOfInput();
    expect(peer.closed().error).toMatchObject({ code: 'lost', detail: { phase: 'kex' } });
    peer.session.answerHostKey(true);
    peer.session.answerHostKey(false);
    expect(peer.numbers()).toEqual([]);
  });

  it('a verdict that nobody asked for is a mistake of ours', () => {
    const peer = new RawPeer({ plays: 'server' }).exchange();
    expect(() => peer.session.answerHostKey(true)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
