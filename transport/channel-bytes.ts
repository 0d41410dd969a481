/** A channel as a ByteStream: the way to the next host of a jump chain. */

import type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';
import type { ChannelIo } from './channel-io.ts';

export function channelBytes(io: ChannelIo): ByteStream {
  let handlers: ByteStreamHandlers | undefined;
  let paused = false;
  let release: (() => void) | undefined;
  return {
    start(given) {
      handlers = given;
      io.onEof = () => given.end();
      io.sink(true, () => undefined);
      io.sink(false, (chunk) => {
        given.data(chunk);
        return paused ? new Promise((resolve) => void (release = resolve)) : undefined;
      });
    },
    write(chunk) {
      const busy = io.isClosed ? undefined : io.write(chunk);
      if (busy === undefined) return true;
      // A channel that ends meanwhile tells so through onEof.
      busy.then(
        () => handlers?.drain(),
        () => {},
      );
      return false;
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      release?.();
      release = undefined;
    },
    end() {
      io.eof();
      io.close();
    },
    destroy() {
      io.discard();
      io.close();
    },
  };
}
