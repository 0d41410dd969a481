/**
 * Gets what sshd has to say during a log-in out of its kernel. sshd turns Nagle's algorithm off only when a session runs:
 * before that its kernel keeps a small packet back until the last one is acknowledged, and ours puts acknowledgements off
 * (Linux: 40 ms) unless they can go with data. So a packet that asks nothing of us while we wait for another one is answered
 * with IGNORE, which means nothing (RFC 4253 section 11.2). Without it SUCCESS comes 40 ms late in every log-in that asks
 * for the service and the user in one flight: it waits behind SERVICE_ACCEPT.
 */

import { Ignore } from './messages/transport.ts';
import type { PeerVersion } from './version.ts';

/** Two are usual, and one more for each banner and line for the log. */
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
