/** The run that `--baseline` names, for the renderer: hosts are the same when both runs call them the same. */

import { Journal } from './journal/index.ts';
import type { Baseline, Earlier } from './render/index.ts';

/** Throws when there is no such run. `names` are the hosts of this run, in its order. */
export function openBaseline(
  reference: string,
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): Baseline {
  const journal = new Journal(env);
  const run = journal.read(reference);
  const records = new Map(run.hosts.map((record) => [record.name, record]));
  return {
    name: `run ${run.id}`,
    earlier(host): Earlier | undefined {
      const record = records.get(names[host]!);
      if (record === undefined || record.class === 'not-started') return undefined;
      return { ...record, output: (stream) => journal.output(run, record, stream) };
    },
  };
}
