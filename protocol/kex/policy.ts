/** When to exchange keys again: RFC 4253 section 9, RFC 4344 section 3, and limits of the user's. */

import type { Negotiated } from '../negotiate.ts';

export interface RekeyLimits {
  /** Bytes in either direction. */
  readonly bytes?: number;
  /** Packets in either direction. */
  readonly packets?: number;
  /** Milliseconds. */
  readonly time?: number;
}

/** One direction's counters since its last NEWKEYS. */
export interface Usage {
  readonly bytes: number;
  readonly packets: number;
}

/** RFC 4344 section 3.1 wants a rekey before the sequence number wraps; half way leaves room. */
const MAX_PACKETS = 2 ** 31;

export class RekeyPolicy {
  readonly #limits: RekeyLimits;
  /** What keys are good for, in either direction. */
  readonly mostPackets: number;
  #mostBytes: number;
  #since: number;

  constructor(limits: RekeyLimits, now: number) {
    this.#limits = limits;
    this.#since = now;
    this.mostPackets = limits.packets ?? MAX_PACKETS;
    this.#mostBytes = limits.bytes ?? Number.POSITIVE_INFINITY;
  }

  get mostBytes(): number {
    return this.#mostBytes;
  }

  /** New keys are in place. */
  restart(algorithms: Negotiated, now: number): void {
    this.#since = now;
    // RFC 4344 section 3.2: 2^(block bits / 4) blocks, and 1 GiB for blocks of 64 bits or less.
    const block = Math.min(algorithms.clientToServer.cipher.blockSize, algorithms.serverToClient.cipher.blockSize);
    const byCipher = block >= 16 ? 2 ** 32 * block : 2 ** 30;
    this.#mostBytes = Math.min(this.#limits.bytes ?? Number.POSITIVE_INFINITY, byCipher);
  }

  due(inbound: Usage, outbound: Usage, now: number): boolean {
    if (unused(inbound, outbound)) return false;
    if (inbound.bytes >= this.#mostBytes || outbound.bytes >= this.#mostBytes) return true;
    if (inbound.packets >= this.mostPackets || outbound.packets >= this.mostPackets) return true;
    return this.#limits.time !== undefined && now - this.#since >= this.#limits.time;
  }

  /** When the keys will be too old; undefined while they protect nothing, for then they never are. */
  deadline(inbound: Usage, outbound: Usage): number | undefined {
    return this.#limits.time === undefined || unused(inbound, outbound) ? undefined : this.#since + this.#limits.time;
  }
}

/** One packet at least passes under each set of keys, or two peers with tiny limits would exchange keys for ever. */
const unused = (inbound: Usage, outbound: Usage): boolean => inbound.packets + outbound.packets === 0;
