/**
 * Gets what sshd has to say during a log-in out of its kernel. It turns Nagle's algorithm off only when a session runs:
 * until then a small packet stays there until what went before it is acknowledged, and our kernel puts that off (Linux: 40 ms)
 * unless it can go with data. So a packet that asks nothing of us while we wait for another one is answered with IGNORE,
 * which means nothing (RFC 4253 section 11.2). Without it every log-in in which the service and the user are asked for
 * in one flight takes 40 ms and a round trip: SUCCESS waits behind SERVICE_ACCEPT.
 */

import { Ignore } from './messages/transport.ts';
import type { PeerVersion } from './version.ts';

/** Two are usual, one more for each banner and message for the log. */
const MOST = 8;
const NOTHING = Ignore.encode({ data: new Uint8Array(4) });

export class Acknowledgements {
  #left: number;

  /** Only for OpenSSH: others may not be used to IGNORE (RFC 4253 wants it understood at any time), nor to Nagle's algorithm. */
  constructor(server: PeerVersion) {
    this.#left = server.software.startsWith('OpenSSH_') ? MOST : 0;
  }

  /** The packet to send now, if any. */
  take(): Uint8Array | undefined {
    if (this.#left === 0) return undefined;
    this.#left--;
    return NOTHING;
  }
}
