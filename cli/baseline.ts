/** The run that `--baseline` names, for the renderer: a host is found by where it is, then by its name. */

import { Journal, type RecordedHost } from './journal/index.ts';
import type { Baseline, Earlier } from './render/index.ts';

/** Throws when there is no such run. `hosts` are those of this run, in its order. */
export function openBaseline(
  reference: string,
  env: Readonly<Record<string, string | undefined>>,
  hosts: readonly RecordedHost[],
): Baseline {
  const journal = new Journal(env);
  const run = journal.read(reference);
  const byTarget = new Map(run.hosts.map((record) => [record.target, record]));
  const byName = new Map(run.hosts.map((record) => [record.name, record]));
  return {
    name: `run ${run.id}`,
    earlier(host): Earlier | undefined {
      const { target, name } = hosts[host]!;
      const record = byTarget.get(target) ?? byName.get(name);
      if (record === undefined || record.class === 'not-started') return undefined;
      return { ...record, output: (stream) => journal.output(run, record, stream) };
    },
  };
}
