/** `runs`: the journal for people and, with --json, for programs; with a number, how each host of that run ended. */

import { ExitCode } from '../exit.ts';
import { formatHosts } from '../hosts/fold.ts';
import { endings, type HostRecord, Journal, type RunRecord } from '../journal/index.ts';
import { neutraliseLine } from '../terminal.ts';

export interface RunsRequest {
  /** A number or `last`; undefined lists all. */
  readonly which: string | undefined;
  readonly json: boolean;
}

export function runs({ which, json }: RunsRequest, env: Readonly<Record<string, string | undefined>>): string {
  const journal = new Journal(env);
  const lines =
    which === undefined
      ? journal.ids().flatMap((id) => {
          const record = journal.find(id);
          return record === undefined ? [] : [json ? JSON.stringify(headOf(record)) : headLine(record)];
        })
      : ofOne(journal.read(which), json);
  return lines.map((line) => `${line}\n`).join('');
}

function ofOne(record: RunRecord, json: boolean): string[] {
  if (json) {
    return record.hosts.map(({ name, target, class: end, exitStatus, signal, error, bytes, digest }) =>
      JSON.stringify({
        version: 1,
        run: record.id,
        host: name,
        target,
        class: end,
        exitStatus,
        signal,
        error,
        bytes,
        digest,
      }),
    );
  }
  const groups = new Map<string, string[]>();
  for (const host of record.hosts) {
    const label = labelOf(host);
    groups.set(label, [...(groups.get(label) ?? []), host.name]);
  }
  const width = Math.max(...[...groups.keys()].map((label) => label.length));
  return [
    headLine(record),
    ...[...groups].map(([label, names]) => neutraliseLine(`  ${label.padEnd(width)}  ${formatHosts(names)}`)),
  ];
}

const labelOf = ({ class: end, exitStatus, signal }: HostRecord): string =>
  [end, ...(end === 'exit' ? [exitStatus] : []), ...(end === 'signal' ? [signal] : [])].join(' ');

const headOf = (record: RunRecord) => {
  const { id, time, ms, command, exit, stopped, hosts } = record;
  const classes: Record<string, number> = {};
  for (const { class: end } of hosts) classes[end] = (classes[end] ?? 0) + 1;
  return { version: 1, run: id, time, ms: Math.round(ms), command, exit, stopped, hosts: hosts.length, classes };
};

function headLine(record: RunRecord): string {
  const { id, time, command, exit } = record;
  const ended = exit === ExitCode.ok ? '' : `exit ${exit}: `;
  return neutraliseLine(`${id}  ${localTime(new Date(time))}  ${ended}${endings(record)}  ${command}`);
}

function localTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}
