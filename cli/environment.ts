/** Environment variables that are sent along: SendEnv patterns over ours, then SetEnv, as ssh(1) sends them. */

import { type HostPlan, matchPattern } from '../client/index.ts';

export function environment(
  plan: HostPlan,
  env: Readonly<Record<string, string | undefined>>,
): (readonly [name: string, value: string])[] {
  const { sendEnv, setEnv } = plan.session;
  const wanted = (name: string): boolean => sendEnv.some((pattern) => matchPattern(name, pattern));
  // Listing process.env asks the system for each name: not for a hundred hosts that want none of them.
  const sent = (sendEnv.length === 0 ? [] : Object.entries(env)).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && wanted(entry[0]),
  );
  const set = setEnv.map((pair): [string, string] => [
    pair.slice(0, pair.indexOf('=')),
    pair.slice(pair.indexOf('=') + 1),
  ]);
  return [...sent, ...set];
}
