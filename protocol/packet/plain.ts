/**
 * Packets before the first NEWKEYS: no encryption, no MAC (RFC 4253 section 6, cipher and MAC "none").
 *
 * The framing rules hold all the same: padded to eight bytes, the length field included.
 */

import { getU32 } from '../wire/writer.ts';
import type { Opener, Sealer } from './cipher.ts';

const shape = { blockSize: 8, lengthPadded: true, tagLength: 0 } as const;

export const plainSealer: Sealer = { ...shape, seal: () => {} };

export const plainOpener: Opener = {
  ...shape,
  headLength: 4,
  length: (_sequence, head) => getU32(head, 0),
  open: (_sequence, packet) => packet.slice(4),
};
