/**
 * The sending direction: packets are formed in an output arena, padded, sealed in place and counted (RFC 4253 section 6).
 *
 * A payload is put where it will be encrypted (`begin`, `put`, `end`). Several packets go into one arena and so
 * into one write; `take` gives the formed bytes away. How much to form before taking is the caller's decision.
 */

import type { CryptoProvider } from '../crypto/provider.ts';
import { SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { putU32 } from '../wire/writer.ts';
import type { Compressor, Sealer } from './cipher.ts';
import type { PayloadSink } from './payload-sink.ts';
import { plainSealer } from './plain.ts';

const none = new Uint8Array(0);
/** Arenas of up to this size are handed out in slices; larger ones whole, so that an idle connection holds none. */
const small = 8 * 1024;
/** Eight packets of 32 KiB with their headers: with four for each socket write a bulk sender takes a tenth more. */
const large = 264 * 1024;
const NOT_BEGUN = -1;
const randomPool = 4096;
/** As much as a log-in and a command need. */
const firstRandom = 512;
/** Bytes formed before `full`: enough for a socket write to be worth its cost, few enough to stay fair. */
const OUTPUT_BUDGET = 256 * 1024;
/** Large arenas that came back and wait for use: as many as a socket takes before it says no, and one being filled. */
const maxSpares = 3;

export class Outbound implements PayloadSink {
  readonly #crypto: CryptoProvider;
  #sealer: Sealer = plainSealer;
  #compressor: Compressor | undefined;
  #sequence: number;
  #packets = 0;
  #bytes = 0;
  #mostPackets = Number.POSITIVE_INFINITY;
  #mostBytes = Number.POSITIVE_INFINITY;

  /** `#arena[#from .. #to)` is formed and not taken. */
  #arena: Uint8Array = none;
  #from = 0;
  #to = 0;
  #arenaSize = small;
  /** Arenas that are full and not taken. */
  #full: Uint8Array[] = [];
  #fullBytes = 0;
  readonly #spares: Uint8Array[] = [];

  /** The payload that is put together: the memory it stands in, where the next of its bytes goes, and where they end. */
  #payload: Uint8Array = none;
  #payloadAt = 0;
  #payloadEnd = NOT_BEGUN;
  #padding = 0;
  #scratch: Uint8Array = none;
  #random: Uint8Array = none;
  #randomAt = 0;

  /** A direction starts at 0; anything else is for a test that wants to see the numbers wrap. */
  constructor(crypto: CryptoProvider, sequence = 0) {
    this.#crypto = crypto;
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

  /** Bytes formed and not yet taken. */
  get pending(): number {
    return this.#fullBytes + this.#to - this.#from;
  }

  /** So much was formed that it should be taken, or as much as these keys are good for. */
  get full(): boolean {
    if (this.#fullBytes + this.#to - this.#from >= OUTPUT_BUDGET) return true;
    return this.#packets > 0 && (this.#packets >= this.#mostPackets || this.#bytes >= this.#mostBytes);
  }

  /** What may be sent before the keys are changed; at least one packet. */
  limit(packets: number, bytes: number): void {
    this.#mostPackets = packets;
    this.#mostBytes = bytes;
  }

  begin(length: number): void {
    if (this.#compressor === undefined) {
      this.#place(length);
      return;
    }
    checkLength(length);
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length);
    this.#payload = this.#scratch;
    this.#payloadAt = 0;
    this.#payloadEnd = length;
  }

  put(bytes: Uint8Array): void {
    if (this.#payloadAt + bytes.length > this.#payloadEnd) throw new SshError('usage', 'more than the payload begun');
    this.#payload.set(bytes, this.#payloadAt);
    this.#payloadAt += bytes.length;
  }

  end(): void {
    if (this.#payloadAt !== this.#payloadEnd) throw new SshError('usage', 'no whole payload');
    if (this.#compressor === undefined) this.#form();
    else {
      const squeezed = this.#compressor.process(this.#payload.subarray(0, this.#payloadEnd));
      this.#place(squeezed.length);
      this.#payload.set(squeezed, this.#payloadAt);
      this.#form();
    }
  }

  send(payload: Uint8Array): void {
    this.begin(payload.length);
    this.put(payload);
    this.end();
  }

  /** The oldest formed bytes, which now are the caller's, or undefined when there are none. */
  take(): Uint8Array | undefined {
    const full = this.#full.shift();
    if (full !== undefined) {
      this.#fullBytes -= full.length;
      return full;
    }
    if (this.#from === this.#to) return undefined;
    this.#payloadEnd = NOT_BEGUN;
    const taken = this.#arena.subarray(this.#from, this.#to);
    this.#from = this.#to;
    if (taken.length < this.#arenaSize / 4) this.#shrink();
    if (this.#arena.length > small) this.#newArena(0);
    return taken;
  }

  /**
   * Gives back bytes of `take` that have left: a large arena is used again. Fresh ones would cost a bulk sender a
   * fifth of its time in zeroing and garbage collection.
   */
  recycle(taken: Uint8Array): void {
    const { buffer } = taken;
    if (buffer.byteLength !== large || this.#spares.length >= maxSpares) return;
    this.#spares.push(new Uint8Array(buffer));
  }

  /** Takes the new keys into use, after our NEWKEYS was formed. Without a compressor there is none. */
  rekey(sealer: Sealer, compressor?: Compressor): void {
    this.#sealer = sealer;
    this.#compressor = compressor;
    this.#payloadEnd = NOT_BEGUN;
    this.#packets = 0;
    this.#bytes = 0;
  }

  /** Starts compression without new keys: zlib@openssh.com after authentication. */
  setCompressor(compressor: Compressor): void {
    this.#compressor = compressor;
    this.#payloadEnd = NOT_BEGUN;
  }

  /** Strict key exchange: numbers start again after NEWKEYS. */
  resetSequence(): void {
    this.#sequence = 0;
  }

  /** Room in the arena for a packet with a payload of `length` bytes, which are put next. */
  #place(length: number): void {
    checkLength(length);
    const padding = this.#paddingFor(length);
    if (1 + length + padding > limits.packetLength) throw tooLong(length);
    const need = 5 + length + padding + this.#sealer.tagLength;
    if (this.#to + need > this.#arena.length) this.#makeRoom(need);
    this.#padding = padding;
    this.#payload = this.#arena;
    this.#payloadAt = this.#to + 5;
    this.#payloadEnd = this.#payloadAt + length;
  }

  #makeRoom(need: number): void {
    const waiting = this.#to - this.#from;
    // Slices given away fill a small arena too; only what waits shows that a larger one would serve.
    if (waiting > 0 && waiting + need > this.#arenaSize) this.#arenaSize = Math.min(large, this.#arenaSize * 2);
    if (waiting > 0) {
      this.#full.push(this.#arena.subarray(this.#from, this.#to));
      this.#fullBytes += waiting;
    }
    this.#newArena(Math.max(need, this.#arenaSize));
  }

  /** Less is sent: smaller arenas do, and what was kept for large ones goes. */
  #shrink(): void {
    this.#arenaSize = Math.max(small, this.#arenaSize / 2);
    this.#spares.length = 0;
  }

  #newArena(size: number): void {
    this.#arena = size === 0 ? none : ((size === large ? this.#spares.pop() : undefined) ?? new Uint8Array(size));
    this.#from = 0;
    this.#to = 0;
  }

  /** The least padding there may be: four bytes, up to a whole block (RFC 4253 section 6). */
  #paddingFor(length: number): number {
    const { blockSize, lengthPadded } = this.#sealer;
    const over = ((lengthPadded ? 5 : 1) + length) % blockSize;
    const padding = blockSize - over;
    return padding < 4 ? padding + blockSize : padding;
  }

  /** Length, padding and seal around the payload that stands in the arena. */
  #form(): void {
    const padding = this.#padding;
    const sealer = this.#sealer;
    const at = this.#to;
    const plain = this.#payloadEnd - at;
    this.#payloadEnd = NOT_BEGUN;
    const size = plain + padding + sealer.tagLength;
    const packet = this.#arena.subarray(at, at + size);
    putU32(packet, 0, plain + padding - 4);
    packet[4] = padding;
    this.#pad(packet, plain, padding);
    sealer.seal(this.#sequence, packet);
    this.#to = at + size;
    this.#packets++;
    this.#bytes += size;
    this.#sequence = (this.#sequence + 1) >>> 0;
  }

  #pad(packet: Uint8Array, at: number, length: number): void {
    if (this.#randomAt + length > this.#random.length) {
      this.#random = this.#crypto.random(this.#random.length === 0 ? firstRandom : randomPool);
      this.#randomAt = 0;
    }
    const random = this.#random;
    let from = this.#randomAt;
    // So few that a view costs more.
    for (let to = at; to < at + length; to++) packet[to] = random[from++]!;
    this.#randomAt = from;
  }
}

const tooLong = (length: number): SshError =>
  new SshError('usage', `a payload of ${length} bytes does not fit one packet`);

function checkLength(length: number): void {
  if (length < 1) throw new SshError('usage', 'a packet needs a message number');
  if (length > limits.packetLength) throw tooLong(length);
}
