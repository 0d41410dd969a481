/**
 * Which message numbers are legal when (RFC 4250 section 4.1.2, RFC 4253 section 7.1, strict kex in OpenSSH PROTOCOL 1.9).
 *
 * One table; what it does not allow is a protocol error. Finer rules (NEWKEYS without an exchange, data on a closed
 * channel) belong to the machine that handles the message.
 */

import type { Role } from './negotiate.ts';

export type Phase =
  /** Before the first NEWKEYS came. */
  | 'initial'
  /** Their KEXINIT of a rekey came and their NEWKEYS did not; nobody is logged in. */
  | 'rekey'
  /** The same, logged in. */
  | 'late-rekey'
  /** Keys are in place, nobody is logged in. */
  | 'auth'
  | 'connected';

export type Handler = 'transport' | 'kex' | 'auth' | 'mux' | 'unknown';

interface Row {
  readonly from: number;
  readonly to: number;
  readonly handler: Handler;
  readonly phases: readonly Phase[];
  /** Still legal in the first exchange under strict kex. */
  readonly strict?: boolean;
  /** Only this role may receive it. */
  readonly receiver?: Role;
}

const always: readonly Phase[] = ['initial', 'rekey', 'late-rekey', 'auth', 'connected'];
const keyed: readonly Phase[] = ['auth', 'connected'];

const table: readonly Row[] = [
  { from: 1, to: 1, handler: 'transport', phases: always, strict: true },
  { from: 2, to: 4, handler: 'transport', phases: always },
  { from: 5, to: 5, handler: 'auth', phases: ['auth'], receiver: 'server' },
  { from: 6, to: 6, handler: 'auth', phases: ['auth'], receiver: 'client' },
  { from: 7, to: 7, handler: 'transport', phases: keyed },
  { from: 20, to: 21, handler: 'kex', phases: always, strict: true },
  { from: 30, to: 49, handler: 'kex', phases: ['initial', 'rekey', 'late-rekey'], strict: true },
  // RFC 4252 section 5.1: a server ignores requests after success.
  { from: 50, to: 50, handler: 'auth', phases: keyed, receiver: 'server' },
  { from: 51, to: 53, handler: 'auth', phases: ['auth'], receiver: 'client' },
  { from: 60, to: 79, handler: 'auth', phases: ['auth'] },
  // A peer that has sent KEXINIT may not send these (RFC 4253 section 7.1). OpenSSH takes them all the same, and some
  // AsyncSSH releases rely on that: they are authenticated like the ones before.
  { from: 80, to: 127, handler: 'mux', phases: ['connected', 'late-rekey'] },
  { from: 192, to: 193, handler: 'transport', phases: keyed },
  // Numbers nobody knows are answered with UNIMPLEMENTED (RFC 4253 section 11.4).
  { from: 8, to: 19, handler: 'unknown', phases: keyed },
  { from: 22, to: 29, handler: 'unknown', phases: keyed },
  { from: 128, to: 191, handler: 'unknown', phases: keyed },
  { from: 194, to: 255, handler: 'unknown', phases: keyed },
];

const rows: readonly (Row | undefined)[] = Array.from({ length: 256 }, (_, number) =>
  table.find((row) => number >= row.from && number <= row.to),
);

/** Who handles the message, or undefined when it is not legal now. */
export function handlerOf(number: number, phase: Phase, role: Role, strict: boolean): Handler | undefined {
  const row = rows[number];
  if (row === undefined || !row.phases.includes(phase)) return undefined;
  if (row.receiver !== undefined && row.receiver !== role) return undefined;
  if (phase === 'initial' && strict && row.strict !== true) return undefined;
  return row.handler;
}
