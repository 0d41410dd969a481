/**
 * One SFTP session on one channel: turns the sans-IO codec by what the channel brings, and gives each reply to whoever
 * asked. Requests made in one turn leave together; while the channel is unwilling they wait here.
 */

import { SftpClient, type SftpClientOptions, type SftpReply, SshError } from '../../protocol/index.ts';
import { lost, type SftpTransport } from './transport.ts';
import { Turn } from './turn.ts';

export type Answer = Exclude<SftpReply, { kind: 'version' }>;

/** Emptied once it has heard: what a Map let go of may be found from its old tables (`SftpClient.#forget`). */
interface Waiter {
  hear: ((answer: Answer) => void) | undefined;
}

export class SftpLink {
  readonly client: SftpClient;
  readonly #transport: SftpTransport;
  readonly #waiting = new Map<number, Waiter>();
  /** Who wants to go on sending once the channel takes more. */
  #stalled: (() => void)[] = [];
  /** Whose data goes out with the next flush, and is theirs again then. */
  #lenders: (() => void)[] = [];
  #blocked = false;
  readonly #turn = new Turn(() => this.#flush(), setImmediate);
  #ended: SshError | undefined;
  #quietSince = 0;
  #started: ((error?: SshError) => void) | undefined;

  constructor(transport: SftpTransport, options: SftpClientOptions) {
    this.client = new SftpClient(options);
    this.#transport = transport;
    transport.onBytes((bytes) => this.#receive(bytes));
    transport.onEnd((error) => this.end(error ?? lost()));
  }

  /** Whether the channel takes more now. */
  get willing(): boolean {
    return !this.#blocked;
  }

  get ended(): SshError | undefined {
    return this.#ended;
  }

  /** Greets the server; settles when its version is known. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#started = (error) => (error ? reject(error) : resolve());
      if (this.#ended) this.#started(this.#ended);
      else this.#flush();
    });
  }

  /** Since when an answer is due that does not come; undefined while none is. In milliseconds of `performance.now`. */
  get quietSince(): number | undefined {
    return this.#waiting.size > 0 ? this.#quietSince : undefined;
  }

  /**
   * Hears the answer to `id` exactly once, be it that the session ended. File data is only there during the call unless
   * the read brought its own buffer.
   */
  ask(id: number, hear: (answer: Answer) => void): void {
    if (this.#waiting.size === 0) this.#quietSince = performance.now();
    this.#waiting.set(id, { hear });
    if (!this.#blocked) this.#turn.wanted();
  }

  /**
   * Calls `taken` when nothing refers to the data of what was asked last any more; never when the session ends before that,
   * which the answers tell.
   */
  whenTaken(taken: () => void): void {
    this.#lenders.push(taken);
  }

  /** Calls `again` when the channel takes more, or the session is over. */
  whenWilling(again: () => void): void {
    this.#stalled.push(again);
  }

  end(error: SshError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.client.end(error);
    this.#transport.close();
    this.#hear();
    this.#started?.(error);
    this.#started = undefined;
    this.#resume();
  }

  /** Whether nothing refers to `bytes` afterwards. */
  #receive(bytes: Uint8Array): boolean {
    if (this.#ended) return false;
    this.#quietSince = performance.now();
    let broken: SshError | undefined;
    let isCopied = false;
    try {
      isCopied = this.client.receive(bytes);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      broken = error;
    }
    this.#hear();
    if (broken) this.end(broken);
    else this.#flush();
    return isCopied;
  }

  #hear(): void {
    for (let reply = this.client.poll(); reply; reply = this.client.poll()) {
      if (reply.kind === 'version') {
        this.#started?.();
        this.#started = undefined;
        continue;
      }
      const waiter = this.#waiting.get(reply.id);
      const hear = waiter?.hear;
      this.#waiting.delete(reply.id);
      if (waiter) waiter.hear = undefined;
      hear?.(reply);
    }
  }

  #flush(): void {
    if (this.#blocked || this.#ended) return;
    const chunks = this.client.takeOutput();
    if (chunks.length === 0) return;
    const lenders = this.#lenders;
    this.#lenders = [];
    const taken = (): void => {
      for (const tell of lenders) tell();
    };
    const wait = this.#transport.send(chunks, lenders.length > 0 ? taken : undefined);
    if (!wait) return;
    this.#blocked = true;
    wait.then(
      () => this.#resume(),
      (error: unknown) => this.end(error instanceof SshError ? error : lost(error)),
    );
  }

  #resume(): void {
    this.#blocked = false;
    const again = this.#stalled;
    this.#stalled = [];
    for (const each of again) each();
    this.#flush();
  }
}

/** What to make of an answer of which it only matters that all went well. */
export const nothing = (): void => {};

export const aborted = (signal: AbortSignal): SshError =>
  new SshError('aborted', 'the operation was aborted', { cause: signal.reason });

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}
