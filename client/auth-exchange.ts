/** One authentication attempt at a time as a promise, over the session's client authentication (RFC 4252). */

import {
  type Binding,
  type ClientAuthEvent,
  type HostbasedInputs,
  type Prompt,
  type Session,
  SshError,
} from '../protocol/index.ts';

export type AuthReply =
  | { readonly type: 'success' }
  | { readonly type: 'failure'; readonly methods: readonly string[]; readonly partial: boolean }
  | { readonly type: 'key-ok' }
  | {
      readonly type: 'prompts';
      readonly title: string;
      readonly instruction: string;
      readonly prompts: readonly Prompt[];
    }
  | { readonly type: 'change-password'; readonly prompt: string };

/** How long one answer may take, in milliseconds, and what happens then. */
export interface Patience {
  readonly after: number;
  over(error: SshError): void;
}

export class AuthExchange {
  readonly user: string;
  /** What the server says can continue; undefined before it said anything. */
  methods: readonly string[] | undefined;
  /** What was tried: methods and the labels of keys. */
  readonly tried: string[] = [];
  /** Signatures name the host key, where the server takes such (PubkeyAuthentication unbound turns it off). */
  hostBound = true;
  readonly #session: Session;
  readonly #wake: () => void;
  #waiting: { resolve(reply: AuthReply): void; reject(error: unknown): void } | undefined;
  #service: { resolve(): void; reject(error: unknown): void } | undefined;
  #ended: SshError | undefined;
  readonly #patience: Patience | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(session: Session, wake: () => void, user: string, patience?: Patience) {
    this.#patience = patience;
    this.#session = session;
    this.#wake = wake;
    this.user = user;
  }

  /** What signatures by this log-in are bound to. */
  get binding(): Binding {
    return this.#session.binding;
  }
  get serverSignatureAlgorithms(): readonly string[] | undefined {
    return this.#session.auth.serverSignatureAlgorithms;
  }

  /** From now on the server is to answer: people who think about theirs have all the time they want. */
  #startWaiting(): void {
    if (this.#patience === undefined) return;
    const { after, over } = this.#patience;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      over(
        new SshError('timeout', 'the server did not answer the log-in in time', {
          by: 'peer',
          detail: { what: 'auth', after },
        }),
      );
    }, after);
  }

  event(event: ClientAuthEvent): void {
    // A banner comes beside the answer, and answers nothing.
    if (event.type !== 'banner') clearTimeout(this.#timer);
    switch (event.type) {
      case 'auth-service':
        this.#service?.resolve();
        this.#service = undefined;
        break;
      case 'auth-success':
        this.#answer({ type: 'success' });
        break;
      case 'auth-failure':
        this.#answer({ type: 'failure', methods: event.methods, partial: event.partial });
        break;
      case 'auth-key-ok':
        this.#answer({ type: 'key-ok' });
        break;
      case 'auth-prompts':
        this.#answer({ type: 'prompts', title: event.title, instruction: event.instruction, prompts: event.prompts });
        break;
      case 'auth-change-password':
        this.#answer({ type: 'change-password', prompt: event.prompt });
    }
  }

  #answer(reply: AuthReply): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(reply);
  }

  /** The connection is over. */
  fail(error: SshError): void {
    clearTimeout(this.#timer);
    this.#ended = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    this.#service?.reject(error);
    this.#service = undefined;
  }

  #do(step: () => void): Promise<AuthReply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#startWaiting();
      step();
      this.#wake();
    });
  }

  /** Waits until the server has told all it tells before a log-in, its signature algorithms above all. */
  async service(): Promise<void> {
    const { auth } = this.#session;
    if (this.#ended !== undefined) throw this.#ended;
    if (auth.serviceAccepted) return;
    auth.requestService();
    this.#startWaiting();
    this.#wake();
    await new Promise<void>((resolve, reject) => void (this.#service = { resolve, reject }));
  }

  /**
   * A server that hangs up over too many attempts (sshd's MaxAuthTries) refused the log-in: what was tried tells why,
   * which the bare disconnection does not.
   */
  explain(error: unknown): unknown {
    if (!(error instanceof SshError) || error.code !== 'disconnected' || this.tried.length === 0) return error;
    if (!/too many authentication failures/i.test(String(error.detail.text))) return error;
    return new SshError('auth', 'Too many authentication failures', {
      by: 'peer',
      detail: {
        methods: this.methods ?? [],
        tried: this.tried,
        user: this.user,
        reason: 'too-many-failures',
        text: error.detail.text,
      },
      cause: error,
    });
  }

  #settleBinding(): void {
    if (!this.hostBound) this.#session.auth.hostbound = false;
  }

  none(): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.none(this.user));
  }
  password(password: string): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.password(this.user, password));
  }
  changePassword(password: string, newPassword: string): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.changePassword(this.user, password, newPassword));
  }
  keyboardInteractive(devices = ''): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.keyboardInteractive(this.user, devices));
  }
  respond(responses: readonly string[]): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.respond(responses));
  }
  query(algorithm: string, blob: Uint8Array): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.queryKey(this.user, algorithm, blob));
  }
  dataToSign(algorithm: string, blob: Uint8Array): Uint8Array {
    this.#settleBinding();
    return this.#session.auth.dataToSign(this.user, algorithm, blob, this.binding);
  }
  hostbasedData(identity: HostbasedInputs): Uint8Array {
    return this.#session.auth.hostbasedData(this.user, identity, this.binding);
  }
  hostbased(identity: HostbasedInputs, signature: Uint8Array): Promise<AuthReply> {
    const { algorithm, blob, clientHost, clientUser } = identity;
    const body = { algorithm, blob, clientHost, clientUser, signature };
    return this.#do(() => this.#session.auth.hostbased(this.user, body));
  }
  publicKey(algorithm: string, blob: Uint8Array, signature: Uint8Array): Promise<AuthReply> {
    return this.#do(() => this.#session.auth.publicKey(this.user, algorithm, blob, signature, this.binding));
  }
}
