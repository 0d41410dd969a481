/** ChannelTimeout of ssh_config(5): which limit on idleness a channel has, by the type names that users write. */

import { matchPattern } from './config/pattern.ts';
import type { ChannelTimeout } from './config/special-values.ts';

/** Types that ssh(1) calls otherwise than the wire does. */
const NAMES: Readonly<Record<string, string>> = {
  'auth-agent@openssh.com': 'agent-connection',
  x11: 'x11-connection',
};

/** One limit for the connection as a whole, which no wildcard means. */
const GLOBAL = 'global';

/** Milliseconds, 0 for none: the first entry that matches `type` (`session:command` is a `session` too) decides. */
export function idleLimit(timeouts: readonly ChannelTimeout[], type: string): number {
  const names = [NAMES[type] ?? type, /^[^:]*/.exec(type)![0]];
  const found = timeouts.find((each) => each.type !== GLOBAL && names.some((name) => matchPattern(name, each.type)));
  return (found?.seconds ?? 0) * 1000;
}

export const idleLimitOfAll = (timeouts: readonly ChannelTimeout[]): number =>
  (timeouts.find(({ type }) => type === GLOBAL)?.seconds ?? 0) * 1000;
