/**
 * The client's side of user authentication (RFC 4252, 4256): one attempt at a time, each ending in exactly one event.
 * Which methods and keys to try, and in what order, is decided outside; so are signing and prompting.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { protocolError, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { ServiceAccept, ServiceRequest } from '../messages/transport.ts';
import {
  HostbasedBody,
  HostboundSignedBody,
  KeyboardInteractiveBody,
  PasswordBody,
  PasswordChangeBody,
  PublicKeyQueryBody,
  PublicKeySignedBody,
  UserauthBanner,
  UserauthFailure,
  UserauthInfoRequest,
  UserauthInfoResponse,
  UserauthPasswdChangeReq,
  UserauthPkOk,
  UserauthRequest,
  UserauthSuccess,
} from '../messages/userauth.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import {
  CONNECTION_SERVICE,
  HOSTBOUND,
  type HostbasedInputs,
  hostbasedData,
  signedData,
  USERAUTH_SERVICE,
} from './signed-data.ts';

export interface Prompt {
  readonly text: string;
  readonly echo: boolean;
}

export type ClientAuthEvent =
  /** The service was accepted: whatever the server volunteers before a log-in (EXT_INFO) has come. */
  | { readonly type: 'auth-service' }
  | { readonly type: 'auth-success' }
  | { readonly type: 'auth-failure'; readonly methods: readonly string[]; readonly partial: boolean }
  /** The server would take a signature by this key. */
  | { readonly type: 'auth-key-ok'; readonly algorithm: string; readonly blob: Uint8Array }
  /** Answer with `respond`. */
  | {
      readonly type: 'auth-prompts';
      readonly title: string;
      readonly instruction: string;
      readonly prompts: readonly Prompt[];
    }
  /** The password has expired: answer with `changePassword`, or try something else. */
  | { readonly type: 'auth-change-password'; readonly prompt: string }
  /** Text from an unauthenticated server, as it came. */
  | { readonly type: 'banner'; readonly message: Uint8Array };

export interface ClientAuthPort {
  readonly crypto: CryptoProvider;
  send(payload: Uint8Array): void;
  emit(event: ClientAuthEvent): void;
  /** USERAUTH_SUCCESS came. */
  succeeded(): void;
}

export interface SessionBinding {
  readonly sessionId: Uint8Array;
  readonly hostKey: Uint8Array;
}

type Pending = 'none' | 'password' | 'query' | 'publickey' | 'keyboard-interactive' | 'hostbased';

export class ClientAuth {
  readonly #port: ClientAuthPort;
  #pending: Pending | undefined;
  #serviceAsked = false;
  #banners = 0;
  #rounds = 0;
  /** Prompts of a keyboard-interactive attempt wait for `respond`. */
  #prompted = false;
  serviceAccepted = false;
  done = false;
  /** RFC 8308 section 3.1; undefined when the server did not say. */
  serverSignatureAlgorithms: readonly string[] | undefined;
  /** The server takes publickey-hostbound-v00@openssh.com. */
  hostbound = false;

  constructor(port: ClientAuthPort) {
    this.#port = port;
  }

  /** An attempt is under way and has not been answered. */
  get busy(): boolean {
    return this.#pending !== undefined;
  }

  /** The server is to answer an attempt; not while prompts wait for us. */
  get due(): boolean {
    return this.busy && !this.#prompted;
  }

  /** Asks for the service ahead of the first attempt; attempts do so by themselves otherwise. */
  requestService(): void {
    if (this.#serviceAsked) return;
    this.#serviceAsked = true;
    this.#port.send(ServiceRequest.encode({ service: USERAUTH_SERVICE }));
  }

  // ---- commands: one attempt each

  none(user: string): void {
    this.#attempt(user, 'none', 'none', new Uint8Array(0));
  }

  password(user: string, password: string): void {
    this.#attempt(user, 'password', 'password', PasswordBody.encode({ change: false, password }));
  }

  changePassword(user: string, password: string, newPassword: string): void {
    this.#attempt(user, 'password', 'password', PasswordChangeBody.encode({ change: true, password, newPassword }));
  }

  keyboardInteractive(user: string, submethods = ''): void {
    this.#rounds = 0;
    const body = KeyboardInteractiveBody.encode({ language: '', submethods });
    this.#attempt(user, 'keyboard-interactive', 'keyboard-interactive', body);
  }

  /** Answers 'auth-prompts', one string a prompt. */
  respond(responses: readonly string[]): void {
    if (!this.#prompted) throw new SshError('usage', 'no prompts await responses');
    this.#prompted = false;
    const writer = new Writer();
    for (const response of responses) writer.text(response);
    this.#port.send(UserauthInfoResponse.encode({ count: responses.length, responses: writer.finish() }));
  }

  /** Asks whether a key would do, without signing. */
  queryKey(user: string, algorithm: string, blob: Uint8Array): void {
    this.#attempt(user, 'query', 'publickey', PublicKeyQueryBody.encode({ signed: false, algorithm, blob }));
  }

  /** The bytes a key has to sign for `publicKey`. */
  dataToSign(user: string, algorithm: string, blob: Uint8Array, { sessionId, hostKey }: SessionBinding): Uint8Array {
    return signedData({ sessionId, user, algorithm, blob, hostKey: this.hostbound ? hostKey : undefined });
  }

  publicKey(
    user: string,
    algorithm: string,
    blob: Uint8Array,
    signature: Uint8Array,
    { hostKey }: SessionBinding,
  ): void {
    if (this.hostbound) {
      const body = HostboundSignedBody.encode({ signed: true, algorithm, blob, hostKey, signature });
      this.#attempt(user, 'publickey', HOSTBOUND, body);
    } else {
      this.#attempt(
        user,
        'publickey',
        'publickey',
        PublicKeySignedBody.encode({ signed: true, algorithm, blob, signature }),
      );
    }
  }

  /** The bytes that a key of the client's host has to sign for `hostbased`. */
  hostbasedData(user: string, inputs: HostbasedInputs, { sessionId }: SessionBinding): Uint8Array {
    return hostbasedData(sessionId, user, inputs);
  }

  hostbased(user: string, body: Parameters<typeof HostbasedBody.encode>[0]): void {
    this.#attempt(user, 'hostbased', 'hostbased', HostbasedBody.encode(body));
  }

  #attempt(user: string, pending: Pending, method: string, body: Uint8Array): void {
    // RFC 4256 section 3.1: a new request abandons a keyboard-interactive one. Only while it is our turn, or an answer
    // to the old one could be taken for the new one's.
    const free = this.#pending === undefined || this.#prompted;
    if (!free || this.done) throw new SshError('usage', 'an authentication attempt is under way or done');
    this.requestService();
    this.#pending = pending;
    this.#prompted = false;
    this.#port.send(UserauthRequest.encode({ user, service: CONNECTION_SERVICE, method, body }));
  }

  // ---- input: messages 6 and 50 to 79

  receive(payload: Uint8Array): void {
    const number = payload[0]!;
    if (number === ServiceAccept.number) return this.#accepted(payload);
    if (number === UserauthBanner.number) return this.#banner(payload);
    const pending = this.#pending;
    if (pending === undefined) throw protocolError(`authentication message ${number} without an attempt`);
    if (number === UserauthSuccess.number) {
      UserauthSuccess.decode(payload);
      this.#settled();
      this.done = true;
      this.#port.succeeded();
      this.#port.emit({ type: 'auth-success' });
    } else if (number === UserauthFailure.number) {
      const { methods, partialSuccess } = UserauthFailure.decode(payload);
      this.#settled();
      this.#port.emit({ type: 'auth-failure', methods, partial: partialSuccess });
    } else if (number === UserauthPkOk.number && pending === 'query') {
      const { algorithm, blob } = UserauthPkOk.decode(payload);
      this.#settled();
      this.#port.emit({ type: 'auth-key-ok', algorithm, blob });
    } else if (number === UserauthPasswdChangeReq.number && pending === 'password') {
      const { prompt } = UserauthPasswdChangeReq.decode(payload);
      this.#settled();
      this.#port.emit({ type: 'auth-change-password', prompt });
    } else if (number === UserauthInfoRequest.number && pending === 'keyboard-interactive') {
      this.#prompts(payload);
    } else {
      throw protocolError(`authentication message ${number} does not answer ${pending}`);
    }
  }

  /** The attempt has its answer. */
  #settled(): void {
    this.#pending = undefined;
    this.#prompted = false;
  }

  #accepted(payload: Uint8Array): void {
    const { service } = ServiceAccept.decode(payload);
    if (!this.#serviceAsked || this.serviceAccepted || service !== USERAUTH_SERVICE)
      throw protocolError('unexpected SERVICE_ACCEPT');
    this.serviceAccepted = true;
    this.#port.emit({ type: 'auth-service' });
  }

  #banner(payload: Uint8Array): void {
    const { message } = UserauthBanner.decode(payload);
    if (++this.#banners > limits.banners || message.length > limits.bannerBytes) {
      throw new SshError('limit', 'too many or too long banners', { by: 'peer', disconnect: 2 });
    }
    this.#port.emit({ type: 'banner', message });
  }

  #prompts(payload: Uint8Array): void {
    if (this.#prompted) throw protocolError('prompts before those sent last were answered');
    const { title, instruction, count, prompts } = UserauthInfoRequest.decode(payload);
    if (count > limits.keyboardInteractivePrompts || ++this.#rounds > limits.keyboardInteractiveRounds) {
      throw new SshError('limit', 'too many keyboard-interactive prompts', { by: 'peer', disconnect: 2 });
    }
    const reader = new Reader(prompts);
    const list: Prompt[] = [];
    for (let i = 0; i < count; i++) list.push({ text: reader.text(), echo: reader.bool() });
    reader.end('USERAUTH_INFO_REQUEST');
    this.#prompted = true;
    this.#port.emit({ type: 'auth-prompts', title, instruction, prompts: list });
  }
}
