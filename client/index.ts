/** The public face of the client layer. */

export {
  type AlgorithmPreferences,
  algorithms,
  type CryptoProvider,
  Disconnect,
  defaultAlgorithms,
  type ErrorCode,
  fingerprint,
  type Negotiated,
  nobleCrypto,
  SshError,
  supportedAlgorithms,
  type TerminalMode,
} from '../protocol/index.ts';
export { ChannelIo, ChannelStream, nodeCrypto, type Sink } from '../transport/index.ts';
export { type AuthPlan, authenticate, type Identity } from './auth.ts';
export type { Destination } from './config/destination.ts';
export { dumpOptions } from './config/dump.ts';
export { algorithmSets, localResolveEnv } from './config/local-env.ts';
export type { HostPlan } from './config/plan.ts';
export { type Layer, type Override, type ResolveEnv, type ResolveRequest, resolveHost } from './config/resolve.ts';
export { expandTokens } from './config/tokens.ts';
export { type ConnectOptions, connect, type HostKeyPolicy, type HostKeyQuestion, type Log } from './connect.ts';
export { Connection, type GlobalHandler, type OpenHandler, type OpenRefusal } from './connection.ts';
export { ExecHandle, type ExecOptions, type Exit, type PtyOptions } from './exec.ts';
export { classify, isFailure } from './fleet/classify.ts';
export { systemClock } from './fleet/clock.ts';
export { runOnHosts } from './fleet/run.ts';
export type {
  BatchReport,
  FleetClock,
  FleetHost,
  FleetOptions,
  FleetOutcome,
  HostClass,
  HostContext,
  HostEvent,
  HostResult,
  HostSink,
  HostTask,
  OutputStream,
  Phase,
  StopCause,
  TaskOutcome,
} from './fleet/types.ts';
export { type HostKeyRules, knownHostsPolicy } from './host-key.ts';
export { type IdentitySources, identities } from './identities.ts';
export { type KeyFile, KeyStore, type KeyStoreOptions } from './key-store.ts';
export { KnownHosts, type KnownHostsOptions } from './known-hosts-file.ts';
export { type OpenContext, type Opened, openHost } from './open.ts';
export type { Prompter, PromptRequest } from './prompter.ts';
