/**
 * The one pump between a byte stream and a session: bytes in, events out, output while the stream is willing, one timer.
 *
 * Commands given to the session from outside a turn are followed by `wake`, which runs a turn soon; several commands in
 * one tick share one turn and so one write.
 */

import { type SessionCore, type SessionEvent, SshError } from '../protocol/index.ts';
import type { ByteStream } from './byte-stream.ts';

/** Bytes written in one turn before others get theirs. */
const TURN_BUDGET = 2 * 1024 * 1024;
/** Memory of this size is worth using again. */
const RECYCLED = 64 * 1024;
/** How long a closing connection may take to flush its last words (milliseconds). */
const LAST_WORDS = 2000;

const settled = Promise.resolve();

export const monotonicNow = (): number => performance.now();

export class Driver {
  readonly session: SessionCore;
  readonly #stream: ByteStream;
  readonly #onEvent: (event: SessionEvent) => void;
  #timer: NodeJS.Timeout | undefined;
  #armedFor: number | undefined;
  #inTurn = false;
  #wakeQueued = false;
  #blocked = false;
  #held = false;
  #paused = false;
  #ended = false;
  #ending = false;
  #lastWords: NodeJS.Timeout | undefined;

  constructor(session: SessionCore, stream: ByteStream, onEvent: (event: SessionEvent) => void) {
    this.session = session;
    this.#stream = stream;
    this.#onEvent = onEvent;
    // A stream may have all there is at once, and who made us has no hands free for events yet: the first turn comes after.
    this.#inTurn = true;
    stream.start({
      data: (chunk) => {
        session.tick(monotonicNow());
        session.receive(chunk);
        this.#turn();
      },
      drain: () => {
        this.#blocked = false;
        this.#turn();
      },
      end: () => this.#streamGone(undefined),
      error: (error) => this.#streamGone(error),
    });
    this.#inTurn = false;
    this.wake();
  }

  /** Runs a turn soon. Call it after giving the session or a channel commands. */
  readonly wake = (): void => {
    if (this.#inTurn || this.#wakeQueued) return;
    this.#wakeQueued = true;
    // What queueMicrotask does, without the context that Node makes for each.
    void settled.then(this.#woken);
  };

  readonly #woken = (): void => {
    this.#wakeQueued = false;
    this.session.tick(monotonicNow());
    this.#turn();
  };

  /**
   * Keeps what there is to send for as long as the program's answers to the events of now take, so that both leave in
   * one write. The end of the session waits for nobody.
   */
  hold(): void {
    if (this.#held) return;
    this.#held = true;
    setImmediate(() => {
      this.#held = false;
      this.#turn();
    });
  }

  #streamGone(cause: unknown): void {
    this.#ended = true;
    this.session.endOfInput(cause);
    this.#turn();
  }

  #turn(): void {
    if (this.#inTurn) return;
    this.#inTurn = true;
    try {
      this.#drainEvents();
      let written = 0;
      while (!this.#blocked && !this.#ended && (!this.#held || this.session.closed)) {
        const output = this.session.takeOutput();
        if (output === undefined) {
          // Forming packets may have raised events whose handlers made more output.
          if (!this.#drainEvents()) break;
          continue;
        }
        written += output.length;
        const sent = output.buffer.byteLength >= RECYCLED ? () => this.session.recycle(output) : undefined;
        if (!this.#stream.write(output, sent)) this.#blocked = true;
        this.#drainEvents();
        if (written > TURN_BUDGET) {
          setImmediate(() => this.#turn());
          break;
        }
      }
    } finally {
      this.#inTurn = false;
    }
    this.#settle();
  }

  #drainEvents(): boolean {
    let any = false;
    for (let event = this.session.poll(); event !== undefined; event = this.session.poll()) {
      any = true;
      try {
        this.#onEvent(event);
      } catch (error) {
        // What the peer sent did not parse further up: that ends the connection like any other broken message.
        if (!(error instanceof SshError) || error.by !== 'peer') throw error;
        this.session.fail(error);
      }
    }
    return any;
  }

  #settle(): void {
    if (this.session.closed) return this.#finish();
    const wants = this.session.wantsInput;
    if (wants === this.#paused) {
      this.#paused = !wants;
      if (wants) this.#stream.resume();
      else this.#stream.pause();
    }
    this.#arm(this.session.deadline());
  }

  /** The session is over: its last words leave, then the stream is closed. */
  #finish(): void {
    this.#arm(undefined);
    if (this.#ended) {
      clearTimeout(this.#lastWords);
      this.#stream.destroy();
      return;
    }
    // A peer that never reads must not keep us: the socket goes in any case.
    if (this.#lastWords === undefined) {
      this.#lastWords = setTimeout(() => this.#stream.destroy(), LAST_WORDS);
      this.#lastWords.unref();
    }
    if (this.#blocked || this.#ending) return;
    this.#ending = true;
    this.#stream.end();
  }

  #arm(deadline: number | undefined): void {
    if (deadline === this.#armedFor) return;
    // Every sign of life puts the deadline off: the timer that is set finds nothing due then, and is set anew.
    if (deadline !== undefined && this.#armedFor !== undefined && deadline > this.#armedFor) return;
    this.#armedFor = deadline;
    clearTimeout(this.#timer);
    if (deadline === undefined) return;
    const wait = Math.min(Math.max(0, Math.ceil(deadline - monotonicNow())), 0x7fff_ffff);
    this.#timer = setTimeout(() => {
      this.#armedFor = undefined;
      this.session.tick(monotonicNow());
      this.#turn();
    }, wait);
  }

  /** Closes the stream at once, without last words. */
  destroy(): void {
    this.#ended = true;
    this.session.endOfInput();
    this.#turn();
    this.#stream.destroy();
  }
}
