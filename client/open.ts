/**
 * From a HostPlan to a logged-in connection: the way there (TCP, ProxyCommand, jump hosts), the host-key rules and the
 * order of identities, all as the plan says.
 */

import type { AlgorithmPreferences, CryptoProvider, Negotiated, PeerVersion } from '../protocol/index.ts';
import { SshError, supportedAlgorithms } from '../protocol/index.ts';
import { type ByteStream, connectAgent, dial, proxyCommand } from '../transport/index.ts';
import type { AuthPlan } from './auth.ts';
import type { Destination } from './config/destination.ts';
import type { HostPlan } from './config/plan.ts';
import { connect, type Log } from './connect.ts';
import type { Connection } from './connection.ts';
import { type HostKeyRules, knownHostsPolicy, orderHostKeyAlgorithms } from './host-key.ts';
import { identities } from './identities.ts';
import type { KeyStore } from './key-store.ts';
import type { Prompter } from './prompter.ts';

export interface OpenContext {
  readonly crypto: CryptoProvider;
  readonly keys: KeyStore;
  readonly prompter?: Prompter | undefined;
  /** A password known beforehand. */
  readonly password?: (() => Promise<string | undefined>) | undefined;
  /** The agent is the only source of keys. */
  readonly agentOnly?: boolean | undefined;
  /** Methods instead of the plan's, e.g. when a password was asked for beforehand. */
  readonly methods?: readonly string[] | undefined;
  /** The shell for ProxyCommand. */
  readonly shell: string;
  /** A stream to the target of a plan with `proxyJump`, through those hops; see JumpPool. */
  readonly jump?:
    | ((
        hops: readonly Destination[],
        to: { readonly host: string; readonly port: number },
        signal: AbortSignal | undefined,
      ) => Promise<ByteStream>)
    | undefined;
  /** Waits for a turn before the key exchange starts; the function it gives ends the turn. */
  readonly handshake?: (() => Promise<() => void>) | undefined;
  readonly onPhase?: ((phase: 'connect' | 'handshake' | 'auth') => void) | undefined;
  readonly onBanner?: ((message: Uint8Array) => void) | undefined;
  readonly onVersion?: ((version: PeerVersion, preamble: readonly string[]) => void) | undefined;
  readonly onKeys?: ((algorithms: Negotiated) => void) | undefined;
  /** Lines for the user, as ssh(1) words them. */
  readonly warn?: ((text: string) => void) | undefined;
  readonly log?: Log | undefined;
  readonly software?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Opened {
  readonly connection: Connection;
  /** The host key changed and mode `no` let it pass: forwarding must stay off. */
  readonly distrusted: boolean;
}

/** Methods this stack can do, in ssh(1)'s order. */
const knownMethods = ['publickey', 'keyboard-interactive', 'password'];

/** Connects as the plan says; throws SshError with the code of the step that failed. */
export async function openHost(plan: HostPlan, context: OpenContext): Promise<Opened> {
  if (plan.refuse !== undefined) throw new SshError('config', plan.refuse, { detail: { reason: 'refused-by-config' } });
  let distrusted = false;
  const rules = hostKeyRules(plan, context, () => {
    distrusted = true;
  });
  const timeout = (plan.connectTimeout ?? 0) * 1000;
  context.onPhase?.('connect');
  const endTurn = await context.handshake?.();
  let address: string | undefined;
  try {
    const connection = await connect({
      host: plan.hostName,
      port: plan.port,
      user: plan.user,
      crypto: context.crypto,
      hostKey: (question) => knownHostsPolicy(rules)({ ...question, address: question.address ?? address }),
      dial: async () => {
        const way = await reach(plan, context, timeout);
        address = way.address;
        return way.stream;
      },
      auth: authPlan(plan, context, () => distrusted),
      algorithms: algorithmsOf(plan, context.crypto, rules),
      ...(timeout > 0 && { handshakeTimeout: timeout }),
      ...(plan.serverAlive.interval > 0 && {
        keepalive: { interval: plan.serverAlive.interval * 1000, count: plan.serverAlive.countMax },
      }),
      rekey: {
        ...(plan.rekey.bytes > 0 && { bytes: plan.rekey.bytes }),
        ...(plan.rekey.seconds > 0 && { time: plan.rekey.seconds * 1000 }),
      },
      onPhase: (phase) => {
        context.onPhase?.(phase);
        if (phase === 'auth') endTurn?.();
      },
      ...(context.signal && { signal: context.signal }),
      ...(context.log && { log: context.log }),
      ...(context.onBanner && { onBanner: context.onBanner }),
      ...(context.onVersion && { onVersion: context.onVersion }),
      ...(context.onKeys && { onKeys: context.onKeys }),
      ...(context.software !== undefined && { software: context.software }),
    });
    return { connection, distrusted };
  } finally {
    endTurn?.();
  }
}

function hostKeyRules(plan: HostPlan, context: OpenContext, onDistrusted: () => void): HostKeyRules {
  const { hostKey } = plan;
  return {
    crypto: context.crypto,
    mode: hostKey.mode,
    userFiles: hostKey.userFiles,
    globalFiles: hostKey.globalFiles,
    alias: hostKey.alias,
    hash: hostKey.hash,
    fingerprintHash: hostKey.fingerprintHash,
    caAlgorithms: plan.algorithms.caSignature,
    prompter: plan.auth.batch ? undefined : context.prompter,
    onDistrusted,
    ...(context.warn && { warn: context.warn }),
    ...(context.log && { log: context.log }),
  };
}

/** The plan's lists, less what this stack cannot do, host keys ordered by what is known. */
function algorithmsOf(plan: HostPlan, crypto: CryptoProvider, rules: HostKeyRules): AlgorithmPreferences {
  const able = supportedAlgorithms(crypto);
  const { algorithms } = plan;
  const usable = (kind: keyof AlgorithmPreferences, wanted: readonly string[]): string[] =>
    wanted.filter((name) => able[kind].includes(name));
  const hostKeys = usable('hostKeys', algorithms.hostKey);
  return {
    kex: usable('kex', algorithms.kex),
    hostKeys: algorithms.hostKeyChosen ? hostKeys : orderHostKeyAlgorithms(hostKeys, rules, plan.hostName, plan.port),
    ciphers: usable('ciphers', algorithms.ciphers),
    macs: usable('macs', algorithms.macs),
    compression: algorithms.compression ? ['zlib@openssh.com', 'none'] : ['none', 'zlib@openssh.com'],
  };
}

function authPlan(plan: HostPlan, context: OpenContext, distrusted: () => boolean): Omit<AuthPlan, 'log' | 'signal'> {
  const { auth } = plan;
  const preferred = context.methods ?? auth.preferred ?? knownMethods;
  const enabled: Readonly<Record<string, boolean>> = {
    publickey: auth.pubkey !== 'no',
    'keyboard-interactive': auth.keyboardInteractive && !auth.batch,
    password: auth.password && !auth.batch,
  };
  const prompter = auth.batch ? undefined : context.prompter;
  const { agentSocket } = auth;
  return {
    methods: preferred.filter((name) => enabled[name] === true),
    accepted: auth.pubkey === 'no' ? [] : plan.algorithms.pubkeyAccepted,
    identities: () =>
      identities({
        store: context.keys,
        crypto: context.crypto,
        files: context.agentOnly ? [] : auth.identityFiles,
        certificates: auth.certificateFiles,
        agent:
          agentSocket === undefined
            ? undefined
            : () => connectAgent(agentSocket, context.signal ? { signal: context.signal } : {}),
        only: auth.identitiesOnly && !context.agentOnly,
        log: context.log,
      }),
    // A password must not be told to a host that shows another key than it had.
    password: async () => (distrusted() ? undefined : context.password?.()),
    prompter,
    passwordPrompts: auth.passwordPrompts,
    keyboardInteractiveDevices: auth.kbdInteractiveDevices,
    hostLabel: `${plan.user}@${plan.host}`,
    forbidden: () => (distrusted() ? ['password', 'keyboard-interactive'] : []),
  };
}

interface Way {
  readonly stream: ByteStream;
  readonly address: string | undefined;
}

async function reach(plan: HostPlan, context: OpenContext, timeout: number): Promise<Way> {
  const { signal, log } = context;
  if (plan.proxyCommand !== undefined) {
    log?.(1, `Executing proxy command: exec ${plan.proxyCommand}`);
    return {
      stream: proxyCommand(plan.proxyCommand, { shell: context.shell, ...(signal && { signal }) }),
      address: undefined,
    };
  }
  if (plan.proxyJump.length > 0) return { stream: await throughJump(plan, context), address: undefined };
  const family = plan.addressFamily === 'inet' ? 4 : plan.addressFamily === 'inet6' ? 6 : 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const stream = await dial({
        host: plan.hostName,
        port: plan.port,
        family,
        timeout,
        keepAlive: plan.tcpKeepAlive,
        ...(plan.bindAddress !== undefined && { bindAddress: plan.bindAddress }),
        ...(signal && { signal }),
        onAttempt: (address, port) => log?.(1, `Connecting to ${plan.hostName} [${address}] port ${port}.`),
        onFailure: (address, port, error) => log?.(1, `connect to address ${address} port ${port}: ${error.message}`),
      });
      log?.(1, 'Connection established.');
      return { stream, address: stream.remoteAddress };
    } catch (error) {
      const final = !(error instanceof SshError) || error.code === 'aborted' || error.code === 'dns';
      if (final || attempt >= plan.connectionAttempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function throughJump(plan: HostPlan, context: OpenContext): Promise<ByteStream> {
  if (context.jump === undefined) throw new SshError('unsupported', 'jump hosts are not available here');
  return context.jump(plan.proxyJump, { host: plan.hostName, port: plan.port }, context.signal);
}
