/**
 * A connection to an SSH agent over a Unix socket or a named pipe: promises around the sans-IO AgentClient.
 *
 * An agent may hang, die or talk nonsense: every request then ends with SshError 'agent', and the connection with it.
 * Which socket to use, and whether an agent is wanted at all, is the caller's affair.
 */

import { connect, type Socket } from 'node:net';
import {
  type AddConstraints,
  AgentClient,
  type AgentEvent,
  type AgentIdentity,
  type Certificate,
  type PrivateKey,
  SshError,
} from '../protocol/index.ts';

export interface ConnectAgentOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for connecting and for each answer that needs no human; 0 waits for ever. */
  readonly timeoutMs?: number;
  /** The same for signatures: a person may have to confirm or to touch a token. */
  readonly signTimeoutMs?: number;
}

const defaultTimeout = 10_000;
const defaultSignTimeout = 120_000;

interface Waiting {
  readonly timeout: number;
  settle(event: AgentEvent): void;
  reject(error: SshError): void;
}

const agentError = (message: string, detail: Record<string, unknown>, cause?: unknown): SshError =>
  new SshError('agent', message, { detail, cause });

/** Rejects with 'agent' (nobody listens, no answer in time) or 'aborted'. `path` may name a Windows pipe. */
export function connectAgent(path: string, options: ConnectAgentOptions = {}): Promise<AgentConnection> {
  const { signal, timeoutMs = defaultTimeout, signTimeoutMs = defaultSignTimeout } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal));
    const socket = connect({ path });
    const timer =
      timeoutMs > 0
        ? setTimeout(() => fail(agentError('the agent does not answer', { path, timeout: timeoutMs })), timeoutMs)
        : undefined;
    const onAbort = (): void => fail(aborted(signal!));
    const onError = (error: NodeJS.ErrnoException): void =>
      fail(agentError('the agent cannot be reached', { path, errno: error.code }, error));
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
    };
    const fail = (error: SshError): void => {
      done();
      // The socket may still say something before it is gone.
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      done();
      resolve(new AgentConnection(socket, path, timeoutMs, signTimeoutMs, signal));
    });
  });
}

const aborted = (signal: AbortSignal): SshError =>
  new SshError('aborted', 'the agent is not wanted any more', { cause: signal.reason });

export class AgentConnection {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #timeout: number;
  readonly #signTimeout: number;
  readonly #signal: AbortSignal | undefined;
  readonly #client = new AgentClient();
  readonly #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended: SshError | undefined;

  constructor(socket: Socket, path: string, timeout: number, signTimeout: number, signal: AbortSignal | undefined) {
    this.#socket = socket;
    this.#path = path;
    this.#timeout = timeout;
    this.#signTimeout = signTimeout;
    this.#signal = signal;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(agentError('the agent went away', { path }, error)));
    socket.on('close', () => this.#end(agentError('the agent went away', { path })));
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    // Nothing is asked: an open agent must not keep the program alive.
    socket.unref();
  }

  readonly #onAbort = (): void => this.#end(aborted(this.#signal!));

  list(): Promise<readonly AgentIdentity[]> {
    return this.#ask(
      () => this.#client.list(),
      (event) => (event.kind === 'identities' ? event.identities : undefined),
    );
  }

  /** The signature blob. `flags`: SignFlags for RSA keys. */
  sign(keyBlob: Uint8Array, data: Uint8Array, flags = 0): Promise<Uint8Array> {
    return this.#ask(
      () => this.#client.sign(keyBlob, data, flags),
      (event) => (event.kind === 'signature' ? event.signature : undefined),
      this.#signTimeout,
    );
  }

  add(key: PrivateKey, constraints: AddConstraints = {}, certificate?: Certificate): Promise<void> {
    return this.#tell(() => this.#client.add(key, constraints, certificate));
  }

  remove(keyBlob: Uint8Array): Promise<void> {
    return this.#tell(() => this.#client.remove(keyBlob));
  }

  removeAll(): Promise<void> {
    return this.#tell(() => this.#client.removeAll());
  }

  lock(passphrase: string): Promise<void> {
    return this.#tell(() => this.#client.lock(passphrase));
  }

  unlock(passphrase: string): Promise<void> {
    return this.#tell(() => this.#client.unlock(passphrase));
  }

  extension(name: string, contents: Uint8Array): Promise<Uint8Array> {
    return this.#ask(
      () => this.#client.extension(name, contents),
      (event) => (event.kind === 'extension' ? event.contents : undefined),
    );
  }

  /** Requests under way end with 'closed'. */
  close(): void {
    this.#end(new SshError('closed', 'the agent connection is closed'));
  }

  async #tell(request: () => number): Promise<void> {
    await this.#ask(request, (event) => event.kind === 'success' || undefined);
  }

  #ask<T>(request: () => number, pick: (event: AgentEvent) => T | undefined, timeout = this.#timeout): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      const settle = (event: AgentEvent): void => {
        const value = pick(event);
        if (value !== undefined) resolve(value);
        else
          reject(event.kind === 'failure' ? event.error : agentError('the agent answers oddly', { path: this.#path }));
      };
      // A request that cannot be made throws into this promise.
      request();
      this.#waiting.push({ timeout, settle, reject });
      if (this.#waiting.length === 1) this.#watch();
      for (const bytes of this.#client.takeOutput()) this.#socket.write(bytes);
    });
  }

  /** Answers come in order, so only the first request's patience is running. */
  #watch(): void {
    clearTimeout(this.#timer);
    const first = this.#waiting[0];
    if (!first) {
      this.#socket.unref();
      return;
    }
    this.#socket.ref();
    if (first.timeout === 0) return;
    this.#timer = setTimeout(() => {
      this.#end(agentError('the agent does not answer', { path: this.#path, timeout: first.timeout }));
    }, first.timeout);
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#client.receive(chunk);
    } catch (error) {
      this.#end(agentError('the agent talks nonsense', { path: this.#path }, error));
      return;
    }
    for (let event = this.#client.poll(); event; event = this.#client.poll()) this.#waiting.shift()?.settle(event);
    this.#watch();
  }

  #end(error: SshError): void {
    if (this.#ended) return;
    this.#ended = error;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}
