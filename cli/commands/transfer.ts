/**
 * `upload` and `download`: files and directories to and from one host or many, over SFTP (or SCP). With several hosts, files of a
 * host come as `HOST_name` and its directories under `HOST/`, so that no host writes over another's.
 */

import { stat } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import {
  type Connection,
  type HostContext,
  hasWildcard,
  type Lanes,
  lacksSftp,
  muchData,
  openLanes,
  RateLimit,
  SharedFiles,
  SshError,
  type SyncOptions,
  stayYoung,
  type TaskOutcome,
} from '../../client/index.ts';
import type { RunContext } from '../context.ts';
import { type Connect, type FleetEntry, type FleetJob, fleetEntries, runFleetJob } from '../fleet-run.ts';
import type { ClusterIntent } from '../grammar.ts';
import { openFilesLeft } from '../open-files.ts';
import type { FileOptions } from '../options/run.ts';
import { usageError } from '../options/usage.ts';
import { printOut } from '../print.ts';
import { fileNames, type Rendering } from '../render/index.ts';
import { neutraliseLine } from '../terminal.ts';
import { countText, rateText, sizeText, timeText } from '../transfer/amounts.ts';
import { type DownloadJob, downloadAll } from '../transfer/download.ts';
import { Meter } from '../transfer/meter.ts';
import { Report } from '../transfer/report.ts';
import { ScpHost, scpDownloadAll, scpUploadAll } from '../transfer/scp.ts';
import { type Amount, findSources, type Source } from '../transfer/sources.ts';
import { fillIn, type HostFacts, isTemplate, tellsHosts } from '../transfer/templates.ts';
import { type UploadJob, uploadAll } from '../transfer/upload.ts';

/** How often a silent server is looked at (milliseconds). */
const LOOK_MS = 500;

/** What is to be done on each host, and what a dry run says of it. */
interface Work {
  readonly each: number | undefined;
  run(entry: number, way: Lanes | ScpHost, report: Report, signal: AbortSignal): Promise<void>;
  plan(entry: number): readonly (readonly [from: string, to: string])[];
  end(): void;
}

export async function transfer(intent: ClusterIntent, context: RunContext): Promise<number> {
  const { files, dryRun } = intent.run;
  checkSync(files, intent.words);
  const entries = fleetEntries(intent, context, undefined);
  // Each file on its way is like a connection.
  stayYoung(Number.POSITIVE_INFINITY);
  const work = intent.subcommand === 'upload' ? await uploads(intent, entries) : await downloads(intent, entries);
  try {
    // Only the hosts can tell what differs there.
    if (dryRun && !files.sync) {
      printOut(planText(intent, entries, work));
      return 0;
    }
    return await runFleetJob(intent, context, entries, (rendering) =>
      transferJob(intent, context, entries, work, rendering),
    );
  } finally {
    work.end();
  }
}

function checkSync(files: FileOptions, words: readonly string[]): void {
  if (!files.sync && files.delete) throw usageError('cluster', '--delete goes with --sync');
  if (!files.sync && files.checksum) throw usageError('cluster', '--checksum goes with --sync');
  if (files.sync && words.length !== 2) throw usageError('cluster', '--sync makes one directory like one other');
}

const clamp = (value: number, least: number, most: number): number => Math.max(least, Math.min(value, most));

const syncOf = (files: FileOptions, dryRun: boolean): SyncOptions | undefined =>
  files.sync ? { compare: files.checksum ? 'content' : 'time', delete: files.delete, dryRun } : undefined;

/** Files that are open at a time on all hosts together, and on each: descriptors are few, and each holds some memory. */
const FILES = 512;
const FILES_EACH = [8, 256] as const;

const treeOptions = ({ run: { files, dryRun }, selection }: ClusterIntent, entries: readonly FleetEntry[]) => ({
  files: Math.min(
    clamp(Math.floor(FILES / Math.min(entries.length, selection!.parallel || entries.length)), ...FILES_EACH),
    openFilesLeft(
      entries.map(({ plan }) => plan),
      selection!.parallel,
    ),
  ),
  links: files.follow ? ('follow' as const) : ('skip' as const),
  preserve: files.preserve,
  resume: files.resume,
  sync: syncOf(files, dryRun),
  rate: files.bandwidth === undefined ? undefined : new RateLimit(files.bandwidth),
});

/** Of each host, what words may say of it; names are those of its files. */
const factsOf = (entries: readonly FleetEntry[]): readonly HostFacts[] => {
  const hosts = entries.map(({ name, plan }) => ({ name, host: plan.host, user: plan.user, port: plan.port }));
  const names = fileNames(hosts);
  return hosts.map(({ user, port }, index) => ({ host: names[index]!, node: names[index]!, index, user, port }));
};

async function uploads(intent: ClusterIntent, entries: readonly FleetEntry[]): Promise<Work> {
  const { files: flags } = intent.run;
  const words = intent.words.slice(0, -1);
  const destination = intent.words.at(-1)!;
  const recursive = flags.recursive || flags.sync;
  const facts = factsOf(entries);
  // For those who look on, and to know how much of each file to keep for other hosts.
  const measure = intent.run.output !== 'quiet' || entries.length > 1;
  const find = async (own: readonly string[]): Promise<readonly Source[]> => {
    const sources = await findSources(own, { recursive, follow: flags.follow, measure });
    if (flags.sync && sources[0]!.kind !== 'directory') throw usageError('cluster', `${own[0]} is no directory`);
    return sources;
  };
  const isOwn = words.some(isTemplate);
  // One list for all, or one a host; what is missing is said before any host is asked.
  const lists: (readonly Source[])[] = [];
  for (const each of isOwn ? facts : facts.slice(0, 1)) lists.push(await find(words.map((word) => fillIn(word, each))));
  if (lists.length === 0) lists.push(await find(words));
  const amount = total(lists.flat());
  if (amount) muchData(amount.bytes, amount.files);
  const files = new SharedFiles(amount?.files, entries.length);
  const options = treeOptions(intent, entries);
  const job = (entry: number): UploadJob => ({
    sources: lists[isOwn ? entry : 0]!,
    destination: fillIn(destination, facts[entry]!),
    files,
    options,
  });
  return {
    each: flags.sync || isOwn ? undefined : amount?.bytes,
    run: (entry, way, report, signal) =>
      way instanceof ScpHost
        ? scpUploadAll(job(entry), way, report, signal)
        : uploadAll(job(entry), way, report, signal),
    plan(entry) {
      const { sources, destination: to } = job(entry);
      const into = sources.length > 1 || to.endsWith('/');
      return sources.map(({ path, name }) => [path, into ? join(to, name) : to] as const);
    },
    end: () => files.close(),
  };
}

/** Undefined when it was not looked at all. */
function total(sources: readonly Source[]): Amount | undefined {
  let [bytes, files] = [0, 0];
  for (const { amount } of sources) {
    if (!amount) return undefined;
    bytes += amount.bytes;
    files += amount.files;
  }
  return { bytes, files };
}

async function downloads(intent: ClusterIntent, entries: readonly FleetEntry[]): Promise<Work> {
  const { files: flags } = intent.run;
  const typed = intent.words.at(-1)!;
  const facts = factsOf(entries);
  // A destination that names the host is its own: nothing has to be put in front of its files.
  const many = entries.length > 1 && !tellsHosts(typed);
  const options = treeOptions(intent, entries);
  const jobs: DownloadJob[] = [];
  for (const each of facts) {
    const words = intent.words.slice(0, -1).map((word) => fillIn(word, each));
    const destination = normalize(fillIn(typed, each));
    const there = await stat(destination).catch(() => undefined);
    const several = many || words.length > 1 || words.some(hasWildcard) || typed.endsWith('/');
    if (several && there && !there.isDirectory()) throw usageError('cluster', `${destination} is no directory`);
    const intoDirectory = several || there?.isDirectory() === true;
    jobs.push({ words, destination, intoDirectory, recursive: flags.recursive || flags.sync, options });
  }
  const prefix = (entry: number): string | undefined => (many ? facts[entry]!.host : undefined);
  const target = (entry: number, word: string): string => {
    const { destination, intoDirectory } = jobs[entry]!;
    const name = prefix(entry);
    if (!intoDirectory || flags.sync) return join(destination, name ?? '');
    const base = word.replace(/\/+$/, '').split('/').at(-1)!;
    return join(destination, name === undefined ? base : flags.recursive ? join(name, base) : `${name}_${base}`);
  };
  return {
    each: undefined,
    run: (entry, way, report, signal) =>
      way instanceof ScpHost
        ? scpDownloadAll(jobs[entry]!, prefix(entry), way, report, signal)
        : downloadAll(jobs[entry]!, prefix(entry), way, report, signal),
    plan: (entry) => jobs[entry]!.words.map((word) => [word, target(entry, word)] as const),
    end: () => {},
  };
}

function planText(intent: ClusterIntent, entries: readonly FleetEntry[], work: Work): string {
  const json = intent.run.output === 'json' || intent.run.output === 'json-result';
  const lines = entries.flatMap(({ name, plan }, entry) =>
    work.plan(entry).map(([from, to]) => {
      const { hostName, port, user } = plan;
      const row = { version: 1, host: name, hostName, port, user, action: intent.subcommand, from, to };
      return json ? JSON.stringify(row) : neutraliseLine(`${name}: ${intent.subcommand} ${from} -> ${to}`);
    }),
  );
  return lines.map((line) => `${line}\n`).join('');
}

function transferJob(
  intent: ClusterIntent,
  context: RunContext,
  entries: readonly FleetEntry[],
  work: Work,
  rendering: () => Rendering,
): FleetJob {
  const { run, invocation } = intent;
  const meter = new Meter(entries.length, work.each, muchData);
  const startedAt = performance.now();
  const events = run.output === 'json' ? rendering : undefined;
  const dryRun = run.dryRun && run.files.sync;
  const quiet = run.output === 'quiet';
  const options = { events, meter, dryRun, quiet, verbose: !quiet && (dryRun || invocation.verbosity > 0) };
  const indexOf = new Map(entries.map((entry, index) => [entry, index]));
  let files = 0;
  return {
    label: [intent.subcommand, ...intent.words].join(' '),
    // Without a limit of its own a transfer may take as long as it moves.
    timeout: () => (run.timeout ?? 0) * 1000,
    progress: meter,
    async task(entry, host, connect): Promise<TaskOutcome> {
      const report = new Report(host, options);
      try {
        const note = (text: string): void => context.log.info(`${entry.name}: ${text}`);
        await onHost(entry, host, connect, run.timeout, note, (way, signal) =>
          report.attempt(intent.words.at(-1)!, () => work.run(indexOf.get(entry)!, way, report, signal)),
        );
      } finally {
        files += report.files;
      }
      return { exitStatus: report.failures > 0 ? 1 : 0 };
    },
    conclude(shown) {
      if (quiet || events || run.output === 'json-result' || dryRun) return;
      const seconds = (performance.now() - startedAt) / 1000;
      const rate = meter.moved > 0 ? ` (${rateText(meter.moved / seconds)})` : '';
      shown.message(`${countText(files, 'file')}, ${sizeText(meter.moved)} in ${timeText(seconds)}${rate}\n`);
    },
  };
}

/** SFTP, or SCP where the server has nothing better. */
async function openWay(
  connection: Connection,
  signal: AbortSignal,
  note: (text: string) => void,
): Promise<Lanes | ScpHost> {
  try {
    return await openLanes(connection, { signal });
  } catch (error) {
    if (!lacksSftp(error)) throw error;
    note('the server offers no SFTP: using SCP');
    return new ScpHost(connection);
  }
}

/** Connects, finds the way for files, and gives up on a server that owes an answer for too long. */
async function onHost(
  { selected }: FleetEntry,
  host: HostContext,
  connect: Connect,
  flagged: number | undefined,
  note: (text: string) => void,
  work: (way: Lanes | ScpHost, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { connection } = await connect();
  const silent = new AbortController();
  const signal = AbortSignal.any([host.signal, silent.signal]);
  let timer: NodeJS.Timeout | undefined;
  try {
    host.phase('command');
    const way = await openWay(connection, host.signal, note);
    const limit = flagged === undefined ? selected.timeout * 1000 : 0;
    if (limit > 0) {
      timer = setInterval(() => {
        const since = way.quietSince;
        if (since === undefined || performance.now() - since < limit) return;
        silent.abort(
          new SshError('timeout', 'the server gave no answer', { detail: { what: 'command', after: limit } }),
        );
      }, LOOK_MS);
    }
    await work(way, signal);
  } catch (error) {
    throw silent.signal.aborted ? silent.signal.reason : error;
  } finally {
    clearInterval(timer);
    void connection.close();
  }
}
