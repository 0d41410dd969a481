/**
 * The agent's side of the protocol (draft-ietf-sshm-ssh-agent), without IO: keys in memory, for a demo and for tests.
 *
 * It cannot ask anybody, so keys that want confirmation are refused; so are smart cards and unknown constraints. Of
 * extensions it knows `query` and `session-bind@openssh.com`, whose signature it checks and whose binding it forgets.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { equalBytes } from '../crypto/random.ts';
import { SshError } from '../errors.ts';
import { parsePublicBlob } from '../keys/blob.ts';
import { isCertificateType, parseCertificate } from '../keys/cert.ts';
import { readCertifiedFields, readPrivateFields } from '../keys/private-blob.ts';
import { sign, signatureAlgorithm, verify } from '../keys/sign.ts';
import type { Certificate, PrivateKey } from '../keys/types.ts';
import { limits } from '../limits.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import * as messages from './messages.ts';

export interface AgentKey {
  readonly key: PrivateKey;
  readonly certificate?: Certificate;
}

interface Held extends AgentKey {
  /** When the key is forgotten, on the clock of `tick`. */
  readonly until?: number;
}

/** The keys; one store may serve many connections. */
export class AgentStore {
  readonly crypto: CryptoProvider;
  #keys: Held[];
  #now = 0;
  #lock: Uint8Array | undefined;

  constructor(crypto: CryptoProvider, keys: readonly AgentKey[] = []) {
    this.crypto = crypto;
    this.#keys = [...keys];
  }

  /** Moves the clock that lifetimes are counted on. */
  tick(nowMs: number): void {
    this.#now = nowMs;
    this.#keys = this.#keys.filter(({ until }) => until === undefined || nowMs < until);
  }

  get locked(): boolean {
    return this.#lock !== undefined;
  }

  get keys(): readonly AgentKey[] {
    return this.locked ? [] : this.#keys;
  }

  find(blob: Uint8Array): AgentKey | undefined {
    return this.keys.find((held) => equalBytes(blobOf(held), blob));
  }

  add(key: AgentKey, lifetimeSeconds?: number): boolean {
    if (this.locked) return false;
    const others = this.#keys.filter((held) => !equalBytes(blobOf(held), blobOf(key)));
    if (others.length >= limits.agentKeys) return false;
    const until = lifetimeSeconds === undefined ? {} : { until: this.#now + lifetimeSeconds * 1000 };
    this.#keys = [...others, { ...key, ...until }];
    return true;
  }

  remove(blob: Uint8Array): boolean {
    const found = this.find(blob);
    this.#keys = this.#keys.filter((held) => held !== found);
    return found !== undefined;
  }

  removeAll(): void {
    this.#keys = [];
  }

  lock(passphrase: Uint8Array): boolean {
    if (this.#lock) return false;
    this.#lock = new Uint8Array(passphrase);
    return true;
  }

  unlock(passphrase: Uint8Array): boolean {
    if (!this.#lock || !this.crypto.equal(this.#lock, passphrase)) return false;
    this.#lock = undefined;
    return true;
  }
}

const blobOf = ({ key, certificate }: AgentKey): Uint8Array => certificate?.blob ?? key.publicKey.blob;

const succeeded = (yes: boolean): Uint8Array => (yes ? messages.success : messages.failure).encode({});

/** One connection to the agent. */
export class AgentServer {
  readonly #store: AgentStore;
  readonly #framer = new messages.AgentFramer();
  #output: Uint8Array[] = [];

  constructor(store: AgentStore) {
    this.#store = store;
  }

  /** Throws 'malformed' for what is no frame: the connection is to be closed. A request that is broken is refused. */
  receive(bytes: Uint8Array): void {
    this.#framer.receive(bytes);
    for (let message = this.#framer.next(); message; message = this.#framer.next()) {
      this.#output.push(messages.frame(this.#answer(message)));
    }
  }

  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #answer(message: Uint8Array): Uint8Array {
    try {
      return this.#dispatch(message);
    } catch (error) {
      if (error instanceof SshError) return succeeded(false);
      throw error;
    }
  }

  #dispatch(message: Uint8Array): Uint8Array {
    const store = this.#store;
    switch (message[0]) {
      case messages.requestIdentities.number:
        messages.requestIdentities.decode(message);
        return this.#identities();
      case messages.signRequest.number:
        return this.#sign(message);
      case messages.addIdentity.number:
      case messages.addIdConstrained.number:
        return succeeded(this.#add(message));
      case messages.removeIdentity.number:
        return succeeded(store.remove(messages.removeIdentity.decode(message).keyBlob));
      case messages.removeAllIdentities.number:
        messages.removeAllIdentities.decode(message);
        store.removeAll();
        return succeeded(true);
      case messages.lock.number:
        return succeeded(store.lock(messages.lock.decode(message).passphrase));
      case messages.unlock.number:
        return succeeded(store.unlock(messages.unlock.decode(message).passphrase));
      case messages.extension.number:
        return this.#extension(message);
      default:
        return succeeded(false);
    }
  }

  #identities(): Uint8Array {
    const { keys } = this.#store;
    const writer = new Writer();
    for (const held of keys) writer.string(blobOf(held)).text(held.key.comment);
    return messages.identitiesAnswer.encode({ count: keys.length, identities: writer.finish() });
  }

  #sign(message: Uint8Array): Uint8Array {
    const { keyBlob, data, flags } = messages.signRequest.decode(message);
    const held = this.#store.find(keyBlob);
    if (!held) return succeeded(false);
    const { key } = held;
    const { rsaSha512, rsaSha256 } = messages.SignFlags;
    const rsa = flags & rsaSha512 ? 'rsa-sha2-512' : flags & rsaSha256 ? 'rsa-sha2-256' : 'ssh-rsa';
    const algorithm = key.publicKey.type === 'ssh-rsa' ? rsa : key.publicKey.type;
    return messages.signResponse.encode({ signature: sign(this.#store.crypto, key, algorithm, data) });
  }

  #add(message: Uint8Array): boolean {
    const constrained = message[0] === messages.addIdConstrained.number;
    const reader = new Reader((constrained ? messages.addIdConstrained : messages.addIdentity).decode(message).key);
    const { crypto } = this.#store;
    const type = reader.text(limits.algorithmName);
    const certificate = isCertificateType(type) ? parseCertificate(reader.string()) : undefined;
    if (certificate && certificate.type !== type) return false;
    const halves = certificate
      ? readCertifiedFields(crypto, certificate.key, reader)
      : readPrivateFields(crypto, type, reader);
    const key: PrivateKey = { ...halves, comment: reader.text() };
    let lifetime: number | undefined;
    while (constrained && reader.remaining > 0) {
      if (reader.u8() !== messages.Constraint.lifetime || lifetime !== undefined) return false;
      lifetime = reader.u32();
    }
    reader.end('added key');
    return this.#store.add({ key, ...(certificate && { certificate }) }, lifetime);
  }

  #extension(message: Uint8Array): Uint8Array {
    const { name, contents } = messages.extension.decode(message);
    switch (name) {
      case 'query':
        return messages.extensionResponse.encode({
          name,
          contents: new Writer().text(messages.sessionBindName).finish(),
        });
      case messages.sessionBindName: {
        const { hostKey, sessionId, signature } = messages.sessionBind.decode(contents);
        const key = parsePublicBlob(hostKey);
        const bound = verify(this.#store.crypto, key, signatureAlgorithm(signature), sessionId, signature);
        return bound ? succeeded(true) : messages.extensionFailure.encode({});
      }
      default:
        return messages.extensionFailure.encode({});
    }
  }
}
