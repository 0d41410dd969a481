/**
 * One host, as ssh(1): connect, forward, run what was asked for, and exit with its status.
 */

import { spawnSync } from 'node:child_process';
import { isatty } from 'node:tty';
import {
  type ChannelIo,
  type Connection,
  collectAtOnce,
  type ExecHandle,
  type ExecOptions,
  expandTokens,
  type Forwards,
  forwardAgent,
  forwardedAgent,
  forwardX11,
  type HostPlan,
  type JumpPool,
  type Opened,
  openHost,
  parseForward,
  parseStdioForward,
  requestHoldersX11,
  SshError,
  setUpForwards,
  stayYoung,
  stdioForward,
  withoutForwarding,
  type X11Forwarding,
} from '../../client/index.ts';
import { backgroundPart, startBackground } from '../background.ts';
import { jumpPool, logTo, openContext, planLevel, type RunContext, showBanner } from '../context.ts';
import { controlCommand, isControlCommand } from '../control/command.ts';
import { type ControlRoute, controlRoute, type Held } from '../control/route.ts';
import { environment } from '../environment.ts';
import { ExitCode } from '../exit.ts';
import type { SshIntent } from '../grammar.ts';
import { printErr } from '../print.ts';
import { type ForwardControl, lostConnection, runSession } from '../session/interactive.ts';
import { describeTerminal } from '../session/raw-terminal.ts';
import { FdSink, readableOf, StdinReader, writableOf } from '../session/stdio.ts';
import { Interrupts } from '../signals.ts';

/** What is run on the other side. */
type Remote =
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'subsystem'; readonly name: string }
  | { readonly kind: 'shell' }
  | { readonly kind: 'none' };

const usage = (text: string): SshError => new SshError('usage', text, { detail: { exit: ExitCode.ssh } });

function remoteOf(plan: HostPlan, intent: SshIntent): Remote {
  const words = intent.command.join(' ');
  const { type, remoteCommand } = plan.session;
  if (words !== '' && remoteCommand !== undefined) throw usage('Cannot execute command-line and remote command.');
  const command = words !== '' ? words : remoteCommand;
  if (type === 'none') {
    if (remoteCommand !== undefined) throw usage('Cannot execute command-line and remote command.');
    return { kind: 'none' };
  }
  if (type === 'subsystem') {
    if (command === undefined) throw usage('You must specify a subsystem to invoke.');
    return { kind: 'subsystem', name: command };
  }
  return command === undefined ? { kind: 'shell' } : { kind: 'command', command };
}

/** ssh(1): a terminal for shells on a terminal, and where it was asked for; -tt even without one here. */
function wantsTty(plan: HostPlan, remote: Remote, context: RunContext): boolean {
  if (remote.kind === 'none') return false;
  const local = isatty(0) && !plan.session.stdinNull;
  const { requestTty } = plan.session;
  if (requestTty === 'no') return false;
  if (requestTty === 'force') return true;
  if (requestTty === 'auto' && remote.kind !== 'shell') return false;
  if (!local) context.log.info('Pseudo-terminal will not be allocated because stdin is not a terminal.');
  return local;
}

/** Opens the host with the context of one terminal and one user. */
function open(plan: HostPlan, context: RunContext, interrupts: Interrupts, pool: JumpPool): Promise<Opened> {
  const { log } = context;
  return openHost(
    plan,
    openContext(context, {
      signal: interrupts.abort,
      jump: pool.jump,
      onWeakCrypto: (text) => log.info(text),
      onBanner: (message) => showBanner(message, log, isatty(2)),
      onVersion: (version) => log.debug(1, `Remote protocol version 2.0, remote software version ${version.software}`),
      onKeys: (algorithms) => {
        const { kex, hostKey, clientToServer, serverToClient } = algorithms;
        log.debug(1, `kex: algorithm: ${kex.name}`);
        log.debug(1, `kex: host key algorithm: ${hostKey.name}`);
        for (const [way, { cipher, mac, compression }] of [
          ['server->client', serverToClient],
          ['client->server', clientToServer],
        ] as const) {
          log.debug(
            1,
            `kex: ${way} cipher: ${cipher.name} MAC: ${mac?.name ?? '<implicit>'} compression: ${compression.name}`,
          );
        }
        log.debug(1, `crypto: ${context.crypto.name} (${context.crypto.overrides.join(' ')})`);
      },
    }),
  );
}

export async function ssh(plan: HostPlan, intent: SshIntent, context: RunContext): Promise<number> {
  const { log } = context;
  log.level = planLevel(plan);
  if (context.syslog !== undefined) context.syslog.facility = (plan.options.syslogfacility ?? 'user').toLowerCase();
  for (const note of intent.notes) log.debug(1, note);
  for (const { level, text } of plan.notes) {
    if (level === 'error') log.error(text);
    else log.debug(1, text);
  }
  for (const keyword of plan.withoutEffect) log.debug(1, `${keyword} has no effect in this client`);
  const { controlCommand: asked } = intent.invocation;
  if (isControlCommand(asked)) return controlCommand(plan, asked, context);
  const remote = remoteOf(plan, intent);
  const interrupts = new Interrupts();
  const pool = jumpPool(context, intent.strict ? 'strict' : 'one');
  try {
    if (plan.session.fork && backgroundPart() === undefined)
      return await goToBackground(plan, remote, context, interrupts);
    const tty = wantsTty(plan, remote, context);
    const route = await controlRoute({
      plan,
      context,
      proxyOnly: asked === 'proxy',
      session: remote.kind !== 'none' || intent.invocation.stdioForward !== undefined,
      signal: interrupts.abort,
    });
    if (route.kind === 'exit') return route.code;
    const opened: Opened =
      route.kind === 'shared'
        ? { connection: route.connection, distrusted: false, hostKeysUpdated: async () => {} }
        : await open(plan, context, interrupts, pool);
    return await new OneHost(opened, route, { plan, intent, remote, tty, context, interrupts }).run();
  } catch (error) {
    if (interrupts.code !== undefined) return interrupts.code;
    const lost = lostConnection(error, plan.hostName);
    if (lost === undefined) throw error;
    printErr(`${lost}\r\n`);
    return ExitCode.ssh;
  } finally {
    interrupts.dispose();
    await pool.close();
  }
}

/** -f: another process does all of it; we leave when it has logged in and set up its forwardings. */
async function goToBackground(
  plan: HostPlan,
  remote: Remote,
  context: RunContext,
  interrupts: Interrupts,
): Promise<number> {
  if (remote.kind === 'shell') throw usage('Cannot fork into background without a command to execute.');
  const outcome = await startBackground({
    part: 'fork',
    prompter: context.prompter,
    output: remote.kind !== 'none',
    talks: context.log.wants('debug1') && context.invocation.logFile === undefined,
    attached: plan.proxyCommand !== undefined,
    signal: interrupts.abort,
  });
  return outcome.kind === 'ended' ? outcome.code : ExitCode.ok;
}

interface Situation {
  readonly plan: HostPlan;
  readonly intent: SshIntent;
  readonly remote: Remote;
  readonly tty: boolean;
  readonly context: RunContext;
  readonly interrupts: Interrupts;
}

class OneHost {
  readonly #connection: Connection;
  readonly #opened: Opened;
  readonly #route: ControlRoute;
  readonly #situation: Situation;
  readonly #warn: (text: string) => void;

  constructor(opened: Opened, route: ControlRoute, situation: Situation) {
    this.#route = route;
    this.#connection = opened.connection;
    this.#opened = opened;
    this.#situation = situation;
    this.#warn = (text) => situation.context.log.info(text);
    if (route.kind === 'shared') this.#connection.limitIdle(situation.plan.session.channelTimeouts);
    this.#connection.onIdle = ({ id, channelType }) =>
      situation.context.log.verbose(
        `channel ${id} (${channelType}) is closed: idle for as long as ChannelTimeout allows`,
      );
  }

  async run(): Promise<number> {
    const { plan, intent, remote, context, interrupts } = this.#situation;
    let held: Held | undefined;
    try {
      const asked = this.#opened.distrusted ? withoutForwarding(plan.forwards, this.#warn) : plan.forwards;
      // A shared connection has been asked for its forwardings already.
      const list = this.#route.kind === 'shared' ? [] : asked.list;
      const forwards = await setUpForwards(
        this.#connection,
        { ...asked, list },
        { addressFamily: plan.addressFamily, warn: (text) => context.log.error(text), log: logTo(context.log) },
      );
      if (forwards.fatal) return ExitCode.ssh;
      // Nobody knows how many will come.
      if (list.length > 0) stayYoung(Number.POSITIVE_INFINITY);
      collectAtOnce();
      const x11 = await this.#x11(asked);
      if (this.#route.kind === 'own') held = await this.#route.listen({ connection: this.#connection, forwards, x11 });
      const background = backgroundPart();
      if (background?.part === 'master') {
        await background.ready();
        await held?.finish(interrupts.abort);
        return ExitCode.ok;
      }
      // Only for a connection of our own making, as in ssh(1).
      if (this.#route.kind === 'own' || (this.#route.kind === 'shared' && this.#route.started)) this.#localCommand();
      let code: number;
      if (intent.invocation.stdioForward !== undefined) {
        await background?.ready();
        code = await this.#stdioForward(intent.invocation.stdioForward);
      } else if (remote.kind === 'none') {
        await background?.ready();
        code = await this.#wait();
      } else code = await this.#session(forwards, asked, x11);
      await held?.finish(interrupts.abort);
      return code;
    } finally {
      held?.close();
      await this.#opened.hostKeysUpdated();
      await this.#connection.close();
    }
  }

  /** LocalCommand, in the foreground, after the log-in. */
  #localCommand(): void {
    const { plan, context } = this.#situation;
    const { localCommand } = plan.session;
    if (localCommand === undefined) return;
    const command = expandTokens(localCommand, { ...plan.tokens, T: 'NONE' });
    context.log.debug(3, `Executing command: '${command}'`);
    spawnSync(context.env.SHELL || '/bin/sh', ['-c', command], { stdio: 'inherit' });
  }

  async #stdioForward(target: string): Promise<number> {
    const to = parseStdioForward(target);
    if (to === undefined) throw usage(`Bad stdio forwarding specification '${target}'`);
    await stdioForward(this.#connection, to, {
      input: readableOf(new StdinReader()),
      output: writableOf(new FdSink(1)),
      signal: this.#situation.interrupts.abort,
    });
    return 0;
  }

  /** -N: until the connection or the user ends it. */
  async #wait(): Promise<number> {
    const { interrupts, context } = this.#situation;
    const interrupted = new Promise<'interrupted'>((resolve) => {
      if (interrupts.abort.aborted) resolve('interrupted');
      interrupts.abort.addEventListener('abort', () => resolve('interrupted'), { once: true });
    });
    const end = await Promise.race([this.#connection.closed, interrupted]);
    if (end === 'interrupted') {
      context.log.verbose(`Killed by signal ${(interrupts.code ?? 128) - 128}.`);
      return ExitCode.ssh;
    }
    if (end !== undefined) throw end;
    return ExitCode.ssh;
  }

  async #session(forwards: Forwards, asked: HostPlan['forwards'], x11: X11Forwarding | undefined): Promise<number> {
    const { plan, tty, context, interrupts } = this.#situation;
    const handle = await this.#start(this.#execOptions(asked, x11));
    const { escapeChar } = plan.session;
    const background = backgroundPart();
    // A command in the background may still write to standard error.
    await background?.ready();
    return runSession({
      handle,
      connection: this.#connection,
      stdin: plan.session.stdinNull || background !== undefined ? undefined : new StdinReader(),
      stdout: new FdSink(1),
      stderr: new FdSink(2),
      host: plan.hostName,
      shared: this.#route.kind === 'shared',
      tty,
      ttyRequired: plan.session.requestTty === 'force' || plan.session.requestTty === 'yes',
      escapeChar,
      obscureKeystrokes: plan.session.obscureKeystrokes,
      commandLine: plan.session.escapeCommandLine,
      permitLocalCommand: plan.session.permitLocalCommand,
      forwards: this.#route.kind === 'shared' ? undefined : forwardControl(forwards, context),
      log: context.log,
      asking: context.prompter,
      interrupts,
    });
  }

  /** Where our display is, for a session of ours or for those who share the connection. */
  async #x11(asked: HostPlan['forwards']): Promise<X11Forwarding | undefined> {
    const { plan, remote, context } = this.#situation;
    const wanted = asked.x11 && this.#route.kind === 'own' && (remote.kind !== 'none' || plan.control.master !== 'no');
    if (!wanted) return undefined;
    return forwardX11(this.#connection, {
      display: context.env.DISPLAY,
      xauth: asked.xauth,
      trusted: asked.x11Trusted,
      timeout: asked.x11Timeout,
      log: logTo(context.log),
      warn: this.#warn,
    });
  }

  #execOptions(asked: HostPlan['forwards'], x11: X11Forwarding | undefined): ExecOptions {
    const { plan, tty, context } = this.#situation;
    const agentPath = asked.agent.on ? forwardedAgent(plan) : undefined;
    const log = logTo(context.log);
    // Over a shared connection the holder's agent serves, and its display does.
    const shared = this.#route.kind === 'shared';
    const agent = shared
      ? {
          request: (io: ChannelIo) =>
            void (asked.agent.on && io.notify('auth-agent-req@openssh.com', new Uint8Array(0))),
        }
      : agentPath === undefined
        ? undefined
        : forwardAgent(this.#connection, agentPath, { log });
    const holders = asked.x11 && this.#route.kind === 'shared' && this.#route.x11;
    if (shared && asked.x11 && !holders)
      this.#warn('No X11 forwarding: the holder of the shared connection does none for others.');
    return {
      env: environment(plan, context.env),
      ...(tty && { pty: describeTerminal(context.env.TERM ?? '') }),
      before: (io) => {
        if (holders) requestHoldersX11(io);
        x11?.request(io);
        agent?.request(io);
      },
    };
  }

  #start(options: ExecOptions): Promise<ExecHandle> {
    const { remote, context } = this.#situation;
    switch (remote.kind) {
      case 'command':
        context.log.debug(1, () => `Sending command: ${remote.command}`);
        return this.#connection.exec(remote.command, options);
      case 'subsystem':
        context.log.debug(1, () => `Sending subsystem: ${remote.name}`);
        return this.#connection.subsystem(remote.name, options);
      default:
        return this.#connection.shell(options);
    }
  }
}

/** What `~C` and `~#` do with the forwardings of this connection. */
function forwardControl(forwards: Forwards, context: RunContext): ForwardControl {
  return {
    async add(kind, spec) {
      const forward = parseForward(kind, spec);
      if (forward === undefined) return 'bad';
      try {
        await forwards.add(forward);
        return 'done';
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        context.log.debug(1, error.message);
        return 'failed';
      }
    },
    async cancel(kind, listen) {
      // Only where it listens counts: a destination is put in to make the text a whole specification.
      const forward = parseForward(kind, kind === 'dynamic' ? listen : `${listen}:localhost:1`);
      if (forward === undefined) return 'bad';
      return (await forwards.cancel(forward)) ? 'done' : 'unknown';
    },
    connections: () =>
      forwards
        .list()
        .filter((each) => each.connections > 0)
        .map(({ address, port, connections }) => {
          const at = address.includes(':') ? `[${address}]` : address;
          return `forwarding ${at}:${port}: ${connections} connection${connections === 1 ? '' : 's'}`;
        }),
    stopListening() {
      for (const each of forwards.list()) void each.cancel();
    },
    idle: () => forwards.idle(),
  };
}
