// User authentication, both roles against each other and each against a peer without manners (RFC 4252, 4256).
import { describe, expect, it } from 'vitest';
import { RawPeer } from '../../../fuzz/arbitraries/raw-peer.ts';
import type { ClientAuthEvent } from '../../../protocol/auth/client.ts';
import type { AuthRequest } from '../../../protocol/auth/server.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import { parsePrivateKey } from '../../../protocol/keys/parse.ts';
import { parsePublicKeyFile } from '../../../protocol/keys/public-line.ts';
import { sign, signatureAlgorithmsFor } from '../../../protocol/keys/sign.ts';
import { limits } from '../../../protocol/limits.ts';
import { ServiceAccept, ServiceRequest } from '../../../protocol/messages/transport.ts';
import {
  KeyboardInteractiveBody,
  PasswordBody,
  PublicKeySignedBody,
  UserauthBanner,
  UserauthFailure,
  UserauthInfoRequest,
  UserauthInfoResponse,
  UserauthPkOk,
  UserauthRequest,
  UserauthSuccess,
} from '../../../protocol/messages/userauth.ts';
import type { Session } from '../../../protocol/session.ts';
import { Writer } from '../../../protocol/wire/writer.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';
import { bytesOf } from '../keys/fixtures.ts';
import { Pair } from '../session/pair.ts';

const node = nodeCrypto();
const privateKey = (name: string) => parsePrivateKey(node, bytesOf(`openssh/${name}`));
const nothing = new Uint8Array(0);
const language = new Uint8Array(4);

/** A pair with keys in place; each request of the client is answered by `judge`. */
function pairOf(judge: (request: AuthRequest, server: Session) => void, maxAuthAttempts?: number) {
  const pair = new Pair({
    clientCrypto: node,
    serverCrypto: node,
    algorithms: { kex: ['curve25519-sha256'] },
    ...(maxAuthAttempts !== undefined && { maxAuthAttempts }),
  }).run();
  const requests: AuthRequest[] = [];
  pair.onServer = (event) => {
    if (event.type !== 'auth-request') return;
    requests.push(event.request);
    judge(event.request, pair.server);
  };
  const heard = (): ClientAuthEvent[] =>
    pair.clientEvents.filter((event): event is ClientAuthEvent => /^auth-(?!service)|^banner/.test(event.type));
  return { pair, requests, heard, auth: pair.client.auth };
}

describe('methods', () => {
  it('none and password, with failures and what may go on', () => {
    const { pair, requests, heard, auth } = pairOf((request, { serverAuth }) => {
      if (request.method === 'password' && request.password === 'gé\0heim') serverAuth.accept();
      else serverAuth.reject();
    });
    auth.none('me');
    expect(auth.busy).toBe(true);
    expect(() => auth.password('me', 'x')).toThrow(expect.objectContaining({ code: 'usage' }));
    pair.run();
    auth.password('me', 'wrong');
    pair.run();
    auth.password('me', 'gé\0heim');
    pair.run();
    expect(requests.map((each) => each.method)).toEqual(['none', 'password', 'password']);
    expect(requests[2]).toEqual({ method: 'password', user: 'me', password: 'gé\0heim', newPassword: undefined });
    const methods = ['publickey', 'password', 'keyboard-interactive'];
    expect(heard()).toEqual([
      { type: 'auth-failure', methods, partial: false },
      { type: 'auth-failure', methods, partial: false },
      { type: 'auth-success' },
    ]);
    expect(pair.client.authenticated && pair.server.authenticated).toBe(true);
    expect(() => auth.none('me')).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => pair.server.serverAuth.reject()).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('a password that has to be changed', () => {
    const { pair, requests, heard, auth } = pairOf((request, { serverAuth }) => {
      if (request.method !== 'password') serverAuth.reject();
      else if (request.newPassword === undefined) serverAuth.askNewPassword('New one?');
      else serverAuth.accept();
    });
    auth.password('me', 'old');
    pair.run();
    expect(heard()).toEqual([{ type: 'auth-change-password', prompt: 'New one?' }]);
    auth.changePassword('me', 'old', 'new');
    pair.run();
    expect(requests[1]).toEqual({ method: 'password', user: 'me', password: 'old', newPassword: 'new' });
    expect(pair.client.authenticated).toBe(true);
  });

  it('keyboard-interactive in rounds, without prompts, and abandoned', () => {
    const { pair, heard, auth } = pairOf((request, { serverAuth }) => {
      if (request.method === 'keyboard-interactive') serverAuth.ask('T', 'I', [{ text: 'One? ', echo: true }]);
      else serverAuth.reject();
    });
    const responses: (readonly string[])[] = [];
    const before = pair.onServer;
    pair.onServer = (event) => {
      before(event);
      if (event.type !== 'auth-responses') return;
      responses.push(event.responses);
      if (responses.length === 1) pair.server.serverAuth.ask('', '', []);
      else if (responses.length === 2) pair.server.serverAuth.ask('', '', [{ text: 'Two? ', echo: false }]);
      else pair.server.serverAuth.accept();
    };
    expect(() => auth.respond([])).toThrow(expect.objectContaining({ code: 'usage' }));
    auth.keyboardInteractive('me', 'pam');
    expect(() => auth.password('me', 'x')).toThrow(expect.objectContaining({ code: 'usage' }));
    pair.run();
    expect(heard()).toEqual([
      { type: 'auth-prompts', title: 'T', instruction: 'I', prompts: [{ text: 'One? ', echo: true }] },
    ]);
    // While it is our turn another attempt may begin, which abandons this one.
    auth.password('me', 'x');
    pair.run();
    expect(heard().at(-1)).toMatchObject({ type: 'auth-failure' });
    auth.keyboardInteractive('me');
    pair.run();
    auth.respond(['1']);
    expect(() => auth.respond(['1'])).toThrow(expect.objectContaining({ code: 'usage' }));
    pair.run();
    expect(heard().at(-1)).toMatchObject({ type: 'auth-prompts', prompts: [] });
    auth.respond([]);
    pair.run();
    auth.respond(['zwei']);
    pair.run();
    expect(responses).toEqual([['1'], [], ['zwei']]);
    expect(pair.client.authenticated).toBe(true);
  });

  it('partial success leads on', () => {
    const { pair, heard, auth } = pairOf((request, { serverAuth }) => {
      if (request.method === 'password') {
        serverAuth.methods = ['keyboard-interactive'];
        serverAuth.reject(true);
      } else serverAuth.accept();
    });
    auth.password('me', 'x');
    pair.run();
    expect(heard()).toEqual([{ type: 'auth-failure', methods: ['keyboard-interactive'], partial: true }]);
    auth.keyboardInteractive('me');
    pair.run();
    expect(pair.client.authenticated).toBe(true);
  });

  it('hostbased is refused, whatever it holds', () => {
    const { pair, requests, heard, auth } = pairOf(() => {});
    const signature = new Uint8Array(10);
    auth.hostbased('me', { algorithm: 'ssh-ed25519', blob: nothing, clientHost: 'h', clientUser: 'u', signature });
    pair.run();
    expect(requests).toEqual([]);
    expect(heard()).toMatchObject([{ type: 'auth-failure' }]);
  });

  it('banners come after the service, as bytes', () => {
    const pair = new Pair({ clientCrypto: node, serverCrypto: node });
    pair.server.serverAuth.banner('early');
    pair.run();
    expect(pair.clientEvents.some((event) => event.type === 'banner')).toBe(false);
    pair.onServer = (event) => {
      if (event.type !== 'auth-request') return;
      pair.server.serverAuth.banner('late');
      pair.server.serverAuth.accept();
    };
    pair.client.auth.none('me');
    pair.run();
    const order = pair.clientEvents.flatMap((event) =>
      event.type === 'banner' ? [Buffer.from(event.message).toString()] : [event.type],
    );
    expect(order.slice(-4)).toEqual(['auth-service', 'early', 'late', 'auth-success']);
  });
});

describe('public keys', () => {
  const logIn = (setup: ReturnType<typeof pairOf>, name: string, algorithm: string, blob: Uint8Array) => {
    const { pair, auth } = setup;
    auth.queryKey('me', algorithm, blob);
    pair.run();
    const data = auth.dataToSign('me', algorithm, blob, pair.client.binding);
    auth.publicKey('me', algorithm, blob, sign(node, privateKey(name), algorithm, data), pair.client.binding);
    pair.run();
  };
  const welcome = (request: AuthRequest, { serverAuth }: Session): void => {
    if (request.method === 'publickey' && !request.signed) serverAuth.keyOk();
    else if (request.method === 'publickey') serverAuth.accept();
    else serverAuth.reject();
  };
  const names = ['ed25519', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rsa'];
  const plain = names.flatMap((name) =>
    signatureAlgorithmsFor(privateKey(name).publicKey.type).map((each) => [name, each] as const),
  );

  it.each(plain)('%s with %s', (name, algorithm) => {
    const setup = pairOf(welcome);
    const { blob, type } = privateKey(name).publicKey;
    logIn(setup, name, algorithm, blob);
    expect(setup.heard().map((event) => event.type)).toEqual(['auth-key-ok', 'auth-success']);
    expect(setup.requests).toMatchObject([
      { signed: false, algorithm, key: { type }, certificate: undefined },
      { signed: true, algorithm, key: { type } },
    ]);
  });

  it.each(names)('a certificate of %s', (name) => {
    const { certificate } = parsePublicKeyFile(bytesOf(`cert/user_${name}-cert.pub`));
    const setup = pairOf(welcome);
    const algorithm = name === 'rsa' ? 'rsa-sha2-512-cert-v01@openssh.com' : certificate!.type;
    logIn(setup, name, algorithm, certificate!.blob);
    expect(setup.heard().map((event) => event.type)).toEqual(['auth-key-ok', 'auth-success']);
    expect(setup.requests[1]).toMatchObject({ signed: true, certificate: { keyId: certificate!.keyId, role: 'user' } });
  });

  it('hostbound when the server can, plain when not', () => {
    for (const hostbound of [true, false]) {
      const setup = pairOf(welcome);
      // The server said in EXT_INFO that it can.
      expect(setup.auth.hostbound).toBe(true);
      setup.auth.hostbound = hostbound;
      logIn(setup, 'ed25519', 'ssh-ed25519', privateKey('ed25519').publicKey.blob);
      expect(setup.pair.client.authenticated).toBe(true);
    }
  });

  it('what is wrong with a signed request is refused before anyone is asked', () => {
    const key = privateKey('ed25519');
    const { blob } = key.publicKey;
    const other = privateKey('ecdsa256');
    const certificate = parsePublicKeyFile(bytesOf('cert/user_ed25519-cert.pub')).certificate!;
    type Attempt = [
      name: string,
      algorithm: string,
      blob: Uint8Array,
      spoil: (signature: Uint8Array) => Uint8Array,
      user?: string,
    ];
    const attempts: Attempt[] = [
      ['a bit', 'ssh-ed25519', blob, (s) => s.with(40, s[40]! ^ 1)],
      ['nothing', 'ssh-ed25519', blob, () => nothing],
      ['another user', 'ssh-ed25519', blob, (s) => s, 'root'],
      ['another key', 'ssh-ed25519', privateKey('ed25519').publicKey.blob.with(30, 1), (s) => s],
      ['an algorithm of another key', 'ecdsa-sha2-nistp256', blob, (s) => s],
      ['an unknown algorithm', 'ssh-new', blob, (s) => s],
      ['a certificate under a plain name', 'ssh-ed25519', certificate.blob, (s) => s],
      ['a key under the name of a certificate', certificate.type, blob, (s) => s],
      ['a blob that is none', 'ssh-ed25519', Uint8Array.of(1, 2, 3), (s) => s],
      ['another key type', 'ssh-ed25519', other.publicKey.blob, (s) => s],
    ];
    for (const hostbound of [true, false]) {
      for (const [, algorithm, shown, spoil, user = 'me'] of attempts) {
        const { pair, auth, requests, heard } = pairOf(() => {});
        auth.hostbound = hostbound;
        const data = auth.dataToSign('me', algorithm, shown, pair.client.binding);
        auth.publicKey(user, algorithm, shown, spoil(sign(node, key, 'ssh-ed25519', data)), pair.client.binding);
        pair.run();
        expect(requests).toEqual([]);
        expect(heard()).toMatchObject([{ type: 'auth-failure', partial: false }]);
      }
    }
  });

  it('a hostbound request that names another host key is refused', () => {
    const { pair, auth, requests, heard } = pairOf(() => {});
    const key = privateKey('ed25519');
    const { blob } = key.publicKey;
    const binding = { ...pair.client.binding, hostKey: blob };
    const data = auth.dataToSign('me', 'ssh-ed25519', blob, binding);
    auth.publicKey('me', 'ssh-ed25519', blob, sign(node, key, 'ssh-ed25519', data), binding);
    pair.run();
    expect(requests).toEqual([]);
    expect(heard()).toMatchObject([{ type: 'auth-failure' }]);
  });
});

describe('the number of attempts', () => {
  it('ends the connection, without an exception for whoever rejects', () => {
    const { pair, auth, heard } = pairOf((_request, { serverAuth }) => serverAuth.reject(), 3);
    for (let i = 0; i < 5; i++) {
      auth.none('me');
      pair.run();
    }
    expect(heard()).toHaveLength(5);
    for (let i = 0; i < 3; i++) {
      expect(pair.closed('server')).toBeUndefined();
      auth.password('me', `${i}`);
      pair.run();
    }
    expect(pair.closed('server')!.error).toMatchObject({ code: 'auth', by: 'peer' });
    expect(pair.closed('client')!.error).toMatchObject({ code: 'disconnected', detail: { reason: 2, phase: 'auth' } });
  });

  it('counts no partial success and no question about a key, but refused signatures', () => {
    const { pair, auth } = pairOf((_request, { serverAuth }) => serverAuth.reject(true), 2);
    const { blob } = privateKey('ed25519').publicKey;
    for (let i = 0; i < 4; i++) {
      auth.password('me', 'x');
      pair.run();
      auth.queryKey('me', 'ssh-ed25519', blob);
      pair.run();
    }
    expect(pair.closed('server')).toBeUndefined();
    for (let i = 0; i < 2; i++) {
      auth.publicKey('me', 'ssh-ed25519', blob, nothing, pair.client.binding);
      pair.run();
    }
    expect(pair.closed('server')!.error).toMatchObject({ code: 'auth' });
  });
});

describe('a server against a client without manners', () => {
  const begin = (): RawPeer => {
    const peer = new RawPeer({ plays: 'client' }).exchange().skipExtInfo();
    peer.onEvent = () => {};
    peer.send(ServiceRequest.encode({ service: 'ssh-userauth' })).expect(6);
    return peer;
  };
  const request = (method: string, body: Uint8Array, service = 'ssh-connection'): Uint8Array =>
    UserauthRequest.encode({ user: 'me', service, method, body });
  const password = request('password', PasswordBody.encode({ change: false, password: 'x' }));

  it.each([
    ['password without a body', request('password', nothing)],
    ['password with a tail', request('password', Uint8Array.of(0, 0, 0, 0, 0, 9))],
    ['publickey cut short', request('publickey', Uint8Array.of(0, 0, 0, 0, 1))],
    ['keyboard-interactive cut short', request('keyboard-interactive', nothing)],
    ['a request cut short', password.slice(0, 8)],
  ])('%s is malformed', (_name, payload) => {
    expect(begin().send(payload).closed().error).toMatchObject({ code: 'malformed', by: 'peer' });
  });

  it('another service than ssh-connection is not there', () => {
    const peer = begin().send(request('none', nothing, 'ssh-other'));
    expect(peer.closed().error).toMatchObject({ code: 'protocol', disconnect: 7 });
  });

  it('requests sent ahead are answered one by one, in order', () => {
    const peer = begin().send(request('none', nothing), password, request('hostbased', nothing), password, password);
    const asked = () => peer.events.filter((event) => event.type === 'auth-request').length;
    expect(asked()).toBe(1);
    expect(peer.numbers()).toEqual([]);
    peer.session.serverAuth.reject();
    expect(peer.numbers()).toEqual([51]);
    expect(asked()).toBe(2);
    peer.session.serverAuth.reject();
    expect(peer.numbers()).toEqual([51, 51]);
    expect(asked()).toBe(3);
    peer.session.serverAuth.accept();
    expect(peer.numbers()).toEqual([52]);
    expect(asked()).toBe(3);
    expect(peer.session.closed).toBe(false);
  });

  it('so many of them and no more; a broken one ends it when its turn comes', () => {
    const peer = begin().send(...Array.from({ length: limits.pendingAuthRequests + 1 }, () => password));
    expect(peer.session.closed).toBe(false);
    expect(peer.send(password).closed().error).toMatchObject({ code: 'limit' });
    const broken = begin().send(password, request('password', nothing));
    expect(broken.session.closed).toBe(false);
    broken.session.serverAuth.reject();
    expect(broken.closed().error).toMatchObject({ code: 'malformed', by: 'peer' });
  });

  it('responses: too many, cut short, or twice', () => {
    const ask = (): RawPeer => {
      const peer = begin().send(
        request('keyboard-interactive', KeyboardInteractiveBody.encode({ language: '', submethods: '' })),
      );
      peer.session.serverAuth.ask('', '', [{ text: '?', echo: true }]);
      peer.expect(60);
      return peer;
    };
    const answer = (count: number, responses: Uint8Array): Uint8Array =>
      UserauthInfoResponse.encode({ count, responses });
    expect(ask().send(answer(65, nothing)).closed().error).toMatchObject({ code: 'limit' });
    expect(
      ask()
        .send(answer(2, new Uint8Array(4)))
        .closed().error,
    ).toMatchObject({ code: 'malformed' });
    expect(
      ask()
        .send(answer(0, new Uint8Array(4)))
        .closed().error,
    ).toMatchObject({ code: 'malformed' });
    const twice = ask().send(answer(1, new Uint8Array(4)), answer(1, new Uint8Array(4)));
    expect(twice.closed().error).toMatchObject({ code: 'protocol' });
  });

  it('SUCCESS waits for the end of an exchange the client began', () => {
    const peer = begin().send(request('none', nothing));
    peer.init();
    peer.session.serverAuth.accept();
    expect(peer.numbers()).toEqual([]);
    peer.clientExchange();
    expect(peer.session.authenticated).toBe(false);
    peer.bytes(peer.newKeys());
    expect(peer.numbers()).toEqual([21, 52]);
    expect(peer.session.authenticated).toBe(true);
  });

  it('a signature that says it is none is only a question', () => {
    const { blob } = privateKey('ed25519').publicKey;
    const signed = PublicKeySignedBody.encode({ signed: false, algorithm: 'ssh-ed25519', blob, signature: nothing });
    expect(begin().send(request('publickey', signed)).closed().error).toMatchObject({ code: 'malformed' });
  });
});

describe('a client against a server without manners', () => {
  const begin = (attempt: (auth: Session['auth']) => void): RawPeer => {
    const peer = new RawPeer({ plays: 'server' }).exchange();
    attempt(peer.session.auth);
    peer.expect(5);
    peer.send(ServiceAccept.encode({ service: 'ssh-userauth' })).expect(50);
    return peer;
  };
  const infoRequest = (count: number, prompts: Uint8Array = nothing): Uint8Array =>
    UserauthInfoRequest.encode({ title: '', instruction: '', language: '', count, prompts });
  const keyboard = (): RawPeer => begin((auth) => auth.keyboardInteractive('me'));

  it.each<[string, (auth: Session['auth']) => void, Uint8Array]>([
    ['PK_OK for none', (auth) => auth.none('me'), UserauthPkOk.encode({ algorithm: 'a', blob: nothing })],
    ['prompts for a password', (auth) => auth.password('me', 'x'), Uint8Array.of(60)],
    ['prompts for none', (auth) => auth.none('me'), infoRequest(0)],
    [
      'INFO_RESPONSE',
      (auth) => auth.keyboardInteractive('me'),
      UserauthInfoResponse.encode({ count: 0, responses: nothing }),
    ],
    ['message 79', (auth) => auth.none('me'), Uint8Array.of(79)],
  ])('%s ends the connection', (_name, attempt, payload) => {
    const { error } = begin(attempt).send(payload).closed();
    expect(error!.code).toMatch(/^(protocol|malformed)$/);
    expect(error!.by).toBe('peer');
  });

  it('prompts: too many, too many rounds, broken, or before the last were answered', () => {
    expect(
      keyboard()
        .send(infoRequest(limits.keyboardInteractivePrompts + 1))
        .closed().error,
    ).toMatchObject({ code: 'limit' });
    expect(keyboard().send(infoRequest(1)).closed().error).toMatchObject({ code: 'malformed' });
    expect(
      keyboard()
        .send(infoRequest(0, new Uint8Array(1)))
        .closed().error,
    ).toMatchObject({ code: 'malformed' });
    expect(keyboard().send(infoRequest(0), infoRequest(0)).closed().error).toMatchObject({ code: 'protocol' });
    const peer = keyboard();
    for (let i = 0; i < limits.keyboardInteractiveRounds; i++) {
      peer.send(infoRequest(0));
      peer.session.auth.respond([]);
      peer.expect(61);
    }
    expect(peer.send(infoRequest(0)).closed().error).toMatchObject({ code: 'limit' });
  });

  it('prompts as they are, whatever the text', () => {
    const prompts = new Writer().text('Pässword: ').bool(false).text('').bool(true).finish();
    const peer = keyboard().send(infoRequest(2, prompts));
    expect(peer.events.at(-1)).toEqual({
      type: 'auth-prompts',
      title: '',
      instruction: '',
      prompts: [
        { text: 'Pässword: ', echo: false },
        { text: '', echo: true },
      ],
    });
  });

  it('banners: so many and no more, and none too long', () => {
    const banner = UserauthBanner.encode({ message: new Uint8Array(10), language });
    const peer = begin((auth) => auth.none('me'));
    for (let i = 0; i < limits.banners; i++) peer.send(banner);
    expect(peer.session.closed).toBe(false);
    expect(peer.send(banner).closed().error).toMatchObject({ code: 'limit' });
  });

  it('two answers to one attempt', () => {
    const failure = UserauthFailure.encode({ methods: ['password'], partialSuccess: false });
    expect(
      begin((auth) => auth.none('me'))
        .send(failure, failure)
        .closed().error,
    ).toMatchObject({ code: 'protocol' });
    const success = UserauthSuccess.encode({});
    expect(
      begin((auth) => auth.none('me'))
        .send(failure, success)
        .closed().error,
    ).toMatchObject({ code: 'protocol' });
  });

  it('a request abandoned at its prompts takes no late answer for the next one', () => {
    const peer = keyboard().send(infoRequest(0));
    peer.session.auth.none('me');
    peer.expect(50);
    expect(peer.send(infoRequest(0)).closed().error).toMatchObject({ code: 'protocol' });
  });
});

it('knows its session id and host key, both sides alike', () => {
  const pair = new Pair({ clientCrypto: nobleCrypto, serverCrypto: node, algorithms: { kex: ['curve25519-sha256'] } });
  expect(() => pair.client.binding).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => pair.server.auth).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => pair.client.serverAuth).toThrow(expect.objectContaining({ code: 'usage' }));
  pair.run();
  const { sessionId } = pair.client.binding;
  expect(pair.server.binding).toEqual(pair.client.binding);
  pair.login().client.rekey();
  pair.run();
  expect(pair.client.binding.sessionId).toEqual(sessionId);
});
