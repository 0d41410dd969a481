/** What a server that keeps small packets back is sent during a log-in, so that it has its acknowledgements at once. */

import { expect, it } from 'vitest';
import { RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import {
  ChannelData,
  ChannelOpenConfirmation,
  ChannelWindowAdjust,
  GlobalRequest,
} from '../../../protocol/messages/connection.ts';
import { Debug, Ignore, Ping, Pong, ServiceAccept } from '../../../protocol/messages/transport.ts';
import { UserauthInfoRequest, UserauthSuccess } from '../../../protocol/messages/userauth.ts';
import { Pair } from './pair.ts';

const nothing = new Uint8Array(0);
const service = ServiceAccept.encode({ service: 'ssh-userauth' });
const success = UserauthSuccess.encode({});
const debug = Debug.encode({ alwaysDisplay: false, message: 'key options', language: new Uint8Array(4) });
const hostKeys = GlobalRequest.encode({ request: 'hostkeys-00@openssh.com', wantReply: false, body: nothing });

/** The service and the user are asked for in one flight; nothing is answered yet. */
function begin(version = 'SSH-2.0-OpenSSH_9.9p1'): RawPeer {
  const peer = new RawPeer({ plays: 'server', version }).exchange();
  peer.session.auth.none('me');
  expect(peer.numbers()).toEqual([5, 50]);
  return peer;
}

function loggedIn(): RawPeer {
  const peer = begin().send(service, success);
  expect(peer.numbers()).toEqual([]);
  return peer;
}

it('SERVICE_ACCEPT is answered while the log-in waits, SUCCESS is not', () => {
  const peer = begin().send(service);
  const packet = peer.next()!;
  expect(Ignore.decode(packet).data).toEqual(new Uint8Array(4));
  expect(peer.send(success).numbers()).toEqual([]);
});

it.each([
  ['none', 1],
  ['zlib@openssh.com', 0],
])('with compression %s, nothing may cross SUCCESS that begins it', (compression, expected) => {
  let sent = 0;
  const mangle = (from: string, bytes: Uint8Array): Uint8Array => {
    if (from === 'client') sent++;
    return bytes;
  };
  const algorithms = { kex: ['curve25519-sha256'], compression: [compression] };
  const pair = new Pair({ serverSoftware: 'OpenSSH_9.9', algorithms, mangle }).run();
  sent = 0;
  pair.client.auth.none('me');
  pair.run();
  expect(sent).toBe(1 + expected);
  pair.server.serverAuth.accept();
  pair.client.mux.open('session', nothing);
  pair.run();
  expect(pair.serverEvents.at(-1)?.type).toBe('channel-open');
});

it('other servers are not sent what they may not expect', () => {
  expect(begin('SSH-2.0-dropbear_2022.83').send(service).numbers()).toEqual([]);
});

it('after the log-in, what comes while the first channel is opened is answered', () => {
  const peer = loggedIn();
  expect(peer.send(hostKeys).numbers()).toEqual([]);
  const channel = peer.session.mux.open('session', nothing);
  expect(peer.numbers()).toEqual([90]);
  expect(peer.send(hostKeys).numbers()).toEqual([2]);
  // Several that came together are acknowledged together.
  expect(peer.send(debug, debug).numbers()).toEqual([2]);
  const window = { window: 1000, maxPacket: 1000, body: nothing };
  peer.send(ChannelOpenConfirmation.encode({ recipient: channel.id, sender: 7, ...window }));
  expect(peer.send(debug).numbers()).toEqual([]);
});

it('nothing is added to an answer, nor while prompts wait for ours', () => {
  expect(
    begin()
      .send(Ping.encode({ data: nothing }))
      .numbers(),
  ).toEqual([Pong.number]);
  const peer = new RawPeer({ plays: 'server', version: 'SSH-2.0-OpenSSH_9.9' }).exchange();
  peer.session.auth.keyboardInteractive('me');
  expect(peer.numbers()).toEqual([5, 50]);
  const prompts = UserauthInfoRequest.encode({ title: '', instruction: '', language: '', count: 0, prompts: nothing });
  expect(peer.send(service, prompts).numbers()).toEqual([]);
});

it('what comes after an IGNORE is not its answer, which would make a far server near', () => {
  const peer = begin();
  peer.session.tick(50);
  expect(peer.send(service).numbers()).toEqual([2]);
  peer.session.tick(51);
  peer.send(success);
  const channel = peer.session.mux.open('session', nothing, { window: 1000, maxWindow: 2000 });
  peer.numbers();
  const window = { window: 1000, maxPacket: 1000, body: nothing };
  peer.send(ChannelOpenConfirmation.encode({ recipient: channel.id, sender: 7, ...window }));
  // A full window within 20 ms: with 50 ms there and back the window is what holds it up, so it grows.
  let granted = 0;
  for (const now of [60, 80]) {
    peer.session.tick(now);
    peer.send(ChannelData.encode({ recipient: channel.id, data: new Uint8Array(500) }));
    channel.read();
    granted += ChannelWindowAdjust.decode(peer.next()!).bytes;
  }
  expect(granted).toBe(2000);
});

it('a server that talks on and on is not answered for ever', () => {
  const peer = begin();
  for (let n = 0; n < 20; n++) peer.send(debug);
  expect(peer.numbers()).toHaveLength(8);
});
