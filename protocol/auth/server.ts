/**
 * The server's side of user authentication (RFC 4252, 4256). Signatures are verified here; whether a user, key or
 * password is welcome is asked outside: each request is one event and one answer.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { Disconnect, protocolError, SshError } from '../errors.ts';
import { parsePublicBlob } from '../keys/blob.ts';
import { parseCertificate } from '../keys/cert.ts';
import { signatureRow, verify } from '../keys/sign.ts';
import type { Certificate, PublicKey } from '../keys/types.ts';
import { limits } from '../limits.ts';
import { ServiceAccept, ServiceRequest } from '../messages/transport.ts';
import {
  KeyboardInteractiveBody,
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
import { encodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';
import type { Prompt } from './client.ts';
import { CONNECTION_SERVICE, HOSTBOUND, signedData, USERAUTH_SERVICE } from './signed-data.ts';

export type AuthRequest =
  | { readonly method: 'none'; readonly user: string }
  | {
      readonly method: 'password';
      readonly user: string;
      readonly password: string;
      readonly newPassword: string | undefined;
    }
  /** `signed`: the signature was there and is right; otherwise the client only asks whether the key would do. */
  | {
      readonly method: 'publickey';
      readonly user: string;
      readonly algorithm: string;
      readonly key: PublicKey;
      readonly certificate: Certificate | undefined;
      readonly blob: Uint8Array;
      readonly signed: boolean;
    }
  | { readonly method: 'keyboard-interactive'; readonly user: string; readonly submethods: string };

export type ServerAuthEvent =
  /** Answer with `accept`, `reject`, `keyOk`, `ask` or `askNewPassword`. */
  | { readonly type: 'auth-request'; readonly request: AuthRequest }
  /** The answer to `ask`. */
  | { readonly type: 'auth-responses'; readonly responses: readonly string[] };

export interface ServerAuthPort {
  readonly crypto: CryptoProvider;
  send(payload: Uint8Array): void;
  emit(event: ServerAuthEvent): void;
  /** Ends the connection. */
  fail(error: SshError): void;
  binding(): { readonly sessionId: Uint8Array; readonly hostKey: Uint8Array };
}

export class ServerAuth {
  readonly #port: ServerAuthPort;
  readonly #maxAttempts: number;
  #serviceAsked = false;
  #request: AuthRequest | undefined;
  #asked = false;
  /** Requests that came ahead of our answer to the one before. */
  readonly #ahead: Uint8Array[] = [];
  /** Banners for which it is too early. */
  readonly #banners: Uint8Array[] = [];
  #failures = 0;
  done = false;
  /** Methods named in failures. */
  methods: readonly string[] = ['publickey', 'password', 'keyboard-interactive'];

  constructor(port: ServerAuthPort, maxAttempts: number) {
    this.#port = port;
    this.#maxAttempts = maxAttempts;
  }

  // ---- commands

  /** Leaves once the client has asked for the service: OpenSSH's takes none before. */
  banner(text: string): void {
    const banner = UserauthBanner.encode({ message: encodeUtf8(text), language: new Uint8Array(4) });
    if (this.#serviceAsked) this.#port.send(banner);
    else this.#banners.push(banner);
  }

  accept(): void {
    this.#answered();
    this.done = true;
    this.#port.send(UserauthSuccess.encode({}));
  }

  /** `partial`: this method was right, but more are wanted (RFC 4252 section 5.1). */
  reject(partial = false): void {
    const request = this.#answered();
    const query = request.method === 'publickey' && !request.signed;
    this.#refuse(partial, !partial && !query && request.method !== 'none');
    this.#next();
  }

  #refuse(partial: boolean, counts: boolean): void {
    if (counts && ++this.#failures >= this.#maxAttempts) {
      const error = new SshError('auth', 'too many authentication failures', {
        by: 'peer',
        disconnect: Disconnect.protocolError,
      });
      this.#ahead.length = 0;
      return this.#port.fail(error);
    }
    this.#port.send(UserauthFailure.encode({ methods: this.methods, partialSuccess: partial }));
  }

  /** RFC 4252 section 5: a request is done with before the next one is looked at. */
  #next(): void {
    while (this.#request === undefined) {
      const payload = this.#ahead.shift();
      if (payload === undefined) return;
      try {
        this.#requested(payload);
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        this.#ahead.length = 0;
        this.#port.fail(error);
      }
    }
  }

  /** The key of the query would do. */
  keyOk(): void {
    const request = this.#request;
    if (request?.method !== 'publickey' || request.signed) throw new SshError('usage', 'no key was asked about');
    this.#answered();
    this.#port.send(UserauthPkOk.encode({ algorithm: request.algorithm, blob: request.blob }));
    this.#next();
  }

  /** Puts prompts to a keyboard-interactive client; 'auth-responses' follows. */
  ask(title: string, instruction: string, prompts: readonly Prompt[]): void {
    if (this.#request?.method !== 'keyboard-interactive')
      throw new SshError('usage', 'no keyboard-interactive request is under way');
    this.#asked = true;
    const writer = new Writer();
    for (const prompt of prompts) writer.text(prompt.text).bool(prompt.echo);
    this.#port.send(
      UserauthInfoRequest.encode({ title, instruction, language: '', count: prompts.length, prompts: writer.finish() }),
    );
  }

  askNewPassword(prompt: string): void {
    this.#answered();
    this.#port.send(UserauthPasswdChangeReq.encode({ prompt, language: new Uint8Array(4) }));
    this.#next();
  }

  #answered(): AuthRequest {
    const request = this.#request;
    if (request === undefined) throw new SshError('usage', 'no authentication request awaits an answer');
    this.#request = undefined;
    this.#asked = false;
    return request;
  }

  // ---- input

  receive(payload: Uint8Array): void {
    const number = payload[0]!;
    if (number === ServiceRequest.number) {
      const { service } = ServiceRequest.decode(payload);
      if (service !== USERAUTH_SERVICE) {
        throw new SshError('protocol', 'no such service', { by: 'peer', disconnect: Disconnect.serviceNotAvailable });
      }
      this.#serviceAsked = true;
      this.#port.send(ServiceAccept.encode({ service }));
      for (const banner of this.#banners) this.#port.send(banner);
      this.#banners.length = 0;
    } else if (number === UserauthInfoResponse.number && this.#asked) {
      this.#responses(payload);
    } else if (number === UserauthRequest.number) {
      this.#requestCame(payload);
    } else {
      throw protocolError(`authentication message ${number} is not legal now`);
    }
  }

  #responses(payload: Uint8Array): void {
    const { count, responses } = UserauthInfoResponse.decode(payload);
    if (count > limits.keyboardInteractivePrompts)
      throw new SshError('limit', 'too many responses', { by: 'peer', disconnect: 2 });
    const reader = new Reader(responses);
    const list: string[] = [];
    for (let i = 0; i < count; i++) list.push(reader.text());
    reader.end('USERAUTH_INFO_RESPONSE');
    this.#asked = false;
    this.#port.emit({ type: 'auth-responses', responses: list });
  }

  #requestCame(payload: Uint8Array): void {
    if (!this.#serviceAsked) throw protocolError('authentication before its service was asked for');
    // RFC 4252 section 5.1: requests after success are ignored.
    if (this.done) return;
    // RFC 4256 section 3.1: a new request abandons prompts; any other has to be answered first.
    if (this.#request === undefined || this.#asked) return this.#requested(payload);
    if (this.#ahead.length >= limits.pendingAuthRequests) {
      throw new SshError('limit', 'too many authentication requests ahead of their answers', {
        by: 'peer',
        disconnect: Disconnect.protocolError,
        detail: { limit: 'pendingAuthRequests' },
      });
    }
    this.#ahead.push(payload);
  }

  #requested(payload: Uint8Array): void {
    this.#asked = false;
    const { user, service, method, body } = UserauthRequest.decode(payload);
    if (service !== CONNECTION_SERVICE) {
      throw new SshError('protocol', 'no such service', { by: 'peer', disconnect: Disconnect.serviceNotAvailable });
    }
    const request = this.#parse(user, method, body);
    this.#request = request;
    if (request === undefined) this.#refuse(false, true);
    else this.#port.emit({ type: 'auth-request', request });
  }

  /** The request as it may be judged outside; undefined for what cannot succeed whatever the judgement. */
  #parse(user: string, method: string, body: Uint8Array): AuthRequest | undefined {
    const reader = new Reader(body);
    switch (method) {
      case 'none':
        return { method, user };
      case 'password': {
        const change = reader.bool();
        const password = reader.text();
        const newPassword = change ? reader.text() : undefined;
        reader.end('password');
        return { method, user, password, newPassword };
      }
      case 'keyboard-interactive':
        return { method, user, submethods: KeyboardInteractiveBody.decode(body).submethods };
      case 'publickey':
      case HOSTBOUND:
        return this.#publicKey(user, reader, method === HOSTBOUND);
      default:
        return undefined;
    }
  }

  #publicKey(user: string, reader: Reader, hostbound: boolean): AuthRequest | undefined {
    const signed = reader.bool();
    const algorithm = reader.text();
    const blob = reader.string();
    const { sessionId, hostKey } = this.#port.binding();
    if (hostbound && !this.#port.crypto.equal(reader.string(), hostKey)) return undefined;
    const row = signatureRow(algorithm);
    if (row === undefined) return undefined;
    let key: PublicKey;
    let certificate: Certificate | undefined;
    try {
      certificate = row.certificate ? parseCertificate(blob) : undefined;
      key = certificate?.key ?? parsePublicBlob(blob);
    } catch (error) {
      // A key we cannot read is not welcome; it is no reason to hang up.
      if (error instanceof SshError) return undefined;
      throw error;
    }
    if (key.type !== row.keyType) return undefined;
    if (signed) {
      const data = signedData({ sessionId, user, algorithm, blob, hostKey: hostbound ? hostKey : undefined });
      if (!verify(this.#port.crypto, key, algorithm, data, reader.string())) return undefined;
    }
    reader.end('publickey');
    return { method: 'publickey', user, algorithm, key, certificate, blob, signed };
  }
}
