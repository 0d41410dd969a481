/** Who gets in: the answers to authentication requests (RFC 4252, 4256), one step or several. */

import { type AuthRequest, checkCertificate, type ServerAuth, type Session } from '../../protocol/index.ts';
import type { DemoServerOptions, DemoUser, KeyboardRound } from './options.ts';

export interface LoginAttempt {
  readonly user: string;
  readonly method: string;
  /** publickey: the signature was there. */
  readonly signed?: boolean;
  outcome: 'accepted' | 'partial' | 'rejected' | 'key-ok' | 'asked';
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export class Login {
  readonly attempts: LoginAttempt[] = [];
  user: string | undefined;
  readonly #session: Session;
  readonly #options: DemoServerOptions;
  /** Passwords changed since the server started. */
  readonly #passwords: Map<string, string>;
  readonly #steps: string[] = [];
  #attempt: LoginAttempt | undefined;
  #rounds: readonly KeyboardRound[] = [];
  #round = 0;

  constructor(session: Session, options: DemoServerOptions, passwords: Map<string, string>) {
    this.#session = session;
    this.#options = options;
    this.#passwords = passwords;
    session.serverAuth.methods = this.#offered();
    if (options.banner !== undefined) session.serverAuth.banner(options.banner);
  }

  get #auth(): ServerAuth {
    return this.#session.serverAuth;
  }

  #offered(): readonly string[] {
    const { requireMethods, methods, users = [] } = this.#options;
    if (requireMethods !== undefined) return [requireMethods[this.#steps.length]!];
    if (methods !== undefined) return methods;
    const useful = {
      publickey: users.some((user) => user.keys !== undefined || user.authorities !== undefined),
      password: users.some((user) => user.password !== undefined),
      'keyboard-interactive': users.some((user) => user.keyboardInteractive !== undefined),
    };
    return Object.entries(useful).flatMap(([method, is]) => (is ? [method] : []));
  }

  request(request: AuthRequest) {
    const { method, user: name } = request;
    const signed = method === 'publickey' ? { signed: request.signed } : {};
    this.#attempt = { user: name, method, ...signed, outcome: 'rejected' };
    this.attempts.push(this.#attempt);
    const user = this.#options.users?.find((candidate) => candidate.name === name);
    if (method === 'none') return user?.open ? this.#passed(name) : this.#refuse();
    if (user === undefined || !this.#auth.methods.includes(method)) return this.#refuse();
    if (method === 'password') this.#password(user, request);
    else if (method === 'publickey') this.#publicKey(user, request);
    else this.#keyboard(user);
  }

  #refuse(): void {
    this.#attempt!.outcome = 'rejected';
    this.#auth.reject();
  }

  /** One step is done: all of it, or the next is wanted. */
  #passed(name: string) {
    this.#steps.push(this.#attempt!.method);
    const { requireMethods } = this.#options;
    if (requireMethods !== undefined && this.#steps.length < requireMethods.length) {
      this.#attempt!.outcome = 'partial';
      this.#auth.methods = this.#offered();
      return this.#auth.reject(true);
    }
    this.#attempt!.outcome = 'accepted';
    this.user = name;
    this.#auth.accept();
  }

  #password(user: DemoUser, { password, newPassword }: AuthRequest & { method: 'password' }) {
    const changed = this.#passwords.get(user.name);
    if (password !== (changed ?? user.password)) return this.#refuse();
    if (newPassword !== undefined && newPassword !== '' && newPassword !== password) {
      this.#passwords.set(user.name, newPassword);
    } else if (user.passwordExpired && changed === undefined) {
      this.#attempt!.outcome = 'asked';
      return this.#auth.askNewPassword('Your password has expired.');
    }
    this.#passed(user.name);
  }

  #publicKey(user: DemoUser, request: AuthRequest & { method: 'publickey' }) {
    if (!this.#welcome(user, request)) return this.#refuse();
    if (request.signed) return this.#passed(user.name);
    this.#attempt!.outcome = 'key-ok';
    this.#auth.keyOk();
  }

  #welcome(user: DemoUser, { certificate, key }: AuthRequest & { method: 'publickey' }): boolean {
    if (certificate === undefined) return user.keys?.some((known) => same(known.blob, key.blob)) ?? false;
    if (!user.authorities?.some((known) => same(known.blob, certificate.signatureKey.blob))) return false;
    const now = BigInt(Math.floor(Date.now() / 1000));
    const check = { role: 'user', principal: user.name, now } as const;
    return checkCertificate(this.#session.crypto, certificate, check).ok;
  }

  #keyboard(user: DemoUser) {
    if (user.keyboardInteractive === undefined) return this.#refuse();
    this.#rounds = user.keyboardInteractive;
    this.#round = 0;
    this.#ask();
  }

  #ask(): void {
    const { title = '', instruction = '', prompts } = this.#rounds[this.#round]!;
    this.#attempt!.outcome = 'asked';
    const shown = prompts.map(({ text, echo = false }) => ({ text, echo }));
    this.#auth.ask(title, instruction, shown);
  }

  responses(responses: readonly string[]) {
    const { prompts } = this.#rounds[this.#round]!;
    const right = responses.length === prompts.length && prompts.every((prompt, i) => prompt.answer === responses[i]);
    if (!right) return this.#refuse();
    if (++this.#round < this.#rounds.length) this.#ask();
    else this.#passed(this.#attempt!.user);
  }
}
