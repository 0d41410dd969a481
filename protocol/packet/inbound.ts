/**
 * The receiving direction: finds packets in the byte stream, opens them, counts them (RFC 4253 section 6).
 *
 * Works on views of the caller's chunk; only a packet that straddles chunks is copied, once. Every payload handed out is
 * fresh memory. Knows nothing of messages. After an error nothing more comes out: the same error is thrown again.
 */

import { Disconnect, malformed, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Compressor, Opener } from './cipher.ts';
import { plainOpener } from './plain.ts';

const none = new Uint8Array(0);
/** Own memory up to this size is kept for the next straddler; anything larger is given back. */
const keep = 64 * 1024;

const badLength = (length: number): SshError =>
  new SshError('packet-length', `Bad packet length ${length}`, {
    by: 'peer',
    disconnect: Disconnect.protocolError,
    detail: { length },
  });
const badPadding = (message: string): SshError =>
  new SshError('padding', `padding error: ${message}`, { by: 'peer', disconnect: Disconnect.protocolError });

export class Inbound {
  #opener: Opener = plainOpener;
  #decompressor: Compressor | undefined;
  #sequence: number;
  #packets = 0;
  #bytes = 0;

  /** The caller's memory, from `#at` on not yet looked at. */
  #chunk: Uint8Array = none;
  #at = 0;
  /** Our own memory: `#own[#start .. #end)` comes before what is left of the chunk. */
  #own: Uint8Array = none;
  #start = 0;
  #end = 0;

  /** Size on the wire of the packet whose length is known already, else 0. */
  #size = 0;
  #failure: SshError | undefined;
  /** Bytes to swallow before `#failure` is told. */
  #discard = 0;

  /** A direction starts at 0; anything else is for a test that wants to see the numbers wrap. */
  constructor(sequence = 0) {
    this.#sequence = sequence;
  }

  /** Number of the next packet. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Packets and wire bytes since the keys were last changed. */
  get packets(): number {
    return this.#packets;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes received and not yet handed out. */
  get held(): number {
    return this.#end - this.#start + this.#chunk.length - this.#at;
  }

  /** Takes bytes from the stream. The chunk is borrowed until `settle()`. */
  feed(chunk: Uint8Array): void {
    if (this.#at < this.#chunk.length) this.settle();
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Ends the loan of the chunk: what is left of it moves to our own memory. */
  settle(): void {
    const left = this.#chunk.length - this.#at;
    if (left > 0) {
      if (this.held > limits.parkedInput) {
        throw new SshError('limit', `${this.held} bytes of input wait to be read`, {
          by: 'peer',
          disconnect: Disconnect.protocolError,
          detail: { limit: 'parkedInput' },
        });
      }
      this.#absorb(left);
    }
    this.#chunk = none;
    this.#at = 0;
  }

  /** The next payload, message number first, or undefined when no whole packet is there. */
  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) return this.#fail();
    const opener = this.#opener;
    if (this.#size === 0) {
      const head = this.#peek(opener.headLength);
      if (head === undefined) return undefined;
      const length = opener.length(this.#sequence, head);
      if (length < limits.packetLengthMin || length > limits.packetLength) return this.#fail(badLength(length));
      const padded = opener.lengthPadded ? length + 4 : length;
      if (padded % opener.blockSize !== 0) {
        return this.#fail(badPadding(`${padded} bytes are no multiple of ${opener.blockSize}`));
      }
      this.#size = 4 + length + opener.tagLength;
    }
    const packet = this.#peek(this.#size);
    if (packet === undefined) return undefined;
    try {
      return this.#unwrap(opener.open(this.#sequence, packet));
    } catch (error) {
      if (error instanceof SshError) return this.#fail(error);
      throw error;
    }
  }

  /** Takes the new keys into use; called when NEWKEYS came out of `next()`. Without a decompressor there is none. */
  rekey(opener: Opener, decompressor?: Compressor): void {
    this.#opener = opener;
    this.#decompressor = decompressor;
    this.#packets = 0;
    this.#bytes = 0;
  }

  /** Starts decompression without new keys: zlib@openssh.com after authentication. */
  setDecompressor(decompressor: Compressor): void {
    this.#decompressor = decompressor;
  }

  /** Strict key exchange: numbers start again after NEWKEYS. */
  resetSequence(): void {
    this.#sequence = 0;
  }

  /** From padding_length | payload | padding to the payload. */
  #unwrap(plain: Uint8Array): Uint8Array {
    const padding = plain[0]!;
    const length = plain.length - 1 - padding;
    if (padding < 4 || length < 0) throw badPadding(`${padding} bytes of padding in a packet of ${plain.length}`);
    let payload = plain.subarray(1, 1 + length);
    this.#drop(this.#size);
    this.#packets++;
    this.#bytes += this.#size;
    this.#size = 0;
    this.#sequence = (this.#sequence + 1) >>> 0;
    if (this.#decompressor !== undefined) payload = this.#decompressor.process(payload);
    if (payload.length === 0) throw malformed('packet without a message');
    return payload;
  }

  /** Throws the error, at once or, where an early failure would tell too much, after a whole packet's worth of input. */
  #fail(error?: SshError): undefined {
    if (error !== undefined) {
      this.#failure = error;
      const telltale = error.code === 'packet-length' || error.code === 'padding' || error.code === 'mac';
      this.#discard = this.#opener.readsOn && telltale ? limits.packetLength : 0;
    }
    const swallowed = Math.min(this.#discard, this.held);
    this.#drop(swallowed);
    this.#discard -= swallowed;
    if (this.#discard > 0) return undefined;
    throw this.#failure;
  }

  /** A view of the next `length` bytes, which stay; undefined when they are not all there. */
  #peek(length: number): Uint8Array | undefined {
    const have = this.#end - this.#start;
    if (have === 0) {
      return this.#chunk.length - this.#at < length ? undefined : this.#chunk.subarray(this.#at, this.#at + length);
    }
    if (have < length) {
      // Only what this packet still wants is copied, so that the packets after it are used in place again.
      this.#absorb(Math.min(length - have, this.#chunk.length - this.#at));
      if (this.#end - this.#start < length) return undefined;
    }
    return this.#own.subarray(this.#start, this.#start + length);
  }

  /** Copies `length` bytes of the chunk behind what we own. Memory grows with what came, not with what was announced. */
  #absorb(length: number): void {
    if (length === 0) return;
    if (this.#end + length > this.#own.length) {
      const have = this.#end - this.#start;
      const room =
        have + length > this.#own.length ? new Uint8Array(Math.max(2 * have, have + length, 1024)) : this.#own;
      room.set(this.#own.subarray(this.#start, this.#end), 0);
      this.#own = room;
      this.#start = 0;
      this.#end = have;
    }
    this.#own.set(this.#chunk.subarray(this.#at, this.#at + length), this.#end);
    this.#end += length;
    this.#at += length;
  }

  /** Forgets `length` bytes from the front. */
  #drop(length: number): void {
    const own = Math.min(length, this.#end - this.#start);
    this.#start += own;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
      if (this.#own.length > keep) this.#own = none;
    }
    this.#at += length - own;
  }
}
