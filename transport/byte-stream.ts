/** A duplex stream of bytes as the driver sees it: TCP, a child's stdio, a channel of another connection, or memory. */

export interface ByteStreamHandlers {
  /** `chunk` is borrowed for the call only. */
  data(chunk: Uint8Array): void;
  /** `write` is willing again. */
  drain(): void;
  /** The other side has ended; nothing more will come. Called once, or `error` is. */
  end(): void;
  error(error: unknown): void;
}

export interface ByteStream {
  /** Milliseconds there and back as connecting took them, where that is known. */
  readonly roundTrip?: number;
  /** Starts reading; called once. */
  start(handlers: ByteStreamHandlers): void;
  /** Takes `chunk` until `sent` is called (for good, without it). False: wait for `drain`. */
  write(chunk: Uint8Array, sent?: () => void): boolean;
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}
