/**
 * Which hosts a pdsh command line means: -w and -x with host lists, files, regular expressions and users, -g and -X with
 * clusters and dsh group files, -a, WCOLL, and the batch job it runs in. It becomes one host expression and one filter.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/model.ts';
import { type PdshOption, pdshError } from './options.ts';

export interface TargetSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly config: Config;
}

export interface Targets {
  /** For -H. */
  readonly expression: string;
  /** For --filter, slashes included. */
  readonly filter: string | undefined;
}

/** pdsh's words. */
export const noHosts = 'no remote hosts specified';

/** At commas outside brackets. */
const splitList = (text: string): string[] =>
  text
    .split(/,(?![^[\]]*\])/)
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** `rcmd:user@host`: only one kind of rcmd is spoken here. */
const withoutRcmd = (item: string): string => {
  const [, type, rest = ''] = /^(ssh|rsh|exec|mrsh|krb4|xcpu|qsh|mqsh):(.*)$/.exec(item) ?? [];
  if (type === undefined) return item;
  if (type !== 'ssh') throw pdshError(`${item}: hosts are reached with ssh here, not with ${type}`);
  return rest;
};

/** `/RE/`, checked by itself: what it becomes a part of is nothing to show anybody. */
const patternOf = (item: string): string => {
  const pattern = item.slice(1).replace(/\/$/, '');
  try {
    new RegExp(pattern);
  } catch (error) {
    throw pdshError(`${item}: ${(error as Error).message}`);
  }
  return pattern;
};

class Collected {
  readonly #sources: TargetSources;
  readonly included: string[] = [];
  readonly excluded: string[] = [];
  readonly wanted: string[] = [];
  readonly unwanted: string[] = [];

  constructor(sources: TargetSources) {
    this.#sources = sources;
  }

  list(text: string, exclude: boolean): void {
    for (const given of splitList(text)) {
      const minus = given.length > 1 && given.startsWith('-');
      const item = withoutRcmd(minus ? given.slice(1) : given);
      const away = exclude || minus;
      if (item.startsWith('/')) (away ? this.unwanted : this.wanted).push(patternOf(item));
      else (away ? this.excluded : this.included).push(item === '-' ? '^-' : item);
    }
  }

  groups(text: string, exclude: boolean): void {
    for (const name of splitList(text)) {
      (exclude ? this.excluded : this.included).push(...this.#group(name));
    }
  }

  everything(): void {
    const names = [...this.#sources.config.clusters.keys()];
    if (names.length === 0) throw pdshError('-a: no clusters are configured');
    this.included.push(...names.map((name) => `@${name}`));
  }

  /** What counts when no host was named. */
  fallback(): void {
    const { env } = this.#sources;
    if (this.included.length > 0) return;
    if (env.WCOLL) this.included.push(`^${env.WCOLL}`);
    else if (env.SLURM_JOB_NODELIST) this.included.push('@slurm');
    else if (env.PBS_NODEFILE) this.included.push('@pbs');
    else throw pdshError(noHosts);
  }

  #group(name: string): string[] {
    const { clusters } = this.#sources.config;
    if (clusters.has(name) || clusters.get(name.split(':')[0] as string)?.source !== undefined) return [`@${name}`];
    const hosts = this.#dshGroup(name, []);
    if (hosts !== undefined) return hosts;
    const known = [...clusters.keys()].sort().join(', ');
    throw pdshError(`-g ${name}: there is no such cluster${known && ` (${known})`} and no dsh group file of that name`);
  }

  /** The words of a dsh group file and of those it includes. */
  #dshGroup(name: string, path: readonly string[]): string[] | undefined {
    if (path.includes(name)) throw pdshError(`dsh group ${name}: includes itself`);
    const { env, home } = this.#sources;
    const folders = env.DSHGROUP_PATH ? env.DSHGROUP_PATH.split(':') : ['/etc/dsh/group'];
    const files = name.startsWith('/')
      ? [name]
      : [join(home, '.dsh/group'), ...folders].map((folder) => join(folder, name));
    for (const file of files) {
      let text: string;
      try {
        text = readFileSync(file, 'utf8');
      } catch {
        continue;
      }
      return text.split('\n').flatMap((line) => {
        const [, included] = /^#include\s+(\S+)/.exec(line) ?? [];
        if (included === undefined) return splitList(line.replace(/#.*/, '').trim());
        const hosts = this.#dshGroup(included, [...path, name]);
        if (hosts === undefined) throw pdshError(`${file}: there is no dsh group ${included}`);
        return hosts;
      });
    }
    return undefined;
  }
}

export const pdshTargets = (options: readonly PdshOption[], sources: TargetSources): Targets => {
  const collected = new Collected(sources);
  for (const { letter, value } of options) {
    if (letter === 'w' || letter === 'x') collected.list(value, letter === 'x');
    else if (letter === 'g' || letter === 'X') collected.groups(value, letter === 'X');
    else if (letter === 'a' || letter === 'A') collected.everything();
  }
  collected.fallback();
  const { included, excluded, wanted, unwanted } = collected;
  // all of them at once: each is a condition of its own
  const conditions = [
    ...wanted.map((pattern) => `(?=.*(?:${pattern}))`),
    ...unwanted.map((pattern) => `(?!.*(?:${pattern}))`),
  ];
  return {
    expression: [included.join(','), ...excluded].join('!'),
    filter: conditions.length === 0 ? undefined : `/^${conditions.join('')}/`,
  };
};
