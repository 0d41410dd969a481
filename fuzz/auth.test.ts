/**
 * Authentication under any order of commands and messages. Invariants: a client's attempt ends in exactly one event and
 * none begins before the last has ended; what a peer sends causes SshError by the peer or nothing; a server answers each
 * request once, in order, and asks about one at a time.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ClientAuth, type ClientAuthEvent } from '../protocol/auth/client.ts';
import { ServerAuth, type ServerAuthEvent } from '../protocol/auth/server.ts';
import { nobleCrypto as crypto } from '../protocol/crypto/noble.ts';
import { SshError } from '../protocol/errors.ts';
import { ServiceAccept, ServiceRequest } from '../protocol/messages/transport.ts';
import * as messages from '../protocol/messages/userauth.ts';
import { type Definition, harm, valuesOf } from './arbitraries/messages.ts';
import { hostKey } from './arbitraries/raw-peer.ts';

const binding = { sessionId: new Uint8Array(32), hostKey: hostKey.key.publicKey.blob };
const blob = hostKey.key.publicKey.blob;
const any = (definition: unknown): fc.Arbitrary<Uint8Array> =>
  valuesOf(definition as Definition).map((values) => (definition as Definition).encode(values));

/** 'usage' is our own fault; of the peer's, nothing else may come than an SshError that says so. */
function attempt(run: () => void, mayMisuse = false): SshError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    if (mayMisuse) expect(error.code).toBe('usage');
    else expect(error.by).toBe('peer');
    return error;
  }
}

const commands: Readonly<Record<string, (auth: ClientAuth) => void>> = {
  none: (auth) => auth.none('me'),
  password: (auth) => auth.password('me', 'x'),
  change: (auth) => auth.changePassword('me', 'x', 'y'),
  keyboard: (auth) => auth.keyboardInteractive('me'),
  respond: (auth) => auth.respond(['x']),
  query: (auth) => auth.queryKey('me', 'ssh-ed25519', blob),
  key: (auth) => auth.publicKey('me', 'ssh-ed25519', blob, new Uint8Array(4), binding),
  service: (auth) => auth.requestService(),
};
const toClient = fc.oneof(
  any(messages.UserauthFailure),
  any(messages.UserauthFailure),
  any(messages.UserauthPkOk),
  any(messages.UserauthBanner),
  any(messages.UserauthPasswdChangeReq),
  fc.constant(
    messages.UserauthInfoRequest.encode({
      title: '',
      instruction: '',
      language: '',
      count: 0,
      prompts: new Uint8Array(0),
    }),
  ),
  any(messages.UserauthInfoRequest),
  fc.constant(messages.UserauthSuccess.encode({})),
  fc.constant(ServiceAccept.encode({ service: 'ssh-userauth' })),
);
const clientStep = fc.oneof(
  fc.constantFrom(...Object.keys(commands)),
  toClient,
  fc
    .tuple(toClient, harm)
    .map(([bytes, spoil]) => spoil(bytes))
    .filter((bytes) => bytes.length > 0),
);

it('a client: one attempt at a time, each with one end', () => {
  fc.assert(
    fc.property(fc.array(clientStep, { maxLength: 30 }), (steps) => {
      const events: ClientAuthEvent[] = [];
      const sent: number[] = [];
      const auth = new ClientAuth({
        crypto,
        send: (payload) => void sent.push(payload[0]!),
        emit: (event) => void events.push(event),
        succeeded: () => {},
      });
      let open = 0;
      let prompted = false;
      for (const step of steps) {
        const before = events.length;
        if (typeof step === 'string') {
          const error = attempt(() => commands[step]!(auth), true);
          if (step === 'service') continue;
          if (step === 'respond') {
            expect(error === undefined).toBe(prompted);
            prompted = false;
            continue;
          }
          expect(error === undefined).toBe((open === 0 || prompted) && !auth.done);
          if (error === undefined) [open, prompted] = [1, false];
          continue;
        }
        const number = step[0]!;
        if (![6, 51, 52, 53].includes(number) && (number < 60 || number > 79)) continue; // the guard's
        const failed = attempt(() => auth.receive(step)) !== undefined;
        if (failed) break;
        const [event, ...more] = events.slice(before);
        expect(more).toEqual([]);
        if (event?.type === 'auth-prompts') prompted = true;
        else if (event?.type !== 'banner' && event?.type !== 'auth-service') {
          expect(open).toBe(1);
          [open, prompted] = [0, false];
        }
        expect(auth.busy).toBe(open === 1);
      }
      expect(events.filter((event) => event.type === 'auth-success').length).toBeLessThanOrEqual(1);
      expect(sent.filter((number) => number === 5).length).toBeLessThanOrEqual(1);
      expect(sent.indexOf(50) === -1 || sent.indexOf(5) < sent.indexOf(50)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

const request = (method: string, body: Uint8Array): Uint8Array =>
  messages.UserauthRequest.encode({ user: 'me', service: 'ssh-connection', method, body });
const bodies: Readonly<Record<string, fc.Arbitrary<Uint8Array>>> = {
  none: fc.constant(new Uint8Array(0)),
  password: fc.oneof(
    fc.string().map((password) => messages.PasswordBody.encode({ change: false, password })),
    fc.string().map((password) => messages.PasswordChangeBody.encode({ change: true, password, newPassword: 'n' })),
  ),
  publickey: fc.oneof(
    fc.constant(messages.PublicKeyQueryBody.encode({ signed: false, algorithm: 'ssh-ed25519', blob })),
    any(messages.PublicKeySignedBody),
    any(messages.PublicKeyQueryBody),
  ),
  'publickey-hostbound-v00@openssh.com': any(messages.HostboundSignedBody),
  'keyboard-interactive': any(messages.KeyboardInteractiveBody),
  hostbased: any(messages.HostbasedBody),
};
const toServer = fc.oneof(
  fc.constantFrom(...Object.keys(bodies)).chain((method) => bodies[method]!.map((body) => request(method, body))),
  fc.constant(ServiceRequest.encode({ service: 'ssh-userauth' })),
  fc.constant(messages.UserauthInfoResponse.encode({ count: 0, responses: new Uint8Array(0) })),
);
const serverCommands: Readonly<Record<string, (auth: ServerAuth) => void>> = {
  accept: (auth) => auth.accept(),
  reject: (auth) => auth.reject(),
  partial: (auth) => auth.reject(true),
  keyOk: (auth) => auth.keyOk(),
  ask: (auth) => auth.ask('', '', []),
  change: (auth) => auth.askNewPassword('?'),
  banner: (auth) => auth.banner('hi'),
};
const serverStep = fc.oneof(
  { weight: 3, arbitrary: toServer },
  { weight: 3, arbitrary: fc.constantFrom(...Object.keys(serverCommands)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(toServer, harm)
      .map(([bytes, spoil]) => spoil(bytes))
      .filter((bytes) => bytes.length > 0),
  },
);

it('a server: one question at a time, one answer to each request', () => {
  fc.assert(
    fc.property(fc.array(serverStep, { maxLength: 40 }), (steps) => {
      const events: ServerAuthEvent[] = [];
      const sent: number[] = [];
      let failure: SshError | undefined;
      const auth = new ServerAuth(
        {
          crypto,
          send: (payload) => void sent.push(payload[0]!),
          emit: (event) => void events.push(event),
          fail: (error) => {
            failure ??= error;
          },
          binding: () => binding,
        },
        6,
      );
      let requests = 0;
      auth.receive(ServiceRequest.encode({ service: 'ssh-userauth' }));
      for (const step of steps) {
        if (typeof step === 'string') {
          attempt(() => serverCommands[step]!(auth), true);
        } else {
          if (![5, 50].includes(step[0]!) && (step[0]! < 60 || step[0]! > 79)) continue;
          if (attempt(() => auth.receive(step)) !== undefined) break;
          if (step[0] === 50) requests++;
        }
        if (failure !== undefined) break;
      }
      if (failure !== undefined) expect(failure.by).toBe('peer');
      const asked = events.filter((event) => event.type === 'auth-request').length;
      expect(asked).toBeLessThanOrEqual(requests + 1);
      expect(sent.filter((number) => number === 51 || number === 52).length).toBeLessThanOrEqual(requests + 1);
      expect(sent.filter((number) => number === 52).length).toBeLessThanOrEqual(1);
      expect(sent.indexOf(52) === -1 || sent.lastIndexOf(51) < sent.indexOf(52)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
