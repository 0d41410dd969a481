/**
 * The SSH agent's messages (draft-ietf-sshm-ssh-agent), each a `uint32 length | byte type | contents` frame.
 *
 * Not here: smart cards (ADD_SMARTCARD_KEY and its kin) and protocol 1.
 */

import { malformed } from '../errors.ts';
import { limits } from '../limits.ts';
import { bool, rest, string, text, u32 } from '../wire/fields.ts';
import { defineBody, defineMessage } from '../wire/message.ts';
import { getU32, Writer } from '../wire/writer.ts';

// Requests, section 5.1 of the draft.
export const requestIdentities = defineMessage(11, 'SSH_AGENTC_REQUEST_IDENTITIES', {});
export const signRequest = defineMessage(13, 'SSH_AGENTC_SIGN_REQUEST', { keyBlob: string, data: string, flags: u32 });
/** `key` is the private key, its comment and, in the constrained form, the constraints. */
export const addIdentity = defineMessage(17, 'SSH_AGENTC_ADD_IDENTITY', { key: rest });
export const addIdConstrained = defineMessage(25, 'SSH_AGENTC_ADD_ID_CONSTRAINED', { key: rest });
export const removeIdentity = defineMessage(18, 'SSH_AGENTC_REMOVE_IDENTITY', { keyBlob: string });
export const removeAllIdentities = defineMessage(19, 'SSH_AGENTC_REMOVE_ALL_IDENTITIES', {});
export const lock = defineMessage(22, 'SSH_AGENTC_LOCK', { passphrase: string });
export const unlock = defineMessage(23, 'SSH_AGENTC_UNLOCK', { passphrase: string });
export const extension = defineMessage(27, 'SSH_AGENTC_EXTENSION', { name: text, contents: rest });

// Answers.
export const failure = defineMessage(5, 'SSH_AGENT_FAILURE', {});
export const success = defineMessage(6, 'SSH_AGENT_SUCCESS', {});
/** `count` pairs of key blob and comment follow. */
export const identitiesAnswer = defineMessage(12, 'SSH_AGENT_IDENTITIES_ANSWER', { count: u32, identities: rest });
export const signResponse = defineMessage(14, 'SSH_AGENT_SIGN_RESPONSE', { signature: string });
export const extensionFailure = defineMessage(28, 'SSH_AGENT_EXTENSION_FAILURE', {});
export const extensionResponse = defineMessage(29, 'SSH_AGENT_EXTENSION_RESPONSE', { name: text, contents: rest });

/** Flags of a sign request: which hash an RSA key signs with; none means SHA-1. */
export const SignFlags = { rsaSha256: 2, rsaSha512: 4 } as const;

/** Key constraints, section 3.2.7. */
export const Constraint = { lifetime: 1, confirm: 2, extension: 255 } as const;

/** The contents of `session-bind@openssh.com` (OpenSSH's PROTOCOL.agent section 1). */
export const sessionBindName = 'session-bind@openssh.com';
export const sessionBind = defineBody('session-bind', {
  hostKey: string,
  sessionId: string,
  signature: string,
  isForwarding: bool,
});

export function frame(message: Uint8Array): Uint8Array {
  return new Writer(message.length + 4).u32(message.length).raw(message).finish();
}

/** Cuts a byte stream into messages. What comes out are copies. */
export class AgentFramer {
  #held: Uint8Array[] = [];
  #length = 0;

  receive(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    // Not bytes.slice(): of a Buffer that would be a view.
    this.#held.push(new Uint8Array(bytes));
    this.#length += bytes.length;
  }

  /** The next whole message; throws 'malformed' for a length no agent message has. */
  next(): Uint8Array | undefined {
    if (this.#length < 4) return undefined;
    const length = getU32(this.#peek(4), 0);
    if (length === 0 || length > limits.agentMessage) throw malformed(`agent message of ${length} bytes`);
    if (this.#length < 4 + length) return undefined;
    const all = this.#joined();
    this.#held = all.length > 4 + length ? [all.subarray(4 + length)] : [];
    this.#length = all.length - 4 - length;
    return all.slice(4, 4 + length);
  }

  #peek(count: number): Uint8Array {
    return this.#held[0]!.length >= count ? this.#held[0]! : this.#joined();
  }

  #joined(): Uint8Array {
    if (this.#held.length > 1) {
      const all = new Uint8Array(this.#length);
      let at = 0;
      for (const part of this.#held) {
        all.set(part, at);
        at += part.length;
      }
      this.#held = [all];
    }
    return this.#held[0]!;
  }
}
