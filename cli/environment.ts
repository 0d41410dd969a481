/** Environment variables that are sent along: SendEnv patterns over ours, then SetEnv, as ssh(1) sends them. */

import { type HostPlan, matchPattern } from '../client/index.ts';

type Env = Readonly<Record<string, string | undefined>>;

// Listing process.env asks the system for every name: once is enough for all hosts of a run.
const listed = new WeakMap<Env, [name: string, value: string][]>();

function entriesOf(env: Env): [name: string, value: string][] {
  let entries = listed.get(env);
  if (entries === undefined) {
    entries = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    listed.set(env, entries);
  }
  return entries;
}

export function environment(plan: HostPlan, env: Env): (readonly [name: string, value: string])[] {
  const { sendEnv, setEnv } = plan.session;
  const isSent = (name: string): boolean => sendEnv.some((pattern) => matchPattern(name, pattern));
  const sent = sendEnv.length === 0 ? [] : entriesOf(env).filter(([name]) => isSent(name));
  const set = setEnv.map((pair): [string, string] => [
    pair.slice(0, pair.indexOf('=')),
    pair.slice(pair.indexOf('=') + 1),
  ]);
  return [...sent, ...set];
}
