/** What a run has at hand: environment, streams, log, crypto, keys and the one resolver with its file cache. */

import {
  algorithmSets,
  type CryptoProvider,
  defaultAlgorithms,
  type HostPlan,
  JumpPool,
  KeyStore,
  localResolveEnv,
  type OpenContext,
  type Prompter,
  type ResolveEnv,
  SshError,
  supportedAlgorithms,
  systemError,
} from '../client/index.ts';
import { chooseCrypto } from './crypto.ts';
import { LOG_LEVELS, type Log, type LogLevel, openLogFile } from './log.ts';
import type { Invocation } from './options/settings.ts';
import { planHop } from './plan.ts';
import { printErr } from './print.ts';
import { Syslog } from './syslog.ts';
import { neutralise } from './terminal.ts';
import { SOFTWARE, VERSION } from './version.ts';

export interface Io {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The name we were started under. */
  readonly program: string;
  readonly log: Log;
}

/** Who asks the person in front of us, and whom it tells before it takes the terminal. */
export interface AskingPrompter extends Prompter {
  /** The function returned ends the question. */
  onAsk?: (() => () => void) | undefined;
  /** Settles when nothing is being asked. */
  idle?(): Promise<void>;
}

export interface RunContext extends Io {
  readonly crypto: CryptoProvider;
  readonly resolve: ResolveEnv;
  /** What became of the questions for ssh_config files. */
  readonly configFiles: Readonly<Record<'parsed' | 'hits' | 'revalidated', number>>;
  readonly prompter: AskingPrompter;
  readonly keys: KeyStore;
  readonly invocation: Invocation;
  /** -y: where messages go. */
  readonly syslog: Syslog | undefined;
  /** The one password of the run: BSSH_PASSWORD, or asked for once when --password was given. */
  readonly password: (() => Promise<string | undefined>) | undefined;
}

const PASSWORD_VARIABLE = 'BSSH_PASSWORD';

export function runContext(io: Io, invocation: Invocation, prompter: AskingPrompter): RunContext {
  if (invocation.logFile !== undefined) {
    try {
      io.log.redirect(openLogFile(invocation.logFile).write);
    } catch (error) {
      throw new SshError('config', `Couldn't open logfile ${invocation.logFile}: ${systemError(error)}`, {
        cause: error,
      });
    }
  }
  // Beside -E it wins, as in ssh(1).
  const syslog = invocation.syslog ? new Syslog(io.program) : undefined;
  if (syslog !== undefined) io.log.redirect(syslog.write);
  const crypto = chooseCrypto(invocation.crypto, io.env);
  const algorithms = algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto));
  const resolve = localResolveEnv({ algorithms, version: VERSION, env: io.env });
  const keys = new KeyStore({ crypto, prompter, warn: (text) => io.log.info(text) });
  return {
    ...io,
    crypto,
    resolve,
    configFiles: resolve.files.statistics,
    prompter,
    keys,
    invocation,
    syslog,
    password: onePassword(io, invocation, prompter),
  };
}

function onePassword(
  { env, log }: Io,
  invocation: Invocation,
  prompter: Prompter,
): (() => Promise<string | undefined>) | undefined {
  const given = env[PASSWORD_VARIABLE];
  if (given !== undefined && given !== '') {
    log.hide(given);
    return async () => given;
  }
  if (!invocation.password) return undefined;
  let asked: Promise<string | undefined> | undefined;
  return () => {
    asked ??= prompter.ask({ text: 'Enter password: ', echo: false, purpose: 'password' }).then((answer) => {
      if (answer !== undefined) log.hide(answer);
      return answer;
    });
    return asked;
  };
}

/** The log level of a plan: names of ssh_config(5) to ours. */
export function planLevel(plan: HostPlan): LogLevel {
  const level = plan.logLevel.toLowerCase().replace(/^debug$/, 'debug1') as LogLevel;
  return LOG_LEVELS.includes(level) ? level : 'info';
}

/** The log as the client layer writes to it; level 0 is `verbose`. */
export const logTo =
  (log: Log, prefix = '') =>
  (level: 0 | 1 | 2 | 3, text: string): void => {
    if (level === 0) log.verbose(prefix + text);
    else log.debug(level, () => prefix + text);
  };

/** What `openHost` needs, the same for one host and for many. */
export function openContext(context: RunContext, extra: Partial<OpenContext> = {}): OpenContext {
  const { log, env, invocation } = context;
  return {
    crypto: context.crypto,
    keys: context.keys,
    prompter: context.prompter,
    password: context.password,
    agentOnly: invocation.useAgent,
    methods: invocation.password ? ['password', 'keyboard-interactive'] : undefined,
    shell: env.SHELL || '/bin/sh',
    software: SOFTWARE,
    warn: (text) => log.info(text),
    onWeakCrypto: (text) => log.verbose(text),
    log: logTo(log),
    ...extra,
  };
}

/** Whose habits a jump host's plan follows: ssh(1)'s, those of one host, or those of a run on many. */
export type HopHabits = 'strict' | 'one' | 'many';

/** The jump hosts of a run. */
export function jumpPool(context: RunContext, habits: HopHabits): JumpPool {
  const { invocation, resolve } = context;
  return new JumpPool({
    resolve: (hop) => planHop(hop, invocation, habits, resolve),
    context: () => openContext(context, { boundLogin: habits === 'many' }),
  });
}

/** A server's banner: on stderr, control sequences made harmless on a terminal, bytes as they are elsewhere. */
export function showBanner(message: Uint8Array, log: Log, isTerminal: boolean): void {
  if (!log.wants('info')) return;
  printErr(isTerminal ? neutralise(message).replaceAll('\r', '') : message);
}
