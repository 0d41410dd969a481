/**
 * How a host is reached: over a connection that somebody holds already, or over one of our own, which others may then
 * share (ControlMaster, ControlPath, ControlPersist of ssh_config(5)).
 *
 *     const route = await controlRoute({ plan, context, ... });
 *     'exit'    done, or refused: leave with that code
 *     'shared'  a Connection through the holder; the forwardings of the plan have been asked of it
 *     'own'     connect and set up forwardings, then `held = await route.listen(holding)`; after the
 *               session `await held.finish()`, which waits for the others; without one (-N) the connection is closed
 *               when the holder has to go
 */

import { unlinkSync } from 'node:fs';
import {
  type Connection,
  type ControlClient,
  type ControlMaster,
  connectControl,
  type Forwards,
  forwardAgent,
  forwardedAgent,
  type HostPlan,
  listenControl,
  SshError,
  type X11Forwarding,
} from '../../client/index.ts';
import { backgroundPart, startBackground } from '../background.ts';
import { logTo, type RunContext } from '../context.ts';
import { ExitCode } from '../exit.ts';
import { connectionInfo } from './connection-info.ts';
import { openForwards } from './forward.ts';

export interface RouteOptions {
  readonly plan: HostPlan;
  readonly context: RunContext;
  /** `-O proxy`: over the shared connection or not at all. */
  readonly proxyOnly: boolean;
  /** There is a command, a shell or `-W`: something that ends by itself. */
  readonly session: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Held {
  /** Waits until nobody shares the connection any more, as long as ControlPersist wants; then takes no more clients. */
  finish(signal?: AbortSignal): Promise<void>;
  close(): void;
}

/** What others may share. */
export interface Shareable {
  readonly connection: Connection;
  readonly forwards: Forwards;
  readonly x11: X11Forwarding | undefined;
}

export type ControlRoute =
  | { readonly kind: 'exit'; readonly code: number }
  | {
      readonly kind: 'shared';
      readonly connection: Connection;
      /** The holder is one that we have just left behind. */
      readonly started: boolean;
      /** It forwards X11 for sessions that ask. */
      readonly x11: boolean;
    }
  | { readonly kind: 'own'; listen(shareable: Shareable): Promise<Held> };

const alone: Held = { finish: async () => {}, close: () => {} };
const own: ControlRoute = { kind: 'own', listen: async () => alone };

export async function controlRoute(options: RouteOptions): Promise<ControlRoute> {
  const { plan, context, proxyOnly, session } = options;
  const { path, master, persist } = plan.control;
  if (proxyOnly) return proxied(path, options);
  if (path === undefined) return own;
  const listening: ControlRoute = {
    kind: 'own',
    listen: (shareable) => hold(shareable, path, options),
  };
  const part = backgroundPart()?.part;
  if (part === 'master') return listening;
  if (master !== 'yes' && master !== 'ask') {
    const route = await existing(path, options, false);
    if (route !== undefined) return route;
  }
  if (master === 'no') return own;
  // Who is in the background already, with no command that somebody waits for, can hold the connection itself.
  if (!persist.on || (part === 'fork' && !session)) return listening;
  const outcome = await startBackground({
    part: 'master',
    prompter: context.prompter,
    output: false,
    talks: context.log.wants('debug1') && context.invocation.logFile === undefined,
    attached: plan.proxyCommand !== undefined,
    signal: options.signal,
  });
  if (outcome.kind === 'ended') return { kind: 'exit', code: outcome.code === 0 ? ExitCode.ssh : outcome.code };
  if (outcome.kind === 'ready' && !session) return { kind: 'exit', code: ExitCode.ok };
  return (await existing(path, options, outcome.kind === 'ready')) ?? own;
}

export const NO_PATH = 'No ControlPath specified for "-O" command';

async function proxied(path: string | undefined, options: RouteOptions): Promise<ControlRoute> {
  const { log } = options.context;
  try {
    if (path === undefined) throw new SshError('usage', NO_PATH);
    return await shared(await connectControl(path, patience(options)), options, false);
  } catch (error) {
    if (!(error instanceof SshError) || error.code === 'aborted') throw error;
    log.fatal(error.message);
    return { kind: 'exit', code: ExitCode.ssh };
  }
}

const patience = ({ plan, signal }: RouteOptions): Parameters<typeof connectControl>[1] => ({
  timeout: (plan.connectTimeout ?? 0) * 1000,
  signal,
});

/** The holder that listens at `path`; undefined when there is none, or none that will have us. */
async function existing(path: string, options: RouteOptions, started: boolean): Promise<ControlRoute | undefined> {
  const { plan, context } = options;
  const { log } = context;
  if (plan.control.master !== 'no') log.debug(1, 'auto-mux: Trying existing master');
  try {
    return await shared(await connectControl(path, patience(options)), options, started);
  } catch (error) {
    if (!(error instanceof SshError) || error.code === 'aborted' || error.code === 'config') throw error;
    const { errno } = error.detail;
    if (errno === 'ENOENT') log.debug(1, `Control socket "${path}" does not exist`);
    else if (errno === 'ECONNREFUSED' && plan.control.master !== 'no') {
      log.debug(1, `Stale control socket ${path}, unlinking`);
      try {
        unlinkSync(path);
      } catch {
        // Whoever listens next says what is wrong.
      }
    } else if (error.code === 'channel-request') log.error(`Master refused session request: ${error.message}`);
    else log.error(error.code === 'refused' ? error.message : `master hello exchange failed: ${error.message}`);
    return undefined;
  }
}

async function shared(client: ControlClient, { plan, context }: RouteOptions, started: boolean): Promise<ControlRoute> {
  try {
    // The holder that we have just left behind has them from its own plan.
    if (!started && !(await openForwards(client, plan.forwards.list, context.log))) {
      throw new SshError('channel-request', 'master forward request failed', { by: 'peer' });
    }
    const connection = await client.proxy(context.crypto);
    return { kind: 'shared', connection, started, x11: client.forwardsX11 };
  } catch (error) {
    client.close();
    throw error;
  }
}

async function hold({ connection, forwards, x11 }: Shareable, path: string, options: RouteOptions): Promise<Held> {
  const { plan, context, session } = options;
  const { log, prompter } = context;
  const asks = plan.control.master === 'ask' || plan.control.master === 'autoask';
  log.debug(1, 'setting up multiplex master socket');
  const master = await listenControl({
    path,
    host: plan.host,
    connection,
    forwards,
    x11,
    describe: (clients) => connectionInfo({ plan, connection, forwards, clients }),
    log: logTo(log),
    confirm: asks
      ? async (question) => {
          const answer = await prompter.ask({ text: question, echo: true, purpose: `confirm:${question}` });
          return answer === '' || answer?.toLowerCase() === 'yes';
        }
      : undefined,
  });
  if (master === undefined) {
    const behind = backgroundPart();
    if (behind?.part === 'master') {
      // Whoever was faster holds the connection for us, too.
      await behind.taken();
      await connection.close();
    } else log.error(`ControlSocket ${path} already exists, disabling multiplexing`);
    return alone;
  }
  // A client's session may ask for the agent; which agent that is, is the holder's affair.
  const agent = plan.forwards.agent.on ? forwardedAgent(plan) : undefined;
  if (agent !== undefined) forwardAgent(connection, agent, { log: logTo(log) });
  const part = backgroundPart()?.part;
  const persist = plan.control.persist.on ? plan.control.persist.seconds : undefined;
  const holding = new Holding(master, connection, forwards, persist);
  // Nothing ends by itself here: it is others who end it.
  if (!session || part === 'master') holding.watch(plan.control.persist.on);
  return holding;
}

/** How long a connection is held. */
class Holding implements Held {
  readonly #master: ControlMaster;
  readonly #connection: Connection;
  readonly #forwards: Forwards;
  /** Seconds without a client after which the holder leaves; 0: never; undefined: it leaves with its own session. */
  readonly #persist: number | undefined;
  /** Told to end, or the connection is over. */
  readonly #over: Promise<'over'>;

  constructor(master: ControlMaster, connection: Connection, forwards: Forwards, persist: number | undefined) {
    this.#master = master;
    this.#connection = connection;
    this.#forwards = forwards;
    this.#persist = persist;
    this.#over = Promise.race([master.terminated, connection.closed]).then(() => 'over' as const);
    void master.terminated.then(() => connection.close());
  }

  /** Closes the connection when its time has come. */
  watch(persists: boolean): void {
    const end = persists ? this.#lapsed(this.#persist ?? 0) : this.#stopped();
    void end.then(() => this.#connection.close());
  }

  async finish(signal?: AbortSignal): Promise<void> {
    const aborted = new Promise<'over'>((resolve) => {
      if (signal?.aborted) resolve('over');
      signal?.addEventListener('abort', () => resolve('over'), { once: true });
    });
    await Promise.race([
      this.#over,
      aborted,
      this.#persist === undefined ? this.#unused() : this.#lapsed(this.#persist),
    ]);
    this.close();
  }

  /** No client, and no forwarding in use. */
  async #unused(): Promise<void> {
    while (this.#master.clients > 0 || this.#forwards.connections > 0) {
      await Promise.all([this.#master.idle(), this.#forwards.idle()]);
    }
  }

  /** `-O stop`, and the last one has left. */
  async #stopped(): Promise<void> {
    await Promise.race([this.#over, this.#master.stopped]);
    await Promise.race([this.#over, this.#unused()]);
  }

  /** Unused for `seconds`, or for a moment once nobody can come any more. */
  async #lapsed(seconds: number): Promise<void> {
    for (;;) {
      await this.#unused();
      let timer: NodeJS.Timeout | undefined;
      const quiet = new Promise<'lapsed'>((resolve) => {
        if (seconds > 0) timer = setTimeout(() => resolve('lapsed'), Math.min(seconds * 1000, 0x7fff_ffff));
      });
      const end = await Promise.race([
        quiet,
        this.#master.busy().then(() => 'busy' as const),
        this.#master.stopped.then(() => 'lapsed' as const),
        this.#over,
      ]);
      clearTimeout(timer);
      if (end === 'over' || (end === 'lapsed' && this.#forwards.connections === 0 && this.#master.clients === 0))
        return;
    }
  }

  close(): void {
    this.#master.close();
  }
}
