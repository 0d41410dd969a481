/** What `ssh -G` prints: every effective option, lower case, one a line, readable as a configuration file again. */

import { type Keyword, keywordNames, keywords } from './keywords.ts';
import type { HostPlan } from './plan.ts';

/** The lines without their newlines. `host` comes first, as the block that the rest belongs to. */
export function dumpOptions(plan: HostPlan): string[] {
  const lines = [`host ${plan.host}`];
  for (const name of keywordNames) {
    const row: Keyword<unknown> = keywords[name];
    const value: unknown = plan.options[name];
    if (name === 'connecttimeout' && value === undefined) lines.push('connecttimeout none');
    if (value === undefined) continue;
    for (const text of row.type.format(value)) lines.push(`${row.spelled ?? name} ${text}`);
  }
  return lines;
}
