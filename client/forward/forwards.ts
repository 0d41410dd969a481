/**
 * All port forwardings of one connection, as a plan lists them: set up in ssh(1)'s order and with its words, added to
 * and cancelled while the connection lives.
 */

import { SshError } from '../../protocol/index.ts';
import type { Forward } from '../config/forward-spec.ts';
import type { HostPlan } from '../config/plan.ts';
import type { Log } from '../connect.ts';
import type { Connection } from '../connection.ts';
import { dynamicForward } from './dynamic.ts';
import { localForward } from './local.ts';
import { remoteForward } from './remote.ts';
import { endText, sameListener } from './text.ts';
import type { ForwardHandle, ForwardOptions } from './types.ts';

export interface SetUpOptions {
  readonly addressFamily?: HostPlan['addressFamily'];
  readonly log?: Log;
  /** Lines for the user, as ssh(1) words them. */
  readonly warn?: (text: string) => void;
  /** Closes them all. */
  readonly signal?: AbortSignal;
}

export interface ForwardFailure {
  readonly forward: Forward;
  readonly error: SshError;
}

/** Sets up what `plan.list` asks for. Never rejects for a forwarding that fails: see `failed` and `fatal`. */
export async function setUpForwards(
  connection: Connection,
  plan: HostPlan['forwards'],
  options: SetUpOptions = {},
): Promise<Forwards> {
  const forwards = new Forwards(connection, plan, options);
  await forwards.start(plan.list, plan.exitOnFailure);
  return forwards;
}

/** The plan of a connection whose host key changed (StrictHostKeyChecking no): nothing is forwarded there. */
export function withoutForwarding(plan: HostPlan['forwards'], warn: (text: string) => void): HostPlan['forwards'] {
  const off = (what: string): void => warn(`${what} forwarding is disabled to avoid man-in-the-middle attacks.`);
  if (plan.agent.on) off('Agent');
  if (plan.x11) off('X11');
  if (plan.list.length > 0) off('Port');
  return { ...plan, list: [], agent: { on: false }, x11: false };
}

const isRemote = ({ type }: Forward): boolean => type === 'remote' || type === 'remote-dynamic';

export class Forwards {
  readonly #connection: Connection;
  readonly #settings: ForwardOptions;
  readonly #options: SetUpOptions;
  /** Until they are done: a cancelled one may still carry connections. */
  readonly #handles = new Set<ForwardHandle>();
  readonly #cancelled = new WeakSet<ForwardHandle>();
  readonly #failed: ForwardFailure[] = [];
  #fatal = false;

  constructor(connection: Connection, plan: HostPlan['forwards'], options: SetUpOptions) {
    const { addressFamily, log, warn, signal } = options;
    this.#connection = connection;
    this.#options = options;
    this.#settings = {
      gatewayPorts: plan.gatewayPorts,
      bindMask: plan.bindMask,
      bindUnlink: plan.bindUnlink,
      permitRemoteOpen: plan.permitRemoteOpen,
      ...(addressFamily && { addressFamily }),
      ...(log && { log }),
      ...(warn && { warn }),
    };
    const onAbort = (): void => void this.close();
    signal?.addEventListener('abort', onAbort, { once: true });
    void connection.closed.then(() => signal?.removeEventListener('abort', onAbort));
  }

  /** What could not be set up. */
  get failed(): readonly ForwardFailure[] {
    return this.#failed;
  }

  /** ExitOnForwardFailure says that the connection is to end. What was set up is closed already. */
  get fatal(): boolean {
    return this.#fatal;
  }

  /** Connections that are being forwarded now. */
  get connections(): number {
    return [...this.#handles].reduce((sum, handle) => sum + handle.connections, 0);
  }

  /** Those that listen. */
  list(): readonly ForwardHandle[] {
    return [...this.#handles].filter((handle) => !this.#cancelled.has(handle));
  }

  /** Local listeners first, one after the other; then what the server is asked for, all at once. */
  async start(list: readonly Forward[], exitOnFailure: boolean): Promise<void> {
    const { warn } = this.#options;
    const local = list.filter((forward) => !isRemote(forward));
    const opened: boolean[] = [];
    for (const forward of local) opened.push(await this.#try(forward));
    if (local.length > 0 && (exitOnFailure ? opened.includes(false) : !opened.includes(true))) {
      warn?.('Could not request local forwarding.');
      if (exitOnFailure) return this.#giveUp();
    }
    const failure = exitOnFailure ? 'Error' : 'Warning';
    const granted = await Promise.all(
      list.filter(isRemote).map(async (forward) => {
        const good = await this.#try(forward);
        if (!good && !this.#connection.isClosed) {
          const { listen } = forward;
          const where = listen.kind === 'unix' ? `path ${listen.path}` : `port ${listen.port}`;
          warn?.(`${failure}: remote port forwarding failed for listen ${where}`);
        }
        return good;
      }),
    );
    if (exitOnFailure && granted.includes(false)) await this.#giveUp();
  }

  async #giveUp(): Promise<void> {
    this.#fatal = true;
    await this.close();
  }

  async #try(forward: Forward): Promise<boolean> {
    try {
      await this.add(forward);
      return true;
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      this.#failed.push({ forward, error });
      return false;
    }
  }

  /** One more; throws SshError when it cannot be had (`-O forward`, `~C`). */
  async add(forward: Forward): Promise<ForwardHandle> {
    const handle = await this.#open(forward);
    this.#handles.add(handle);
    void handle.done.then(() => this.#handles.delete(handle));
    return handle;
  }

  async #open(forward: Forward): Promise<ForwardHandle> {
    const { log, warn } = this.#options;
    const { listen, connect } = forward;
    if (!isRemote(forward)) {
      const from = endText(listen, this.#settings.gatewayPorts ? '*' : 'LOCALHOST');
      log?.(1, `Local connections to ${from} forwarded to remote address ${endText(connect)}`);
      return connect === undefined
        ? dynamicForward(this.#connection, forward, this.#settings)
        : localForward(this.#connection, { ...forward, connect }, this.#settings);
    }
    log?.(1, `Remote connections from ${endText(listen, 'LOCALHOST')} forwarded to local address ${endText(connect)}`);
    const handle = await remoteForward(this.#connection, forward, this.#settings);
    if (listen.kind === 'tcp' && listen.port === 0) {
      warn?.(`Allocated port ${handle.port} for remote forward to ${endText(connect)}`);
    }
    return handle;
  }

  /** Stops the listener that `forward` describes (`-O cancel`, `~C`); false when there is none. */
  async cancel(forward: Pick<Forward, 'type' | 'listen'>): Promise<boolean> {
    const handle = this.list().find((each) => sameListener(each.forward, forward) || allocatedBy(each, forward));
    if (handle === undefined) return false;
    this.#cancelled.add(handle);
    await handle.cancel();
    return true;
  }

  /** Settles when no connection is being forwarded any more; listeners do not count. */
  async idle(): Promise<void> {
    while (this.connections > 0) await Promise.all([...this.#handles].map((handle) => handle.idle()));
  }

  /** Ends all of them and the connections they carry. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#handles].map((handle) => handle.close()));
  }
}

/** A remote forwarding of port 0 is also known by the port it got. */
const allocatedBy = (handle: ForwardHandle, { type, listen }: Pick<Forward, 'type' | 'listen'>): boolean =>
  type.startsWith('remote') &&
  isRemote(handle.forward) &&
  handle.forward.listen.kind === 'tcp' &&
  listen.kind === 'tcp' &&
  handle.forward.listen.port === 0 &&
  handle.port === listen.port;
