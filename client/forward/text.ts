/** How forwardings are worded: refusals and ends as ssh(1) prints them. */

import { SshError } from '../../protocol/index.ts';
import type { Forward, ForwardEnd } from '../config/forward-spec.ts';

/** RFC 4254 section 5.1 */
const reasons: Readonly<Record<number, string>> = {
  1: 'administratively prohibited',
  2: 'connect failed',
  3: 'unknown channel type',
  4: 'resource shortage',
};

/** Text of a peer's on one line, without control characters. */
export const harmless = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');

/** Why a channel could not be opened, as ssh(1) prints it. */
export function openFailure(error: unknown): string {
  if (error instanceof SshError && error.code === 'channel-open') {
    const { channel, reason, text } = error.detail as { channel?: number; reason: number; text: string };
    const why = reasons[reason] ?? 'unknown reason';
    return `channel ${channel ?? 0}: open failed: ${why}${text === '' ? '' : ': '}${harmless(text)}`;
  }
  return `open failed: ${error instanceof Error ? error.message : String(error)}`;
}

/** `host:port` or `path:0`, as in ssh(1)'s debug lines; `socks:0` where the other end is asked for by SOCKS. */
export function endText(end: ForwardEnd | undefined, noHost = 'localhost'): string {
  if (end === undefined) return 'socks:0';
  return end.kind === 'unix' ? `${end.path}:0` : `${end.host ?? noHost}:${end.port}`;
}

export const sameEnd = (a: ForwardEnd | undefined, b: ForwardEnd | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b;
  if (a.kind === 'unix' || b.kind === 'unix')
    return a.kind === b.kind && 'path' in b && 'path' in a && a.path === b.path;
  return a.host === b.host && a.port === b.port;
};

type Listening = Pick<Forward, 'type' | 'listen'>;

/** Whether both have the same listener. */
export const sameListener = (a: Listening, b: Listening): boolean =>
  a.type.startsWith('remote') === b.type.startsWith('remote') && sameEnd(a.listen, b.listen);
