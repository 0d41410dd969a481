/** Two ByteStreams joined in memory, with knobs: piece size, and a hook that may hold, change or drop bytes. */

import type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';

export interface MemoryPairOptions {
  /** Largest piece in which bytes arrive. */
  readonly pieces?: number;
  /** Milliseconds each write takes. */
  readonly delay?: number;
}

export function memoryPair({ pieces, delay }: MemoryPairOptions = {}): [ByteStream, ByteStream] {
  const ends = [new MemoryEnd(), new MemoryEnd()] as const;
  for (const [end, other] of [ends, [ends[1], ends[0]]] as const) end.join(other, pieces, delay);
  return [ends[0], ends[1]];
}

class MemoryEnd implements ByteStream {
  #handlers: ByteStreamHandlers | undefined;
  #other: MemoryEnd | undefined;
  #pieces: number | undefined;
  #delay: number | undefined;
  #inbox: (Uint8Array | 'end')[] = [];
  #paused = true;
  #over = false;
  #scheduled = false;

  join(other: MemoryEnd, pieces: number | undefined, delay: number | undefined): void {
    this.#other = other;
    this.#pieces = pieces;
    this.#delay = delay;
  }

  start(handlers: ByteStreamHandlers): void {
    this.#handlers = handlers;
    this.#paused = false;
    this.#schedule();
  }
  write(chunk: Uint8Array): boolean {
    this.#post(chunk);
    return true;
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#schedule();
  }
  end(): void {
    this.#post('end');
  }
  destroy(): void {
    this.#over = true;
    this.#post('end');
  }

  #post(what: Uint8Array | 'end'): void {
    const deliver = (): void => {
      this.#other!.#inbox.push(what);
      this.#other!.#schedule();
    };
    if (this.#delay === undefined) deliver();
    else setTimeout(deliver, this.#delay);
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#handlers === undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (!this.#paused && !this.#over) {
        const next = this.#inbox.shift();
        if (next === undefined) break;
        if (next === 'end') {
          this.#over = true;
          this.#handlers!.end();
        } else {
          this.#deliver(next);
        }
      }
    });
  }

  #deliver(bytes: Uint8Array): void {
    const step = this.#pieces ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) this.#handlers!.data(bytes.subarray(at, at + step));
  }
}
