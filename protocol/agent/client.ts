/**
 * The client's side of the agent protocol (draft-ietf-sshm-ssh-agent), without IO.
 *
 * Requests go out in order and are answered in order: each method queues one and returns its number, `poll` tells what
 * came of it. An agent that breaks the protocol makes `receive` throw; the connection is of no use then. An agent that
 * says nothing is for the owner of the clock to give up on.
 */

import { malformed, SshError } from '../errors.ts';
import { writeCertifiedKey, writePrivateKey } from '../keys/private-blob.ts';
import type { Certificate, PrivateKey } from '../keys/types.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { encodeUtf8 } from '../wire/text.ts';
import { Writer } from '../wire/writer.ts';
import * as messages from './messages.ts';

export interface AgentIdentity {
  /** A key blob or a certificate blob, as the agent has it: it may be of a type we do not know. */
  readonly blob: Uint8Array;
  readonly comment: string;
}

export interface AddConstraints {
  /** Seconds until the agent forgets the key. */
  readonly lifetime?: number;
  /** The agent asks its user before each signature. */
  readonly confirm?: boolean;
}

export type AgentEvent =
  | { readonly kind: 'identities'; readonly id: number; readonly identities: readonly AgentIdentity[] }
  /** `string algorithm | string signature`. */
  | { readonly kind: 'signature'; readonly id: number; readonly signature: Uint8Array }
  | { readonly kind: 'success'; readonly id: number }
  | { readonly kind: 'extension'; readonly id: number; readonly contents: Uint8Array }
  /** The agent refused; an 'agent' error with `detail.request`. */
  | { readonly kind: 'failure'; readonly id: number; readonly error: SshError };

type Expected = 'identities' | 'signature' | 'success' | 'extension';

interface Pending {
  readonly id: number;
  readonly request: string;
  readonly expected: Expected;
}

export class AgentClient {
  readonly #framer = new messages.AgentFramer();
  readonly #pending: Pending[] = [];
  readonly #events: AgentEvent[] = [];
  #output: Uint8Array[] = [];
  #nextId = 1;

  /** Requests without an answer yet. */
  get pending(): number {
    return this.#pending.length;
  }

  list(): number {
    return this.#request('list', 'identities', messages.requestIdentities.encode({}));
  }

  sign(keyBlob: Uint8Array, data: Uint8Array, flags = 0): number {
    return this.#request('sign', 'signature', messages.signRequest.encode({ keyBlob, data, flags }));
  }

  /** Hands a key over; with a certificate, the agent lists the certificate. */
  add(key: PrivateKey, constraints: AddConstraints = {}, certificate?: Certificate): number {
    const writer = new Writer(2048);
    if (certificate) writeCertifiedKey(writer, certificate, key);
    else writePrivateKey(writer, key);
    writer.text(key.comment);
    const { lifetime, confirm = false } = constraints;
    if (lifetime !== undefined) writer.u8(messages.Constraint.lifetime).u32(lifetime);
    if (confirm) writer.u8(messages.Constraint.confirm);
    const message = lifetime !== undefined || confirm ? messages.addIdConstrained : messages.addIdentity;
    return this.#request('add', 'success', message.encode({ key: writer.finish() }));
  }

  remove(keyBlob: Uint8Array): number {
    return this.#request('remove', 'success', messages.removeIdentity.encode({ keyBlob }));
  }

  removeAll(): number {
    return this.#request('remove-all', 'success', messages.removeAllIdentities.encode({}));
  }

  lock(passphrase: string): number {
    return this.#request('lock', 'success', messages.lock.encode({ passphrase: encodeUtf8(passphrase) }));
  }

  unlock(passphrase: string): number {
    return this.#request('unlock', 'success', messages.unlock.encode({ passphrase: encodeUtf8(passphrase) }));
  }

  /** `contents` follows the extension's name without a length. */
  extension(name: string, contents: Uint8Array): number {
    return this.#request(name, 'extension', messages.extension.encode({ name, contents }));
  }

  #request(request: string, expected: Expected, message: Uint8Array): number {
    if (message.length > limits.agentMessage) {
      throw new SshError('limit', 'agent request too large', { detail: { limit: 'agentMessage' } });
    }
    if (this.#pending.length >= limits.pendingRequests) {
      throw new SshError('limit', 'too many agent requests', { detail: { limit: 'pendingRequests' } });
    }
    const id = this.#nextId++;
    this.#pending.push({ id, request, expected });
    this.#output.push(messages.frame(message));
    return id;
  }

  /** What to send now. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  receive(bytes: Uint8Array): void {
    this.#framer.receive(bytes);
    for (let message = this.#framer.next(); message; message = this.#framer.next()) {
      const pending = this.#pending.shift();
      if (!pending) throw malformed('agent answers what was not asked');
      this.#events.push(readAnswer(pending, message));
    }
  }

  poll(): AgentEvent | undefined {
    return this.#events.shift();
  }
}

function readAnswer({ id, request, expected }: Pending, message: Uint8Array): AgentEvent {
  const type = message[0]!;
  // An agent that does not know extensions says plain failure (section 3.8 of the draft).
  if (type === messages.failure.number || (type === messages.extensionFailure.number && expected === 'extension')) {
    const error = new SshError('agent', `the agent refused: ${request}`, { by: 'peer', detail: { request } });
    return { kind: 'failure', id, error };
  }
  switch (expected) {
    case 'identities':
      return { kind: 'identities', id, identities: readIdentities(message) };
    case 'signature':
      return { kind: 'signature', id, signature: messages.signResponse.decode(message).signature };
    case 'success':
      messages.success.decode(message);
      return { kind: 'success', id };
    case 'extension':
      return { kind: 'extension', id, contents: readExtension(request, message) };
  }
}

/** An extension without results, such as session-bind, is answered by a bare success (section 3.8 of the draft). */
function readExtension(name: string, message: Uint8Array): Uint8Array {
  if (message[0] === messages.success.number) return message.subarray(1);
  const answer = messages.extensionResponse.decode(message);
  if (answer.name !== name) throw malformed('agent answers for another extension');
  return answer.contents;
}

function readIdentities(message: Uint8Array): AgentIdentity[] {
  const { count, identities: body } = messages.identitiesAnswer.decode(message);
  if (count > limits.agentKeys) throw malformed(`agent lists ${count} keys`);
  const reader = new Reader(body);
  const identities: AgentIdentity[] = [];
  while (identities.length < count) identities.push({ blob: reader.string(), comment: reader.text() });
  reader.end('identities');
  return identities;
}
