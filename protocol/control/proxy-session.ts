/**
 * The connection layer alone, on a control socket in proxy mode (OpenSSH PROTOCOL.mux section 9): channels and global
 * requests as on a connection of our own, while keys, log-in and the socket to the server are somebody else's.
 *
 * A packet is its length, a zero where SSH has the padding length, and the payload. Of payloads only those of RFC 4254
 * pass, either way: the holder's transport is none of our business.
 */

import { Mux } from '../connection/mux.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { malformed, SshError } from '../errors.ts';
import type { Binding } from '../kex/machine.ts';
import { limits } from '../limits.ts';
import { connectionMessages } from '../messages/connection.ts';
import type { PayloadSink } from '../packet/payload-sink.ts';
import type { SessionEvent } from '../session.ts';
import type { SessionCore } from '../session-core.ts';
import { SessionEvents } from '../session-events.ts';
import { putU32 } from '../wire/writer.ts';
import { ControlFramer } from './messages.ts';

/** Length and padding length. */
const HEAD = 5;
/** Bytes formed in one `takeOutput`. */
const OUTPUT_BUDGET = 128 * 1024;
const FIRST_BLOCK = 4096;

const proxied: ReadonlySet<number> = new Set(connectionMessages.map(({ number }) => number));

/** `payload` of a proxied packet (as the framer gives it), or undefined when it is none of RFC 4254's. */
export function proxiedPayload(packet: Uint8Array): Uint8Array | undefined {
  if (packet.length < 2 || packet[0] !== 0) throw malformed('proxied packet without a payload');
  return proxied.has(packet[1]!) ? packet.subarray(1) : undefined;
}

/** What stands in front of a proxied payload of `length` bytes. */
export function proxiedHead(length: number): Uint8Array {
  const head = new Uint8Array(HEAD);
  putU32(head, 0, length + 1);
  return head;
}

/** Payloads as proxied packets, one behind the other in a block that grows. */
class ProxiedPackets implements PayloadSink {
  #block: Uint8Array = new Uint8Array(0);
  #used = 0;
  /** Where the payload that is put together goes on. */
  #at = 0;
  #spare: Uint8Array | undefined;

  get full(): boolean {
    return this.#used >= OUTPUT_BUDGET;
  }

  begin(length: number): void {
    const at = this.#used;
    if (at + HEAD + length > this.#block.length) this.#grow(at + HEAD + length);
    putU32(this.#block, at, length + 1);
    this.#block[at + 4] = 0;
    this.#at = at + HEAD;
  }

  put(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  end(): void {
    this.#used = this.#at;
  }

  /** What is formed, which is the caller's now. */
  take(): Uint8Array | undefined {
    if (this.#used === 0) return undefined;
    const output = this.#block.subarray(0, this.#used);
    this.#block = new Uint8Array(0);
    this.#used = 0;
    return output;
  }

  /** Takes back what `take` gave. */
  recycle(output: Uint8Array): void {
    this.#spare ??= new Uint8Array(output.buffer);
  }

  #grow(need: number): void {
    const spare = this.#spare;
    const fits = spare !== undefined && spare.length >= need;
    if (fits) this.#spare = undefined;
    const bigger = fits ? spare : new Uint8Array(Math.max(need, this.#block.length * 2, FIRST_BLOCK));
    bigger.set(this.#block.subarray(0, this.#used));
    this.#block = bigger;
  }
}

export class ProxySession implements SessionCore {
  readonly role = 'client';
  readonly crypto: CryptoProvider;
  readonly mux: Mux;
  readonly authenticated = true;
  /** The holder knows them, and does not say. */
  readonly peerVersion = undefined;
  readonly algorithms = undefined;
  readonly #framer = new ControlFramer();
  readonly #events = new SessionEvents<SessionEvent>();
  readonly #packets = new ProxiedPackets();

  constructor(crypto: CryptoProvider) {
    this.crypto = crypto;
    this.mux = new Mux((event) => this.#events.emit(event));
  }

  get closed(): boolean {
    return this.#events.ended;
  }
  get failure(): SshError | undefined {
    return this.#events.failure;
  }
  get wantsInput(): boolean {
    return !this.#events.ended;
  }
  get binding(): Binding {
    throw new SshError('usage', 'a shared connection does not tell its keys');
  }

  receive(chunk: Uint8Array): void {
    if (this.#events.ended) return;
    this.#guarded(() => {
      this.#framer.feed(chunk, (packet) => {
        const payload = this.#events.ended ? undefined : proxiedPayload(packet);
        if (payload === undefined) return;
        this.mux.receive(payload, 0);
        if (this.mux.queued > limits.queuedReplies) {
          throw new SshError('limit', 'too many replies wait on the control socket', {
            by: 'peer',
            detail: { limit: 'queuedReplies' },
          });
        }
      });
    });
  }

  endOfInput(cause?: unknown): void {
    this.#close(
      new SshError('lost', 'the holder of the shared connection ended it', {
        by: 'peer',
        detail: { phase: 'control' },
        cause,
      }),
    );
  }

  globalRequest(request: string, wantReply: boolean, body: Uint8Array): void {
    this.mux.globalRequest(request, wantReply, body);
  }

  /** Leaves; the connection goes on without us. */
  disconnect(): void {
    this.#close(undefined);
  }

  fail(error: SshError): void {
    this.#close(error);
  }

  poll(): SessionEvent | undefined {
    return this.#events.poll();
  }

  takeOutput(): Uint8Array | undefined {
    if (!this.#events.ended) this.#guarded(() => this.mux.fill(this.#packets));
    return this.#packets.take();
  }

  recycle(output: Uint8Array): void {
    this.#packets.recycle(output);
  }

  tick(now: number): void {
    this.mux.tick(now);
  }
  deadline(): number | undefined {
    return this.#events.ended ? undefined : this.mux.deadline();
  }

  // Keepalives, new keys and what an observer of the network sees are the holder's.
  rekey(): void {}
  obscureKeystrokes(): boolean {
    return false;
  }

  #guarded(step: () => void): void {
    this.#events.guarded(step, (error) => this.#close(error));
  }

  #close(error: SshError | undefined): void {
    this.#events.end(error, () => this.mux.lost(), { type: 'closed', error });
  }
}
