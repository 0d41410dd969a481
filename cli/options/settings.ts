/**
 * Turns option tokens into settings: an ordered list of ssh_config(5) keywords where, as everywhere in ssh, the first
 * value of a keyword wins, plus the few things that are not keywords (log file, -G, -W ...).
 *
 * The habits per option (fill, replace, add, -tt, -MM, -v after -q) are those that `ssh -G` shows. Values are not
 * interpreted here, except where ssh(1) refuses them before it reads any configuration.
 */

import { readFileSync } from 'node:fs';
import { parseStdioForward } from '../../client/index.ts';
import type { Token } from '../argv.ts';
import type { Grammar } from '../options.ts';
import { usageError } from './usage.ts';

export interface Setting {
  readonly keyword: string;
  readonly value: string;
  /** The value is text of a configuration line (from -o), still to be split and unquoted. */
  readonly line?: boolean;
}

export interface Invocation {
  /** Keywords in order; the first value wins. */
  readonly settings: readonly Setting[];
  /** -F */
  readonly sshConfig: string | undefined;
  /** -E */
  readonly logFile: string | undefined;
  /** -y */
  readonly syslog: boolean;
  /** -v, counted up to 3. */
  readonly verbosity: number;
  /** -G */
  readonly dump: boolean;
  /** -W */
  readonly stdioForward: string | undefined;
  /** -O */
  readonly controlCommand: string | undefined;
  /** --use-agent: the agent is the only source of keys. */
  readonly useAgent: boolean;
  /** --password: ask for one, whatever the server offers first. */
  readonly password: boolean;
  /** --crypto */
  readonly crypto: 'node' | 'noble' | undefined;
  /** Sentences about options that cannot be had here; not empty = exit 255. */
  readonly refused: readonly string[];
}

type Mutable = { -readonly [K in keyof Invocation]: Invocation[K] };

const logLevels = ['QUIET', 'FATAL', 'ERROR', 'INFO', 'VERBOSE', 'DEBUG', 'DEBUG2', 'DEBUG3'];

/** A destination in the middle of the tokens sets its user and port at that place (`-l a b@h` is a, `b@h -l a` is b). */
export interface Destination {
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/** ssh(1) takes names of /etc/services for ports too. */
const servicePort = (name: string): number | undefined => {
  try {
    for (const line of readFileSync('/etc/services', 'utf8').split('\n')) {
      const [first, where, ...aliases] = (line.split('#')[0] as string).trim().split(/\s+/);
      if (where?.endsWith('/tcp') && (first === name || aliases.includes(name))) return Number.parseInt(where, 10);
    }
  } catch {
    // no such file: no names
  }
  return undefined;
};

export const parsePort = (text: string): number | undefined => {
  const port = /^\s*\+?\d+$/.test(text) ? Number(text) : servicePort(text);
  return port !== undefined && port >= 1 && port <= 65_535 ? port : undefined;
};

/** `Key=Value`, `Key Value`, `Key = Value`: the keyword and the rest of the line as it stands. */
const splitLine = (text: string): Setting => {
  const [, keyword = '', value = ''] = /^\s*([^\s=]*)\s*=?\s*([\s\S]*)$/.exec(text) ?? [];
  return { keyword, value, line: true };
};

class Collector {
  readonly #grammar: Grammar;
  readonly #settings: Setting[] = [];
  readonly result: Mutable;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
    this.result = {
      settings: this.#settings,
      sshConfig: undefined,
      logFile: undefined,
      syslog: false,
      verbosity: 0,
      dump: false,
      stdioForward: undefined,
      controlCommand: undefined,
      useAgent: false,
      password: false,
      crypto: undefined,
      refused: [],
    };
  }

  fail(message: string): never {
    throw usageError(this.#grammar, message);
  }

  current(keyword: string): string | undefined {
    const wanted = keyword.toLowerCase();
    return this.#settings.find((setting) => setting.keyword.toLowerCase() === wanted)?.value;
  }

  add(keyword: string, value: string): void {
    this.#settings.push({ keyword, value });
  }

  fill(keyword: string, value: string): void {
    if (this.current(keyword) === undefined) this.add(keyword, value);
  }

  replace(keyword: string, value: string): void {
    const wanted = keyword.toLowerCase();
    for (let i = this.#settings.length - 1; i >= 0; i--) {
      if (this.#settings[i]?.keyword.toLowerCase() === wanted) this.#settings.splice(i, 1);
    }
    this.add(keyword, value);
  }

  take(token: Token): void {
    const { row, value } = token;
    if (row.ready !== true) this.result.refused = [...this.result.refused, `${token.typed}: ${row.ready}`];
    const step = steps[row.id];
    if (step !== undefined) step(this, value ?? '', token);
    for (const effect of row.sets ?? []) this[effect.mode](effect.keyword, effect.value ?? value ?? '');
  }

  session(type: 'none' | 'subsystem', letter: string, others: string): void {
    const before = this.current('SessionType');
    if (before !== undefined && before.toLowerCase() !== type) this.fail(`Cannot specify ${letter} with ${others}`);
    this.replace('SessionType', type);
  }

  line(text: string): void {
    this.#settings.push(splitLine(text));
  }
}

type Step = (into: Collector, value: string, token: Token) => void;

/** What an option does beyond its `sets`, by id; runs before them. */
const steps: Readonly<Record<string, Step>> = {
  port: (into, value) => {
    const port = parsePort(value);
    if (port === undefined) into.fail(`Bad port '${value}'`);
    into.fill('Port', String(port));
  },
  option: (into, value) => into.line(value),
  'ssh-config': (into, value) => {
    into.result.sshConfig = value;
  },
  'log-file': (into, value) => {
    into.result.logFile = value;
  },
  syslog: (into) => {
    into.result.syslog = true;
  },
  dump: (into) => {
    into.result.dump = true;
  },
  'use-agent': (into) => {
    into.result.useAgent = true;
  },
  password: (into) => {
    into.result.password = true;
  },
  crypto: (into, value, { row }) => {
    if (!row.choices?.includes(value)) into.fail(`--crypto is one of ${row.choices?.join(', ')}`);
    into.result.crypto = value as 'node' | 'noble';
  },
  verbose: (into) => {
    const level = into.result.verbosity === 0 ? 4 : logLevels.indexOf(into.current('LogLevel')?.toUpperCase() ?? '');
    into.replace('LogLevel', logLevels[Math.min(level + 1, logLevels.length - 1)] as string);
    into.result.verbosity = Math.min(into.result.verbosity + 1, 3);
  },
  tty: (into) => {
    const before = into.current('RequestTTY')?.toLowerCase();
    into.replace('RequestTTY', before === 'yes' || before === 'true' ? 'force' : 'yes');
  },
  'no-command': (into) => {
    into.session('none', '-N', '-s/SessionType');
    into.replace('RequestTTY', 'no');
  },
  subsystem: (into) => into.session('subsystem', '-s', '-N/SessionType'),
  'stdio-forward': (into, value) => {
    if (into.result.stdioForward !== undefined) into.fail('stdio forward already specified');
    if (parseStdioForward(value) === undefined) into.fail(`Bad stdio forwarding specification '${value}'`);
    into.result.stdioForward = value;
    into.replace('RequestTTY', 'no');
    into.replace('SessionType', 'none');
  },
  'control-command': (into, value, { row }) => {
    if (into.result.controlCommand !== undefined) into.fail('Multiplexing command already specified');
    if (!row.choices?.includes(value)) into.fail('Invalid multiplex command.');
    into.result.controlCommand = value;
  },
  master: (into) => {
    into.replace('ControlMaster', into.current('ControlMaster')?.toLowerCase() === 'yes' ? 'ask' : 'yes');
  },
  'escape-char': (into, value) => {
    const control = /^\^[@-\x7f]$/.test(value);
    if (!control && value.length !== 1 && value !== 'none') into.fail(`Bad escape character '${value}'.`);
    into.replace('EscapeChar', value);
  },
  'jump-host': (into) => {
    if (into.current('ProxyJump') !== undefined) {
      into.fail('Only a single -J option is permitted (use commas to separate multiple jump hops)');
    }
    if (into.current('ProxyCommand') !== undefined) into.fail('Cannot specify -J with ProxyCommand');
  },
  pdsh: (into) => into.fail('--pdsh is the first word of a command line'),
  'protocol-1': (into) => into.fail('SSH protocol v.1 is no longer supported'),
  'strict-host-key-checking': (into, value, { row, typed }) => {
    if (!row.choices?.includes(value)) into.fail(`${typed} is one of ${row.choices?.join(', ')}`);
  },
};

/** The ids whose meaning is in `steps`; a test holds that no row is left without any meaning. */
export const optionsWithSteps: readonly string[] = Object.keys(steps);

export const applyOptions = (
  grammar: Grammar,
  tokens: readonly Token[],
  destination?: { readonly at: number; readonly settings: Destination },
): Invocation => {
  const into = new Collector(grammar);
  tokens.forEach((token, i) => {
    if (i === destination?.at) applyDestination(into, destination.settings);
    into.take(token);
  });
  if (destination !== undefined && destination.at >= tokens.length) applyDestination(into, destination.settings);
  return into.result;
};

const applyDestination = (into: Collector, { user, port }: Destination): void => {
  if (user !== undefined) into.fill('User', user);
  if (port !== undefined) into.fill('Port', String(port));
};
