/**
 * Applies parsed ssh_config files to one host: which Host and Match blocks hold, Include, unknown words, errors in
 * ssh's words. Files, commands and network addresses are handed in; nothing is read here.
 */

import { SshError } from '../../protocol/index.ts';
import { inNetworks, matchHostList, matchPatternList } from './pattern.ts';
import type { Settings } from './settings.ts';
import {
  at,
  type Block,
  type Condition,
  type Criterion,
  type Entry,
  type ParsedFile,
  unknownOption,
} from './ssh-config.ts';
import { connectionTokens, expandTilde, expandTokens, type Homes } from './tokens.ts';

export type Loaded =
  | {
      readonly file: ParsedFile;
      /** Owned by root or the user, writable for nobody else. */
      readonly safe: boolean;
    }
  | { readonly file?: undefined; readonly missing: boolean; readonly reason: string };

/** Where configuration files come from. */
export interface ConfigReader {
  load(path: string): Loaded;
  /** Absolute paths that match, sorted. */
  glob(pattern: string): readonly string[];
}

export interface Note {
  readonly level: 'error' | 'debug';
  readonly text: string;
}

/** Where an Include looks: relative names are in `~/.ssh` for a user's file, in `/etc/ssh` for the system's. */
export function includePattern(pattern: string, user: boolean, homes: Homes): string {
  if (/^[/~]/.test(pattern)) return expandTilde(pattern, homes);
  return `${user ? `${homes.home.replace(/\/$/, '')}/.ssh` : '/etc/ssh'}/${pattern}`;
}

/** What conditions look at besides the settings. */
export interface MatchFacts {
  readonly originalHost: string;
  readonly localHost: string;
  readonly localUser: string;
  readonly uid: number;
  readonly home: string;
  readonly version: string;
  readonly command: string;
  readonly session: 'shell' | 'exec' | 'subsystem' | 'none';
  /** Runs a command in the user's shell and returns its exit status; missing: no command ever succeeds. */
  run?(command: string): number;
  /** Addresses of the local interfaces. */
  addresses?(): readonly string[];
}

export interface Pass {
  /** The name Host lines are compared with. */
  readonly host: string;
  /** The second reading, after the host name is settled. */
  readonly final: boolean;
}

interface FileMode {
  /** Relative includes are looked up in `~/.ssh`, else in `/etc/ssh`; `~` is allowed. */
  readonly user: boolean;
  readonly checked: boolean;
}

interface Scope extends FileMode {
  readonly depth: number;
  /** Inside a block that does not hold: read for errors only. */
  readonly never: boolean;
  readonly active: boolean;
}

/** ssh(1) follows no deeper. */
export const maxIncludeDepth = 16;

export class Evaluation {
  readonly settings: Settings;
  readonly notes: Note[] = [];
  /** A `Match final` was seen: the files want to be read twice. */
  wantsFinal = false;
  readonly #facts: MatchFacts;
  readonly #reader: ConfigReader;
  readonly #homes: Homes;
  readonly #problems: string[] = [];
  #place: { file: string; line: number } | undefined;

  constructor(settings: Settings, facts: MatchFacts, reader: ConfigReader, homes: Homes) {
    this.settings = settings;
    this.#facts = facts;
    this.#reader = reader;
    this.#homes = homes;
  }

  /** One parsed `-o` option. */
  option(entry: Entry): void {
    const before = this.#problems.length;
    this.#apply(entry, 'command-line', true);
    if (this.#problems.length > before) this.#fail();
  }

  /** False when the file cannot be opened. */
  file(path: string, mode: FileMode, pass: Pass): Loaded {
    return this.#file(path, pass, { ...mode, depth: 0, never: false, active: true });
  }

  #file(path: string, pass: Pass, scope: Scope): Loaded {
    if (scope.depth > maxIncludeDepth) this.#fail('Too many recursive configuration includes');
    const loaded = this.#reader.load(path);
    if (loaded.file === undefined) return loaded;
    if (scope.checked && !loaded.safe) this.#fail(`Bad owner or permissions on ${path}`);
    if (scope.never && loaded.file.quiet) return loaded;
    const before = this.#problems.length;
    for (const block of loaded.file.blocks) {
      const active =
        block.condition === undefined ? scope.active : this.#holds(block.condition, block.line, path, pass, scope);
      if (active || block.restless) this.#block(block, path, pass, { ...scope, active });
    }
    const count = this.#problems.length - before;
    if (count > 0) this.#fail(`${path}: terminating, ${count} bad configuration options`);
    return loaded;
  }

  #block(block: Block, path: string, pass: Pass, scope: Scope): void {
    for (const entry of block.entries) {
      if (entry.kind === 'include') this.#include(entry, path, pass, scope);
      else if (scope.active || entry.kind !== 'set') this.#apply(entry, path, scope.active);
    }
  }

  #apply(entry: Entry, path: string, active: boolean): void {
    switch (entry.kind) {
      case 'set':
        try {
          this.settings.add(entry.name, entry.value, entry.origin);
        } catch (error) {
          if (!(error instanceof SshError)) throw error;
          this.#problem(path, entry.line, at(path, entry.line, error.message));
        }
        break;
      case 'unknown': {
        const ignored = this.settings.get('ignoreunknown');
        if (ignored !== undefined && matchPatternList(entry.keyword, ignored, true) === 'match') {
          this.notes.push({ level: 'debug', text: at(path, entry.line, `Ignored unknown option "${entry.keyword}"`) });
        } else {
          this.#problem(path, entry.line, unknownOption(path, entry.line, entry.keyword));
        }
        break;
      }
      case 'problem':
        this.#problem(path, entry.line, entry.message);
        break;
      case 'note':
        if (active || entry.level === 'error') {
          this.notes.push({ level: entry.level, text: at(path, entry.line, entry.message) });
        }
        break;
    }
  }

  #include(entry: Extract<Entry, { kind: 'include' }>, path: string, pass: Pass, scope: Scope): void {
    for (const pattern of entry.patterns) {
      if (pattern.startsWith('~') && !scope.user) {
        this.#problem(path, entry.line, at(path, entry.line, `bad include path ${pattern}.`));
        return;
      }
      for (const found of this.#reader.glob(includePattern(pattern, scope.user, this.#homes))) {
        const inner: Scope = { ...scope, checked: true, depth: scope.depth + 1, never: scope.never || !scope.active };
        const loaded = this.#file(found, pass, inner);
        if (loaded.file === undefined && !loaded.missing) {
          this.#problem(path, entry.line, `Can't open user config file ${found}: ${loaded.reason}`);
          return;
        }
      }
    }
  }

  #holds(condition: Condition, line: number, path: string, pass: Pass, scope: Scope): boolean {
    if (condition.kind === 'host') return !scope.never && condition.matcher.matches(pass.host);
    if (condition.criteria.some(({ kind }) => kind === 'final')) this.wantsFinal = true;
    // An include inside a block that does not hold is read for its errors only: its commands are not run.
    if (scope.never) return false;
    try {
      return condition.criteria.every((criterion) => this.#meets(criterion, pass) !== criterion.negated);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      this.#problem(path, line, at(path, line, error.message));
      return false;
    }
  }

  #meets(criterion: Criterion, pass: Pass): boolean {
    const facts = this.#facts;
    switch (criterion.kind) {
      case 'all':
        return true;
      case 'canonical':
      case 'final':
        return pass.final;
      case 'host':
        return matchHostList(this.#targetHost(pass), criterion.argument);
      case 'originalhost':
        return matchHostList(facts.originalHost, criterion.argument);
      case 'user':
        return matches(this.settings.get('user') ?? facts.localUser, criterion.argument);
      case 'localuser':
        return matches(facts.localUser, criterion.argument);
      case 'tagged':
        return matches(this.settings.get('tag') ?? '', criterion.argument);
      case 'command':
        return matches(facts.command, criterion.argument);
      case 'version':
        return matches(facts.version, criterion.argument);
      case 'sessiontype':
        return matches(this.#session(), criterion.argument);
      case 'localnetwork':
        return (facts.addresses?.() ?? []).some((address) => inNetworks(address, criterion.networks));
      case 'exec':
        return facts.run?.(expandTokens(criterion.argument, this.#tokens(pass))) === 0;
    }
  }

  #session(): string {
    const type = this.settings.get('sessiontype');
    return type === 'none' || type === 'subsystem' ? type : this.#facts.session;
  }

  /** The host after Hostname, which `Match host` is compared with. */
  #targetHost(pass: Pass): string {
    const name = this.settings.get('hostname');
    return name === undefined || pass.final ? pass.host : expandTokens(name, { h: pass.host });
  }

  #tokens(pass: Pass): ReturnType<typeof connectionTokens> {
    const host = this.#targetHost(pass);
    return connectionTokens({
      ...this.#facts,
      host,
      hostKeyAlias: this.settings.get('hostkeyalias') ?? host,
      port: this.settings.get('port') ?? 22,
      user: this.settings.get('user') ?? this.#facts.localUser,
    });
  }

  #problem(file: string, line: number, message: string): void {
    this.#place ??= { file, line };
    this.#problems.push(message);
  }

  /** Ends the evaluation with everything that was found wrong so far, one message a line. */
  #fail(message?: string): never {
    const all = message === undefined ? this.#problems : [...this.#problems, message];
    throw new SshError('config', all.join('\n'), { detail: { ...this.#place, problems: [...all] } });
  }
}

/** An empty text is matched by an empty pattern only. */
const matches = (subject: string, list: string): boolean =>
  subject === '' ? list === '' : matchPatternList(subject, list) === 'match';
