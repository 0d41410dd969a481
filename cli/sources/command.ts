/**
 * A command that prints the hosts of a cluster, run by the shell: `nodes: { command: ... }`. The name behind the colon
 * of `@cluster:group` is its `$GROUP`. What it prints is read as a host file.
 *
 * With `cache` the output is kept in a file of the user's for that long. A failure, a time limit or a word that is no host
 * is an error that names the cluster; nothing that failed is ever kept.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SshError } from '../../client/index.ts';
import type { CommandSource } from '../config/model.ts';
import { chooseCrypto } from '../crypto.ts';
import { expandHosts, hostfileExpression } from '../hosts/expand.ts';
import { hostLimits } from '../hosts/limits.ts';
import type { HostSpec } from '../hosts/spec.ts';
import { sourceError } from './errors.ts';

export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly cwd: string;
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

/** Enough of its standard error to say what went wrong. */
const shownError = 4096;

const labelOf = (cluster: string, group: string): string => (group === '' ? cluster : `${cluster}:${group}`);

/** The file of an answer: it depends on the command, the group, where it runs, and the variables the command names. */
const cacheFile = ({ command }: CommandSource, group: string, { env, home, cwd }: CommandContext): string => {
  const base = env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : join(home, '.cache');
  const names = [...command.matchAll(/\$\{?([A-Za-z_]\w*)/g)].map(([, name]) => name as string);
  const variables = [...new Set(names)].filter((name) => name !== 'GROUP').map((name) => [name, env[name] ?? null]);
  const key = JSON.stringify([command, group, cwd, variables]);
  const hash = chooseCrypto(undefined, env).hash('sha256');
  const digest = Buffer.from(hash.update(Buffer.from(key)).digest())
    .toString('hex')
    .slice(0, 32);
  return join(base, 'bssh', `nodes-${digest}`);
};

interface Kept {
  readonly text: string;
  /** Seconds. */
  readonly age: number;
}

const readCache = (file: string, source: CommandSource, now: number): Kept | undefined => {
  try {
    const stat = statSync(file);
    // The file's time may have more digits than the clock we ask: written a moment ago is not to come.
    const age = (now - Math.floor(stat.mtimeMs)) / 1000;
    // what somebody else could write there is nothing to connect to; a time to come is a clock that was set back
    if (stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0 || age < 0 || age >= source.cache)
      return undefined;
    return { text: readFileSync(file, 'utf8'), age };
  } catch {
    return undefined;
  }
};

/** Without a place to write to there is no cache, and that is all. */
const writeCache = (file: string, text: string): boolean => {
  try {
    mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.${process.pid}`, text, { mode: 0o600 });
    renameSync(`${file}.${process.pid}`, file);
    return true;
  } catch {
    return false;
  }
};

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? '';

/** Runs it in a process group of its own, so that a time limit or an interrupt ends all that it started. */
const output = (label: string, source: CommandSource, group: string, context: CommandContext): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', source.command], {
      cwd: context.cwd,
      env: { ...context.env, GROUP: group } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let complaint = '';
    let problem: string | undefined;
    const end = (): void => {
      try {
        process.kill(-(child.pid as number), 'SIGKILL');
      } catch {
        // gone already
      }
      // whoever left the group may hold the pipes open
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    const interrupt = (name: NodeJS.Signals): void => {
      end();
      leave();
      process.kill(process.pid, name);
    };
    const timer =
      source.timeout === 0
        ? undefined
        : setTimeout(() => {
            problem = `did not end within ${source.timeout} s`;
            end();
          }, source.timeout * 1000);
    const leave = (): void => {
      clearTimeout(timer);
      for (const name of signals) process.off(name, interrupt);
    };
    for (const name of signals) process.on(name, interrupt);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= hostLimits.hostfileBytes) return;
      problem = 'prints too much for a list of hosts';
      end();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-shownError);
    });
    child.once('error', (error) => {
      leave();
      reject(sourceError(`cluster '${label}': its command cannot be run: ${error.message}`, error));
    });
    child.once('close', (code, signal) => {
      leave();
      if (problem === undefined && code !== 0) {
        problem = code === null ? `was killed by ${signal}` : `ended with status ${code}`;
      }
      if (problem === undefined) resolve(Buffer.concat(chunks).toString('utf8'));
      else {
        const said = lastLine(complaint);
        reject(sourceError(`cluster '${label}': its command ${problem}${said && `: ${said}`} (${source.command})`));
      }
    });
  });

const notHere = (what: string) => (): never => {
  throw sourceError(`${what} means nothing in it`);
};

const hostsIn = (label: string, text: string): HostSpec[] => {
  try {
    return expandHosts<HostSpec>(hostfileExpression(text), {
      host: (spec) => spec,
      cluster: notHere('@'),
      file: notHere('^'),
    });
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    throw sourceError(`cluster '${label}': its command printed something else than hosts: ${error.message}`, error);
  }
};

/** The hosts, and a word about where they came from. */
export const commandHosts = async (
  cluster: string,
  group: string,
  source: CommandSource,
  context: CommandContext,
): Promise<{ readonly hosts: readonly HostSpec[]; readonly note: string }> => {
  const label = labelOf(cluster, group);
  const now = context.now ?? Date.now;
  const file = source.cache > 0 ? cacheFile(source, group, context) : undefined;
  const kept = file === undefined ? undefined : readCache(file, source, now());
  if (kept !== undefined) {
    const hosts = hostsIn(label, kept.text);
    return { hosts, note: `cluster ${label}: ${hosts.length} hosts, kept for ${Math.round(kept.age)} s` };
  }
  const started = now();
  const text = await output(label, source, group, context);
  const hosts = hostsIn(label, text);
  const stored = file !== undefined && !writeCache(file, text) ? `; ${file} cannot be written` : '';
  return { hosts, note: `cluster ${label}: ${hosts.length} hosts from its command in ${now() - started} ms${stored}` };
};
