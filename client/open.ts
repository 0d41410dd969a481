/**
 * From a HostPlan to a logged-in connection: the way there (TCP, ProxyCommand, jump hosts), the host-key rules and the
 * order of identities, all as the plan says.
 */

import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { AlgorithmPreferences, Binding, CryptoProvider, Negotiated, PeerVersion } from '../protocol/index.ts';
import { SshError, supportedAlgorithms } from '../protocol/index.ts';
import { type ByteStream, connectAgent, dial, proxyCommand } from '../transport/index.ts';
import { addKeyToAgent } from './add-keys.ts';
import type { AuthPlan, Identity } from './auth.ts';
import type { Destination } from './config/destination.ts';
import type { HostPlan } from './config/plan.ts';
import type { Environment } from './config/tokens.ts';
import { connect, type Log } from './connect.ts';
import type { Connection } from './connection.ts';
import { type HostKeyOutcome, type HostKeyRules, knownHostsPolicy, orderHostKeyAlgorithms } from './host-key.ts';
import { hostIdentities } from './hostbased.ts';
import { identities } from './identities.ts';
import type { KeyStore } from './key-store.ts';
import { runKnownHostsCommand } from './known-hosts-command.ts';
import type { Prompter } from './prompter.ts';
import { lookUpSshfp } from './sshfp.ts';
import { HOST_KEYS_REQUEST, type HostKeyUpdateRules, HostKeyUpdates } from './update-host-keys.ts';

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
  /** What WarnWeakCrypto is about: a sentence for the user. */
  readonly onWeakCrypto?: ((text: string) => void) | undefined;
  /** Lines for the user, as ssh(1) words them. */
  readonly warn?: ((text: string) => void) | undefined;
  readonly log?: Log | undefined;
  /** ConnectTimeout holds for each answer of the log-in too, where nobody watches: ssh(1) waits for ever. */
  readonly boundLogin?: boolean | undefined;
  readonly software?: string | undefined;
  /** The environment of KnownHostsCommand and its `${NAME}`; default: the process's. */
  readonly env?: Environment | undefined;
  /** Where this host's own keys are, for host-based log-ins; default `/etc/ssh`. */
  readonly hostKeyFolder?: string | undefined;
  /** OpenSSH's helper that signs with them; default: where systems put it. */
  readonly keysign?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Opened {
  readonly connection: Connection;
  /** The host key changed and mode `no` let it pass: forwarding must stay off. */
  readonly distrusted: boolean;
  /** UpdateHostKeys: what the server announced so far is in known_hosts, or given up, once this settles. */
  readonly hostKeysUpdated: () => Promise<void>;
}

/** Methods this stack can do, in ssh(1)'s order. */
const knownMethods = ['hostbased', 'publickey', 'keyboard-interactive', 'password'];

const weakKeyExchange =
  '** WARNING: connection is not using a post-quantum key exchange algorithm (see https://openssh.com/pq.html).';

const noPkcs11 = (library: string): string =>
  `PKCS11Provider ${library} is not used: Node.js cannot load such a library; put the token's keys into an agent (ssh-add -s ${library}).`;

/** How long one such answer may take without ConnectTimeout, in milliseconds: sshd's LoginGraceTime. */
const LOGIN_ANSWER = 120_000;

/** Connects as the plan says; throws SshError with the code of the step that failed. */
export async function openHost(plan: HostPlan, context: OpenContext): Promise<Opened> {
  if (plan.refuse !== undefined) throw new SshError('config', plan.refuse, { detail: { reason: 'refused-by-config' } });
  let outcome: HostKeyOutcome = { distrusted: false, mayUpdate: false };
  const rules = hostKeyRules(plan, context, (accepted) => {
    outcome = accepted;
  });
  const updates = new HostKeyUpdates();
  const timeout = (plan.connectTimeout ?? 0) * 1000;
  context.onPhase?.('connect');
  const endTurn = await context.handshake?.();
  let way: Way | undefined;
  try {
    const connection = await connect({
      host: plan.hostName,
      port: plan.port,
      user: plan.user,
      crypto: context.crypto,
      hostKey: (question) => knownHostsPolicy(rules)({ ...question, address: question.address ?? way?.address }),
      dial: async () => {
        way = await reach(plan, context, timeout);
        return way.stream;
      },
      auth: authPlan(plan, context, { distrusted: () => outcome.distrusted, way: () => way }),
      algorithms: await algorithmsOf(plan, context.crypto, rules),
      globals: { [HOST_KEYS_REQUEST]: updates.announced },
      ...(timeout > 0 && { handshakeTimeout: timeout }),
      ...(context.boundLogin && { answerTimeout: timeout > 0 ? timeout : LOGIN_ANSWER }),
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
      onKeys: (algorithms) => {
        context.onKeys?.(algorithms);
        if (plan.algorithms.warnWeak === 'yes' && !algorithms.kex.postQuantum) context.onWeakCrypto?.(weakKeyExchange);
      },
      ...(context.software !== undefined && {
        software: [context.software, plan.versionAddendum].filter(Boolean).join(' '),
      }),
    });
    connection.limitIdle(plan.session.channelTimeouts);
    if (outcome.mayUpdate) updates.begin(connection, updateRules(plan, context, way?.address));
    return { connection, distrusted: outcome.distrusted, hostKeysUpdated: () => updates.settled };
  } finally {
    endTurn?.();
  }
}

function hostKeyRules(
  plan: HostPlan,
  context: OpenContext,
  onAccepted: (outcome: HostKeyOutcome) => void,
): HostKeyRules {
  const { hostKey } = plan;
  const { command, dns } = hostKey;
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
    accepted: plan.algorithms.hostKey,
    requiredRsaSize: plan.algorithms.requiredRsaSize,
    revokedFile: hostKey.revokedFile,
    command:
      command === undefined
        ? undefined
        : (question) =>
            runKnownHostsCommand(
              {
                command,
                tokens: plan.tokens,
                env: context.env ?? process.env,
                crypto: context.crypto,
                fingerprintHash: hostKey.fingerprintHash,
                warn: context.warn,
                signal: context.signal,
              },
              question,
            ),
    checkIp: hostKey.checkIp,
    skipForLocalhost: hostKey.skipForLocalhost,
    visual: hostKey.visual,
    dns: dns === 'no' ? undefined : { mode: dns, lookup: lookUpSshfp },
    home: plan.tokens.d,
    onAccepted,
    ...(context.warn && { warn: context.warn }),
    ...(context.log && { log: context.log }),
  };
}

function updateRules(plan: HostPlan, context: OpenContext, address: string | undefined): HostKeyUpdateRules {
  const { hostKey, hostName, port } = plan;
  return {
    crypto: context.crypto,
    update: hostKey.update,
    query: { host: hostName, port, alias: hostKey.alias },
    address: hostKey.checkIp && address !== undefined && address !== hostName ? { host: address, port } : undefined,
    userFiles: hostKey.userFiles,
    hash: hostKey.hash,
    accepted: plan.algorithms.hostKey,
    requiredRsaSize: plan.algorithms.requiredRsaSize,
    fingerprintHash: hostKey.fingerprintHash,
    prompter: plan.auth.batch ? undefined : context.prompter,
    warn: context.warn,
    log: context.log,
  };
}

const usableLists = new WeakMap<readonly string[], { able: readonly string[]; usable: readonly string[] }>();

/** The names of `wanted` that are in `able`, looked for once: a thousand plans share their lists. */
function usableOf(wanted: readonly string[], able: readonly string[]): readonly string[] {
  const known = usableLists.get(wanted);
  if (known?.able === able) return known.usable;
  const usable = wanted.filter((name) => able.includes(name));
  usableLists.set(wanted, { able, usable });
  return usable;
}

/** The plan's lists, less what this stack cannot do, host keys ordered by what is known. */
async function algorithmsOf(
  plan: HostPlan,
  crypto: CryptoProvider,
  rules: HostKeyRules,
): Promise<AlgorithmPreferences> {
  const able = supportedAlgorithms(crypto);
  const { algorithms } = plan;
  const usable = (kind: keyof AlgorithmPreferences, wanted: readonly string[]): readonly string[] =>
    usableOf(wanted, able[kind]);
  const hostKeys = usable('hostKeys', algorithms.hostKey);
  return {
    kex: usable('kex', algorithms.kex),
    hostKeys: algorithms.hostKeyChosen
      ? hostKeys
      : await orderHostKeyAlgorithms(hostKeys, rules, plan.hostName, plan.port),
    ciphers: usable('ciphers', algorithms.ciphers),
    macs: usable('macs', algorithms.macs),
    compression: algorithms.compression ? ['zlib@openssh.com', 'none'] : ['none', 'zlib@openssh.com'],
  };
}

interface Reached {
  readonly distrusted: () => boolean;
  readonly way: () => Way | undefined;
}

function authPlan(plan: HostPlan, context: OpenContext, reached: Reached): Omit<AuthPlan, 'log' | 'signal'> {
  const { auth } = plan;
  const { distrusted } = reached;
  const preferred = context.methods ?? auth.preferred ?? knownMethods;
  const enabled: Readonly<Record<string, boolean>> = {
    hostbased: auth.hostbased,
    publickey: auth.pubkey !== 'no',
    'keyboard-interactive': auth.keyboardInteractive && !auth.batch,
    password: auth.password && !auth.batch,
  };
  const prompter = auth.batch ? undefined : context.prompter;
  return {
    methods: preferred.filter((name) => enabled[name] === true),
    accepted: auth.pubkey === 'no' ? [] : plan.algorithms.pubkeyAccepted,
    identities: (binding) => ourIdentities(plan, context, binding),
    hostBound: auth.pubkey !== 'unbound',
    hostIdentities: () =>
      hostIdentities({
        crypto: context.crypto,
        accepted: plan.algorithms.hostbasedAccepted,
        user: plan.tokens.u ?? '',
        socket: reached.way()?.socket,
        folder: context.hostKeyFolder,
        keysign: context.keysign,
        warn: context.warn,
        log: context.log,
        signal: context.signal,
      }),
    place: () => {
      const address = reached.way()?.address;
      return `${plan.hostName} ${address === undefined ? '(via proxy)' : `([${address}]:${plan.port})`}`;
    },
    // A password must not be told to a host that shows another key than it had.
    password: async () => (distrusted() ? undefined : context.password?.()),
    prompter,
    passwordPrompts: auth.passwordPrompts,
    keyboardInteractiveDevices: auth.kbdInteractiveDevices,
    hostLabel: `${plan.user}@${plan.host}`,
    forbidden: () => (distrusted() ? ['password', 'keyboard-interactive'] : []),
  };
}

function ourIdentities(plan: HostPlan, context: OpenContext, binding: Binding): AsyncIterable<Identity> {
  const { auth } = plan;
  const { agentSocket } = auth;
  const { signal, log, warn, keys, crypto, agentOnly } = context;
  const agent = agentSocket === undefined ? undefined : () => connectAgent(agentSocket, signal ? { signal } : {});
  const prompter = auth.batch ? undefined : context.prompter;
  const library = auth.pkcs11Provider;
  if (library !== undefined && auth.pubkey !== 'no') keys.warn(library, noPkcs11(library));
  return identities({
    store: keys,
    crypto,
    files: agentOnly ? [] : auth.identityFiles,
    certificates: auth.certificateFiles,
    agent,
    binding,
    only: auth.identitiesOnly && !agentOnly,
    accepted: plan.algorithms.pubkeyAccepted,
    requiredRsaSize: plan.algorithms.requiredRsaSize,
    fingerprintHash: plan.hostKey.fingerprintHash,
    ask: !auth.batch,
    passphrasePrompts: auth.passwordPrompts,
    onUsed: (key, path) => addKeyToAgent(key, path, { rules: auth.addKeysToAgent, agent, prompter, log }),
    warn,
    log,
  });
}

/** BindInterface: the first address of it that suits the address family. */
function interfaceAddress({ bindInterface, addressFamily }: HostPlan): string | undefined {
  if (bindInterface === undefined) return undefined;
  const addresses = networkInterfaces()[bindInterface] ?? [];
  const wanted = addressFamily === 'inet6' ? 'IPv6' : addressFamily === 'inet' ? 'IPv4' : undefined;
  const found = addresses.find(({ family }) => wanted === undefined || family === wanted);
  if (found === undefined) {
    throw new SshError('unreachable', `no suitable address on interface ${bindInterface}`, {
      detail: { what: 'connect', interface: bindInterface },
    });
  }
  return found.address;
}

interface Way {
  readonly stream: ByteStream;
  /** The address that was dialled, and from where; none through a proxy. */
  readonly address: string | undefined;
  readonly socket?: Socket;
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
  const bindAddress = plan.bindAddress ?? interfaceAddress(plan);
  const family = plan.addressFamily === 'inet' ? 4 : plan.addressFamily === 'inet6' ? 6 : 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const stream = await dial({
        host: plan.hostName,
        port: plan.port,
        family,
        timeout,
        keepAlive: plan.tcpKeepAlive,
        ...(bindAddress !== undefined && { bindAddress }),
        ...(signal && { signal }),
        onAttempt: (address, port) => log?.(1, `Connecting to ${plan.hostName} [${address}] port ${port}.`),
        onFailure: (address, port, error) => log?.(1, `connect to address ${address} port ${port}: ${error.message}`),
      });
      log?.(1, 'Connection established.');
      return { stream, address: stream.remoteAddress, socket: stream.socket };
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
