/**
 * Logging in: which methods and keys are tried, in what order, until the server is content (RFC 4252 section 5).
 *
 * Round trips are saved where nothing is lost: no `none` probe when a key is at hand, and no query before a signature
 * that costs neither a prompt nor a touch. Multi-step log-ins (partial success) go on with the methods still wanted.
 */

import { type Binding, SshError } from '../protocol/index.ts';
import type { AuthExchange, AuthReply } from './auth-exchange.ts';
import type { HostIdentity } from './hostbased.ts';
import type { Prompter } from './prompter.ts';

/** A key that can sign, wherever it lives. */
export interface Identity {
  /** For the log and for errors: a path, or the agent's comment. */
  readonly label: string;
  readonly source: 'file' | 'agent';
  /** As ssh(1) logs a key: label, type, fingerprint, where it comes from. */
  readonly description?: string;
  /** The key's or the certificate's blob: what the server is shown. */
  readonly blob: Uint8Array;
  /** The blob's type: the key type, or the certificate type. */
  readonly type: string;
  /** Algorithms it can sign with, best first. */
  readonly algorithms: readonly string[];
  /** Signing costs a person something (a passphrase, a touch): ask the server first. */
  readonly costly: boolean;
  /** The signature blob, or undefined when it cannot be had after all (a wrong passphrase): the next key is tried. */
  sign(algorithm: string, data: Uint8Array): Promise<Uint8Array | undefined>;
  /** Called once the server took the key. */
  used?(): Promise<void>;
}

export interface AuthPlan {
  /** Methods in order of preference. */
  readonly methods: readonly string[];
  /** In order; taken one by one, so that the next is only loaded when it is needed. */
  readonly identities: (binding: Binding) => AsyncIterable<Identity>;
  /** Signature algorithms we are willing to use. */
  readonly accepted: readonly string[];
  /** Answers without a person: BSSH_PASSWORD, or a password asked once for all hosts. */
  readonly password?: (() => Promise<string | undefined>) | undefined;
  readonly prompter?: Prompter | undefined;
  /** How often a password is asked for. */
  readonly passwordPrompts: number;
  /** Keys of this host that vouch for its user (HostbasedAuthentication). */
  readonly hostIdentities?: (() => AsyncIterable<HostIdentity>) | undefined;
  readonly keyboardInteractiveDevices?: string | undefined;
  /** For the prompt: `user@host's password: `. */
  readonly hostLabel: string;
  /** Methods that turned out to be unsafe since the plan was made (a host key that changed). */
  readonly forbidden?: (() => readonly string[]) | undefined;
  /** Signatures may name the host key (PubkeyAuthentication); default true. */
  readonly hostBound?: boolean | undefined;
  /** Where we logged in, for the log: `host ([address]:port)`. */
  readonly place?: (() => string) | undefined;
  readonly log?: ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Logs in or throws SshError 'auth' with `{ methods, tried }`. */
export async function authenticate(exchange: AuthExchange, plan: AuthPlan): Promise<void> {
  const attempts = new Attempts(exchange, plan);
  try {
    await attempts.run();
  } finally {
    await attempts.end();
  }
}

class Attempts {
  readonly #exchange: AuthExchange;
  readonly #plan: AuthPlan;
  readonly #identities: AsyncIterator<Identity>;
  readonly #usedUp = new Set<string>();
  #heldBack: Identity | undefined;
  /** The key whose signature is being judged. */
  #signing: Identity | undefined;
  /** Keys the server did not take: after a partial success it may. */
  #refused: Identity[] = [];
  #again: Identity[] = [];
  #passwordAsks = 0;
  #interactiveAsks = 0;
  #hostIdentities: AsyncIterator<HostIdentity> | undefined;

  constructor(exchange: AuthExchange, plan: AuthPlan) {
    this.#exchange = exchange;
    this.#plan = plan;
    exchange.hostBound = plan.hostBound !== false;
    this.#identities = plan.identities(exchange.binding)[Symbol.asyncIterator]();
  }

  #log(level: 0 | 1 | 2 | 3, text: string): void {
    this.#plan.log?.(level, text);
  }

  async run(): Promise<void> {
    // The service request leaves ahead of whatever is prepared next; its answer is waited for only where it matters.
    if (this.#plan.methods[0] === 'publickey') {
      this.#heldBack = await this.#next();
    }
    if (this.#heldBack === undefined) {
      const reply = await this.#exchange.none();
      if (await this.#settle('none', reply)) return;
    }
    for (;;) {
      const method = this.#choose();
      if (method === undefined) throw this.#exhausted();
      this.#log(1, `Next authentication method: ${method}`);
      const reply = await this.#try(method);
      if (reply === undefined) {
        this.#usedUp.add(method);
        continue;
      }
      if (await this.#settle(method, reply)) return;
    }
  }

  /** Lets go of what the identities hold: an agent's socket. */
  async end(): Promise<void> {
    await this.#identities.return?.();
    await this.#hostIdentities?.return?.();
  }

  /** True when we are in. */
  async #settle(method: string, reply: AuthReply): Promise<boolean> {
    const key = this.#signing;
    this.#signing = undefined;
    if (reply.type === 'success') {
      this.#log(1, `Authentication succeeded (${method}).`);
      this.#log(0, `Authenticated to ${this.#plan.place?.() ?? this.#plan.hostLabel} using "${method}".`);
      await key?.used?.();
      return true;
    }
    if (reply.type === 'failure') {
      this.#exchange.methods = reply.methods;
      if (reply.partial) {
        this.#log(0, `Authenticated using "${method}" with partial success.`);
        await key?.used?.();
        // A further step may use a method again, with what is left of it; a key that served is not taken twice.
        this.#passwordAsks = 0;
        this.#interactiveAsks = 0;
        this.#usedUp.clear();
        this.#again.push(...this.#refused.splice(0));
      } else if (key !== undefined) this.#refused.push(key);
      this.#log(1, `Authentications that can continue: ${reply.methods.join(',')}`);
    }
    return false;
  }

  #choose(): string | undefined {
    const can = this.#exchange.methods;
    const forbidden = this.#plan.forbidden?.() ?? [];
    return this.#plan.methods.find(
      (method) =>
        !this.#usedUp.has(method) &&
        !forbidden.includes(method) &&
        (can === undefined ? method === 'publickey' : can.includes(method)),
    );
  }

  /** The reply to one attempt, or undefined when the method has nothing more to try. */
  async #try(method: string): Promise<AuthReply | undefined> {
    switch (method) {
      case 'publickey':
        return this.#publicKey();
      case 'hostbased':
        return this.#hostbased();
      case 'password':
        return this.#password();
      case 'keyboard-interactive':
        return this.#interactive();
      default:
        return undefined;
    }
  }

  #exhausted(): SshError {
    const { methods = [], tried, user } = this.#exchange;
    this.#log(1, 'No more authentication methods to try.');
    return new SshError('auth', 'Permission denied', { by: 'peer', detail: { methods, tried, user } });
  }

  // ---- public keys

  async #next(): Promise<Identity | undefined> {
    const next = await this.#identities.next();
    return next.done === true ? this.#again.shift() : next.value;
  }

  async #publicKey(): Promise<AuthReply | undefined> {
    for (;;) {
      const identity = this.#heldBack ?? (await this.#next());
      this.#heldBack = undefined;
      if (identity === undefined) return undefined;
      // Refused is refused: the same key again would waste one of the server's few tries.
      if (this.#refused.some(({ blob }) => Buffer.compare(blob, identity.blob) === 0)) continue;
      const name = identity.description ?? `${identity.label} ${identity.type} ${identity.source}`;
      const algorithm = await this.#algorithmFor(identity);
      if (algorithm === undefined) {
        this.#log(1, `send_pubkey_test: no mutual signature algorithm: ${name}`);
        continue;
      }
      this.#log(1, `Offering public key: ${name}`);
      if (identity.costly) {
        this.#exchange.tried.push(identity.label);
        const reply = await this.#exchange.query(algorithm, identity.blob);
        if (reply.type !== 'key-ok') {
          if (reply.type === 'failure') this.#refused.push(identity);
          return reply;
        }
        this.#log(1, `Server accepts key: ${name}`);
      }
      const signature = await identity.sign(algorithm, this.#exchange.dataToSign(algorithm, identity.blob));
      if (signature === undefined) continue;
      if (!identity.costly) this.#exchange.tried.push(identity.label);
      this.#signing = identity;
      const reply = await this.#exchange.publicKey(algorithm, identity.blob, signature);
      // Without a query the answer to the signature is the first word on the key.
      const accepted = reply.type === 'success' || (reply.type === 'failure' && reply.partial);
      if (accepted && !identity.costly) this.#log(1, `Server accepts key: ${name}`);
      return reply;
    }
  }

  /**
   * As ssh has it: only RSA has a choice, made by server-sig-algs; a server that does not send them is offered the
   * algorithm named like the key, if we accept that one.
   */
  async #algorithmFor(identity: Identity): Promise<string | undefined> {
    const accepted = this.#plan.accepted.filter((name) => identity.algorithms.includes(name));
    if (identity.algorithms.length === 1) return accepted[0];
    await this.#exchange.service();
    const server = this.#exchange.serverSignatureAlgorithms;
    if (server === undefined) return accepted.find((name) => name === identity.type);
    const plain = (name: string): string => name.replace(/-cert-v01@openssh\.com$/, '');
    return accepted.find((name) => server.includes(plain(name)) || server.includes(name));
  }

  // ---- this host's keys

  async #hostbased(): Promise<AuthReply | undefined> {
    this.#hostIdentities ??= this.#plan.hostIdentities?.()[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#hostIdentities?.next();
      if (next === undefined || next.done === true) return undefined;
      const identity = next.value;
      const signature = await identity.sign(this.#exchange.hostbasedData(identity));
      if (signature === undefined) continue;
      this.#exchange.tried.push(identity.label);
      return this.#exchange.hostbased(identity, signature);
    }
  }

  // ---- passwords

  async #askSecret(text: string, purpose: string): Promise<string | undefined> {
    return this.#plan.prompter?.ask({ text, echo: false, purpose }, this.#plan.signal);
  }

  async #password(): Promise<AuthReply | undefined> {
    if (this.#passwordAsks >= this.#plan.passwordPrompts) return undefined;
    if (this.#passwordAsks > 0) this.#plan.prompter?.tell('Permission denied, please try again.');
    this.#passwordAsks++;
    const given = this.#passwordAsks === 1 ? await this.#plan.password?.() : undefined;
    const password =
      given ?? (await this.#askSecret(`${this.#plan.hostLabel}'s password: `, `password ${this.#plan.hostLabel}`));
    if (password === undefined) return undefined;
    this.#exchange.tried.push('password');
    const reply = await this.#exchange.password(password);
    return reply.type === 'change-password' ? this.#changePassword(password, reply.prompt) : reply;
  }

  /** RFC 4252 section 8: the old password once more, the new one twice. */
  async #changePassword(old: string, prompt: string): Promise<AuthReply | undefined> {
    if (prompt !== '') this.#plan.prompter?.tell(prompt);
    const label = this.#plan.hostLabel;
    for (;;) {
      const fresh = await this.#askSecret(`Enter ${label}'s new password: `, `new password ${label}`);
      if (fresh === undefined) return undefined;
      const again = await this.#askSecret(`Retype ${label}'s new password: `, `new password again ${label}`);
      if (again === undefined) return undefined;
      if (again !== fresh) {
        this.#plan.prompter?.tell('Mismatch; try again, EOF to quit.');
        continue;
      }
      const reply = await this.#exchange.changePassword(old, fresh);
      if (reply.type !== 'change-password') return reply;
      if (reply.prompt !== '') this.#plan.prompter?.tell(reply.prompt);
    }
  }

  // ---- keyboard-interactive

  async #interactive(): Promise<AuthReply | undefined> {
    if (this.#interactiveAsks >= this.#plan.passwordPrompts) return undefined;
    this.#interactiveAsks++;
    this.#exchange.tried.push('keyboard-interactive');
    let reply = await this.#exchange.keyboardInteractive(this.#plan.keyboardInteractiveDevices);
    let prompted = false;
    while (reply.type === 'prompts') {
      const responses = await this.#respond(reply);
      if (responses === undefined) return undefined;
      prompted ||= responses.length > 0;
      reply = await this.#exchange.respond(responses);
    }
    // A server that fails without asking anything would do so for ever.
    if (!prompted && reply.type === 'failure' && !reply.partial) this.#usedUp.add('keyboard-interactive');
    return reply;
  }

  async #respond({ title, instruction, prompts }: AuthReply & { type: 'prompts' }): Promise<string[] | undefined> {
    for (const text of [title, instruction]) if (text !== '') this.#plan.prompter?.tell(text);
    const responses: string[] = [];
    for (const prompt of prompts) {
      // A single hidden prompt is a password in other clothes: a password given beforehand answers it, once.
      const given =
        prompts.length === 1 && !prompt.echo && this.#interactiveAsks === 1 ? await this.#plan.password?.() : undefined;
      const text = `(${this.#plan.hostLabel}) ${prompt.text}`;
      const response =
        given ??
        (await this.#plan.prompter?.ask(
          { text, echo: prompt.echo, purpose: `prompt ${this.#plan.hostLabel}` },
          this.#plan.signal,
        ));
      if (response === undefined) return undefined;
      responses.push(response);
    }
    return responses;
  }
}
