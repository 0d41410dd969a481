/**
 * What an SFTP client has to send: packets one behind the other in few pieces, so that a burst of small requests is one. Long
 * data stays where it lies, between the pieces.
 */

import type { AnyFields, MessageDefinition, ValuesOf } from '../wire/message.ts';
import { Writer } from '../wire/writer.ts';
import { writeFrame, writeFrameHead } from './messages.ts';

/** Memory for requests, taken anew when it is used up. */
const CAPACITY = 4096;
/** Shorter data is copied behind its head. */
const COPIED_BELOW = 4096;

export class Output {
  readonly #pieces: Uint8Array[] = [];
  readonly #writer = new Writer(CAPACITY);

  packet<F extends AnyFields>(definition: MessageDefinition<F>, values: ValuesOf<F>): void {
    writeFrame(this.#writer, definition, values);
  }

  /** A packet that ends in the string `data`; `between` writes what stands between the request's id and that. */
  packetWithData(type: number, id: number, between: (writer: Writer) => unknown, data: Uint8Array): void {
    writeFrameHead(this.#writer, type, id, between, data.length);
    if (data.length < COPIED_BELOW) {
      this.#writer.raw(data);
    } else {
      this.#pieces.push(this.#writer.split(), data);
    }
  }

  /** All of it, in order. */
  take(): readonly Uint8Array[] {
    if (this.#writer.length > 0) this.#pieces.push(this.#writer.split());
    return this.#pieces.splice(0);
  }
}
