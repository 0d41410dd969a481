/**
 * Are there enough open files for what a run wants at one time? Asked before the first connection, since the error in
 * the middle of a run (EMFILE) names neither the cause nor the way out.
 */

import { readFileSync } from 'node:fs';
import { type HostPlan, SshError } from '../client/index.ts';

/** What the process has open anyway, and a margin. */
const OTHERS = 40;
const PIPES_OF_PROXY = 3;

/** The limit of this process, or undefined when nobody says. */
export function openFileLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined || soft === 'unlimited' ? undefined : Number(soft);
  } catch {
    const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
    const soft = Number(userLimits?.open_files?.soft);
    return Number.isFinite(soft) ? soft : undefined;
  }
}

/**
 * Files that `parallel` hosts at a time need: those of the hungriest, an agent's socket for each log-in in progress, and
 * `own` files that each writes.
 */
export function openFilesWanted(plans: readonly HostPlan[], parallel: number, own = 0): number {
  const each = plans
    // A host behind a jump host is a channel of that connection.
    .map(({ proxyCommand, proxyJump }) => (proxyCommand !== undefined ? PIPES_OF_PROXY : proxyJump.length > 0 ? 0 : 1))
    .sort((a, b) => b - a)
    .slice(0, parallel === 0 ? undefined : parallel);
  return each.reduce<number>((sum, files) => sum + files + own, OTHERS) + Math.ceil(each.length / 8);
}

/** How many more each of those hosts may have open, at least one. */
export function openFilesLeft(plans: readonly HostPlan[], parallel: number, limit = openFileLimit): number {
  const left = (limit() ?? Number.POSITIVE_INFINITY) - openFilesWanted(plans, parallel);
  return Math.max(1, Math.floor(left / Math.min(plans.length, parallel || plans.length)));
}

/** Throws when the run would go beyond the limit. */
export function checkOpenFiles(
  plans: readonly HostPlan[],
  parallel: number,
  { own = 0, limit = openFileLimit }: { readonly own?: number; readonly limit?: () => number | undefined } = {},
): void {
  const wanted = openFilesWanted(plans, parallel, own);
  // Every system has that many: most runs need not look.
  if (wanted <= 200) return;
  const allowed = limit();
  if (allowed === undefined || wanted <= allowed) return;
  const atATime = parallel === 0 ? plans.length : Math.min(parallel, plans.length);
  const fits = Math.max(1, Math.floor(atATime * ((allowed - OTHERS) / (wanted - OTHERS))));
  throw new SshError(
    'usage',
    `${atATime} hosts at a time need ${wanted} open files, and this process may have ${allowed}: ` +
      `allow more (ulimit -n ${wanted}) or take fewer hosts at a time (--parallel ${fits})`,
    { detail: { grammar: 'cluster', exit: 2 } },
  );
}
