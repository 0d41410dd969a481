/**
 * pdsh(1) as a way to call bssh: its options, its lines, its exit status, with our connections in the place of ssh(1).
 *
 * The options become those of the cluster grammar, and the run is the one of every command; what is here are manners:
 * what is said when a host has failed, what Ctrl-C does, and that success is 0 whatever the commands said, but for -S.
 * Beyond pdsh: a host named twice is run on once, bytes behind a NUL are kept, and commands that ran out of time are ended.
 */

import { hostname } from 'node:os';
import { type HostEvent, type HostResult, SshError } from '../../client/index.ts';
import { readSsh, type Token } from '../argv.ts';
import { runFleet } from '../commands/fleet.ts';
import type { RunContext } from '../context.ts';
import { describeError } from '../errors.ts';
import { sshExitCode } from '../exit.ts';
import type { FleetEntry, Manners } from '../fleet-run.ts';
import { type ClusterIntent, type CommandLineContext, clusterIntent, configuration } from '../grammar.ts';
import { formatHosts } from '../hosts/fold.ts';
import { isAddress6 } from '../hosts/spec.ts';
import { optionById } from '../options.ts';
import { printErr, printOut } from '../print.ts';
import type { Rendering } from '../render/index.ts';
import { shellWords } from '../sources/shell-words.ts';
import { VERSION } from '../version.ts';
import { PdshInterrupts } from './interrupts.ts';
import { type PdshLine, type PdshOption, pdshError, pdshUsage, readPdsh } from './options.ts';
import { eachCommand } from './prompt.ts';
import { noHosts, pdshTargets } from './targets.ts';

const version = `pdsh mode of bssh ${VERSION}\nrcmd modules: ssh (default: ssh)\nmisc modules: (none)\n`;

interface Settings {
  readonly fanout: number;
  readonly connectTimeout: number;
  readonly commandTimeout: number;
  readonly user: string | undefined;
  readonly batch: boolean;
  readonly largest: boolean;
  readonly labels: boolean;
  readonly times: boolean;
}

type Env = CommandLineContext['env'];

const settingsOf = (options: readonly PdshOption[], env: Env): Settings => {
  const has = (letter: string): boolean => options.some((option) => option.letter === letter);
  const last = (letter: string): string | undefined => options.findLast((option) => option.letter === letter)?.value;
  const text = (letter: string, variable: string): string | undefined => last(letter) ?? (env[variable] || undefined);
  const number = (letter: string, variable: string, otherwise: number): number => {
    const given = text(letter, variable) ?? String(otherwise);
    if (!/^\d{1,9}$/.test(given)) {
      throw pdshError(`${last(letter) === undefined ? variable : `-${letter}`}: '${given}' is not a number`);
    }
    return Number(given);
  };
  const rcmd = text('R', 'PDSH_RCMD_TYPE') ?? 'ssh';
  if (rcmd !== 'ssh') throw pdshError(`No such rcmd module "${rcmd}": there is ssh only`);
  const fanout = number('f', 'FANOUT', 32);
  if (fanout === 0) throw pdshError('-f: a fanout of 0 would start nothing');
  return {
    fanout,
    connectTimeout: number('t', 'PDSH_CONNECT_TIMEOUT', 10),
    commandTimeout: number('u', 'PDSH_COMMAND_TIMEOUT', 0),
    user: last('l'),
    batch: has('b'),
    largest: has('S'),
    labels: !has('N'),
    times: has('d'),
  };
};

/** What ssh(1) would be given beside the host; placeholders are pdsh's business. */
const sshTokens = (env: Env): readonly Token[] => {
  const text = [env.PDSH_SSH_ARGS_APPEND ?? '', env.PDSH_SSH_ARGS ?? '-a -x'].join(' ');
  const words = shellWords(text);
  if (typeof words === 'string') throw pdshError(`PDSH_SSH_ARGS: ${words}`);
  const reading = readSsh([...words.filter((word) => !/%[uhn]/.test(word)), '--', 'host'], true);
  if (reading.problem !== undefined || reading.host !== 'host')
    throw pdshError(`PDSH_SSH_ARGS: '${text}' is not understood`);
  return reading.tokens;
};

const token = (id: string, typed: string, value?: string): Token => ({ row: optionById(id), typed, value });

const intentOf = async (line: PdshLine, settings: Settings, context: CommandLineContext): Promise<ClusterIntent> => {
  const { env, home } = context;
  const config = await configuration(undefined, context);
  const { expression, filter } = pdshTargets(line.options, { env, home, config });
  const { user, connectTimeout } = settings;
  const tokens: Token[] = [
    token('hosts', '-w', expression),
    ...(filter === undefined ? [] : [token('filter', '-w', filter)]),
    ...(user === undefined ? [] : [token('user', '-l', user)]),
    token('parallel', '-f', String(settings.fanout)),
    token('timeout', '-u', String(settings.commandTimeout)),
    ...(connectTimeout === 0 ? [] : [token('connect-timeout', '-t', String(connectTimeout))]),
    ...(settings.labels ? [] : [token('no-prefix', '-N')]),
    token('quiet', '-w'),
    token('color', '-w', 'never'),
    ...sshTokens(env),
  ];
  // without one the commands are asked for
  const words = line.words.length === 0 ? ['true'] : line.words;
  return clusterIntent({ tokens, tokensBefore: tokens.length, words }, config, context);
};

/** Labels without the domain, where all that have one have the same. */
const withLabels = (intent: ClusterIntent): ClusterIntent => {
  const selection = intent.selection!;
  const isAddress = (name: string): boolean => /^[\d.:]+$/.test(name) || isAddress6(name);
  const domains = new Set(
    selection.hosts.flatMap(({ name }) =>
      isAddress(name) || !name.includes('.') ? [] : [name.slice(name.indexOf('.'))],
    ),
  );
  if (domains.size !== 1) return intent;
  const short = (name: string): string => (isAddress(name) ? name : (name.split('.')[0] as string));
  if (new Set(selection.hosts.map(({ name }) => short(name))).size < selection.hosts.length) return intent;
  const hosts = selection.hosts.map((host) => ({ ...host, name: short(host.name) }));
  return { ...intent, selection: { ...selection, hosts } };
};

const settingsText = (
  settings: Settings,
  intent: ClusterIntent,
  line: PdshLine,
  context: CommandLineContext,
): string => {
  const yes = (value: boolean): string => (value ? 'Yes' : 'No');
  const { env, user = '' } = context;
  return `-- DSH-specific options --
Separate stderr/stdout\tYes
Path prepended to cmd\t${env.DSHPATH ? `PATH=${env.DSHPATH};` : 'none'}
Appended to cmd         none
Command:\t\t${line.words.join(' ')}
Full program pathname\t${process.argv[1]}

-- Generic options --
Local username\t\t${user}
Local uid     \t\t${process.getuid?.() ?? ''}
Remote username\t\t${settings.user ?? user}
Rcmd type\t\tssh
one ^C will kill pdsh   ${yes(settings.batch)}
Connect timeout (secs)\t${settings.connectTimeout}
Command timeout (secs)\t${settings.commandTimeout}
Fanout\t\t\t${settings.fanout}
Display hostname labels\t${yes(settings.labels)}
Debugging       \t${yes(settings.times)}

-- Target nodes --
${formatHosts(intent.selection!.hosts.map(({ name }) => name))}
`;
};

/** Whole seconds, as pdsh counts them. */
const timesText = (results: readonly HostResult[]): string => {
  const seconds = (ms: readonly number[]): string => {
    const all = ms.map((one) => Math.round(one / 1000));
    const average = Math.round(all.reduce((sum, one) => sum + one, 0) / Math.max(all.length, 1));
    return `Avg: ${average} sec, Min: ${Math.min(...all)} sec,  Max: ${Math.max(...all)} sec`;
  };
  const connect = results.map(({ phases }) => (phases.connect ?? 0) + (phases.handshake ?? 0) + (phases.auth ?? 0));
  const command = results.map(({ phases }) => phases.command ?? 0);
  const failures = results.filter((result) => sshExitCode(result) !== 0).length;
  return `Connect time:  ${seconds(connect)}\nCommand time:  ${seconds(command)}\nFailures:      ${failures}\n`;
};

/** What a run of pdsh says and does beside the output of its hosts. */
class PdshManners implements Manners {
  readonly plain = true;
  readonly #settings: Settings;
  readonly #entries: readonly FleetEntry[];
  readonly #rendering: () => Rendering;
  readonly #phases = new Map<number, string>();
  readonly #unreachable: Set<string>;
  readonly #me = `pdsh@${hostname().split('.')[0]}`;

  constructor(
    settings: Settings,
    entries: readonly FleetEntry[],
    rendering: () => Rendering,
    unreachable: Set<string>,
  ) {
    this.#settings = settings;
    this.#entries = entries;
    this.#rendering = rendering;
    this.#unreachable = unreachable;
  }

  interrupts(): PdshInterrupts {
    return new PdshInterrupts({
      batch: this.#settings.batch,
      say: (text) => this.#say(text),
      status: () => [...this.#phases].map(([host, phase]) => `${this.#entries[host]?.name}: ${phase}`),
    });
  }

  observe(event: HostEvent): void {
    if (event.type === 'state') {
      this.#phases.set(event.host, event.phase === 'command' ? 'command in progress' : 'connecting');
    } else if (event.type === 'result') {
      this.#phases.delete(event.host);
      this.#ended(this.#entries[event.host] as FleetEntry, event.result);
    }
  }

  exitCode({ results }: { readonly results: readonly HostResult[] }, interrupted: number | undefined): number {
    const waiting = results.filter((result) => result.class === 'not-started').length;
    if (waiting > 0 && interrupted === undefined) printErr(`${this.#me}: Canceled ${waiting} pending threads.\n`);
    if (this.#settings.times) printErr(timesText(results));
    if (interrupted !== undefined) return interrupted;
    return this.#settings.largest ? Math.max(...results.map(sshExitCode)) : 0;
  }

  #say(text: string): void {
    this.#rendering().message(`${this.#me}: ${text}\n`);
  }

  #ended({ name, plan }: FleetEntry, result: HostResult): void {
    const end = result.class;
    if (end === 'connect-timeout') this.#unreachable.add(name);
    if (end === 'ok' || end === 'cancelled' || end === 'not-started') return;
    if (end === 'command-timeout') this.#say(`${name}: command timeout`);
    else if (result.error !== undefined) {
      const place = { program: 'ssh', user: plan.user, host: plan.host, hostName: plan.hostName, port: plan.port };
      for (const text of describeError(result.error, place).split('\n'))
        this.#rendering().message(`${name}: ${text}\n`);
    }
    this.#say(`${name}: ssh exited with exit code ${sshExitCode(result)}`);
  }
}

const run = async (line: PdshLine, settings: Settings, intent: ClusterIntent, context: RunContext): Promise<number> => {
  const { DSHPATH } = context.env;
  const unreachable = new Set<string>();
  const command = (words: readonly string[]): Promise<number> => {
    const selection = intent.selection!;
    const hosts = selection.hosts.filter(({ name }) => !unreachable.has(name));
    const text = `${DSHPATH ? `PATH=${DSHPATH};` : ''}${words.join(' ')}`;
    return runFleet(
      { ...intent, words: [text], selection: { ...selection, hosts } },
      context,
      (entries, rendering) => new PdshManners(settings, entries, rendering, unreachable),
    );
  };
  if (line.words.length > 0) return command(line.words);
  let code = 0;
  await eachCommand(async (text) => {
    code = await command([text]);
  });
  return settings.largest ? code : 0;
};

/** Everything behind the name; `begin` makes what a run needs. */
export const pdsh = async (
  argv: readonly string[],
  commandLine: CommandLineContext,
  begin: (intent: ClusterIntent) => Promise<RunContext>,
): Promise<number> => {
  try {
    const line = readPdsh(argv);
    const first = line.options.find(({ letter }) => 'hVL'.includes(letter))?.letter;
    if (first !== undefined) {
      printOut(first === 'h' ? pdshUsage : version);
      return 0;
    }
    const settings = settingsOf(line.options, commandLine.env);
    const intent = withLabels(await intentOf(line, settings, commandLine));
    if (line.options.some(({ letter }) => letter === 'q')) {
      printOut(settingsText(settings, intent, line, commandLine));
      return 0;
    }
    return await run(line, settings, intent, await begin(intent));
  } catch (error) {
    if (!(error instanceof SshError) || error.code !== 'usage') throw error;
    const empty = /^(no hosts: |--filter .* matches none)/.test(error.message);
    throw new SshError('usage', empty ? noHosts : error.message, {
      detail: { ...error.detail, exit: 1 },
      cause: error,
    });
  }
};
